package authority

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/emmansun/gmsm/smx509"
)

func TestCertificatesOfNames(t *testing.T) {
	for _, kind := range []Kind{RSA2048, P256} {
		dir := t.TempDir()
		a, err := New(kind, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a.example.com", "b.example.com"} {
			c, err := a.Issue(name)
			if err != nil {
				t.Fatal(err)
			}
			pair, err := tls.LoadX509KeyPair(c.File, c.File)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: a.Pool()}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if want := map[Kind]x509.PublicKeyAlgorithm{RSA2048: x509.RSA, P256: x509.ECDSA}[kind]; pair.Leaf.PublicKeyAlgorithm != want {
				t.Errorf("%s: a key of %v", kind, pair.Leaf.PublicKeyAlgorithm)
			}
		}
		if files, err := os.ReadDir(dir); len(files) != 2 || err != nil { // HAProxy reads all that is there
			t.Errorf("%v, %v", files, err)
		}
	}
}

func TestRSAKeysAreFew(t *testing.T) {
	a, err := New(RSA2048, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for range rsaKeys + 3 {
		if _, err := a.nextKey(); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.keys) != rsaKeys {
		t.Errorf("%d keys", len(a.keys))
	}
}

func TestPairsOfSM2(t *testing.T) {
	a, err := New(SM2, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Issue("a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	roots := smx509.NewCertPool()
	roots.AddCert(a.certificate)
	for file, usage := range map[string]smx509.KeyUsage{c.File: smx509.KeyUsageDigitalSignature, c.Encrypt: smx509.KeyUsageKeyEncipherment} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		block, rest := pem.Decode(text)
		leaf, err := smx509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(smx509.VerifyOptions{DNSName: "a.example.com", Roots: roots}); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
		if leaf.KeyUsage&usage == 0 {
			t.Errorf("%s: key usage %b", filepath.Base(file), leaf.KeyUsage)
		}
		if key, _ := pem.Decode(rest); key == nil || key.Type != "PRIVATE KEY" {
			t.Errorf("%s has no key", filepath.Base(file))
		}
	}
	if a.Pool() != nil {
		t.Error("crypto/x509 knows nothing of SM2")
	}
}

func TestUnknownKind(t *testing.T) {
	if _, err := New("dsa", t.TempDir()); err == nil {
		t.Error("no error")
	}
}
