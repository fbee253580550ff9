package certificate

import (
	"bytes"
	"encoding/pem"
	"testing"
)

// FuzzParse: whatever a file holds, it is refused or becomes a certificate that holds together.
func FuzzParse(f *testing.F) {
	for _, kind := range []string{"p256", "ed25519", "sm2", "rsa"} {
		pair := pairOf(f, leaf(f, kind, "a.test", "*.b.test"))
		f.Add(pair.Cert, pair.Key)
	}
	f.Add([]byte("-----BEGIN CERTIFICATE-----"), []byte("pkcs11:x"))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		var p Parser
		c, err := p.Parse(Source{Name: "fuzz", Pair: Pair{Cert: cert, Key: key}})
		if err != nil {
			if c != nil {
				t.Fatal("an error and a certificate")
			}
			return
		}
		holdsTogether(t, c)
	})
}

// FuzzDER goes below the PEM: a certificate and a PKCS#8 key.
func FuzzDER(f *testing.F) {
	for _, kind := range []string{"p384", "ed25519", "sm2", "rsa"} {
		pair := pairOf(f, leaf(f, kind, "a.test", "*.b.test"))
		cert, _ := pem.Decode(pair.Cert)
		key, _ := pem.Decode(pair.Key)
		f.Add(cert.Bytes, key.Bytes)
	}
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		block := func(kind string, der []byte) []byte {
			return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		}
		for _, kind := range []string{"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"} {
			var p Parser
			c, err := p.Parse(Source{Name: "fuzz", Pair: Pair{Cert: block("CERTIFICATE", cert), Key: block(kind, key)}})
			if err == nil {
				holdsTogether(t, c)
			}
		}
	})
}

func holdsTogether(t *testing.T, c *Certificate) {
	t.Helper()
	if len(c.Chain) == 0 || len(c.Chain) > maxChain || c.KeyBits == 0 {
		t.Fatalf("a chain of %d, a key of %d bits", len(c.Chain), c.KeyBits)
	}
	table := NewTable([]*Certificate{c})
	for _, name := range c.DNSNames {
		if !table.Covers(name) || bytes.ContainsAny([]byte(name), "ABCDEFGHIJKLMNOPQRSTUVWXYZ \x00") {
			t.Fatalf("the name %q is not covered, or not folded", name)
		}
	}
	c.Problems(noon, 0)
	if signer, err := c.Signer(); (err == nil) != (signer != nil) {
		t.Fatal("neither a key nor an error, or both")
	}
}
