//go:build cgo && !noopenssl

package openssl

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func TestLoadForms(t *testing.T) {
	keys := goKeys(t)
	sec1, err := x509.MarshalECPrivateKey(keys["P-384"].(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{
		"PKCS#1": x509.MarshalPKCS1PrivateKey(keys["RSA-2048"].(*rsa.PrivateKey)),
		"SEC 1":  sec1,
	} {
		before := bytes.Clone(der)
		k, err := Load(der)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		k.Close()
		if !bytes.Equal(before, der) {
			t.Errorf("%s: the encoding was changed", name)
		}
	}
	if !strings.HasPrefix(Version(), "OpenSSL ") || !Available() {
		t.Errorf("version %q", Version())
	}
}

// openssl runs the tool of that name; its output is a key that Go cannot make.
func openssl(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).Output()
	if err != nil {
		t.Fatalf("openssl %v: %v", args, err)
	}
	return out
}

func TestLoadRefuses(t *testing.T) {
	keys := goKeys(t)
	good := pkcs8(t, keys["P-256"])
	ecdhKey, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	x25519, err := x509.MarshalPKCS8PrivateKey(ecdhKey)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(keys["P-256"].Public())
	if err != nil {
		t.Fatal(err)
	}
	dsaKey, err := asn1.Marshal(struct{ V, P, Q, G, Y, X *big.Int }{big.NewInt(0), big.NewInt(23), big.NewInt(11), big.NewInt(4), big.NewInt(4), big.NewInt(1)})
	if err != nil {
		t.Fatal(err)
	}
	encrypted, _ := pem.Decode(openssl(t, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes-128-cbc", "-pass", "pass:abcd"))
	if encrypted == nil || encrypted.Type != "ENCRYPTED PRIVATE KEY" {
		t.Fatal("no encrypted key made")
	}
	cases := map[string][]byte{
		"nothing":         nil,
		"text":            []byte("-----BEGIN PRIVATE KEY-----"),
		"too long":        make([]byte, maxDER+1),
		"trailing byte":   append(bytes.Clone(good), 0),
		"X25519":          x25519,
		"P-224":           pkcs8(t, p224),
		"a public key":    public,
		"DSA":             dsaKey,
		"RSA of 512 bits": openssl(t, "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512", "-outform", "DER"),
		"RSA-PSS":         openssl(t, "genpkey", "-quiet", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024", "-outform", "DER"),
		"Ed448":           openssl(t, "genpkey", "-algorithm", "ED448", "-outform", "DER"),
		"SM2":             openssl(t, "genpkey", "-algorithm", "SM2", "-outform", "DER"),
		"secp256k1":       openssl(t, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-outform", "DER"),
		"encrypted":       encrypted.Bytes,
	}
	defer secureHeapKept(t)()
	for name, der := range cases {
		k, err := Load(der)
		if err == nil {
			t.Errorf("%s was loaded: %T", name, k.Public())
			k.Close()
		} else if !strings.HasPrefix(err.Error(), "openssl: ") || errors.Is(err, ErrSecureHeapFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key cut anywhere is refused, and so is one whose numbers do not belong
// together.
func TestLoadDamaged(t *testing.T) {
	keys := goKeys(t)
	defer secureHeapKept(t)()
	for _, name := range []string{"RSA-1024", "P-256", "Ed25519"} {
		der := pkcs8(t, keys[name])
		for n := range len(der) {
			if k, err := Load(der[:n]); err == nil {
				t.Errorf("%s cut to %d of %d bytes was loaded", name, n, len(der))
				k.Close()
			}
		}
	}
	source := keys["RSA-1024"].(*rsa.PrivateKey)
	for _, name := range []string{"N", "D", "P", "Dq", "Qi"} {
		damaged := struct {
			Version             int
			N                   *big.Int
			E                   int
			D, P, Q, Dp, Dq, Qi *big.Int
		}{0, clone(source.N), source.E, clone(source.D), clone(source.Primes[0]), clone(source.Primes[1]),
			clone(source.Precomputed.Dp), clone(source.Precomputed.Dq), clone(source.Precomputed.Qinv)}
		number := map[string]*big.Int{"N": damaged.N, "D": damaged.D, "P": damaged.P, "Dq": damaged.Dq, "Qi": damaged.Qi}[name]
		number.SetBit(number, 17, 1-number.Bit(17))
		der, err := asn1.Marshal(damaged)
		if err != nil {
			t.Fatal(err)
		}
		if k, err := Load(der); err == nil {
			t.Errorf("RSA with a damaged %s was loaded", name)
			k.Close()
		}
	}
	// SEC 1 with another key's public half.
	a, err := x509.MarshalECPrivateKey(keys["P-256"].(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalECPrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	copy(a[len(a)-64:], b[len(b)-64:])
	if k, err := Load(a); err == nil {
		t.Error("an EC key with another one's public half was loaded")
		k.Close()
	}
}

func clone(n *big.Int) *big.Int { return new(big.Int).Set(n) }

// FuzzLoad: no bytes crash the loader, and what it takes signs.
func FuzzLoad(f *testing.F) {
	for name, k := range goKeys(f) {
		if name != "RSA-2048" {
			f.Add(pkcs8(f, k))
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := Load(der)
		if err != nil {
			return
		}
		defer k.Close()
		message, opts := make([]byte, 32), crypto.SignerOpts(crypto.SHA256)
		if _, ok := k.Public().(ed25519.PublicKey); ok {
			opts = crypto.Hash(0)
		}
		sig, err := k.Sign(nil, message, opts)
		if err == nil {
			err = verify(k.Public(), message, sig, opts)
		}
		if err != nil {
			t.Errorf("%T: %v", k.Public(), err)
		}
	})
}

// Keys that nobody closed are freed when they are garbage.
func TestGarbage(t *testing.T) {
	der := pkcs8(t, goKeys(t)["RSA-1024"])
	defer onOneThread(t)()
	used := SecureHeapUsed()
	for range 20 {
		if _, err := Load(der); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		runtime.GC()
		if SecureHeapUsed() == used {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("the secure heap had %d bytes in use, now %d", used, SecureHeapUsed())
}

// Loading, signing and closing many times takes no more memory in C.
func TestNoLeak(t *testing.T) {
	keys := goKeys(t)
	defer secureHeapKept(t)()
	for _, name := range []string{"RSA-1024", "P-256", "Ed25519"} {
		der := pkcs8(t, keys[name])
		round := func(n int) {
			for range n {
				k, err := Load(der)
				if err != nil {
					t.Fatal(err)
				}
				if name == "Ed25519" {
					_, err = k.Sign(nil, der, crypto.Hash(0))
				} else {
					_, err = k.Sign(nil, der[:32], crypto.SHA256)
				}
				if err != nil {
					t.Fatal(err)
				}
				k.Close()
				_, _ = Load(der[:len(der)-1])
			}
			runtime.GC()
		}
		// A key's 3 KB leaked 300 times are 220 pages, in each round; other growth ends.
		var grown int
		for range 8 {
			before := residentPages(t)
			round(300)
			if grown = residentPages(t) - before; grown < 110 {
				break
			}
		}
		if grown >= 110 {
			t.Errorf("%s: %d pages more each time", name, grown)
		}
	}
}

func residentPages(t *testing.T) int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	n, ok := new(big.Int).SetString(strings.Fields(string(text))[1], 10)
	if !ok {
		t.Fatalf("%q", text)
	}
	return int(n.Int64())
}
