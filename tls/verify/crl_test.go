package verify_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/verify"
)

// crl is a's list of those revoked certificates.
func (a *authority) crl(from, to time.Time, extra []pkix.Extension, revoked ...*authority) []byte {
	a.t.Helper()
	template := &smx509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: to, ExtraExtensions: extra}
	for _, r := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, smx509.RevocationListEntry{SerialNumber: r.cert.SerialNumber, RevocationTime: from})
	}
	der, err := smx509.CreateRevocationList(rand.Reader, template, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func lists(t testing.TB, files ...[]byte) *verify.CRLs {
	t.Helper()
	var file []byte
	for _, f := range files {
		file = append(file, f...)
	}
	l, err := verify.ParseCRLs(file)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCRL(t *testing.T) {
	from, to := now.Add(-time.Hour), now.Add(time.Hour)
	for name, key := range map[string]func(testing.TB) crypto.Signer{"ECDSA": ecdsaKey, "RSA": rsaKey, "SM2": sm2Key} {
		t.Run(name, func(t *testing.T) {
			ca := root(t, "ca", key(t))
			sub := ca.issue(leaf{subject: pkix.Name{CommonName: "sub"}, ca: true, key: key(t)})
			good, bad := sub.issue(leaf{key: key(t)}), sub.issue(leaf{key: key(t)})
			impostor := root(t, "sub", key(t)) // has the name, not the key
			otherSub := ca.issue(leaf{subject: pkix.Name{CommonName: "other sub"}, ca: true, key: key(t)})
			trusted := roots(t, ca)
			tests := []struct {
				name      string
				config    verify.Config
				good, bad verify.Reason
			}{
				{"of all issuers", verify.Config{CRLs: lists(t, ca.pem(), ca.crl(from, to, nil), sub.crl(from, to, nil, bad))}, 0, verify.Revoked},
				{"of the leaf's issuer", verify.Config{CRLs: lists(t, sub.crl(from, to, nil, bad))}, verify.NoCRL, verify.Revoked},
				{"of the leaf's issuer, leaf only", verify.Config{CRLs: lists(t, sub.crl(from, to, nil, bad)), CRLLeafOnly: true}, 0, verify.Revoked},
				{"of the root", verify.Config{CRLs: lists(t, ca.crl(from, to, nil)), CRLLeafOnly: true}, verify.NoCRL, verify.NoCRL},
				{"a revoked intermediate", verify.Config{CRLs: lists(t, ca.crl(from, to, nil, sub), sub.crl(from, to, nil))}, verify.Revoked, verify.Revoked},
				{"another revoked intermediate", verify.Config{CRLs: lists(t, ca.crl(from, to, nil, otherSub), sub.crl(from, to, nil))}, 0, 0},
				{"expired", verify.Config{CRLs: lists(t, ca.crl(from, to, nil), sub.crl(from, now.Add(-time.Minute), nil, bad))}, verify.StaleCRL, verify.Revoked},
				{"of tomorrow", verify.Config{CRLs: lists(t, ca.crl(from, to, nil), sub.crl(now.Add(time.Minute), to, nil, bad))}, verify.StaleCRL, verify.Revoked},
				{"expired, taken", verify.Config{CRLs: lists(t, ca.crl(from, to, nil), sub.crl(from, now.Add(-time.Minute), nil, bad)), CRLStale: true}, 0, verify.Revoked},
				{"expired and a new one", verify.Config{CRLs: lists(t, ca.crl(from, to, nil), sub.crl(from, now.Add(-time.Minute), nil), sub.crl(from, to, nil, bad))}, 0, verify.Revoked},
				{"by an impostor", verify.Config{CRLs: lists(t, ca.crl(from, to, nil), impostor.crl(from, to, nil, good))}, verify.NoCRL, verify.NoCRL},
				{"by an impostor beside the true one", verify.Config{CRLs: lists(t, ca.crl(from, to, nil), impostor.crl(from, to, nil, good), sub.crl(from, to, nil, bad))}, 0, verify.Revoked},
			}
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					test.config.Mode, test.config.Roots = verify.Require, trusted
					p := policy(t, test.config)
					for range 2 { // the second time by the kept answer
						_, err := p.Verify(chain(good, sub), "", now)
						wants(t, err, test.good)
						_, err = p.Verify(chain(bad, sub), "", now)
						wants(t, err, test.bad)
					}
				})
			}
		})
	}
}

// A list that is not about all certificates is used for those it is about, or refused.
func TestCRLScope(t *testing.T) {
	from, to := now.Add(-time.Hour), now.Add(time.Hour)
	ca := root(t, "ca", ecdsaKey(t))
	client := ca.issue(leaf{})
	point := func(value ...byte) []pkix.Extension {
		return []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: append([]byte{0x30, byte(len(value))}, value...)}}
	}
	yes := byte(0xff)
	for name, test := range map[string]struct {
		extension []pkix.Extension
		want      verify.Reason
	}{
		"a place":         {point(0xa0, 2, 0xa0, 0), verify.Revoked},
		"users' only":     {point(0x81, 1, yes), verify.Revoked},
		"CAs' only":       {point(0x82, 1, yes), verify.NoCRL},
		"false of no use": {point(0x82, 1, 0, 0x84, 1, 0, 0x85, 1, 0), verify.Revoked},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, ca), CRLs: lists(t, ca.crl(from, to, test.extension, client))})
			_, err := p.Verify(chain(client), "", now)
			wants(t, err, test.want)
		})
	}
	for name, extension := range map[string][]pkix.Extension{
		"some reasons":     point(0x83, 2, 1, 0x60),
		"indirect":         point(0x84, 1, yes),
		"attributes":       point(0x85, 1, yes),
		"cut short":        point(0x81, 4, yes),
		"of another kind":  {{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Value: []byte{2, 1, 1}}},
		"a delta":          {{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}},
		"unknown critical": {{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}},
	} {
		if _, err := verify.ParseCRLs(ca.crl(from, to, extension, client)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, file := range []string{"", string(ca.pem()), "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"} {
		if _, err := verify.ParseCRLs([]byte(file)); err == nil {
			t.Errorf("lists of %.40q", file)
		}
	}
}
