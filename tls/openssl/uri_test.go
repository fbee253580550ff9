package openssl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseURI(t *testing.T) {
	for text, want := range map[string]uri{
		"pkcs11:token=edge;object=www":                           {key: "pkcs11:token=edge;object=www"},
		"pkcs11:object=www?":                                     {key: "pkcs11:object=www"},
		"pkcs11:object=a%20b?module-path=/usr/lib/a%3Fso":        {key: "pkcs11:object=a%20b", module: "/usr/lib/a?so"},
		"pkcs11:object=a?pin-value=12%2f3&x-y=1":                 {key: "pkcs11:object=a?x-y=1", pin: "12/3"},
		"pkcs11:object=a?pin-source=file:/run/pin&module-path=m": {key: "pkcs11:object=a", module: "m", pinFrom: "file:/run/pin"},
		"pkcs11:object=a?pin-source=%2frun%2Fpin":                {key: "pkcs11:object=a", pinFrom: "/run/pin"},
		"pkcs11:object=a?pin-source=env:HSM_PIN":                 {key: "pkcs11:object=a", pinFrom: "env:HSM_PIN"},
	} {
		if got, err := parseURI(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "file:/x", "pkcs11", "pkcs11:a b", "pkcs11:a\n", "pkcs11:é", "pkcs11:" + strings.Repeat("a", maxURI), "pkcs11:object=%zz", "pkcs11:object=%1",
		"pkcs11:object=%", "pkcs11:object=%00", "pkcs11:a?pin-value=%0", "pkcs11:a?pin-value=SECRET&pin-value=2", "pkcs11:a?pin-value=SECRET&pin-source=/x", "pkcs11:a?pin-value=",
		"pkcs11:a?pin-source=|cat%20SECRET", "pkcs11:a?pin-source=http://SECRET", "pkcs11:a?pin-source=file:relative", "pkcs11:a?pin-source=env:", "pkcs11:a?pin-source=SECRET",
		"pkcs11:a?module-path=%",
	} {
		if err := CheckURI(text); err == nil {
			t.Errorf("%q was taken", text)
		} else if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: the error cites it: %v", text, err)
		}
	}
}

func TestReadPIN(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("LONGMEN_TEST_PIN", "from env")
	t.Setenv("LONGMEN_TEST_EMPTY", "")
	for _, c := range []struct{ query, want string }{
		{"", "of the token"},
		{"pin-value=1%20", "1 "},
		{"pin-source=" + file("plain", "12 34"), "12 34"},
		{"pin-source=file:" + file("line", "1234\n"), "1234"},
		{"pin-source=file://" + file("windows", "1234\r\n"), "1234"},
		{"pin-source=env:LONGMEN_TEST_PIN", "from env"},
		{"pin-source=" + filepath.Join(dir, "none"), ""},
		{"pin-source=" + file("empty", "\n"), ""},
		{"pin-source=" + file("long", strings.Repeat("1", maxPIN+1)), ""},
		{"pin-source=" + file("zero", "1\x002"), ""},
		{"pin-source=env:LONGMEN_TEST_NONE", ""},
		{"pin-source=env:LONGMEN_TEST_EMPTY", ""},
	} {
		u, err := parseURI("pkcs11:object=a?" + c.query)
		if err != nil {
			t.Fatal(err)
		}
		pin, err := Token{PIN: "of the token"}.readPIN(u)
		if pin != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v", c.query, pin, err)
		}
	}
}

func TestRefusedPINs(t *testing.T) {
	var r RefusedPINs
	of := func(key, pin string) [32]byte { return pinHash("m", uri{key: key}, pin) }
	r.add(of("pkcs11:token=edge;object=a", "1"))
	for key, want := range map[string]bool{
		"pkcs11:token=edge;object=a": true, "pkcs11:token=edge;id=%01;type=private?x=y": true, "pkcs11:token=other;object=a": false, "pkcs11:object=a": false,
	} {
		if r.has(of(key, "1")) != want || r.has(of(key, "2")) {
			t.Errorf("%s: want %v", key, want)
		}
	}
	for i := range 3 * maxRefused {
		r.add(of("pkcs11:a", strings.Repeat("1", i)))
		if len(r.seen) > maxRefused {
			t.Fatal("there is no bound")
		}
	}
	var none *RefusedPINs
	none.add(of("pkcs11:a", "1"))
	if none.has(of("pkcs11:a", "1")) {
		t.Error("nil remembers none")
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("pkcs11:token=edge;object=www?pin-source=file:/run/pin&module-path=/m.so")
	f.Add("pkcs11:object=%41?pin-value=%31")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseURI(text)
		if err != nil {
			return
		}
		if again, err := parseURI(u.key); err != nil || again.key != u.key || again.pin+again.pinFrom+again.module != "" {
			t.Errorf("%q becomes %+v, and that %+v, %v", text, u, again, err)
		}
	})
}
