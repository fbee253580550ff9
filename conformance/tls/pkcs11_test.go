package tls_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longmen/conformance/harness"
)

const (
	softHSM  = "/usr/lib/softhsm/libsofthsm2.so"
	tokenPIN = "user%77 31" // with what a URI has to escape
)

// A token is one of SoftHSM, which the gateways that are started after it find.
type token struct {
	t   *testing.T
	dir string
}

// newToken makes the place for a token, but no token yet.
func newToken(t *testing.T) *token {
	t.Helper()
	for _, needed := range []string{"/usr/bin/softhsm2-util", softHSM} {
		if _, err := os.Stat(needed); err != nil {
			t.Skipf("no tests of PKCS#11: %v (Debian: softhsm2)", err)
		}
	}
	if found, _ := filepath.Glob("/usr/lib/*/engines-3/pkcs11.so"); len(found) == 0 {
		t.Skip("no tests of PKCS#11: OpenSSL has no engine for it (Debian: libengine-pkcs11-openssl)")
	}
	k := &token{t, t.TempDir()}
	conf := filepath.Join(k.dir, "softhsm2.conf")
	check(t, os.WriteFile(conf, []byte("directories.tokendir = "+k.dir+"\nlog.level = ERROR\n"), 0o600))
	t.Setenv("SOFTHSM2_CONF", conf)
	return k
}

func (k *token) run(arguments ...string) {
	k.t.Helper()
	if out, err := exec.CommandContext(k.t.Context(), "softhsm2-util", arguments...).CombinedOutput(); err != nil {
		k.t.Fatalf("softhsm2-util %q: %v\n%s", arguments, err, out)
	}
}

// holding makes the token with the keys of leaves.
func (k *token) holding(leaves map[string]*leaf) {
	k.t.Helper()
	k.run("--init-token", "--free", "--label", "edge", "--so-pin", "officer 1", "--pin", tokenPIN)
	id := 0
	for name, l := range leaves {
		id++
		k.run("--import", l.pem, "--token", "edge", "--label", name, "--id", fmt.Sprintf("%02d", id), "--pin", tokenPIN)
	}
}

// pin writes a file with a PIN and returns it as a URI names it.
func (k *token) pin(text string) string {
	file := filepath.Join(k.dir, "pin")
	check(k.t, os.WriteFile(file+".new", []byte(text+"\n"), 0o600))
	check(k.t, os.Rename(file+".new", file))
	return "pin-source=file:" + file
}

// in is the certificate of a key in the token, as a secret.
func (l *leaf) in(object, query string) string {
	return fmt.Sprintf("{cert: %q, key: \"pkcs11:token=edge;object=%s;type=private?module-path=%s&%s\"}", l.crt, object, softHSM, query)
}

// said is everything that the gateway tells: its log and what admin shows.
func (g *gateway) said() string {
	g.t.Helper()
	all := g.Output()
	log, err := os.ReadFile(g.Log)
	check(g.t, err)
	all += string(log)
	for _, path := range []string{"/config_dump?format=yaml", "/config_dump?format=json", "/config_dump?format=xds", "/certs", "/certs?format=json", "/listeners?format=json", "/stats"} {
		response, err := http.Get("http://" + g.Admin + path)
		check(g.t, err)
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		check(g.t, err)
		all += string(text)
	}
	return all
}

// knows asks for a page of a name, and returns the kind of the server's key.
func (g *gateway) knows(a *authority, name string, edit ...func(*tls.Config)) (string, error) {
	config := &tls.Config{RootCAs: a.roots(), ServerName: name}
	for _, f := range edit {
		f(config)
	}
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: harness.Patience}, "tcp", g.Addr, config)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(harness.Patience))
	fmt.Fprintf(c, "GET /token HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name)
	answer, err := io.ReadAll(c)
	if err == nil && !strings.Contains(string(answer), answered("/token", "https")) {
		err = fmt.Errorf("answered %q", answer)
	}
	if _, ec := c.ConnectionState().PeerCertificates[0].PublicKey.(*ecdsa.PublicKey); ec {
		return "p256", err
	}
	return "rsa", err
}

// eventually asks until the answer is the one that is wanted.
func (g *gateway) eventually(a *authority, name, kind string) {
	g.t.Helper()
	deadline := time.Now().Add(2 * harness.Patience)
	for {
		got, err := g.knows(a, name)
		if err == nil && got == kind {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("%s is served with %q, %v; want %s\n%s", name, got, err, kind, g.Output())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Keys in a token serve every version, and the PIN is told to nobody, however it is given.
func TestPKCS11(t *testing.T) {
	k, a := newToken(t), newAuthority(t, "ca")
	leaves := map[string]*leaf{"ec": a.issue("p256", "ec.test"), "rsa": a.issue("rsa", "rsa.test")}
	k.holding(leaves)
	t.Setenv("HSM_PIN", tokenPIN)
	for name, query := range map[string]string{"a file": k.pin(tokenPIN), "the environment": "pin-source=env:HSM_PIN", "the URI": "pin-value=user%2577%2031"} {
		t.Run(name, func(t *testing.T) {
			g := serve(t, "certs: [ec, rsa]\n", "ec: "+leaves["ec"].in("ec", query)+"\nrsa: "+leaves["rsa"].in("rsa", query)+"\n")
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				for served, kind := range map[string]string{"ec.test": "p256", "rsa.test": "rsa"} {
					got, err := g.knows(a, served, func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version })
					if err != nil || got != kind {
						t.Errorf("%s, %s: %s, %v", tls.VersionName(version), served, got, err)
					}
				}
			}
			for _, secret := range []string{tokenPIN, "user%25", "PRIVATE KEY"} {
				if said := g.said(); strings.Contains(said, secret) {
					t.Errorf("%q is told:\n%s", secret, said)
				}
			}
		})
	}
}

// A token that is away is asked again until it is there; meanwhile another certificate of the
// name serves clients that take it, and the others are refused.
func TestPKCS11TokenThatIsAway(t *testing.T) {
	k, a := newToken(t), newAuthority(t, "ca")
	alone, both, file := a.issue("p256", "alone.test"), a.issue("p256", "both.test"), a.issue("rsa", "both.test")
	query := k.pin("n0t the PIN")
	g := serve(t, "certs: [alone, both]\n", fmt.Sprintf("alone: %s\nboth: [%s, %s]\n", alone.in("alone", query), both.in("both", query), file.pair()))
	if got, err := g.knows(a, "both.test"); err != nil || got != "rsa" {
		t.Errorf("both.test: %s, %v", got, err)
	}
	if _, err := g.knows(a, "alone.test"); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("alone.test: %v", err)
	}
	k.holding(map[string]*leaf{"alone": alone, "both": both})
	if got, err := g.knows(a, "both.test"); err != nil || got != "rsa" {
		t.Errorf("both.test with a wrong PIN: %s, %v", got, err)
	}
	k.pin(tokenPIN)
	g.eventually(a, "alone.test", "p256")
	g.eventually(a, "both.test", "p256")
	if !strings.Contains(g.Output(), "no private key for a certificate") {
		t.Errorf("nobody was told of the token:\n%s", g.Output())
	}
	if said := g.said(); strings.Contains(said, tokenPIN) || strings.Contains(said, "n0t the PIN") {
		t.Errorf("a PIN is told:\n%s", said)
	}
}

// Endpoints are shown the certificate of a key in a token.
func TestPKCS11ToEndpoints(t *testing.T) {
	k, a := newToken(t), newAuthority(t, "ca")
	leaves := map[string]*leaf{"ec": a.issue("p256", "ec.test"), "rsa": a.issue("rsa", "rsa.test")}
	k.holding(leaves)
	query := k.pin(tokenPIN)
	for name, l := range leaves {
		origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "origin knows %s", r.TLS.PeerCertificates[0].Subject.CommonName)
		}))
		origin.TLS = &tls.Config{Certificates: []tls.Certificate{a.issue("p256", "origin.test").std()}, ClientCAs: a.roots(), ClientAuth: tls.RequireAndVerifyClientCert}
		origin.StartTLS()
		t.Cleanup(origin.Close)
		p := harness.Start(t, harness.Longmen, address(origin), harness.Options{Config: fmt.Sprintf(`
admin: {bind: "@admin@"}
access_log: {path: "@log@"}
listeners: {main: {bind: "@addr@", routes: [{hosts: ["*"], rules: [{to: origin}]}]}}
clusters: {origin: {endpoints: ["@origin@"], tls: {ca: %q, sni: origin.test, cert: own}}}
secrets: {own: %s}
`, a.file, l.in(name, query))})
		response, err := harness.Do(p.Addr, "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
		if err != nil || string(response.Body) != "origin knows "+name+".test" {
			t.Errorf("%s: %+v, %v\n%s", name, response, err, p.Output())
		}
	}
}
