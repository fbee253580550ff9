package verify_test

import (
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/verify"
)

// Both certificates of a TLCP peer must be good; what is expected of its identity,
// the signing one must have.
func TestVerifyPair(t *testing.T) {
	ca, other := root(t, "ca", sm2Key(t)), root(t, "other", sm2Key(t))
	sub := ca.issue(leaf{subject: pkix.Name{CommonName: "sub"}, ca: true, key: sm2Key(t)})
	sign := sub.issue(leaf{subject: pkix.Name{CommonName: "sign"}, usage: smx509.ExtKeyUsageServerAuth, dns: []string{"a.example"}, key: sm2Key(t)})
	encrypt := func(by *authority, l leaf) *authority {
		l.key, l.keyUsage = sm2Key(t), smx509.KeyUsageKeyEncipherment
		if l.dns == nil {
			l.dns = []string{"a.example"}
		}
		return by.issue(l)
	}
	good, revoked := encrypt(sub, leaf{}), encrypt(sub, leaf{}) // of another extended key usage
	from, to := now.Add(-time.Hour), now.Add(time.Hour)
	config := verify.Config{
		Mode: verify.Require, Role: verify.Server, Roots: roots(t, ca), CRLs: lists(t, ca.crl(from, to, nil), sub.crl(from, to, nil, revoked)),
		Names: []verify.NameMatch{{Value: "a.example"}},
	}
	tests := []struct {
		name  string
		chain [][]byte
		host  string
		want  verify.Reason
	}{
		{"good", chain(sign, good, sub), "a.example", 0},
		{"good with its CA", chain(sign, good, sub, ca), "", 0},
		{"without the second", chain(sign), "", verify.Malformed},
		{"with another's second", chain(sign, encrypt(other, leaf{}), sub), "", verify.Untrusted},
		{"with a revoked second", chain(sign, revoked, sub), "", verify.Revoked},
		{"with an expired second", chain(sign, encrypt(sub, leaf{from: from, to: now.Add(-time.Minute)}), sub), "", verify.Expired},
		{"with a second for another host", chain(sign, encrypt(sub, leaf{dns: []string{"b.example"}}), sub), "a.example", verify.WrongHost},
		{"for another host", chain(sign, good, sub), "b.example", verify.WrongHost},
		{"with an expired first", chain(sub.issue(leaf{usage: smx509.ExtKeyUsageServerAuth, from: from, to: now.Add(-time.Minute), key: sm2Key(t)}), good, sub), "", verify.Expired},
		{"with a first of another name", chain(sub.issue(leaf{usage: smx509.ExtKeyUsageServerAuth, dns: []string{"b.example"}, key: sm2Key(t)}), good, sub), "", verify.SANMismatch},
		{"none", nil, "", verify.Missing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			peer, err := policy(t, config).VerifyPair(test.chain, test.host, now)
			wants(t, err, test.want)
			if err == nil && (peer.Subject != "CN=sign" || !peer.Verified) {
				t.Errorf("%+v", peer)
			}
		})
	}
}

// A client whose suite needs no second certificate may have the first alone.
func TestVerifyPairOfClient(t *testing.T) {
	ca := root(t, "ca", sm2Key(t))
	sub := ca.issue(leaf{subject: pkix.Name{CommonName: "sub"}, ca: true, key: sm2Key(t)})
	sign := sub.issue(leaf{subject: pkix.Name{CommonName: "sign"}, usage: smx509.ExtKeyUsageClientAuth, key: sm2Key(t)})
	encrypt := sub.issue(leaf{key: sm2Key(t), keyUsage: smx509.KeyUsageKeyEncipherment})
	stranger := root(t, "other", sm2Key(t)).issue(leaf{usage: smx509.ExtKeyUsageClientAuth, key: sm2Key(t)})
	for _, test := range []struct {
		name  string
		chain [][]byte
		want  verify.Reason
	}{
		{"both", chain(sign, encrypt, sub), 0},
		{"one", chain(sign, sub), 0},
		{"one of a stranger", chain(stranger), verify.Untrusted},
		{"another's second", chain(sign, stranger, sub), verify.Untrusted},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := policy(t, verify.Config{Mode: verify.Require, Role: verify.Client, Roots: roots(t, ca)}).VerifyPair(test.chain, "", now)
			wants(t, err, test.want)
		})
	}
}
