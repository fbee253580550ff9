package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"longmen/tls/openssl"
)

// goKeys makes one key of each type in Go, by its name.
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
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		add("ECDSA "+c.Params().Name, k, err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	add("Ed25519", e, err)
	return keys
}

// encodings are all forms of a key that Load takes.
func encodings(t testing.TB, k crypto.Signer) map[string][]byte {
	must := func(der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	forms := map[string][]byte{"PRIVATE KEY": must(x509.MarshalPKCS8PrivateKey(k))}
	switch k := k.(type) {
	case *rsa.PrivateKey:
		forms["RSA PRIVATE KEY"] = x509.MarshalPKCS1PrivateKey(k)
	case *ecdsa.PrivateKey:
		forms["EC PRIVATE KEY"] = must(x509.MarshalECPrivateKey(k))
	}
	all := map[string][]byte{}
	for name, der := range forms {
		all[name+", DER"] = der
		all[name+", PEM"] = pem.EncodeToMemory(&pem.Block{Type: name, Bytes: der})
	}
	all["a bundle"] = bytes.Join([][]byte{
		[]byte("Bag Attributes\n"),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 1, 1}}),
		all["PRIVATE KEY, PEM"],
	}, nil)
	return all
}

func load(t testing.TB, k crypto.Signer, p Policy) *Key {
	key, err := Load(encodings(t, k)["PRIVATE KEY, DER"], p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(key.Close)
	return key
}

func TestLoad(t *testing.T) {
	fast := map[string]bool{"RSA-2048": true, "ECDSA P-256": true, "ECDSA P-521": true}
	for name, source := range goKeys(t) {
		for form, encoded := range encodings(t, source) {
			for _, policy := range []Policy{Auto, OpenSSL, Go} {
				before := bytes.Clone(encoded)
				k, err := Load(encoded, policy)
				if policy == OpenSSL && !openssl.Available() {
					if err != openssl.ErrUnavailable {
						t.Errorf("%s without OpenSSL: %v", name, err)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s, %s, %v: %v", name, form, policy, err)
				}
				if !bytes.Equal(encoded, before) {
					t.Fatalf("%s, %s, %v: the encoding was changed", name, form, policy)
				}
				backend := "go"
				if policy == OpenSSL || policy == Auto && fast[name] && openssl.Available() {
					backend = "openssl"
				}
				if k.Backend() != backend || k.String() != name+" ("+backend+")" {
					t.Errorf("%s, %s, %v: %v", name, form, policy, k)
				}
				if want := name == "ECDSA P-256" || name == "Ed25519"; k.Inline() != want {
					t.Errorf("%v inline: %v", k, k.Inline())
				}
				if !source.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(k.Public()) {
					t.Errorf("%v: another public key", k)
				}
				k.Close()
				k.Close()
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	keys := goKeys(t)
	der := encodings(t, keys["ECDSA P-256"])["PRIVATE KEY, DER"]
	block := func(typ string, headers map[string]string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: typ, Headers: headers, Bytes: der})
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224DER := encodings(t, p224)["PRIVATE KEY, DER"]
	for name, c := range map[string]struct {
		encoded []byte
		want    string
	}{
		"nothing":           {nil, "of 0 bytes"},
		"too long":          {bytes.Repeat([]byte{0x30}, maxEncoded+1), "of 65537 bytes"},
		"text":              {[]byte("hello"), "no private key"},
		"a certificate":     {block("CERTIFICATE", nil, der), "no private key"},
		"an empty block":    {block("PRIVATE KEY", nil, nil), "no private key"},
		"no key in a block": {block("PRIVATE KEY", nil, []byte{0x30, 3, 2, 1, 0}), "no private key"},
		"encrypted":         {block("ENCRYPTED PRIVATE KEY", nil, der), "encrypted"},
		"encrypted, old":    {block("RSA PRIVATE KEY", map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, der), "encrypted"},
		"encrypted, DER":    {[]byte{0x30, 4, 0x30, 0, 4, 0}, "encrypted"},
		"trailing":          {append(bytes.Clone(der), 0), "no private key"},
		"P-224":             {p224DER, "P-224"},
	} {
		for _, policy := range []Policy{Auto, Go} {
			k, err := Load(c.encoded, policy)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, %v; want %q", name, k, err, c.want)
			}
		}
	}
	for _, name := range []string{"RSA-2048", "ECDSA P-256", "ECDSA P-384", "Ed25519"} {
		for form, encoded := range encodings(t, keys[name]) {
			if !strings.HasSuffix(form, "DER") {
				continue
			}
			for n := range len(encoded) {
				if k, err := Load(encoded[:n], Auto); err == nil {
					t.Errorf("%v was loaded from %d of %d bytes", k, n, len(encoded))
				}
			}
		}
	}
}

// FuzzLoad: what either backend takes, signs rightly; and no bytes crash.
func FuzzLoad(f *testing.F) {
	for name, k := range goKeys(f) {
		for form, encoded := range encodings(f, k) {
			if name != "RSA-2048" || strings.HasPrefix(form, "RSA") {
				f.Add(encoded)
			}
		}
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		for _, p := range []Policy{Auto, Go} {
			k, err := Load(encoded, p)
			if err != nil {
				continue
			}
			if ec, ok := k.Public().(*ecdsa.PublicKey); ok {
				d := make([]byte, 32)
				sig, err := k.Sign(rand.Reader, d, crypto.SHA256)
				if err != nil || !ecdsa.VerifyASN1(ec, d, sig) {
					t.Errorf("%v: %v", k, err)
				}
			}
			k.Close()
		}
	})
}

// No way of printing a key shows more than its type.
func TestPrint(t *testing.T) {
	for _, source := range goKeys(t) {
		for _, p := range []Policy{Auto, Go} {
			k := load(t, source, p)
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
				if got := fmt.Sprintf(verb, k); got != k.String() {
					t.Errorf("%s shows %s", verb, got)
				}
			}
		}
	}
}

func TestPolicy(t *testing.T) {
	for _, p := range []Policy{Auto, OpenSSL, Go} {
		if got, err := ParsePolicy(p.String()); err != nil || got != p {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	if _, err := ParsePolicy("OpenSSL"); err == nil {
		t.Error("OpenSSL was taken")
	}
}
