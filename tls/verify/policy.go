// Package verify decides whether a peer's certificate is accepted: a client's
// (mTLS) or an upstream's. It goes beyond what a handshake checks by itself:
// revocation lists, subject alternative names, SPIFFE ids, pins, depth; for
// RSA and ECDSA by crypto/x509, for SM2 by smx509. It also writes what it found
// into x-forwarded-client-cert.
//
// That the peer holds the certificate's key is for the handshake to check.
package verify

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Mode says whether a peer must show a certificate.
type Mode uint8

const (
	None    Mode = iota // it is not asked for one
	Request             // it is asked; one that it shows must be accepted
	Require             // it must show one that is accepted
)

// Role is what the peer is, and so what its certificate must be for.
type Role uint8

const (
	Client Role = iota // extended key usage clientAuth
	Server             // extended key usage serverAuth
)

// Config is what a peer's certificate must be. The fields are those of Envoy's
// CertificateValidationContext.
type Config struct {
	Mode Mode
	Role Role

	// Roots end the chain; nil: the chain is not verified, and then there must be
	// pins, or AcceptUntrusted.
	Roots *Roots
	// TrustDomains take the place of Roots: the certificate's one SPIFFE id says
	// whose they are.
	TrustDomains []TrustDomain
	// MaxDepth is how many CAs a chain may have, the trusted one among them; 0: 100.
	MaxDepth int
	// AllowExpired judges a chain by a time at which the leaf was valid.
	AllowExpired bool
	// AcceptUntrusted lets a peer in whose certificate fails any check;
	// Peer.Failure says which. Without certificate, Mode decides.
	AcceptUntrusted bool

	// CRLs must hold a list of every issuer in the chain, when there are any.
	CRLs *CRLs
	// CRLLeafOnly asks for the leaf's issuer's alone.
	CRLLeafOnly bool
	// CRLStale goes on with lists that are past their nextUpdate.
	CRLStale bool

	// Names: at least one subject alternative name must match one of them. None
	// asks for no name.
	Names []NameMatch
	// Keys are SHA-256 hashes of accepted public keys (SubjectPublicKeyInfo in
	// DER), Certificates of accepted certificates; one of either kind is enough.
	Keys, Certificates [][32]byte
}

// Policy is a Config that is ready to use. It does not change and may be used by
// several goroutines.
type Policy struct {
	config  Config
	names   []nameMatcher
	domains map[string]*Roots
}

// New checks a configuration.
func New(c Config) (*Policy, error) {
	p := &Policy{config: c}
	pinned := len(c.Keys)+len(c.Certificates) > 0
	switch {
	case c.MaxDepth < 0:
		return nil, errors.New("the depth of a chain cannot be negative")
	case c.Roots != nil && len(c.TrustDomains) > 0:
		return nil, errors.New("both trusted CAs and SPIFFE trust domains")
	case c.Mode != None && c.Roots == nil && len(c.TrustDomains) == 0 && !pinned && !c.AcceptUntrusted:
		return nil, errors.New("no trusted CA and no pin: anybody's certificate would do")
	case c.CRLs != nil && c.Roots == nil && len(c.TrustDomains) == 0:
		return nil, errors.New("revocation lists, but no trusted CA")
	}
	if p.config.MaxDepth == 0 {
		p.config.MaxDepth = 100
	}
	for _, match := range c.Names {
		m, err := match.compile()
		if err != nil {
			return nil, err
		}
		p.names = append(p.names, m)
	}
	if len(c.TrustDomains) > 0 {
		p.domains = make(map[string]*Roots, len(c.TrustDomains))
	}
	for _, d := range c.TrustDomains {
		if !validTrustDomain(d.Name) || d.Roots == nil {
			return nil, fmt.Errorf("SPIFFE trust domain %q is no valid name, or has no CA", d.Name)
		}
		if p.domains[d.Name] != nil {
			return nil, fmt.Errorf("SPIFFE trust domain %q is there twice", d.Name)
		}
		p.domains[d.Name] = d.Roots
	}
	return p, nil
}

// Mode says whether a peer is asked for a certificate.
func (p *Policy) Mode() Mode { return p.config.Mode }

// Verify judges the certificates that a peer showed, in DER and leaf first. host
// is the name or address that the leaf must be for; "" for none. It runs for
// every handshake, also for one that resumes a session: what was good when the
// session began may be revoked now.
//
// A nil Peer without error is a peer without certificate where none is required.
// The error is an *Error.
func (p *Policy) Verify(chain [][]byte, host string, now time.Time) (*Peer, error) {
	return p.verify(chain, host, now, false)
}

// VerifyPair judges the chain of a TLCP peer (GB/T 38636-2020, 6.4.5.3): its second
// certificate is the one to encrypt for. That must be good too, for any use, and
// for the host; pins and names are looked for in the first one, which signs. A client
// may have that one alone: only the ECDHE suites encrypt for clients.
func (p *Policy) VerifyPair(chain [][]byte, host string, now time.Time) (*Peer, error) {
	return p.verify(chain, host, now, true)
}

func (p *Policy) verify(chain [][]byte, host string, now time.Time, pair bool) (*Peer, error) {
	if len(chain) == 0 && p.config.Mode != Require {
		return nil, nil
	}
	list, failure := parseChain(chain)
	if failure != nil {
		return nil, failure // also where untrusted ones are let in: there is nothing to tell of it
	}
	peer, err := newPeer(list[0], chain)
	if err != nil {
		return nil, &Error{Reason: Malformed, Subject: list[0].subject(), Cause: err}
	}
	if pair {
		failure = p.judgePair(list, peer, host, now)
	} else {
		failure = p.judge(list, peer, host, now)
	}
	if failure == nil {
		peer.Verified = p.config.Roots != nil || p.domains != nil || len(p.config.Keys)+len(p.config.Certificates) > 0
		return peer, nil
	}
	if p.config.AcceptUntrusted {
		peer.Failure = failure
		return peer, nil
	}
	return nil, failure
}

func (p *Policy) judgePair(list []*certificate, peer *Peer, host string, now time.Time) *Error {
	if len(list) < 2 || list[1].ca {
		if p.config.Role == Client {
			return p.judge(list, peer, host, now)
		}
		return &Error{Malformed, peer.Subject, errNoPair}
	}
	encryption := list[1:]
	list = slices.Delete(slices.Clone(list), 1, 2)
	if err := p.judge(list, peer, host, now); err != nil {
		return err
	}
	names, err := parseAltNames(encryption[0].san)
	if err != nil {
		return &Error{Malformed, encryption[0].subject(), err}
	}
	if host != "" && !names.matchesHost(host) {
		return &Error{WrongHost, encryption[0].subject(), fmt.Errorf("not for %q", host)}
	}
	roots, failure := p.rootsFor(list[0], peer)
	if failure == nil && roots != nil {
		failure = p.chain(encryption, roots, anyUse, now)
	}
	return failure
}

var errNoPair = errors.New("TLCP's second certificate is missing")

func (p *Policy) judge(list []*certificate, peer *Peer, host string, now time.Time) *Error {
	leaf := list[0]
	roots, err := p.rootsFor(leaf, peer)
	if err != nil {
		return err
	}
	if roots != nil {
		if err := p.chain(list, roots, p.config.Role.use(), now); err != nil {
			return err
		}
	}
	if host != "" && !peer.names.matchesHost(host) {
		return &Error{Reason: WrongHost, Subject: peer.Subject, Cause: fmt.Errorf("not for %q", host)}
	}
	if !p.pinned(leaf) {
		return &Error{Reason: NotPinned, Subject: peer.Subject}
	}
	if !p.named(&peer.names) {
		return &Error{Reason: SANMismatch, Subject: peer.Subject}
	}
	return nil
}

// named says whether a name of the leaf is among the expected ones.
func (p *Policy) named(names *altNames) bool {
	if len(p.names) == 0 {
		return true
	}
	for i := range p.names {
		if p.names[i].matchesAny(names) {
			return true
		}
	}
	return false
}

// fullMatch compiles a pattern that a whole name must match.
func fullMatch(pattern string, ignoreCase bool) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err // first by itself, so that "a)(b" does not pass
	}
	flags := "(?s"
	if ignoreCase {
		flags += "i"
	}
	return regexp.Compile(flags + `)\A(?:` + pattern + `)\z`)
}
