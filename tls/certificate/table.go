package certificate

import (
	"net/netip"
	"slices"
	"strings"
)

// A Table finds certificates by server name. It is immutable: a change of certificates is a
// new Table, which may share its certificates with the old one.
type Table struct {
	all      []*Certificate
	exact    map[string][]*Certificate // by name, or address as text; those of a wildcard that covers it come last
	wildcard map[string][]*Certificate // by what follows "*."
	standard []*Certificate            // for hellos without a known name
}

// NewTable makes the table of certificates in the order in which the configuration lists them.
// The first is the default, for connections that name no server or one that is not here.
func NewTable(certificates []*Certificate) *Table {
	t := &Table{
		all:      slices.Clone(certificates),
		exact:    make(map[string][]*Certificate, len(certificates)),
		wildcard: map[string][]*Certificate{},
	}
	for _, c := range t.all {
		for _, name := range c.DNSNames {
			if parent, wild := strings.CutPrefix(name, "*."); wild {
				add(t.wildcard, parent, c)
			} else {
				add(t.exact, name, c)
			}
		}
		for _, address := range c.IPs {
			add(t.exact, address.String(), c)
		}
	}
	for _, group := range t.wildcard {
		sortByPreference(group)
	}
	for name, group := range t.exact {
		sortByPreference(group)
		if wild := t.underWildcard(name); len(wild) > 0 {
			t.exact[name] = join(group, wild)
		}
	}
	t.standard = t.defaults()
	return t
}

func add(groups map[string][]*Certificate, name string, c *Certificate) {
	if !slices.Contains(groups[name], c) {
		groups[name] = append(groups[name], c)
	}
}

// join appends to a group what another has more; the result shares no memory with either.
func join(group, more []*Certificate) []*Certificate {
	joined := slices.Clone(group)
	for _, c := range more {
		if !slices.Contains(joined, c) {
			joined = append(joined, c)
		}
	}
	return joined
}

// sortByPreference puts better kinds first, smaller curves (which sign faster) and of equals
// the one that lives longest, which is the one that was renewed.
func sortByPreference(group []*Certificate) {
	slices.SortStableFunc(group, func(a, b *Certificate) int {
		switch {
		case a.Kind != b.Kind:
			return int(a.Kind) - int(b.Kind)
		case a.Kind == ECDSA && a.KeyBits != b.KeyBits:
			return a.KeyBits - b.KeyBits
		}
		return b.NotAfter.Compare(a.NotAfter)
	})
}

// defaults are the first certificate and those that share its first name, then the first of
// every kind that is not among them: a client that names no server still finds a certificate
// that it can verify a signature of.
func (t *Table) defaults() []*Certificate {
	if len(t.all) == 0 {
		return nil
	}
	first := t.all[0]
	group := []*Certificate{first}
	if len(first.DNSNames) > 0 {
		for _, c := range t.all {
			if slices.Contains(c.DNSNames, first.DNSNames[0]) {
				group = join(group, []*Certificate{c})
			}
		}
	}
	sortByPreference(group)
	for _, c := range t.all {
		if !slices.ContainsFunc(group, func(g *Certificate) bool { return g.Kind == c.Kind && (g.Encryption == nil) == (c.Encryption == nil) }) {
			group = append(group, c)
		}
	}
	return group
}

// Find returns the certificates for a server name (in lower case, without a final dot) in
// order of preference: those for the name itself, then those with a wildcard for its first
// label; in each, SM2, ECDSA, Ed25519, RSA. Choose says which of them a client can take. It
// is empty if no certificate covers the name. The result is not to be changed.
func (t *Table) Find(name string) []*Certificate {
	if found := t.exact[name]; found != nil {
		return found
	}
	return t.underWildcard(name)
}

func (t *Table) underWildcard(name string) []*Certificate {
	label, parent, ok := strings.Cut(name, ".")
	if !ok || label == "" {
		return nil
	}
	return t.wildcard[parent]
}

// Default returns the candidates for a connection that names no server, or one that Find does
// not know where that is not refused. The result is not to be changed.
func (t *Table) Default() []*Certificate { return t.standard }

// All returns the certificates in the order in which they were listed, not to be changed.
func (t *Table) All() []*Certificate { return t.all }

// Covers reports whether a certificate is valid for a host as routes name it: a name, an
// address, or "*." and a name, which takes a certificate with the same wildcard.
func (t *Table) Covers(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if parent, wild := strings.CutPrefix(host, "*."); wild {
		return len(t.wildcard[parent]) > 0
	}
	if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return len(t.exact[address.Unmap().String()]) > 0
	}
	return len(t.Find(host)) > 0
}
