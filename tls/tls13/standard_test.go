package tls13

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/replay"
)

func selfSigned(t testing.TB, key crypto.Signer) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server.test"}, DNSNames: []string{"server.test"},
		NotBefore: noon.AddDate(-10, 0, 0), NotAfter: noon.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func standardKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	curve := func(c elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"P-256": curve(elliptic.P256()), "P-384": curve(elliptic.P384()), "P-521": curve(elliptic.P521()), "Ed25519": edwards, "RSA": short}
}

// TestStandardForGo is the server under crypto/tls's client, with each kind of key and each group.
func TestStandardForGo(t *testing.T) {
	for name, key := range standardKeys(t) {
		own := selfSigned(t, key)
		roots := x509.NewCertPool()
		leaf, err := x509.ParseCertificate(own.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		roots.AddCert(leaf)
		for _, group := range []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} {
			server := &ServerConfig{Certificate: own, Protocols: []string{"http/1.1"}, Tickets: &plainTickets{}, Time: atNoon, Groups: []tls.CurveID{group}}
			client := &tls.Config{ServerName: "server.test", RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(4), Time: atNoon}
			for _, resumed := range []bool{false, true, true} {
				near, far := newWire(t)
				theirs := tls.Client(near, client)
				done := make(chan error, 1)
				go func() { done <- theirs.Handshake() }()
				end := ended(far)(ServerStandard(far, server))
				if err := <-done; err != nil || end.err != nil {
					t.Fatalf("%s, %s: client: %v, server: %v", name, group, err, end.err)
				}
				talk(t, theirs, end)
				state := theirs.ConnectionState()
				if state.DidResume != resumed || end.result.Resumed != resumed || state.CurveID != group || end.result.Group != uint16(group) || end.result.Suite != state.CipherSuite {
					t.Errorf("%s, %s: resumed %v and %v, %s", name, group, state.DidResume, end.result.Resumed, state.CurveID)
				}
			}
		}
	}
}

// TestStandardForOpenSSL is the server under s_client with each suite, and with early data.
func TestStandardForOpenSSL(t *testing.T) {
	dir := t.TempDir()
	early := filepath.Join(dir, "early")
	if err := os.WriteFile(early, []byte("early data"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, key := range standardKeys(t) {
		own := selfSigned(t, key)
		roots := pemFile(t, dir, name+".pem", "CERTIFICATE", own.Certificate...)
		for _, suite := range []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"} {
			config := &ServerConfig{Certificate: own, Tickets: &plainTickets{}}
			config.EarlyData = &EarlyData{Most: 100, Protocols: []string{""}, Once: replay.New(2 * EarlyWindow), Remember: 9}
			session := filepath.Join(dir, fmt.Sprint(name, suite))
			for i, want := range []string{"no early data", "early data", "early data", "another process"} {
				args := []string{"-CAfile", roots, "-ciphersuites", suite, "-sess_out", session}
				if i > 0 {
					args = append(args, "-sess_in", session, "-early_data", early)
				}
				if want == "another process" {
					config.EarlyData = &EarlyData{Most: 100, Protocols: []string{""}, Once: replay.New(time.Minute), Remember: 9}
				}
				address, outcomes := serving(t, config)
				printed, end := sClient(t, address, outcomes, args...)
				accepted := want == "early data"
				if accepted != strings.Contains(printed, "Early data was accepted") || accepted != (end.result.EarlyData == handshake.EarlyDataAccepted) ||
					end.result.Resumed != (i > 0) {
					t.Fatalf("%s, %s, %s: %s\n%s", name, suite, want, end.result.EarlyData, printed)
				}
			}
		}
	}
}

// serving is accepting with ServerStandard; early data is read before the outcome is there, and
// answered to.
func serving(t testing.TB, config *ServerConfig) (address string, outcomes <-chan *outcome) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	ends := make(chan *outcome, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		conn.SetDeadline(time.Now().Add(patience))
		end := ended(conn)(ServerStandard(conn, config))
		if end.err == nil && end.result.Session.Early() {
			if got := end.read(t, 10); got != "early data" {
				end.err = fmt.Errorf("%q", got)
			}
			end.write(t, "0.5-RTT\n")
		}
		ends <- end
	}()
	return listener.Addr().String(), ends
}
