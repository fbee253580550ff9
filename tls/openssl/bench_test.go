//go:build cgo && !noopenssl

package openssl

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"testing"
)

// BenchmarkSign compares a key in OpenSSL with the same one in Go.
func BenchmarkSign(b *testing.B) {
	keys := goKeys(b)
	big, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		b.Fatal(err)
	}
	keys["RSA-4096"] = big
	for _, name := range []string{"RSA-2048", "RSA-4096", "P-256", "P-384", "P-521", "Ed25519"} {
		for _, backend := range []string{"go", "openssl"} {
			key := keys[name]
			if backend == "openssl" {
				key = load(b, key)
			}
			b.Run(name+"/"+backend, func(b *testing.B) { benchmarkSign(b, key) })
		}
	}
}

func benchmarkSign(b *testing.B, key crypto.Signer) {
	d, opts := make([]byte, 32), crypto.SignerOpts(crypto.SHA256)
	switch key.Public().(type) {
	case *rsa.PublicKey:
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	case ed25519.PublicKey:
		opts = crypto.Hash(0)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Sign(rand.Reader, d, opts); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	keys := goKeys(b)
	for _, name := range []string{"RSA-2048", "P-256"} {
		der := pkcs8(b, keys[name])
		b.Run(name+"/openssl", func(b *testing.B) {
			for b.Loop() {
				k, err := Load(der)
				if err != nil {
					b.Fatal(err)
				}
				k.Close()
			}
		})
		b.Run(name+"/go", func(b *testing.B) {
			for b.Loop() {
				if _, err := x509.ParsePKCS8PrivateKey(der); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
