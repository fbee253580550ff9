package tls_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tjfoc/gmsm/gmtls"
	gmx509 "github.com/tjfoc/gmsm/x509"

	"longmen/conformance/harness"
	"longmen/tls/handshake"
	"longmen/tls/tlcp"
	"longmen/tls/tls13"
)

// One port serves plain HTTP, TLS 1.2 and 1.3 with RSA and ECDSA, TLCP with its
// four suites and RFC 8998, with and without client certificates, all of them at
// once, each proven by a client.
func TestOnePort(t *testing.T) {
	a, sm := newAuthority(t, "root"), newSM(t)
	certify(t, sm.dir, "--name", "mutual.test", "--kind", "sm2")
	mutual := smSecret(sm.dir, "mutual.test")
	g := serve(t, `certs: [all, sm, mutual.test]
plain: true
domains: {mutual.test: {client_ca: clients, require: true}, offered.test: {client_ca: clients}}
`, "all: ["+a.issue("p256", "any.test").pair()+", "+a.issue("rsa", "any.test").pair()+"]\n"+
		"sm: "+sm.server+"\n"+mutual+"clients: {ca: \""+sm.ca+"\"}\n")
	// gmtls sends no server name: where it must show a certificate, everybody must.
	strict := serve(t, "certs: [sm]\nclient_ca: clients\nrequire: true\n", "sm: "+sm.server+"\nclients: {ca: \""+sm.ca+"\"}\n")
	good := func() string { return request(g.Addr, &tls.Config{ServerName: "any.test", RootCAs: a.roots()}) }
	if fault := good(); fault != "" {
		t.Fatal(fault)
	}
	g.noLeak()

	type client struct {
		name string
		run  func() string
	}
	all := []client{
		{"curl plain", func() string { return curl("http", g.Addr, a.file) }},
		{"curl 1.3", func() string { return curl("https", g.Addr, a.file, "--tlsv1.3") }},
		{"curl 1.2 RSA", func() string {
			return curl("https", g.Addr, a.file, "--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES256-GCM-SHA384")
		}},
		{"curl 1.2 ECDSA", func() string {
			return curl("https", g.Addr, a.file, "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256")
		}},
		{"crypto/tls X25519MLKEM768", func() string {
			return request(g.Addr, &tls.Config{ServerName: "any.test", RootCAs: a.roots(), CurvePreferences: []tls.CurveID{tls.X25519MLKEM768},
				VerifyConnection: func(s tls.ConnectionState) error { return isKind[*ecdsa.PublicKey](s) }})
		}},
		{"crypto/tls RSA", func() string {
			return request(g.Addr, &tls.Config{ServerName: "any.test", RootCAs: a.roots(), MaxVersion: tls.VersionTLS12,
				CipherSuites:     []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256},
				VerifyConnection: func(s tls.ConnectionState) error { return isKind[*rsa.PublicKey](s) }})
		}},
		{"gmtls", func() string { return sm.gmtls(g.Addr, false) }},
		{"gmtls mutual", func() string { return sm.gmtls(strict.Addr, true) }},
		{"gmtls without the certificate that is required", func() string {
			return oneOf(sm.gmtls(strict.Addr, false), "remote error: tls: handshake failure", "remote error: tls: bad certificate")
		}},
		{"rfc8998", func() string { return g.asks(sm.by8998()) }},
		{"rfc8998 mutual", func() string { return g.asks(sm.by8998(sm.shows8998, named8998)) }},
		{"rfc8998 without the certificate that is required", func() string { return wantsAlert(g.asks(sm.by8998(named8998)), handshake.CertificateRequired) }},
	}
	for _, suite := range tlcp.Suites() {
		name := tlcp.SuiteName(suite)
		all = append(all, client{name + " mutual", func() string { return g.asks(sm.by(suite, sm.shows, namedTLCP)) }})
		if strings.HasPrefix(name, "ECDHE") {
			// These suites cannot do without the client's certificate. Where nobody asks
			// whose it is, any will do.
			all = append(all, client{name + " where no certificate is asked for", func() string { return g.asks(sm.by(suite, sm.shows)) }})
			continue
		}
		all = append(all, client{name, func() string { return g.asks(sm.by(suite)) }})
	}
	rounds := short(2, 20)
	var cases []client
	for round := range rounds {
		for _, c := range all {
			cases = append(cases, client{fmt.Sprintf("one port/%d/%s", round, c.name), c.run})
		}
	}
	harness.Report(t, "one port", harness.Longmen, each(cases, 6, func(c client) string { return c.name }, func(c client) string { return c.run() }))
	if fault := good(); fault != "" {
		t.Error(fault)
	}
}

func isKind[K any](s tls.ConnectionState) error {
	if _, ok := s.PeerCertificates[0].PublicKey.(K); !ok {
		return fmt.Errorf("the certificate has a %T", s.PeerCertificates[0].PublicKey)
	}
	return nil
}

func namedTLCP(c *tlcp.ClientConfig)  { c.ServerName = "mutual.test" }
func named8998(c *tls13.ClientConfig) { c.ServerName = "mutual.test" }

// wantsAlert wants a connection to have ended with an alert of the gateway's.
func wantsAlert(fault string, a handshake.Alert) string {
	return oneOf(fault, fmt.Sprintf("the peer sent the alert %s", a), fmt.Sprintf("tls: the peer sent alert %d", a))
}

// curl asks the gateway for a page, as any.test.
func curl(scheme, addr, ca string, arguments ...string) string {
	_, port, _ := net.SplitHostPort(addr)
	out, err := exec.Command("curl", append([]string{"-sS", "-m", "10", "--noproxy", "*", "--cacert", ca, "--resolve", "any.test:" + port + ":127.0.0.1",
		scheme + "://any.test:" + port + "/curl"}, arguments...)...).CombinedOutput()
	if err != nil || string(out) != answered("/curl", scheme) {
		return fmt.Sprintf("%v: %s", err, out)
	}
	return ""
}

// asks makes a request over the connection that a client secures.
func (g *gateway) asks(secured func(net.Conn) (net.Conn, error)) string {
	conn, err := net.DialTimeout("tcp", g.Addr, harness.Patience)
	if err != nil {
		return err.Error()
	}
	var failed error
	fault := requestOver(conn, func(c net.Conn) net.Conn {
		over, err := secured(c)
		if err != nil {
			failed = err
			return c
		}
		return over
	})
	if failed != nil {
		return failed.Error()
	}
	return fault
}

// by is our client of TLCP with a suite.
func (s *smClients) by(suite uint16, edit ...func(*tlcp.ClientConfig)) func(net.Conn) (net.Conn, error) {
	return func(c net.Conn) (net.Conn, error) {
		r, err := s.tlcp(c, suite, edit...)
		return after(c, r, err, suite, false)
	}
}

// by8998 is our client of RFC 8998. That a server refuses what is shown comes
// behind the client's handshake.
func (s *smClients) by8998(edit ...func(*tls13.ClientConfig)) func(net.Conn) (net.Conn, error) {
	return func(c net.Conn) (net.Conn, error) {
		r, err := s.rfc8998(c, edit...)
		return after(c, r, err, tls13.SuiteSM4GCMSM3, false)
	}
}

// gmtls asks by tjfoc/gmsm's client, which shares nothing with the gateway but
// the standard. It has ECC_SM4_CBC_SM3 alone.
func (s *smClients) gmtls(addr string, mutual bool) string {
	pool := gmx509.NewCertPool()
	ca, err := os.ReadFile(s.ca)
	if err != nil || !pool.AppendCertsFromPEM(ca) {
		return fmt.Sprint("gmtls cannot read the authority: ", err)
	}
	config := &gmtls.Config{GMSupport: gmtls.NewGMSupport(), ServerName: "sm.test", RootCAs: pool}
	if mutual {
		stem := filepath.Join(s.dir, "alice.sign.")
		crt, err1 := os.ReadFile(stem + "crt")
		key, err2 := os.ReadFile(stem + "key")
		pair, err := gmtls.GMX509KeyPairsSingle(crt, key)
		if err1 != nil || err2 != nil || err != nil {
			return fmt.Sprint(err1, err2, err)
		}
		config.Certificates = []gmtls.Certificate{pair}
	}
	conn, err := net.DialTimeout("tcp", addr, harness.Patience)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(harness.Patience))
	c := gmtls.Client(conn, config)
	body := strings.Repeat("0123456789", 10_000) // of several records
	go fmt.Fprintf(c, "POST /echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	got, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	if suite := c.ConnectionState().CipherSuite; suite != tlcp.ECC_SM4_CBC_SM3 {
		return fmt.Sprintf("suite %#x", suite)
	}
	if !bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")) || !bytes.Contains(got, []byte("0123456789012345")) || len(got) < len(body) {
		return fmt.Sprintf("%.200q", got)
	}
	return ""
}

// Sessions of TLCP and RFC 8998 are taken up again, and not where they do not belong.
func TestResumptionSM(t *testing.T) {
	sm := newSM(t)
	certify(t, sm.dir, "--name", "mutual.test", "--kind", "sm2")
	g := serve(t, "certs: [sm, mutual.test]\ndomains: {mutual.test: {client_ca: clients, require: true}}\n",
		"sm: "+sm.server+"\n"+smSecret(sm.dir, "mutual.test")+"clients: {ca: \""+sm.ca+"\"}\n")
	over := func(secured func(net.Conn) (net.Conn, error)) {
		t.Helper()
		if fault := g.asks(secured); fault != "" {
			t.Error(fault)
		}
	}
	for _, suite := range tlcp.Suites() {
		cache := tlcp.NewCache(4, time.Hour)
		for i := range 3 {
			over(func(c net.Conn) (net.Conn, error) {
				r, err := sm.tlcp(c, suite, sm.shows, namedTLCP, func(c *tlcp.ClientConfig) { c.Sessions = cache })
				return after(c, r, err, suite, i > 0)
			})
		}
	}
	sessions := tls13.NewSessions(4)
	for i := range 3 {
		over(func(c net.Conn) (net.Conn, error) {
			r, err := sm.rfc8998(c, func(c *tls13.ClientConfig) { c.Sessions = sessions })
			return after(c, r, err, tls13.SuiteSM4GCMSM3, i > 0)
		})
	}
	// What was agreed on without a certificate is no way in where one is required.
	without := tlcp.NewCache(4, time.Hour)
	keep := func(c *tlcp.ClientConfig) { c.Sessions, c.SessionKey = without, "one" }
	over(func(c net.Conn) (net.Conn, error) {
		r, err := sm.tlcp(c, tlcp.ECC_SM4_GCM_SM3, keep)
		return after(c, r, err, tlcp.ECC_SM4_GCM_SM3, false)
	})
	if fault := g.asks(sm.by(tlcp.ECC_SM4_GCM_SM3, namedTLCP, keep)); fault == "" {
		t.Error("a session without a certificate is taken up where one is required")
	}
}
