package snapshot

import (
	"os"
	"slices"
	"strings"
	"testing"

	"longmen/tls/ech"
)

const encrypted = `
listeners: {one: {bind: ":8443", routes: [{hosts: ["*"], rules: [{to: up}]}], tls: {certs: [shop, api], ech: hidden}}}
clusters: {up: {endpoints: ["10.0.0.1:80"]}}
secrets:
  shop: {cert: shop.crt, key: shop.key}
  api: {cert: api.crt, key: api.key}
  hidden: {ech: [now.ech, before.ech]}
`

func writeECH(t *testing.T, file, publicName string) *ech.Key {
	t.Helper()
	key, err := ech.New(publicName)
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.PEM()
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestECH(t *testing.T) {
	t.Chdir(t.TempDir())
	a := writeSecure(t)
	now, before := writeECH(t, "now.ech", "shop.example.com"), writeECH(t, "before.ech", "X.api.example.com")
	a.age("now.ech", "before.ech")
	first := compileTLS(t, encrypted, nil)
	if len(first.Warnings) > 0 {
		t.Error(first.Warnings)
	}
	records := func(s *Snapshot) (all []string) {
		for _, key := range s.Listeners[0].TLS.ECH.List() {
			all = append(all, key.Record())
		}
		return all
	}
	if got := records(first); !slices.Equal(got, []string{now.Record(), before.Record()}) {
		t.Error(got)
	}
	if again := compileTLS(t, encrypted, first); again.Listeners[0].TLS != first.Listeners[0].TLS {
		t.Error("nothing has changed, and the listener is another")
	}
	next := writeECH(t, "now.ech", "shop.example.com")
	changed := compileTLS(t, encrypted, first)
	if got := records(changed); changed.Listeners[0].TLS == first.Listeners[0].TLS || !slices.Equal(got, []string{next.Record(), before.Record()}) {
		t.Errorf("after the file changed: %v", got)
	}
	if off := compileTLS(t, edit(encrypted, "tls: {certs: [shop, api], ech: hidden}", "tls: [shop, api]"), changed); off.Listeners[0].TLS.ECH != nil {
		t.Error("ech was taken away")
	}
}

func TestECHFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	if files := read(t, encrypted).Files(); !slices.Contains(files, "now.ech") || !slices.Contains(files, "before.ech") {
		t.Errorf("what is watched: %q", files)
	}
	set := read(t, edit(encrypted, "[now.ech, before.ech]", `"-----BEGIN PRIVATE KEY-----\nMC4CAQ\n"`))
	for _, s := range set.WithoutKeys().Secrets {
		if text := s.String(); strings.Contains(text, "MC4CAQ") {
			t.Errorf("a dump has the key: %s", text)
		}
	}
}

func TestECHProblems(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	writeECH(t, "now.ech", "shop.example.com")
	writeECH(t, "before.ech", "public.example.org")
	if err := os.WriteFile("broken.ech", []byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEICjd4yGRdsoP9gU7YT7My8DHx1Tjme8GYDXrOMCi8v1V\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"no certificate for the public name", encrypted, "listeners.one.tls.ech: warning: no certificate covers public.example.org"},
		{"no TLS 1.3", edit(encrypted, "ech: hidden}", `ech: hidden, max: "1.2"}`), "listeners.one.tls.max: clients that use ECH cannot come in"},
		{"a domain without TLS 1.3", edit(encrypted, "ech: hidden}", `ech: hidden, domains: {api.example.com: {max: "1.2"}}}`), "domains.api.example.com.max: warning: clients that use ECH cannot come in"},
		{"a file that is not there", edit(encrypted, "before.ech", "none.ech"), "secrets.hidden.ech[1]: none.ech cannot be read"},
		{"a broken file", edit(encrypted, "before.ech", "broken.ech"), "secrets.hidden.ech[1]: broken.ech: a private key without an ECHCONFIG"},
		{"another secret", edit(encrypted, "ech: hidden}", "ech: shop}"), `secret "shop" holds a certificate, not ECH keys (ech)`},
		{"no such secret", edit(encrypted, "ech: hidden}", "ech: hiden}"), `no secret named "hiden"`},
		{"keys in place of a certificate", edit(encrypted, "certs: [shop, api]", "certs: [shop, api, hidden]"), `secret "hidden" holds ECH keys (ech), not a certificate`},
	} {
		problems := strings.Join(problemsOf(t, c.text), "\n")
		if !strings.Contains(problems, c.want) {
			t.Errorf("%s: want %s in\n%s", c.name, c.want, problems)
		}
		if strings.Contains(problems, "MC4CAQ") {
			t.Errorf("%s: a key is shown: %s", c.name, problems)
		}
	}
}
