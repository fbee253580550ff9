//go:build cgo && !noopenssl

package openssl

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
)

// The tests run with a secure heap, so that SecureHeapUsed tells of leaks;
// -secureheap=false is for benchmarks that compare.
func TestMain(m *testing.M) {
	secure := flag.Bool("secureheap", true, "keys stand in OpenSSL's secure heap")
	flag.Parse()
	if *secure {
		if h, err := InitSecureHeap(1); err != nil || h.Size != minSecureHeap {
			fmt.Fprintln(os.Stderr, h, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// goKeys makes one key of each type in Go.
func goKeys(t testing.TB) map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	add := func(name string, k crypto.Signer, err error) {
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = k
	}
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	add("RSA-2048", k, err)
	k, err = rsa.GenerateKey(rand.Reader, 1024)
	add("RSA-1024", k, err)
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		add(c.Params().Name, k, err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	add("Ed25519", e, err)
	return keys
}

func pkcs8(t testing.TB, k crypto.Signer) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func load(t testing.TB, k crypto.Signer) *Key {
	key, err := Load(pkcs8(t, k))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(key.Close)
	return key
}

func digest(h crypto.Hash, message []byte) []byte {
	w := h.New()
	w.Write(message)
	return w.Sum(nil)
}

// verify checks a signature with Go's own code.
func verify(public crypto.PublicKey, digest, sig []byte, opts crypto.SignerOpts) error {
	switch p := public.(type) {
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(p, opts.HashFunc(), digest, sig, pss)
		}
		return rsa.VerifyPKCS1v15(p, opts.HashFunc(), digest, sig)
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(p, digest, sig) {
			return errors.New("wrong ECDSA signature")
		}
	case ed25519.PublicKey:
		return ed25519.VerifyWithOptions(p, digest, sig, &ed25519.Options{})
	}
	return nil
}

func TestSign(t *testing.T) {
	hashes := []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}
	message := []byte("what both sides said so far")
	for name, source := range goKeys(t) {
		key := load(t, source)
		if !source.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
			t.Errorf("%s: another public key", name)
		}
		check := func(digest []byte, opts crypto.SignerOpts) {
			t.Helper()
			for range 3 { // with a new context, then with a kept one
				sig, err := key.Sign(rand.Reader, digest, opts)
				if err != nil {
					t.Fatalf("%s, %v: %v", name, opts, err)
				}
				if err := verify(source.Public(), digest, sig, opts); err != nil {
					t.Errorf("%s, %v: %v", name, opts, err)
				}
			}
		}
		switch source.(type) {
		case *rsa.PrivateKey:
			check(bytes.Repeat([]byte{7}, 36), crypto.MD5SHA1)
			for _, h := range hashes {
				d := digest(h, message)
				check(d, h)
				for _, salt := range []int{rsa.PSSSaltLengthEqualsHash, rsa.PSSSaltLengthAuto, 1, 20} {
					if name == "RSA-1024" && h == crypto.SHA512 && salt == rsa.PSSSaltLengthEqualsHash {
						continue // no room; TestRefuse has it
					}
					check(d, &rsa.PSSOptions{SaltLength: salt, Hash: h})
				}
			}
		case *ecdsa.PrivateKey:
			for _, h := range hashes {
				check(digest(h, message), h)
			}
		case ed25519.PrivateKey:
			check(message, crypto.Hash(0))
			check(nil, crypto.Hash(0))
			check(bytes.Repeat(message, 1000), crypto.Hash(0))
		}
	}
}

func TestRefuse(t *testing.T) {
	keys := map[string]*Key{}
	for name, k := range goKeys(t) {
		keys[name] = load(t, k)
	}
	d32 := make([]byte, 32)
	for _, c := range []struct {
		key    string
		digest []byte
		opts   crypto.SignerOpts
	}{
		{"RSA-2048", d32, nil},
		{"RSA-2048", d32, crypto.Hash(0)},
		{"RSA-2048", d32, crypto.SHA384},
		{"RSA-2048", d32[:31], crypto.SHA256},
		{"RSA-2048", nil, crypto.SHA256},
		{"RSA-2048", d32, crypto.SHA3_256},
		{"RSA-2048", d32, crypto.BLAKE2s_256},
		{"RSA-2048", d32, crypto.Hash(99)},
		{"RSA-2048", make([]byte, 16), crypto.MD5},
		{"RSA-2048", make([]byte, 36), &rsa.PSSOptions{Hash: crypto.MD5SHA1}},
		{"RSA-2048", d32, &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: 223}},
		{"RSA-2048", d32, &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: -3}},
		{"RSA-1024", make([]byte, 64), &rsa.PSSOptions{Hash: crypto.SHA512, SaltLength: rsa.PSSSaltLengthEqualsHash}},
		{"P-256", d32, nil},
		{"P-256", d32, crypto.Hash(0)},
		{"P-256", d32[:20], crypto.SHA256},
		{"P-384", d32, crypto.SHA384},
		{"P-521", make([]byte, 36), crypto.MD5SHA1},
		{"Ed25519", make([]byte, 64), crypto.SHA512},
		{"Ed25519", d32, nil},
	} {
		if sig, err := keys[c.key].Sign(rand.Reader, c.digest, c.opts); err == nil || sig != nil {
			t.Errorf("%s signed %d bytes with %v", c.key, len(c.digest), c.opts)
		}
	}
	// The longest salt that there is room for.
	opts := &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: 222}
	sig, err := keys["RSA-2048"].Sign(rand.Reader, d32, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(keys["RSA-2048"].Public(), d32, sig, opts); err != nil {
		t.Error(err)
	}
}

// Closing keys while others sign with them: every signature is right or is
// refused with ErrClosed. What this would miss, it misses for want of a
// crash; under -race the counting itself is looked at.
func TestConcurrentClose(t *testing.T) {
	sources := goKeys(t)
	for _, name := range []string{"RSA-1024", "P-256", "Ed25519"} {
		der := pkcs8(t, sources[name])
		message := make([]byte, 32)
		opts := crypto.SignerOpts(crypto.SHA256)
		if name == "Ed25519" {
			opts = crypto.Hash(0)
		}
		for range 20 {
			key, err := Load(der)
			if err != nil {
				t.Fatal(err)
			}
			var signers sync.WaitGroup
			signed := make(chan struct{}, 1000)
			for range 4 {
				signers.Go(func() {
					for {
						sig, err := key.Sign(nil, message, opts)
						if err == ErrClosed {
							return
						}
						if err == nil {
							err = verify(key.Public(), message, sig, opts)
						}
						if err != nil {
							t.Errorf("%s: %v", name, err)
							return
						}
						select {
						case signed <- struct{}{}:
						default:
						}
					}
				})
			}
			for range 8 {
				<-signed
			}
			key.Close()
			key.Close()
			signers.Wait()
			if key.held.key != nil || key.held.users.Load() != 0 {
				t.Fatalf("%s: not freed: %d users", name, key.held.users.Load())
			}
		}
	}
}
