package snapshot

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"longmen/tls/acme"
)

const ordered = `
listeners:
  one: {bind: ":8443", routes: all, tls: {certs: [shop, auto], passthrough: {db.example.com: up}}}
  two: {bind: ":8444", routes: [{hosts: [two.example.com], rules: [{to: up}]}], tls: [auto, fixed]}
routes:
  all:
    - {hosts: [shop.example.com, WWW.example.com, "www.example.com:8443"], rules: [{to: up}]}
    - {hosts: ["*.example.com", "*", localhost, 10.0.0.1, db.example.com], rules: [{to: up}]}
clusters: {up: {endpoints: ["10.0.0.1:443"]}}
secrets:
  shop: {cert: shop.crt, key: shop.key}
  auto: {acme: {agree: true, email: me@example.com, storage: store}}
  fixed: {acme: {agree: true, hosts: [Fixed.example.com], storage: store, key: rsa2048, challenge: http-01, directory: "https://ca.internal/dir", ca: ca.crt}}
`

// order writes what is ordered for a host where the storage has it.
func (a *testAuthority) order(s acme.Settings, host, kind string, days int) {
	a.t.Helper()
	a.issue("ordered", kind, days, host)
	cert, key := s.Files(host)
	if err := os.MkdirAll(filepath.Dir(cert), 0o700); err != nil {
		a.t.Fatal(err)
	}
	for from, to := range map[string]string{"ordered.crt": cert, "ordered.key": key} {
		if err := os.Rename(filepath.Join(a.dir, from), to); err != nil {
			a.t.Fatal(err)
		}
	}
}

func hostsOf(l *Listener) []string {
	var names []string
	for _, c := range l.TLS.Certificates.All() {
		names = append(names, c.Name+": "+strings.Join(c.DNSNames, " "))
	}
	return names
}

// What is ordered follows from the routes; what has been issued is served, and the
// rest pending.
func TestOrders(t *testing.T) {
	t.Chdir(t.TempDir())
	a := writeSecure(t)
	first := compileTLS(t, ordered, nil)
	if len(first.Orders) != 2 {
		t.Fatalf("%d orders", len(first.Orders))
	}
	auto, fixed := first.Orders[0], first.Orders[1]
	if want := []string{"two.example.com", "www.example.com"}; !slices.Equal(auto.Hosts, want) {
		t.Errorf("auto orders %v, not %v", auto.Hosts, want)
	}
	if want := []string{"fixed.example.com"}; !slices.Equal(fixed.Hosts, want) {
		t.Errorf("fixed orders %v, not %v", fixed.Hosts, want)
	}
	if want := (acme.Settings{Directory: acme.LetsEncrypt, Email: "me@example.com", Key: acme.P256, Storage: "store"}); auto.Settings != want {
		t.Errorf("auto: %+v, not %+v", auto.Settings, want)
	}
	roots, err := os.ReadFile("ca.crt")
	if err != nil {
		t.Fatal(err)
	}
	if want := (acme.Settings{Directory: "https://ca.internal/dir", Roots: string(roots), Key: acme.RSA2048, Challenge: acme.HTTP01, Storage: "store"}); fixed.Settings != want {
		t.Errorf("fixed: %+v, not %+v", fixed.Settings, want)
	}
	if want := map[string]bool{"www.example.com": true}; !reflect.DeepEqual(first.Listeners[0].TLS.Pending, want) {
		t.Errorf("pending: %v", first.Listeners[0].TLS.Pending)
	}
	if all := first.Listeners[1].TLS.Certificates.All(); len(all) != 0 {
		t.Errorf("certificates of nowhere: %v", all)
	}
	var warned []string
	for _, p := range first.Warnings {
		if strings.Contains(p.Text, "issued") {
			warned = append(warned, string(p.Path)+": "+p.Text)
		}
	}
	if want := []string{
		"secrets.auto.acme: no certificate has been issued yet for two.example.com, www.example.com: refused until then",
		"secrets.fixed.acme: no certificate has been issued yet for fixed.example.com: refused until then",
	}; !slices.Equal(warned, want) {
		t.Errorf("warned:\n%s", strings.Join(warned, "\n"))
	}

	a.order(auto.Settings, "www.example.com", "ecdsa", 80)
	a.order(fixed.Settings, "fixed.example.com", "rsa", 80)
	second := compileTLS(t, ordered, first)
	if want := []string{"shop: shop.example.com", "auto: www.example.com"}; !slices.Equal(hostsOf(second.Listeners[0]), want) {
		t.Errorf("one serves %v", hostsOf(second.Listeners[0]))
	}
	if want := []string{"fixed: fixed.example.com"}; !slices.Equal(hostsOf(second.Listeners[1]), want) {
		t.Errorf("two serves %v", hostsOf(second.Listeners[1]))
	}
	if len(second.Listeners[0].TLS.Pending) != 0 || second.Version == first.Version || second.Listeners[0].TLSHash == first.Listeners[0].TLSHash {
		t.Errorf("pending %v, versions %s and %s", second.Listeners[0].TLS.Pending, first.Version, second.Version)
	}
	if third := compileTLS(t, ordered, second); third.Listeners[0] != second.Listeners[0] || third.Listeners[1] != second.Listeners[1] || third.Version != second.Version {
		t.Error("nothing has changed, and something is another one")
	}
}

// A certificate that is half written, or gone, does not take the one of before
// away, nor the configuration.
func TestOrderedDamaged(t *testing.T) {
	t.Chdir(t.TempDir())
	a := writeSecure(t)
	settings := compileTLS(t, ordered, nil).Orders[0].Settings
	a.order(settings, "www.example.com", "ecdsa", 80)
	first := compileTLS(t, ordered, nil)
	made := first.Listeners[0].TLS.Certificates.Find("www.example.com")[0]
	_, key := settings.Files("www.example.com")
	for _, damage := range []struct {
		name string
		do   func() error
	}{
		{"cut", func() error { return os.Truncate(key, 20) }},
		{"another", func() error { a.issue("other", "ecdsa", 80, "x"); return os.Rename("other.key", key) }},
		{"gone", func() error { return os.Remove(key) }},
	} {
		name := damage.name
		if err := damage.do(); err != nil {
			t.Fatal(err)
		}
		second := compileTLS(t, ordered, first)
		if now := second.Listeners[0].TLS.Certificates.Find("www.example.com"); len(now) != 1 || now[0] != made {
			t.Errorf("%s: served: %v", name, now)
		}
		if alone := compileTLS(t, ordered, nil); !alone.Listeners[0].TLS.Pending["www.example.com"] {
			t.Errorf("%s: served by who never had another", name)
		}
	}
}

// Other hosts in the routes are other orders, without any certificate.
func TestOrdersFollowRoutes(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	first := compileTLS(t, ordered, nil)
	second := compileTLS(t, strings.Replace(ordered, "WWW.example.com", "new.example.com", 1), first)
	if !second.Listeners[0].TLS.Pending["new.example.com"] {
		t.Errorf("pending: %v", second.Listeners[0].TLS.Pending)
	}
}

// A table of very many hosts does not order as many certificates.
func TestTooManyOrders(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	var hosts strings.Builder
	for i := range maxOrdered {
		fmt.Fprintf(&hosts, "h%d.example.com, ", i)
	}
	lines := problemsOf(t, strings.Replace(ordered, "WWW.example.com, ", hosts.String(), 1))
	if want := "10001 hosts: at most 10000 certificates are ordered"; !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
		t.Errorf("%.500s", strings.Join(lines, "\n"))
	}
}

func TestOrdersRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	for edit, want := range map[string]string{
		"agree: true, hosts: ['*.a.com']":                              "secrets.auto.acme.hosts[0]: *.a.com: an authority certifies a wildcard by the challenge dns-01 only, which is not supported",
		"agree: true, hosts: [a.com, 10.0.0.1]":                        "secrets.auto.acme.hosts[1]: 10.0.0.1: an address; only names are ordered",
		"agree: true, directory: http://a.com/dir":                     `secrets.auto.acme.directory: "http://a.com/dir": must be an https:// URL`,
		"agree: true, ca: shop.key":                                    "secrets.auto.acme.ca: no certificate in PEM is in it",
		"agree: true, ca: nowhere.pem":                                 "secrets.auto.acme.ca: nowhere.pem cannot be read: no such file or directory",
		"agree: true, eab: {id: a, key: shop.crt}":                     "secrets.auto.acme.eab.key: is no key in base64url",
		"agree: true}}\n  unused: {acme: {agree: true, email: a@b.com": "secrets.unused: warning: no listener or cluster uses this secret",
	} {
		text := strings.Replace(ordered, "agree: true, email: me@example.com", edit, 1)
		lines := problemsOf(t, text)
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("%s:\n%s\nlacks\n%s", edit, strings.Join(lines, "\n"), want)
		}
	}
	text := strings.Replace(ordered, `["10.0.0.1:443"]`, `["10.0.0.1:443"], tls: {cert: auto}`, 1)
	if lines := problemsOf(t, text); !slices.ContainsFunc(lines, func(line string) bool {
		return strings.Contains(line, `secret "auto" holds certificates that ACME orders, not a certificate`)
	}) {
		t.Errorf("a cluster with it:\n%s", strings.Join(lines, "\n"))
	}
}
