package verify_test

import (
	"testing"

	"longmen/tls/verify"
)

func TestNames(t *testing.T) {
	ca := root(t, "ca", ecdsaKey(t))
	client := ca.issue(leaf{
		dns: []string{"Api.Example.org", "*.wild.example"}, uris: []string{"spiffe://td.example/ns/a/sa/B", "https://x.example/?q=1"},
		mails: []string{"ops@example.org"}, ips: []string{"192.0.2.7", "2001:db8::7"},
	})
	nobody := ca.issue(leaf{})
	trusted := roots(t, ca)
	tests := []struct {
		match verify.NameMatch
		ok    bool
	}{
		{verify.NameMatch{Value: "api.example.org"}, true},
		{verify.NameMatch{Value: "API.example.org"}, true},
		{verify.NameMatch{Value: "pi.example.org"}, false},
		{verify.NameMatch{Value: "a.wild.example"}, true},
		{verify.NameMatch{Value: "*.wild.example"}, true},
		{verify.NameMatch{Value: "a.b.wild.example"}, false},
		{verify.NameMatch{Value: "wild.example"}, false},
		{verify.NameMatch{Comparison: verify.Prefix, Value: "api."}, true},
		{verify.NameMatch{Comparison: verify.Suffix, Value: ".EXAMPLE.org"}, true},
		{verify.NameMatch{Comparison: verify.Suffix, Value: ".example.com"}, false},
		{verify.NameMatch{Comparison: verify.Contains, Value: "example"}, true},
		{verify.NameMatch{Comparison: verify.Regex, Value: `[a-z]+\.example\.org`}, true},
		{verify.NameMatch{Comparison: verify.Regex, Value: `example\.org`}, false},
		{verify.NameMatch{Comparison: verify.Regex, Value: `x|api.*|y`}, true},
		{verify.NameMatch{Comparison: verify.Regex, Value: `api|example.org`}, false},
		{verify.NameMatch{Kind: verify.URI, Value: "spiffe://td.example/ns/a/sa/B"}, true},
		{verify.NameMatch{Kind: verify.URI, Value: "spiffe://td.example/ns/a/sa/b"}, false},
		{verify.NameMatch{Kind: verify.URI, Value: "spiffe://td.example/ns/a/sa/b", IgnoreCase: true}, true},
		{verify.NameMatch{Kind: verify.URI, Comparison: verify.Prefix, Value: "spiffe://td.example/"}, true},
		{verify.NameMatch{Kind: verify.URI, Comparison: verify.Prefix, Value: "spiffe://other/"}, false},
		{verify.NameMatch{Kind: verify.URI, Comparison: verify.Regex, Value: "HTTPS://.*", IgnoreCase: true}, true},
		{verify.NameMatch{Kind: verify.URI, Comparison: verify.Regex, Value: "HTTPS://.*"}, false},
		{verify.NameMatch{Kind: verify.URI, Value: "api.example.org"}, false},
		{verify.NameMatch{Kind: verify.Email, Value: "ops@example.org"}, true},
		{verify.NameMatch{Kind: verify.Email, Comparison: verify.Suffix, Value: "@example.org"}, true},
		{verify.NameMatch{Kind: verify.Email, Comparison: verify.Suffix, Value: "@example.com"}, false},
		{verify.NameMatch{Kind: verify.IP, Value: "192.0.2.7"}, true},
		{verify.NameMatch{Kind: verify.IP, Value: "::ffff:192.0.2.7"}, true},
		{verify.NameMatch{Kind: verify.IP, Value: "2001:0db8:0:0::7"}, true},
		{verify.NameMatch{Kind: verify.IP, Value: "192.0.2.8"}, false},
		{verify.NameMatch{Kind: verify.IP, Comparison: verify.Prefix, Value: "192.0.2."}, true},
	}
	for _, test := range tests {
		p := policy(t, verify.Config{Mode: verify.Require, Roots: trusted, Names: []verify.NameMatch{{Value: "never.example"}, test.match}})
		_, err := p.Verify(chain(client), "", now)
		if (err == nil) != test.ok {
			t.Errorf("%+v: %v", test.match, err)
		}
		_, err = p.Verify(chain(nobody), "", now)
		wants(t, err, verify.SANMismatch)
	}
}

func TestSPIFFE(t *testing.T) {
	one, two := root(t, "one", ecdsaKey(t)), root(t, "two", ecdsaKey(t))
	p := policy(t, verify.Config{Mode: verify.Require, TrustDomains: []verify.TrustDomain{{Name: "one.example", Roots: roots(t, one)}, {Name: "two", Roots: roots(t, two)}}})
	tests := []struct {
		name string
		by   *authority
		leaf leaf
		want verify.Reason
	}{
		{"of one", one, leaf{uris: []string{"spiffe://one.example/ns/x"}}, 0},
		{"of two", two, leaf{uris: []string{"spiffe://two/x"}, dns: []string{"a.example"}}, 0},
		{"of one with two's name", one, leaf{uris: []string{"spiffe://two/x"}}, verify.Untrusted},
		{"of a third", one, leaf{uris: []string{"spiffe://three/x"}}, verify.NoSPIFFE},
		{"none", one, leaf{dns: []string{"a.example"}}, verify.NoSPIFFE},
		{"two ids", one, leaf{uris: []string{"spiffe://one.example/x", "spiffe://one.example/y"}}, verify.NoSPIFFE},
		{"another URI", one, leaf{uris: []string{"spiffe://one.example/x", "https://one.example/y"}}, verify.NoSPIFFE},
		{"a CA", one, leaf{uris: []string{"spiffe://one.example/x"}, ca: true}, verify.NoSPIFFE},
		{"who signs certificates", one, leaf{uris: []string{"spiffe://one.example/x"}, keyUsage: 1 << 5}, verify.NoSPIFFE},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			peer, err := p.Verify(chain(test.by.issue(test.leaf)), "", now)
			wants(t, err, test.want)
			if err == nil && peer.SPIFFE != test.leaf.uris[0] {
				t.Errorf("%q", peer.SPIFFE)
			}
		})
	}
}
