package verify

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// NameKind is a kind of subject alternative name.
type NameKind uint8

const (
	DNS NameKind = iota
	URI
	Email
	IP
)

// Comparison is how a name is compared.
type Comparison uint8

const (
	Exact Comparison = iota
	Prefix
	Suffix
	Contains
	Regex // RE2; the whole name must match
)

// NameMatch is a subject alternative name that is expected. DNS names are
// compared without regard to case, and with Exact, a wildcard in the certificate
// covers the hosts below it. Addresses are compared in their canonical form
// (RFC 5952).
type NameMatch struct {
	Kind       NameKind
	Comparison Comparison
	Value      string
	IgnoreCase bool
}

type nameMatcher struct {
	NameMatch
	address netip.Addr
	pattern *regexp.Regexp
}

func (m NameMatch) compile() (nameMatcher, error) {
	own := nameMatcher{NameMatch: m}
	if m.Kind > IP || m.Comparison > Regex {
		return own, errors.New("unknown kind of name or comparison")
	}
	if m.Value == "" {
		return own, errors.New("an expected subject alternative name is empty")
	}
	own.IgnoreCase = m.IgnoreCase || m.Kind == DNS
	switch {
	case m.Comparison == Regex:
		pattern, err := fullMatch(m.Value, own.IgnoreCase)
		if err != nil {
			return own, fmt.Errorf("expected subject alternative name: %w", err)
		}
		own.pattern = pattern
	case m.Kind == IP && m.Comparison == Exact:
		address, err := netip.ParseAddr(m.Value)
		if err != nil {
			return own, fmt.Errorf("expected subject alternative name: %w", err)
		}
		own.address = address
	case own.IgnoreCase:
		own.Value = strings.ToLower(m.Value)
	}
	return own, nil
}

func (m *nameMatcher) matchesAny(names *altNames) bool {
	switch m.Kind {
	case DNS:
		return m.matchesOne(names.dns)
	case URI:
		return m.matchesOne(names.uris)
	case Email:
		return m.matchesOne(names.emails)
	}
	for _, address := range names.addresses {
		if m.address.IsValid() && m.address.Unmap() == address.Unmap() || !m.address.IsValid() && m.matches(address.String()) {
			return true
		}
	}
	return false
}

func (m *nameMatcher) matchesOne(list []string) bool {
	for _, name := range list {
		if m.Kind == DNS && m.Comparison == Exact && matchesDNS(name, m.Value) || m.matches(name) {
			return true
		}
	}
	return false
}

func (m *nameMatcher) matches(name string) bool {
	if m.pattern != nil {
		return m.pattern.MatchString(name)
	}
	if m.IgnoreCase {
		name = strings.ToLower(name)
	}
	switch m.Comparison {
	case Prefix:
		return strings.HasPrefix(name, m.Value)
	case Suffix:
		return strings.HasSuffix(name, m.Value)
	case Contains:
		return strings.Contains(name, m.Value)
	}
	return name == m.Value
}
