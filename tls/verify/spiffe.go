package verify

import (
	"errors"
	"strings"
)

// TrustDomain is a SPIFFE trust domain and its bundle.
type TrustDomain struct {
	Name  string // "example.org"
	Roots *Roots
}

var (
	errSPIFFE       = errors.New("there must be one URI, and it a SPIFFE id")
	errSPIFFEDomain = errors.New("unknown trust domain")
	errSPIFFECA     = errors.New("a CA is no workload")
)

// rootsFor are the roots for this leaf: with trust domains those that its SPIFFE
// id belongs to (X509-SVID, 4 and 5).
func (p *Policy) rootsFor(leaf *certificate, peer *Peer) (*Roots, *Error) {
	if p.domains == nil {
		return p.config.Roots, nil
	}
	refuse := func(cause error) (*Roots, *Error) { return nil, &Error{NoSPIFFE, peer.Subject, cause} }
	if peer.SPIFFE == "" {
		return refuse(errSPIFFE)
	}
	if leaf.ca || leaf.signsOthers {
		return refuse(errSPIFFECA)
	}
	roots := p.domains[trustDomain(peer.SPIFFE)]
	if roots == nil {
		return refuse(errSPIFFEDomain)
	}
	return roots, nil
}

const spiffeScheme = "spiffe://"

// trustDomain is that of a valid SPIFFE id.
func trustDomain(id string) string {
	domain, _, _ := strings.Cut(id[len(spiffeScheme):], "/")
	return domain
}

// spiffeID is the SPIFFE id among the URIs of a certificate, which must be its
// only one (X509-SVID, 2); else "".
func spiffeID(uris []string) string {
	if len(uris) == 1 && validSPIFFE(uris[0]) {
		return uris[0]
	}
	return ""
}

// validSPIFFE checks SPIFFE-ID, 2: a trust domain and a path of simple segments,
// 2048 bytes at most. A bare trust domain names no workload and is not taken.
func validSPIFFE(id string) bool {
	rest, ok := strings.CutPrefix(id, spiffeScheme)
	if !ok || len(id) > 2048 {
		return false
	}
	domain, path, ok := strings.Cut(rest, "/")
	if !ok || !validTrustDomain(domain) {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." || !allBytes(segment, true) {
			return false
		}
	}
	return true
}

func validTrustDomain(name string) bool {
	return name != "" && len(name) <= 255 && allBytes(name, false)
}

// allBytes says whether s has only those bytes that a segment of a path, or with
// upper false a trust domain, may have.
func allBytes(s string, upper bool) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || upper && 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}
