package snapshot

import (
	"os"
	"slices"
	"testing"
)

// A file with a certificate and its key is read once for both, and once more for a listener whose
// keys are held elsewhere: what was read is wiped in between.
func TestCertificateAndKeyInOneFile(t *testing.T) {
	t.Chdir(t.TempDir())
	a := newAuthority(t, ".", false)
	a.issue("shop", "ecdsa", 99, "shop.example.com")
	cert, err := os.ReadFile("shop.crt")
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile("shop.key")
	if err != nil {
		t.Fatal(err)
	}
	a.write("both.pem", slices.Concat(key, cert))
	made := compileTLS(t, `
listeners:
  one: {bind: ":8443", routes: all, tls: both}
  two: {bind: ":8444", routes: all, tls: {certs: [both, again], crypto: go}}
routes: {all: [{hosts: [shop.example.com], rules: [{to: up}]}]}
clusters: {up: {endpoints: ["10.0.0.1:80"]}}
secrets:
  both: {cert: both.pem, key: both.pem}
  again: {cert: both.pem, key: both.pem}
`, nil)
	for _, l := range made.Listeners {
		for _, c := range l.TLS.Certificates.All() {
			if _, err := c.Signer(); err != nil {
				t.Errorf("listener %s: secret %s: %v", l.Name, c.Name, err)
			}
		}
	}
	if one, two := made.Listeners[0].TLS.Certificates.All(), made.Listeners[1].TLS.Certificates.All(); len(one) != 1 || len(two) != 2 || one[0] == two[0] {
		t.Errorf("certificates: %v, %v", one, two)
	}
}

// A secret is read when something asks for it, or at last: none is left unread.
func TestEverySecretIsRead(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	lines := problemsOf(t, secure+"  spare: {cert: gone.crt, key: gone.key}\n  list: [{cert: api.crt, key: api.key}, {cert: away.crt, key: api.key}]\n")
	for _, want := range []string{
		"gateway.yaml:10:17: secrets.spare.cert: gone.crt cannot be read: no such file or directory",
		"gateway.yaml:11:48: secrets.list[1].cert: away.crt cannot be read: no such file or directory",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is missing in %q", want, lines)
		}
	}
}
