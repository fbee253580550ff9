package verify_test

import (
	"testing"

	"longmen/tls/verify"
)

// A certificate comes from the network, as a client's does before anything is
// known of it: whatever is in it, it is refused or read.
func FuzzVerify(f *testing.F) {
	ca, sm := root(f, "ca", ecdsaKey(f)), root(f, "sm", sm2Key(f))
	l := leaf{dns: []string{"a.example"}, uris: []string{"spiffe://td/x"}, mails: []string{"a@b"}, ips: []string{"192.0.2.1"}}
	f.Add(ca.issue(l).cert.Raw, ca.cert.Raw)
	l.key = sm2Key(f)
	f.Add(sm.issue(l).cert.Raw, sm.cert.Raw)
	p := policy(f, verify.Config{Mode: verify.Require, Roots: roots(f, ca, sm), AcceptUntrusted: true})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		peer, err := p.Verify([][]byte{first, second}, "", now)
		if (peer == nil) != (err != nil) {
			t.Fatalf("%v, %v", peer, err)
		}
		if peer != nil {
			verify.Details{Cert: true, Chain: true, Subject: true, URI: true, DNS: true}.Element(peer, nil)
		}
	})
}

// One that is cut at any byte is refused.
func TestCutCertificate(t *testing.T) {
	for _, ca := range []*authority{root(t, "ca", ecdsaKey(t)), root(t, "ca", sm2Key(t))} {
		p := policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, ca), AcceptUntrusted: true})
		der := ca.issue(leaf{dns: []string{"a.example"}}).cert.Raw
		for n := range len(der) {
			_, err := p.Verify([][]byte{der[:n]}, "", now)
			wants(t, err, verify.Malformed)
		}
	}
}
