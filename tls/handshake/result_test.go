package handshake

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"net/url"
	"testing"
	"time"

	"longmen/tls/record"
	"longmen/tls/verify"
)

func selfSigned(t *testing.T, name string, uri *url.URL) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, URIs: []*url.URL{uri},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// The element is made for a connection once, and again when other details are asked for.
func TestElement(t *testing.T) {
	server := selfSigned(t, "gateway", &url.URL{Scheme: "spiffe", Host: "td", Path: "/gateway"})
	client := verify.NewIdentity(selfSigned(t, "client", &url.URL{Scheme: "spiffe", Host: "td", Path: "/client"})).Peer()
	r := &Result{Peer: client, Local: verify.NewIdentity(server)}
	short := "By=spiffe://td/gateway;Hash=" + hex.EncodeToString(client.Hash[:])
	if got := r.Element(verify.Details{}); got != short {
		t.Errorf("%q", got)
	}
	with := verify.Details{Subject: true, URI: true}
	if got := r.Element(with); got != short+`;Subject="CN=client";URI=spiffe://td/client` {
		t.Errorf("%q", got)
	}
	if n := testing.AllocsPerRun(100, func() { r.Element(with) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := (&Result{Peer: client}).Element(verify.Details{}); got != short[len("By=spiffe://td/gateway;"):] {
		t.Errorf("without a certificate of its own: %q", got)
	}
}

// Everything that records can be protected with has a name.
func TestNames(t *testing.T) {
	named := 0
	for _, version := range []uint16{VersionTLS12, VersionTLS13, VersionTLCP} {
		if VersionName(version) == "" {
			t.Errorf("version %#04x has no name", version)
		}
		for suite := range 0x10000 {
			if record.Supported(version, uint16(suite)) {
				named++
				if SuiteName(uint16(suite)) == "" {
					t.Errorf("suite %#04x has no name", suite)
				}
			}
		}
	}
	if named < 16 || SuiteName(0xc02f) != "ECDHE-RSA-AES128-GCM-SHA256" || SuiteName(0) != "" || VersionName(0x0302) != "" {
		t.Errorf("%d suites", named)
	}
}
