package verify_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/verify"
)

// A chain of every kind of key is accepted by its own CA and by no other.
func TestChains(t *testing.T) {
	kinds := map[string]func(testing.TB) crypto.Signer{"ECDSA": ecdsaKey, "RSA": rsaKey, "SM2": sm2Key}
	other := root(t, "other", ecdsaKey(t))
	for name, key := range kinds {
		t.Run(name, func(t *testing.T) {
			ca := root(t, "ca", key(t))
			sub := ca.issue(leaf{subject: pkix.Name{CommonName: "sub"}, ca: true, key: key(t)})
			client := sub.issue(leaf{subject: pkix.Name{CommonName: "client"}, dns: []string{"a.example"}, key: key(t)})
			p := policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, other, ca)})
			peer, err := p.Verify(chain(client, sub), "", now)
			wants(t, err, 0)
			if peer == nil || !peer.Verified || peer.Failure != nil || peer.Subject != "CN=client" || peer.Issuer != "CN=sub" || peer.Hash != sha256.Sum256(client.cert.Raw) {
				t.Fatalf("%+v", peer)
			}
			if peer.Serial.Cmp(client.cert.SerialNumber) != 0 || len(peer.DNSNames()) != 1 || len(peer.URIs())+len(peer.Emails())+len(peer.Addresses()) != 0 {
				t.Errorf("%+v", peer)
			}
			_, err = p.Verify(chain(client), "", now)
			wants(t, err, verify.Untrusted) // its issuer is not there
			_, err = policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, sub)}).Verify(chain(client), "", now)
			wants(t, err, 0) // an intermediate as the trusted one
			_, err = policy(t, verify.Config{Mode: verify.Request, Roots: roots(t, other)}).Verify(chain(client, sub, ca), "", now)
			wants(t, err, verify.Untrusted)
			_, err = p.Verify(chain(client, sub), "", now.Add(2*time.Hour))
			wants(t, err, verify.Expired)
			_, err = p.Verify(chain(client, sub), "", now.Add(-2*time.Hour))
			wants(t, err, verify.Expired)
			_, err = policy(t, verify.Config{Mode: verify.Require, Role: verify.Server, Roots: roots(t, ca)}).Verify(chain(client, sub), "", now)
			wants(t, err, verify.Unsuitable)
			forged := bytes.Clone(client.cert.Raw)
			forged[len(forged)-1] ^= 1
			_, err = p.Verify([][]byte{forged, sub.cert.Raw}, "", now)
			wants(t, err, verify.Untrusted)
		})
	}
}

// SM2 and RSA certificates in one chain.
func TestMixedChain(t *testing.T) {
	ca := root(t, "ca", rsaKey(t))
	sub := ca.issue(leaf{subject: pkix.Name{CommonName: "sub"}, ca: true, key: sm2Key(t)})
	client := sub.issue(leaf{subject: pkix.Name{CommonName: "client"}})
	_, err := policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, ca)}).Verify(chain(client, sub), "", now)
	wants(t, err, 0)
}

func TestModes(t *testing.T) {
	ca := root(t, "ca", ecdsaKey(t))
	stranger := root(t, "stranger", ecdsaKey(t)).issue(leaf{subject: pkix.Name{CommonName: "c"}})
	trusted := roots(t, ca)
	for mode, want := range map[verify.Mode]verify.Reason{verify.None: 0, verify.Request: 0, verify.Require: verify.Missing} {
		peer, err := policy(t, verify.Config{Mode: mode, Roots: trusted}).Verify(nil, "", now)
		wants(t, err, want)
		if peer != nil {
			t.Error("a peer without certificate")
		}
	}
	p := policy(t, verify.Config{Mode: verify.Require, Roots: trusted, AcceptUntrusted: true})
	if p.Mode() != verify.Require {
		t.Error("mode")
	}
	peer, err := p.Verify(chain(stranger), "", now)
	wants(t, err, 0)
	if peer.Verified || peer.Failure == nil || peer.Failure.Reason != verify.Untrusted {
		t.Errorf("an untrusted peer: verified %v, %v", peer.Verified, peer.Failure)
	}
	_, err = p.Verify(nil, "", now)
	wants(t, err, verify.Missing)
	peer, err = p.Verify(chain(ca.issue(leaf{})), "", now)
	wants(t, err, 0)
	if !peer.Verified || peer.Failure != nil {
		t.Errorf("a trusted peer: verified %v, %v", peer.Verified, peer.Failure)
	}
	peer, err = policy(t, verify.Config{Mode: verify.Request, AcceptUntrusted: true}).Verify(chain(stranger), "", now)
	wants(t, err, 0)
	if peer.Verified {
		t.Error("verified by nothing")
	}
	_, err = p.Verify([][]byte{{0x30, 0}}, "", now)
	wants(t, err, verify.Malformed)
	_, err = p.Verify(make([][]byte, 33), "", now)
	wants(t, err, verify.Malformed)
}

func TestAllowExpired(t *testing.T) {
	ca := root(t, "ca", ecdsaKey(t))
	past := ca.issue(leaf{from: now.Add(-30 * time.Minute), to: now.Add(-20 * time.Minute)})
	future := ca.issue(leaf{from: now.Add(20 * time.Minute), to: now.Add(30 * time.Minute)})
	strict, lenient := policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, ca)}), policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, ca), AllowExpired: true})
	for _, c := range []*authority{past, future} {
		_, err := strict.Verify(chain(c), "", now)
		wants(t, err, verify.Expired)
		_, err = lenient.Verify(chain(c), "", now)
		wants(t, err, 0)
	}
	_, err := lenient.Verify(chain(root(t, "x", ecdsaKey(t)).issue(leaf{from: now.Add(-30 * time.Minute), to: now.Add(-20 * time.Minute)})), "", now)
	wants(t, err, verify.Untrusted)
}

func TestDepth(t *testing.T) {
	top := root(t, "top", ecdsaKey(t))
	list := []*authority{top}
	for _, name := range []string{"one", "two"} {
		list = append([]*authority{list[0].issue(leaf{subject: pkix.Name{CommonName: name}, ca: true})}, list...)
	}
	client := list[0].issue(leaf{})
	sent := append([]*authority{client}, list...)
	for depth, want := range map[int]verify.Reason{1: verify.TooDeep, 2: verify.TooDeep, 3: 0, 0: 0} {
		_, err := policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, top), MaxDepth: depth}).Verify(chain(sent...), "", now)
		wants(t, err, want)
	}
}

func TestHost(t *testing.T) {
	ca := root(t, "ca", ecdsaKey(t))
	server := ca.issue(leaf{usage: smx509.ExtKeyUsageServerAuth, dns: []string{"*.example.org", "Exact.example.net", "*.com"}, ips: []string{"192.0.2.1", "2001:db8::1"}})
	p := policy(t, verify.Config{Mode: verify.Require, Role: verify.Server, Roots: roots(t, ca)})
	tests := map[string]bool{
		"": true, "a.example.org": true, "A.Example.Org.": true, "a.b.example.org": false, "example.org": false, ".example.org": false,
		"exact.example.net": true, "xexact.example.net": false, "192.0.2.1": true, "192.0.2.2": false, "2001:db8:0::1": true, "[2001:db8::1]": true,
		"::ffff:192.0.2.1": true, "x.com": false, "*.example.org": true,
	}
	for host, ok := range tests {
		_, err := p.Verify(chain(server), host, now)
		want := verify.WrongHost
		if ok {
			want = 0
		}
		t.Run(host, func(t *testing.T) { wants(t, err, want) })
	}
}

func TestPins(t *testing.T) {
	ca := root(t, "ca", ecdsaKey(t))
	client, other := ca.issue(leaf{}), ca.issue(leaf{})
	sum := sha256.Sum256(client.cert.RawSubjectPublicKeyInfo)
	key, err := verify.ParseKeyPin(base64.StdEncoding.EncodeToString(sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	sum = sha256.Sum256(client.cert.Raw)
	plain := hex.EncodeToString(sum[:])
	colons := strings.ToUpper(plain[:2])
	for i := 2; i < len(plain); i += 2 {
		colons += ":" + plain[i:i+2]
	}
	for name, c := range map[string]verify.Config{
		"key": {Keys: [][32]byte{{1}, key}}, "certificate": {Certificates: [][32]byte{certificatePin(t, plain)}},
		"colons": {Certificates: [][32]byte{certificatePin(t, colons)}}, "either": {Keys: [][32]byte{{1}}, Certificates: [][32]byte{certificatePin(t, plain)}},
	} {
		for _, trusted := range []*verify.Roots{nil, roots(t, ca)} {
			t.Run(name, func(t *testing.T) {
				c.Mode, c.Roots = verify.Require, trusted
				peer, err := policy(t, c).Verify(chain(client), "", now)
				if wants(t, err, 0); peer == nil || !peer.Verified {
					t.Error("not verified")
				}
				_, err = policy(t, c).Verify(chain(other), "", now)
				wants(t, err, verify.NotPinned)
			})
		}
	}
	for _, text := range []string{"", "AAAA", base64.StdEncoding.EncodeToString(make([]byte, 33)), plain} {
		if _, err := verify.ParseKeyPin(text); err == nil {
			t.Errorf("key pin %q", text)
		}
	}
	for _, text := range []string{"", "00", plain[:62], plain + "00", strings.Replace(colons, ":", "-", 1), ":" + colons[1:], strings.Repeat("g", 64)} {
		if _, err := verify.ParseCertificatePin(text); err == nil {
			t.Errorf("certificate pin %q", text)
		}
	}
}

func certificatePin(t *testing.T, text string) [32]byte {
	t.Helper()
	pin, err := verify.ParseCertificatePin(text)
	if err != nil {
		t.Fatal(err)
	}
	return pin
}

func TestNewRefuses(t *testing.T) {
	trusted := roots(t, root(t, "ca", ecdsaKey(t)))
	domain := verify.TrustDomain{Name: "example.org", Roots: trusted}
	for name, c := range map[string]verify.Config{
		"nothing to verify by": {Mode: verify.Request},
		"roots and domains":    {Roots: trusted, TrustDomains: []verify.TrustDomain{domain}},
		"a domain twice":       {TrustDomains: []verify.TrustDomain{domain, domain}},
		"a domain's name":      {TrustDomains: []verify.TrustDomain{{Name: "A b", Roots: trusted}}},
		"a domain without CA":  {TrustDomains: []verify.TrustDomain{{Name: "example.org"}}},
		"a negative depth":     {Roots: trusted, MaxDepth: -1},
		"CRLs without CA":      {CRLs: &verify.CRLs{}},
		"an empty name":        {Roots: trusted, Names: []verify.NameMatch{{}}},
		"a bad pattern":        {Roots: trusted, Names: []verify.NameMatch{{Comparison: verify.Regex, Value: "a)(b"}}},
		"a bad address":        {Roots: trusted, Names: []verify.NameMatch{{Kind: verify.IP, Value: "x"}}},
		"an unknown kind":      {Roots: trusted, Names: []verify.NameMatch{{Kind: 9, Value: "x"}}},
	} {
		if _, err := verify.New(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, file := range []string{"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := verify.ParseRoots([]byte(file)); err == nil {
			t.Errorf("roots of %q", file)
		}
	}
}

// What an error says: the check, the certificate, and an alert for the peer.
func TestError(t *testing.T) {
	ca := root(t, "ca", ecdsaKey(t))
	client := ca.issue(leaf{subject: pkix.Name{CommonName: "client"}, to: now.Add(-time.Minute), from: now.Add(-time.Hour)})
	_, err := policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, ca)}).Verify(chain(client), "", now)
	if text := err.Error(); !strings.Contains(text, `out of its validity: "CN=client"`) {
		t.Error(text)
	}
	if e := err.(*verify.Error); e.Alert() != 45 || e.Unwrap() == nil {
		t.Errorf("alert %d, cause %v", e.Alert(), e.Unwrap())
	}
	for r := verify.Missing; r <= verify.SANMismatch; r++ {
		e := &verify.Error{Reason: r}
		if a := e.Alert(); r.String() == "unknown" || a < 42 || a > 49 && a != 116 {
			t.Errorf("%v: alert %d", r, a)
		}
	}
}

// The roots in the forms that handshakes take.
func TestRoots(t *testing.T) {
	ca, sm := root(t, "ca", ecdsaKey(t)), root(t, "sm", sm2Key(t))
	r := roots(t, ca, sm)
	for _, c := range []*authority{ca.issue(leaf{}), sm.issue(leaf{key: sm2Key(t)})} {
		if _, err := c.cert.Verify(smx509.VerifyOptions{Roots: r.SM(), CurrentTime: now, KeyUsages: []smx509.ExtKeyUsage{smx509.ExtKeyUsageClientAuth}}); err != nil {
			t.Error(err)
		}
	}
	std, err := x509.ParseCertificate(ca.issue(leaf{}).cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := std.Verify(x509.VerifyOptions{Roots: r.Standard(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	system, err := verify.SystemRoots()
	if err != nil {
		t.Fatal(err)
	}
	_, err = policy(t, verify.Config{Mode: verify.Require, Roots: system}).Verify(chain(ca.issue(leaf{}), ca), "", now)
	wants(t, err, verify.Untrusted)
}
