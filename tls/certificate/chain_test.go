package certificate

import (
	"bytes"
	"strings"
	"testing"
)

func TestChainOrder(t *testing.T) {
	root := issue(t, nil, newKey(t, "p256"), authorityTemplate("root"))
	middle := issue(t, root, newKey(t, "p256"), authorityTemplate("middle"))
	last := issue(t, middle, newKey(t, "p256"), authorityTemplate("last"))
	l := issue(t, last, newKey(t, "p256"), template("a.test"))
	stranger := issue(t, nil, newKey(t, "p256"), authorityTemplate("stranger"))
	ordered := []*issuer{l, last, middle, root}
	for name, test := range map[string]struct {
		file    []*issuer
		sent    []*issuer
		warning string // "" for none
	}{
		"in order":         {ordered, ordered, ""},
		"without the root": {ordered[:3], ordered[:3], ""},
		"leaf last":        {[]*issuer{root, middle, last, l}, ordered, "wrong order"},
		"mixed":            {[]*issuer{l, middle, root, last}, ordered, "wrong order"},
		"twice":            {[]*issuer{l, last, last, middle, root, l}, ordered, "2 certificates are there twice"},
		"a stranger":       {[]*issuer{l, stranger, last, middle}, ordered[:3], "1 of 4 certificates do not belong to the chain"},
		"a gap":            {[]*issuer{l, middle, root}, ordered[:1], "2 of 3 certificates do not belong to the chain"},
	} {
		pair := pairOf(t, l)
		pair.Cert = certPEM(test.file...)
		c := parse(t, Source{Name: "shop", Pair: pair})
		if len(c.Chain) != len(test.sent) {
			t.Errorf("%s: %d certificates are sent, want %d", name, len(c.Chain), len(test.sent))
			continue
		}
		for i, der := range c.Chain {
			if !bytes.Equal(der, test.sent[i].der) {
				t.Errorf("%s: certificate %d is not the one that belongs there", name, i)
			}
		}
		if test.warning == "" && len(c.Warnings) > 0 {
			t.Errorf("%s: warnings %q", name, c.Warnings)
		}
		if test.warning != "" {
			wantText(t, c.Warnings, test.warning)
		}
		for _, warning := range c.Warnings {
			if !strings.HasPrefix(warning, "shop.crt: ") {
				t.Errorf("%s: the warning %q does not begin with the place", name, warning)
			}
		}
	}
}

// Two authorities that certify each other are no endless chain.
func TestCrossCertifiedAuthorities(t *testing.T) {
	a := issue(t, nil, newKey(t, "p256"), authorityTemplate("A"))
	b := issue(t, nil, newKey(t, "p256"), authorityTemplate("B"))
	aByB, bByA := issue(t, b, a.key, authorityTemplate("A")), issue(t, a, b.key, authorityTemplate("B"))
	l := issue(t, a, newKey(t, "p256"), template("a.test"))
	c := parse(t, Source{Pair: pairOf(t, l, aByB, bByA)})
	if len(c.Chain) != 3 {
		t.Errorf("%d certificates are sent, want 3", len(c.Chain))
	}
}

// Certificates of one Parser keep an authority that they share once.
func TestAuthoritiesAreShared(t *testing.T) {
	root := issue(t, nil, newKey(t, "p256"), authorityTemplate("root"))
	var p Parser
	var at [2]*byte
	for i := range at {
		c, err := p.Parse(Source{Pair: pairOf(t, issue(t, root, newKey(t, "p256"), template("a.test")), root)})
		if err != nil {
			t.Fatal(err)
		}
		at[i] = &c.Chain[1][0]
	}
	if at[0] != at[1] {
		t.Error("the authority is there twice")
	}
}
