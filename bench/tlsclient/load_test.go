package tlsclient

import (
	"crypto/tls"
	"encoding/pem"
	"os"
	"testing"

	"github.com/emmansun/gmsm/smx509"
)

// load reads an SM2 certificate and its key.
func load(t testing.TB, file string) *tls.Certificate {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	certificate, rest := pem.Decode(text)
	key, _ := pem.Decode(rest)
	if certificate == nil || key == nil {
		t.Fatalf("%s has not both a certificate and a key", file)
	}
	private, err := smx509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{certificate.Bytes}, PrivateKey: private}
}
