package ech

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

// example is that of RFC 9934.
const example = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEICjd4yGRdsoP9gU7YT7My8DHx1Tjme8GYDXrOMCi8v1V
-----END PRIVATE KEY-----
-----BEGIN ECHCONFIG-----
AD7+DQA65wAgACA8wVN2BtscOl3vQheUzHeIkVmKIiydUhDCliA4iyQRCwAEAAEA
AQALZXhhbXBsZS5jb20AAA==
-----END ECHCONFIG-----
`

func parsed(t testing.TB, text string) []*Key {
	t.Helper()
	keys, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func made(t testing.TB, publicName string) *Key {
	t.Helper()
	k, err := New(publicName)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func text(t testing.TB, k *Key) string {
	t.Helper()
	out, err := k.PEM()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestParseExample(t *testing.T) {
	keys := parsed(t, "a comment\n"+example)
	if len(keys) != 1 || keys[0].PublicName != "example.com" || keys[0].id != 0xe7 {
		t.Fatalf("%v", keys)
	}
	if got := keys[0].Record(); got != "AD7+DQA65wAgACA8wVN2BtscOl3vQheUzHeIkVmKIiydUhDCliA4iyQRCwAEAAEAAQALZXhhbXBsZS5jb20AAA==" {
		t.Error(got)
	}
	if got := text(t, keys[0]); got != example {
		t.Error(got)
	}
}

func TestNew(t *testing.T) {
	first, second := made(t, "public.example.com"), made(t, "Other.example")
	keys := parsed(t, text(t, first)+text(t, second))
	if len(keys) != 2 || keys[0].Record() != first.Record() || keys[1].PublicName != "Other.example" || keys[1].id != second.id {
		t.Errorf("%v", keys)
	}
	for _, name := range []string{"", ".", "a..b", "a.", "-a.b", "a-.b", "a_b.c", "ex ample.com", "192.0.2.1", "a.0x1f", "*.example.com",
		strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 130) + "b"} {
		if _, err := New(name); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
}

// A list may hold configurations for other clients too.
func TestParseList(t *testing.T) {
	k := made(t, "a.example")
	other := bytes.Clone(k.config)
	other[1] = 0x0e // another version
	kem := bytes.Clone(k.config)
	kem[6] = 0x10 // P-256
	private, _, _ := strings.Cut(text(t, k), "-----BEGIN ECHCONFIG")
	list := func(configs ...[]byte) string {
		all := bytes.Join(configs, nil)
		raw := append([]byte{byte(len(all) >> 8), byte(len(all))}, all...)
		return private + string(pem.EncodeToMemory(&pem.Block{Type: typeConfig, Bytes: raw}))
	}
	if keys := parsed(t, list(other, k.config, kem)); len(keys) != 1 || keys[0].PublicName != "a.example" {
		t.Errorf("%v", keys)
	}
	for name, bad := range map[string]string{
		"none that is known": list(other, kem),
		"empty":              list(),
		"a rest":             list(k.config, []byte{0xfe}),
		"another's key":      list(made(t, "a.example").config),
	} {
		if keys, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%s: %v", name, keys)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	private, config, _ := strings.Cut(example, "-----BEGIN ECHCONFIG")
	config = "-----BEGIN ECHCONFIG" + config
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := func(key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: typePrivate, Bytes: der}))
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing":            {"", "no ECH key"},
		"no PEM":             {"AD7+DQA65wAgACA8", "no ECH key"},
		"a key alone":        {private, "without an ECHCONFIG"},
		"a config alone":     {config, "without a private key"},
		"swapped":            {config + private, "without a private key"},
		"two keys":           {private + private + config, "two private keys"},
		"a certificate":      {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", `"CERTIFICATE"`},
		"an RSA key":         {of(rsaKey) + config, "X25519"},
		"a P-256 key":        {of(p256) + config, "X25519"},
		"no key in the key":  {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" + config, "PKCS#8"},
		"too long":           {example + strings.Repeat("\n", maxPEM), "more than"},
		"too many":           {strings.Repeat(example, MaxKeys+1), "more than 16 keys"},
		"another public key": {text(t, made(t, "x.example"))[:len(private)] + config, "is not that of"},
	} {
		_, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// Every list that is cut, and every byte that is another, gives an error or keys; no panic.
func TestParseCut(t *testing.T) {
	k := parsed(t, example)[0]
	list := k.List()
	for n := range list {
		if _, err := readList(list[:n], k.private); err == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
	for i := range list {
		for _, b := range []byte{0, 1, 0x7f, 0xff} {
			odd := bytes.Clone(list)
			odd[i] = b
			if keys, err := readList(odd, k.private); err == nil {
				if _, err := NewKeys(keys); err != nil {
					t.Errorf("byte %d is %d: %v", i, b, err)
				}
			}
		}
	}
}

func TestCandidates(t *testing.T) {
	first, second := made(t, "a.example"), made(t, "b.example")
	for second.id == first.id {
		second = made(t, "b.example")
	}
	keys, err := NewKeys([]*Key{first, second})
	if err != nil {
		t.Fatal(err)
	}
	hello := func(kind byte, kdf, aead uint16, id byte) []byte {
		return []byte{kind, byte(kdf >> 8), byte(kdf), byte(aead >> 8), byte(aead), id, 0, 0, 0, 1, 7}
	}
	if got := keys.Candidates(hello(0, kdfSHA256, aeadChaCha, second.id)); len(got) != 1 || !bytes.Equal(got[0].Config, second.config) || got[0].SendAsRetry {
		t.Errorf("%d keys", len(got))
	}
	unknown := byte(0)
	for unknown == first.id || unknown == second.id {
		unknown++
	}
	for name, extension := range map[string][]byte{
		"inner": {1}, "nothing": nil, "cut": hello(0, kdfSHA256, aeadAES128, first.id)[:5], "a third kind": hello(2, kdfSHA256, aeadAES128, first.id),
		"another id": hello(0, kdfSHA256, aeadAES128, unknown), "another KDF": hello(0, 2, aeadAES128, first.id),
		"a suite that is not offered": hello(0, kdfSHA256, aeadAES256, first.id),
	} {
		if got := keys.Candidates(extension); got != nil {
			t.Errorf("%s: %d keys", name, len(got))
		}
	}
	if retry := keys.Retry(); len(retry) != 1 || !retry[0].SendAsRetry || !bytes.Equal(retry[0].Config, first.config) {
		t.Error("the first key is what clients are told")
	}
	if (*Keys)(nil).Candidates(hello(0, kdfSHA256, aeadAES128, first.id)) != nil {
		t.Error("no keys have no candidates")
	}
	if _, err := NewKeys(nil); err == nil {
		t.Error("no keys are none")
	}
}

func TestPrintsNothingSecret(t *testing.T) {
	k := parsed(t, example)[0]
	keys, err := NewKeys([]*Key{k})
	if err != nil {
		t.Fatal(err)
	}
	secret := k.private.Bytes()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, value := range []any{k, keys} {
			got := fmt.Sprintf(verb, value)
			if strings.Contains(got, hex.EncodeToString(secret[:4])) || strings.Contains(got, fmt.Sprint(secret[0], secret[1])) || !strings.Contains(got, "example.com") {
				t.Errorf("%s: %s", verb, got)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(example[:100]))
	f.Add([]byte("-----BEGIN ECHCONFIG-----\nAAA=\n-----END ECHCONFIG-----\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := Parse(raw)
		if err != nil {
			return
		}
		for _, k := range keys {
			if again := parsed(t, text(t, k)); len(again) != 1 || again[0].Record() != k.Record() {
				t.Errorf("%v becomes %v", k, again)
			}
		}
	})
}

func FuzzReadList(f *testing.F) {
	k := parsed(f, example)[0]
	f.Add(k.List())
	f.Fuzz(func(t *testing.T, list []byte) {
		keys, err := readList(list, k.private)
		if err == nil && len(keys) == 0 {
			t.Error("neither keys nor an error")
		}
	})
}
