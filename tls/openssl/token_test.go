//go:build cgo && !noopenssl

package openssl

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// softToken makes a token of SoftHSM with keys www (RSA-2048) and ec (P-256),
// and leaves the environment so that its module finds it.
func softToken(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		t.Skipf("no tests of PKCS#11: %v (Debian: softhsm2)", err)
	}
	if _, err := os.Stat(softHSM); err != nil {
		t.Skipf("no tests of PKCS#11: %v (Debian: softhsm2)", err)
	}
	if found, _ := filepath.Glob("/usr/lib/*/engines-3/pkcs11.so"); len(found) == 0 && !hasProvider("pkcs11") {
		t.Skip("no tests of PKCS#11: OpenSSL has neither an engine nor a provider (Debian: libengine-pkcs11-openssl)")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "softhsm2-util", args...).CombinedOutput(); err != nil {
			t.Fatalf("softhsm2-util %v: %v\n%s", args, err, out)
		}
	}
	run("--init-token", "--free", "--label", "edge", "--so-pin", "so 1234", "--pin", "user%1234")
	all := goKeys(t)
	keys := map[string]crypto.Signer{"www": all["RSA-2048"], "ec": all["P-256"]}
	for name, k := range keys {
		file := filepath.Join(dir, name+".pem")
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8(t, k)})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		run("--import", file, "--token", "edge", "--label", name, "--id", map[string]string{"www": "01", "ec": "02"}[name], "--pin", "user%1234")
	}
	return keys
}

func TestPKCS11(t *testing.T) {
	sources := softToken(t)
	token := Token{Module: softHSM, PIN: "user%1234"}
	// These first: the PIN of a key that came opens the token for the process.
	for name, c := range map[string]struct {
		uri   string
		token Token
	}{
		"a wrong PIN": {"pkcs11:token=edge;object=www;type=private", Token{Module: softHSM, PIN: "wrong"}},
		"no PIN":      {"pkcs11:token=edge;object=www;type=private", Token{Module: softHSM}},
		"no such key": {"pkcs11:token=edge;object=other;type=private", token},
		"no token":    {"pkcs11:token=none;object=www;type=private", token},
	} {
		k, err := LoadPKCS11(c.uri, c.token)
		if err == nil {
			t.Errorf("%s: a key came", name)
			k.Close()
		} else if errors.Is(err, ErrPIN) != (name == "a wrong PIN") {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "1234") || strings.Contains(err.Error(), "object=") {
			t.Errorf("%s: the error cites the URI: %v", name, err)
		}
	}
	// A PIN that was refused is not tried again, with no key of the token.
	var refused RefusedPINs
	file := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(file, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"ec", "www"} {
		_, err := LoadPKCS11("pkcs11:token=edge;object="+name+"?pin-source="+file, Token{Module: softHSM, Refused: &refused})
		if !errors.Is(err, ErrPIN) || (err == ErrPIN) != (i > 0) || len(refused.seen) != 1 {
			t.Errorf("%s: %v, %d", name, err, len(refused.seen))
		}
	}
	if err := os.WriteFile(file, []byte("user%1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := LoadPKCS11("pkcs11:token=edge;object=ec?pin-source="+file, Token{Module: softHSM, Refused: &refused})
	if err != nil {
		t.Fatal(err)
	}
	k.Close()

	keys := map[string]*Key{}
	for name, source := range sources {
		k, err := LoadPKCS11("pkcs11:token=edge;object="+name+";type=private", token)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer k.Close()
		if !source.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(k.Public()) {
			t.Errorf("%s: another public key", name)
		}
		keys[name] = k
	}
	var signers sync.WaitGroup
	for range 4 {
		signers.Go(func() {
			for range 10 {
				for name, opts := range map[string][]crypto.SignerOpts{
					"www": {crypto.SHA256, crypto.SHA384, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}},
					"ec":  {crypto.SHA256},
				} {
					for _, o := range opts {
						d := digest(o.HashFunc(), []byte(name))
						sig, err := keys[name].Sign(nil, d, o)
						if err == nil {
							err = verify(sources[name].Public(), d, sig, o)
						}
						if err != nil {
							t.Errorf("%s, %v: %v", name, o, err)
						}
					}
				}
			}
		})
	}
	signers.Wait()

	// Closed ones come again, with the PIN in the URI.
	for _, k := range keys {
		k.Close()
	}
	if err := os.WriteFile(file, []byte("user%1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LONGMEN_TEST_PIN", "user%1234")
	for _, query := range []string{"pin-value=user%251234", "pin-source=file:" + file, "pin-source=" + file, "pin-source=env:LONGMEN_TEST_PIN"} {
		k, err := LoadPKCS11("pkcs11:token=edge;object=ec;type=private?module-path="+softHSM+"&"+query, Token{})
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if k.Public().(interface{ Params() *elliptic.CurveParams }).Params().Name != "P-256" {
			t.Error("another key came")
		}
		k.Close()
	}
}

func TestPKCS11Refuses(t *testing.T) {
	for _, uri := range []string{"", "file:/x", "pkcs11", "pkcs11:" + strings.Repeat("x", maxURI), "pkcs11:a\x00b"} {
		if k, err := LoadPKCS11(uri, Token{}); err == nil {
			t.Errorf("%q gave a key", uri)
			k.Close()
		}
	}
	if k, err := LoadPKCS11("pkcs11:object=x", Token{Module: "/no/such/module.so", PIN: "secret"}); err == nil {
		t.Error("a key came from no module")
		k.Close()
	} else if strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestWithPIN(t *testing.T) {
	for _, c := range [][3]string{
		{"pkcs11:object=a", "", "pkcs11:object=a"},
		{"pkcs11:object=a", "12 3&é", "pkcs11:object=a?pin-value=12%203%26%C3%A9"},
		{"pkcs11:object=a?module-name=x", "1", "pkcs11:object=a?module-name=x&pin-value=1"},
	} {
		if got := withPIN(c[0], c[1]); got != c[2] {
			t.Errorf("%s with %q: %s, want %s", c[0], c[1], got, c[2])
		}
	}
}

// The way by OSSL_STORE, which a provider of PKCS#11 serves, with the scheme
// that OpenSSL's own provider serves.
func TestStore(t *testing.T) {
	source := goKeys(t)["RSA-2048"]
	public, err := x509.MarshalPKIXPublicKey(source.Public())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, typ string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	k, err := loadStore(file("key", "PRIVATE KEY", pkcs8(t, source)))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	d := make([]byte, 32)
	sig, err := k.Sign(nil, d, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(source.Public(), d, sig, crypto.SHA256); err != nil {
		t.Error(err)
	}
	for _, uri := range []string{file("public", "PUBLIC KEY", public), "file:" + dir + "/none", "unknown:x"} {
		if k, err := loadStore(uri); err == nil {
			t.Errorf("%s gave a key", uri)
			k.Close()
		}
	}
	if hasProvider("there-is-none") || !hasProvider("default") {
		t.Error("OpenSSL's providers are not told apart")
	}
}
