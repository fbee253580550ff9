package verify

import (
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// altNames are a certificate's subject alternative names (RFC 5280, 4.2.1.6) as
// they stand there: parsers of URIs and host names would change some.
type altNames struct {
	dns, uris, emails []string
	addresses         []netip.Addr
}

var errSAN = errors.New("malformed subject alternative name")

// parseAltNames reads the value of the extension; names of other kinds are
// passed over.
func parseAltNames(der []byte) (names altNames, err error) {
	if der == nil {
		return names, nil
	}
	in := cryptobyte.String(der)
	var list cryptobyte.String
	if !in.ReadASN1(&list, cryptobyteasn1.SEQUENCE) || !in.Empty() {
		return names, errSAN
	}
	for !list.Empty() {
		var value cryptobyte.String
		var tag cryptobyteasn1.Tag
		if !list.ReadAnyASN1(&value, &tag) {
			return names, errSAN
		}
		switch tag {
		case cryptobyteasn1.Tag(1).ContextSpecific():
			names.emails = append(names.emails, string(value))
		case cryptobyteasn1.Tag(2).ContextSpecific():
			names.dns = append(names.dns, string(value))
		case cryptobyteasn1.Tag(6).ContextSpecific():
			names.uris = append(names.uris, string(value))
		case cryptobyteasn1.Tag(7).ContextSpecific():
			address, ok := netip.AddrFromSlice(value)
			if !ok {
				return names, errSAN
			}
			names.addresses = append(names.addresses, address)
		}
	}
	return names, nil
}

// matchesHost says whether the names cover a host (RFC 9525, 6.3), which is a
// DNS name or the literal of an address.
func (n *altNames) matchesHost(host string) bool {
	if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		for _, a := range n.addresses {
			if a.Unmap() == address.Unmap() {
				return true
			}
		}
		return false
	}
	for _, name := range n.dns {
		if matchesDNS(name, host) {
			return true
		}
	}
	return false
}

// matchesDNS says whether a name of a certificate covers a host. A wildcard is a
// whole leftmost label and stands for one label; at least two must follow it.
func matchesDNS(name, host string) bool {
	name, host = strings.TrimSuffix(name, "."), strings.TrimSuffix(host, ".")
	if name == "" || host == "" {
		return false
	}
	if strings.EqualFold(name, host) {
		return true
	}
	parent, ok := strings.CutPrefix(name, "*.")
	if !ok || !strings.Contains(parent, ".") {
		return false
	}
	label, rest, ok := strings.Cut(host, ".")
	return ok && label != "" && label != "*" && strings.EqualFold(rest, parent)
}
