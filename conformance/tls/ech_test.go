package tls_test

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// echList makes a key with longmen cert, and returns its file and what DNS tells of it.
func echList(t *testing.T, dir string) (file string, list []byte) {
	t.Helper()
	certify(t, dir, "--ech", "public.test")
	file = filepath.Join(dir, "public.test.ech")
	text, err := os.ReadFile(file)
	check(t, err)
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			t.Fatal("no ECHCONFIG was written")
		}
		if block.Type == "ECHCONFIG" {
			return file, block.Bytes
		}
	}
}

// Two names with other rules for their clients are hidden behind one public name; the keys
// change while the gateway runs. crypto/tls's client is the judge: Debian's OpenSSL has no ECH.
func TestECH(t *testing.T) {
	a := newAuthority(t, "ca")
	public, open, closed, client := a.issue("p256", "public.test"), a.issue("rsa", "open.test"), a.issue("p256", "closed.test"), a.issue("p256", "alice")
	file, first := echList(t, t.TempDir())
	other, second := echList(t, t.TempDir())
	g := serve(t, fmt.Sprintf("certs: [public, open, closed]\nstrict_sni: true\nech: hidden\ndomains: {closed.test: {client_ca: %q, require: true}}\n", a.file),
		public.secret("public")+open.secret("open")+closed.secret("closed")+fmt.Sprintf("hidden: {ech: %q}\n", file))
	ask := func(name string, list []byte, edit ...func(*tls.Config)) (state tls.ConnectionState, err error) {
		_, err = g.knows(a, name, append(edit, func(c *tls.Config) {
			c.EncryptedClientHelloConfigList = list
			c.VerifyConnection = func(s tls.ConnectionState) error { state = s; return nil }
		})...)
		return state, err
	}
	known := func(c *tls.Config) { c.Certificates = []tls.Certificate{client.std()} }
	for _, c := range []struct {
		name string
		edit func(*tls.Config)
		good bool
	}{{"open.test", known, true}, {"open.test", func(*tls.Config) {}, true}, {"closed.test", known, true}, {"closed.test", func(*tls.Config) {}, false}, {"none.test", known, false}} {
		cache := tls.NewLRUClientSessionCache(2)
		for i := range 2 {
			state, err := ask(c.name, first, c.edit, func(config *tls.Config) { config.ClientSessionCache = cache })
			if c.good && (err != nil || !state.ECHAccepted || state.DidResume != (i > 0)) || !c.good && err == nil {
				t.Errorf("%s: %v, accepted %v, resumed %v; want good %v", c.name, err, state.ECHAccepted, state.DidResume, c.good)
			}
		}
	}

	// Another key in the file: clients with the old one are told.
	text, err := os.ReadFile(other)
	check(t, err)
	check(t, os.WriteFile(file+".new", text, 0o600))
	check(t, os.Rename(file+".new", file))
	deadline := time.Now().Add(harness.Patience)
	for {
		if _, err = ask("open.test", first); err != nil || time.Now().After(deadline) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	rejected, ok := errors.AsType[*tls.ECHRejectionError](err)
	if !ok || string(rejected.RetryConfigList) != string(second) {
		t.Fatalf("the key changed, and a client with the old one was told %v\n%s", err, g.Output())
	}
	if state, err := ask("open.test", rejected.RetryConfigList); err != nil || !state.ECHAccepted {
		t.Errorf("the second try: %v, accepted %v", err, state.ECHAccepted)
	}
	private, _ := pem.Decode(text)
	if said := g.said(); strings.Contains(said, base64.StdEncoding.EncodeToString(private.Bytes)[20:]) || strings.Contains(said, "PRIVATE KEY") {
		t.Errorf("the key is told:\n%s", said)
	}
}
