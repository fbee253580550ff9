package stream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/verify"
)

// certified makes a certificate with names of each kind.
func certified(t *testing.T, name string, serial int64) (*verify.Identity, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name, Organization: []string{`Acme "1"`}},
		NotBefore: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), NotAfter: time.Date(2036, 1, 2, 3, 4, 5, 0, time.UTC),
		URIs:     []*url.URL{{Scheme: "spiffe", Host: "td", Path: "/" + name}, {Scheme: "urn", Opaque: "x"}},
		DNSNames: []string{name + ".test", "*.test"}, EmailAddresses: []string{name + "@a.test"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return verify.NewIdentity(der), der
}

// securedStream is exampleStream over TLS on both sides.
func securedStream(t *testing.T) (s *Stream, resp *Response, client []byte) {
	s, resp = exampleStream()
	peer, client := certified(t, "client", 0xa0b)
	own, _ := certified(t, "gateway", 2)
	endpoint, _ := certified(t, "endpoint", 0)
	s.TLS = &handshake.Result{
		Version: handshake.VersionTLS13, Suite: 0x1301, ServerName: "shop.test", Peer: peer.Peer(), Local: own,
		Fingerprints: &handshake.Fingerprints{JA3: "0123456789abcdef0123456789abcdef", JA4: "t13d1516h2_8daaf6152771_e5627efa2ab1"},
	}
	s.Record.UpstreamTLS = &handshake.Result{Version: handshake.VersionTLS12, Suite: 0xc02b, Peer: endpoint.Peer()}
	return s, resp, client
}

func TestFormatTLS(t *testing.T) {
	s, resp, client := securedStream(t)
	sum := sha256.Sum256(client)
	text := url.QueryEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: client})))
	text = strings.ReplaceAll(text, "BEGIN+CERT", "BEGIN%20CERT")
	text = strings.ReplaceAll(text, "END+CERT", "END%20CERT")
	for _, c := range []struct{ format, want string }{
		{"%REQUESTED_SERVER_NAME%", "shop.test"},
		{"%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER%", "TLSv1.3 TLS_AES_128_GCM_SHA256"},
		{"%TLS_JA3_FINGERPRINT%", "0123456789abcdef0123456789abcdef"},
		{"%TLS_JA4_FINGERPRINT%", "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"%DOWNSTREAM_PEER_SUBJECT%", `CN=client,O=Acme \x5C\x221\x5C\x22`},
		{"%DOWNSTREAM_PEER_ISSUER%", `CN=client,O=Acme \x5C\x221\x5C\x22`},
		{"%DOWNSTREAM_PEER_SERIAL%", "0a0b"},
		{"%DOWNSTREAM_PEER_FINGERPRINT_256%", hex.EncodeToString(sum[:])},
		{"%DOWNSTREAM_PEER_URI_SAN%", "spiffe://td/client,urn:x"},
		{"%DOWNSTREAM_PEER_DNS_SAN%", "client.test,*.test"},
		{"%DOWNSTREAM_PEER_IP_SAN%", "192.0.2.1,2001:db8::1"},
		{"%DOWNSTREAM_PEER_EMAIL_SAN%", "client@a.test"},
		{"%DOWNSTREAM_PEER_CERT_V_START%", "2026-01-02T03:04:05.000Z"},
		{"%DOWNSTREAM_PEER_CERT_V_END(%Y-%m)%", "2036-01"},
		{"%DOWNSTREAM_PEER_CERT%", text},
		{"%DOWNSTREAM_LOCAL_SUBJECT%", `CN=gateway,O=Acme \x5C\x221\x5C\x22`},
		{"%DOWNSTREAM_LOCAL_URI_SAN%", "spiffe://td/gateway,urn:x"},
		{"%DOWNSTREAM_LOCAL_DNS_SAN%", "gateway.test,*.test"},
		{"%DOWNSTREAM_LOCAL_IP_SAN%", "192.0.2.1,2001:db8::1"},
		{"%DOWNSTREAM_LOCAL_EMAIL_SAN%", "gateway@a.test"},
		{"%UPSTREAM_TLS_VERSION% %UPSTREAM_TLS_CIPHER%", "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256"},
		{"%UPSTREAM_PEER_SUBJECT%", `CN=endpoint,O=Acme \x5C\x221\x5C\x22`},
		{"%UPSTREAM_PEER_ISSUER%", `CN=endpoint,O=Acme \x5C\x221\x5C\x22`},
		{"%UPSTREAM_PEER_SERIAL%", "00"},
		{"%UPSTREAM_PEER_URI_SAN%", "spiffe://td/endpoint,urn:x"},
		{"%UPSTREAM_PEER_DNS_SAN%", "endpoint.test,*.test"},
		{"%UPSTREAM_PEER_IP_SAN%", "192.0.2.1,2001:db8::1"},
		{"%UPSTREAM_PEER_EMAIL_SAN%", "endpoint@a.test"},
		{"%UPSTREAM_PEER_CERT_V_START(%s)%", "1767323045"},
		{"%UPSTREAM_PEER_CERT_V_END%", "2036-01-02T03:04:05.000Z"},
		{"%UPSTREAM_PEER_CERT%", string(verify.AppendPEM(nil, s.Record.UpstreamTLS.Peer.Chain[0]))},
		{"%UPSTREAM_PEER_FINGERPRINT_256%", hex.EncodeToString(s.Record.UpstreamTLS.Peer.Hash[:])},
	} {
		f := mustFormat(t, c.format)
		if got := string(f.Append(nil, s, resp)); got != c.want {
			t.Errorf("%s gives %q, want %q", c.format, got, c.want)
		}
		room := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(20, func() { f.Append(room, s, resp) }); n != 0 {
			t.Errorf("%s: %v allocations", c.format, n)
		}
	}
}

// What a connection has not got is absent, not a guess.
func TestFormatTLSAbsent(t *testing.T) {
	s, resp, _ := securedStream(t)
	s.TLS = &handshake.Result{Version: handshake.VersionTLCP, Suite: 0xe013, Peer: &verify.Peer{}}
	s.Record.UpstreamTLS = nil
	for _, format := range []string{"REQUESTED_SERVER_NAME", "TLS_JA3_FINGERPRINT", "TLS_JA4_FINGERPRINT", "DOWNSTREAM_PEER_SUBJECT", "DOWNSTREAM_PEER_SERIAL",
		"DOWNSTREAM_PEER_URI_SAN", "DOWNSTREAM_PEER_IP_SAN", "DOWNSTREAM_PEER_CERT", "DOWNSTREAM_LOCAL_SUBJECT", "UPSTREAM_TLS_VERSION", "UPSTREAM_PEER_SUBJECT", "UPSTREAM_PEER_CERT_V_END"} {
		if got := string(mustFormat(t, "%"+format+"%").Append(nil, s, resp)); got != "-" {
			t.Errorf("%s gives %q", format, got)
		}
	}
	if got := string(mustFormat(t, "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER%").Append(nil, s, resp)); got != "TLCP ECC_SM4_CBC_SM3" {
		t.Errorf("%q", got)
	}
	s.TLS, s.Request.Spliced = nil, true
	if got := string(mustFormat(t, "%REQUESTED_SERVER_NAME% %DOWNSTREAM_TLS_VERSION%").Append(nil, s, resp)); got != "Shop.example:8080 -" {
		t.Errorf("of a connection that is passed through: %q", got)
	}
	s.TLS = &handshake.Result{Peer: &verify.Peer{}}
	s.TLS.Peer.Serial = new(big.Int).Lsh(big.NewInt(1), 600)
	if got := string(mustFormat(t, "%DOWNSTREAM_PEER_SERIAL%").Append(nil, s, resp)); got != "-" {
		t.Errorf("a serial number beyond all bounds gives %q", got)
	}
}

func TestFormatFingerprints(t *testing.T) {
	for format, want := range map[string]bool{"": false, "JA3": false, "%METHOD%": false, "%TLS_JA3_FINGERPRINT%": true, "a %METHOD% %TLS_JA4_FINGERPRINT%": true} {
		if got := mustFormat(t, format).Fingerprints(); got != want {
			t.Errorf("%q: %v", format, got)
		}
		f, err := NewJSONFormat([]JSONField{{"method", "%METHOD%"}, {"x", format}})
		if err != nil || f.Fingerprints() != want {
			t.Errorf("%q in JSON: %v, %v", format, f.Fingerprints(), err)
		}
	}
}

func TestFormatValidityLayout(t *testing.T) {
	for _, format := range []string{"%DOWNSTREAM_PEER_CERT_V_START(%Q)%", "%UPSTREAM_PEER_CERT_V_END(%)%"} {
		if _, err := ParseFormat(format); err == nil {
			t.Errorf("%s is accepted", format)
		}
	}
}
