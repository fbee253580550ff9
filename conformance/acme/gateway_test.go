package acme_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// A gateway orders certificates from an authority.
type gateway struct {
	*harness.Proxy
	t    testing.TB
	from *authority
	tls  string // where it serves
}

// setup is what a gateway is to be like.
type setup struct {
	ip      string   // 127.0.0.1
	hosts   []string // of its routes
	acme    string   // more keys of the secret, as YAML flow pairs
	storage string
	noHTTP  bool // no plain listener
}

func (a *authority) gateway(t testing.TB, s setup) *gateway {
	t.Helper()
	if s.ip == "" {
		s.ip = "127.0.0.1"
	}
	if s.storage == "" {
		s.storage = t.TempDir()
	}
	if s.acme != "" {
		s.acme = ", " + s.acme
	}
	plain := fmt.Sprintf("  http: {bind: %q, routes: to-https}\n", fmt.Sprintf("%s:%d", s.ip, a.http))
	redirect := "  to-https: [{hosts: [\"*\"], rules: [{redirect: {scheme: https}}]}]\n"
	if s.noHTTP {
		plain, redirect = "", ""
	}
	g := &gateway{t: t, from: a, tls: fmt.Sprintf("%s:%d", s.ip, a.tls)}
	g.Proxy = harness.Start(t, harness.Longmen, "", harness.Options{Config: fmt.Sprintf(`workers: 2
admin: {bind: "@admin@"}
listeners:
%s  https: {bind: %q, routes: public, tls: auto}
routes:
%s  public: [{hosts: [%s], rules: [{respond: {status: 200, body: hello}}]}]
secrets:
  auto: {acme: {agree: true, email: me@example.com, directory: %q, ca: %q, storage: %q%s}}
`, plain, g.tls, redirect, strings.Join(s.hosts, ", "), a.directory, a.ca, s.storage, s.acme)})
	return g
}

// dial makes a TLS connection that verifies the gateway.
func (g *gateway) dial(host string) (*tls.Conn, error) {
	return tls.DialWithDialer(&net.Dialer{Timeout: harness.Patience}, "tcp", g.tls, &tls.Config{RootCAs: g.from.Issuer, ServerName: host})
}

// certificate waits until the gateway serves a host with a certificate that is not
// the one of before, and gives it.
func (g *gateway) certificate(host string, before *x509.Certificate) *x509.Certificate {
	g.t.Helper()
	var last error
	for deadline := time.Now().Add(harness.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		c, err := g.dial(host)
		if err != nil {
			last = err
			continue
		}
		leaf := c.ConnectionState().PeerCertificates[0]
		c.Close()
		if before == nil || !leaf.Equal(before) {
			return leaf
		}
		last = fmt.Errorf("still the certificate %x", before.SerialNumber)
	}
	g.t.Fatalf("no certificate for %s: %v\n%s", host, last, g.Output())
	return nil
}

// ask makes one request on a connection and wants it answered.
func ask(t testing.TB, c net.Conn, host string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(harness.Patience))
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %d", response.StatusCode)
	}
}
