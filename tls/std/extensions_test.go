package std

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

// echKey makes a key for Encrypted Client Hello and the configuration list that clients get.
func echKey(t *testing.T, publicName string) (tls.EncryptedClientHelloKey, []byte) {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	b.AddUint16(0xfe0d)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(7)       // config id
		b.AddUint16(0x0020) // DHKEM(X25519, HKDF-SHA256)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(key.PublicKey().Bytes()) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(1); b.AddUint16(1) }) // HKDF-SHA256, AES-128-GCM
		b.AddUint8(32)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(publicName)) })
		b.AddUint16(0)
	})
	config := b.BytesOrPanic()
	var list cryptobyte.Builder
	list.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(config) })
	return tls.EncryptedClientHelloKey{Config: config, PrivateKey: key.Bytes()}, list.BytesOrPanic()
}

// Encrypted Client Hello and OCSP stapling, ours on both sides.
func TestExtensions(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue(t, false)
	certificate.OCSPStaple = []byte("a staple is not looked at")
	key, list := echKey(t, "public.test")
	for _, encrypted := range []bool{true, false} {
		near, far := pair(t)
		done := make(chan error, 1)
		client := &tls.Config{RootCAs: ca.pool, ServerName: testName}
		if encrypted {
			client.EncryptedClientHelloConfigList, client.MinVersion = list, tls.VersionTLS13
		}
		var other *secured
		go func() {
			result, err := Client(far, client, Options{})
			if err == nil {
				other = &secured{Conn: far, Result: result}
			}
			done <- err
		}()
		result, err := Server(near, &tls.Config{
			Certificates: []tls.Certificate{certificate}, EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{key},
		}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if result.ECHAccepted != encrypted || other.ECHAccepted != encrypted || result.ServerName != testName {
			t.Fatalf("ECH %v and %v, name %q", result.ECHAccepted, other.ECHAccepted, result.ServerName)
		}
		if !bytes.Equal(other.OCSPStaple, certificate.OCSPStaple) || result.OCSPStaple != nil {
			t.Fatalf("staple %q, server's %q", other.OCSPStaple, result.OCSPStaple)
		}
		exchange(t, other, &secured{Conn: near, Result: result}, messages[:3]...)
	}
}

// A client gets sessions of any size, in any number of records, until data comes.
func TestClientTickets(t *testing.T) {
	ca := newAuthority(t)
	for _, size := range []int{1, 1000, 20_000, 60_000} {
		cache := tls.NewLRUClientSessionCache(1)
		near, far := pair(t)
		peer := tls.Server(far, &tls.Config{
			Certificates:  []tls.Certificate{ca.issue(t, false)},
			WrapSession:   func(tls.ConnectionState, *tls.SessionState) ([]byte, error) { return make([]byte, size), nil },
			UnwrapSession: func([]byte, tls.ConnectionState) (*tls.SessionState, error) { return nil, nil },
		})
		done := make(chan error, 1)
		go func() { done <- peer.Handshake() }()
		result, err := Client(near, &tls.Config{RootCAs: ca.pool, ServerName: testName, ClientSessionCache: cache}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		exchange(t, &secured{Conn: near, Result: result}, peer, messages[0])
		session, ok := cache.Get(testName)
		if !ok {
			t.Fatalf("no session with a ticket of %d bytes", size)
		}
		if ticket, _, err := session.ResumptionState(); err != nil || len(ticket) != size {
			t.Fatalf("a ticket of %d bytes, %v", len(ticket), err)
		}
	}
}
