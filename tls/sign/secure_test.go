package sign

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"testing"

	"longmen/tls/openssl"
)

// When the secure heap is full Auto goes on with Go, and OpenSSL refuses.
func TestSecureHeapFull(t *testing.T) {
	if !openssl.Available() {
		t.Skip(openssl.ErrUnavailable)
	}
	if _, err := openssl.InitSecureHeap(1); err != nil {
		t.Log(err) // a second run of the test in one process has the first one's
	}
	source, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	encoded := encodings(t, source)["PRIVATE KEY, DER"]
	last := "openssl"
	for range 5000 {
		k := load(t, source, Auto)
		if last = k.Backend(); last != "openssl" {
			break
		}
	}
	if last != "go" {
		t.Fatalf("the last key is held by %s", last)
	}
	if k, err := Load(encoded, OpenSSL); !errors.Is(err, openssl.ErrSecureHeapFull) {
		t.Errorf("%v, %v", k, err)
	}
	if _, err := load(t, source, Auto).Sign(rand.Reader, make([]byte, 32), crypto.SHA256); err != nil {
		t.Error(err)
	}
}
