package tls_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/emmansun/gmsm/smx509"

	"longmen/conformance/harness"
	"longmen/tls/handshake"
	"longmen/tls/tlcp"
	"longmen/tls/tls13"
)

// TLS to endpoints: who is believed, what is shown to them, and that nobody else
// gets a byte of a request.

// An endpoint counts the requests that come to it.
type endpoint struct {
	addr     string
	requests atomic.Int64
}

// newEndpoint serves HTTP on a listener. It answers with the server name that it
// was asked by and the client certificate that it was shown.
func newEndpoint(t testing.TB, secured func(net.Listener) net.Listener) *endpoint {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	e := &endpoint{addr: ln.Addr().String()}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.requests.Add(1)
		body, _ := io.ReadAll(r.Body)
		name, shown := "", ""
		if r.TLS != nil {
			name = r.TLS.ServerName
			for _, c := range r.TLS.PeerCertificates[:min(1, len(r.TLS.PeerCertificates))] {
				shown = c.Subject.CommonName
			}
		}
		fmt.Fprintf(w, "%d %s %s", len(body), name, shown)
	})}
	go server.Serve(secured(ln))
	t.Cleanup(func() { server.Close() })
	return e
}

func plainly(ln net.Listener) net.Listener { return ln }

func withTLS(l *leaf, edit ...func(*tls.Config)) func(net.Listener) net.Listener {
	config := &tls.Config{Certificates: []tls.Certificate{l.std()}}
	for _, f := range edit {
		f(config)
	}
	return func(ln net.Listener) net.Listener { return tls.NewListener(ln, config) }
}

// A smListener accepts connections whose handshake is that of a function.
type smListener struct {
	net.Listener
	server func(net.Conn) (*handshake.Result, error)
}

func (l smListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &smConn{Conn: c, server: l.server}, nil
}

// A smConn runs its handshake with the first read.
type smConn struct {
	net.Conn
	server func(net.Conn) (*handshake.Result, error)
	once   sync.Once
	over   *sessionConn
	err    error
}

func (c *smConn) Read(p []byte) (int, error) {
	c.once.Do(func() {
		r, err := c.server(c.Conn)
		if c.err = err; err == nil {
			c.over = &sessionConn{Conn: c.Conn, session: r.Session}
		}
	})
	if c.err != nil {
		return 0, c.err
	}
	return c.over.Read(p)
}

func (c *smConn) Write(p []byte) (int, error) { return c.over.Write(p) }

func TestEndpoints(t *testing.T) {
	a, strangers, clients := newAuthority(t, "root"), newAuthority(t, "strangers"), newAuthority(t, "clients")
	sm := newSM(t)
	smServer := sm.load(t, "sm.test")
	smRoots := smx509.NewCertPool()
	smRoots.AppendCertsFromPEM(read(t, sm.ca))
	asks := func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, clients.roots() }
	version := func(v uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = v, v }
	}
	good, revoked := a.issue("p256", "good.test"), a.issue("rsa", "good.test")
	spiffe := a.issue("p256", "any.test", func(c *x509.Certificate) {
		c.DNSNames, c.URIs = nil, []*url.URL{{Scheme: "spiffe", Host: "prod.test", Path: "/api"}}
	})
	alice := clients.issue("p256", "alice.test")
	pin := func(l *leaf) string {
		sum := sha256.Sum256(l.cert.RawSubjectPublicKeyInfo)
		return base64.StdEncoding.EncodeToString(sum[:])
	}
	tlcpServer := func(auth tlcp.ClientAuth) func(net.Listener) net.Listener {
		return func(ln net.Listener) net.Listener {
			return smListener{ln, func(c net.Conn) (*handshake.Result, error) {
				return tlcp.Server(c, &tlcp.ServerConfig{Certificate: smServer, ClientAuth: auth, ClientCAs: smRoots, Sessions: tlcp.NewCache(4, 1<<40)})
			}}
		}
	}
	smLeaf := &tls.Certificate{Certificate: smServer.Chain[:1], PrivateKey: smServer.Sign}
	rfc8998Server := func(ln net.Listener) net.Listener {
		return smListener{ln, func(c net.Conn) (*handshake.Result, error) {
			return tls13.Server(c, &tls13.ServerConfig{Certificate: smLeaf})
		}}
	}

	type upstream struct {
		name     string
		endpoint func(net.Listener) net.Listener
		tls      string // of the cluster
		want     string // what the endpoint answers to 3 bytes; "": it is refused
		cause    string // part of what the access log says then
	}
	ca := fmt.Sprintf("ca: %q", a.file)
	named := ca + ", sni: good.test"
	all := []upstream{
		{"good", withTLS(good), named, "3 good.test ", ""},
		{"rsa", withTLS(a.issue("rsa", "good.test")), named, "3 good.test ", ""},
		{"p384", withTLS(a.issue("p384", "good.test")), named, "3 good.test ", ""},
		{"ed25519", withTLS(a.issue("ed25519", "good.test")), named, "3 good.test ", ""},
		{"1.2", withTLS(good, version(tls.VersionTLS12)), named, "3 good.test ", ""},
		{"1.3", withTLS(good, version(tls.VersionTLS13)), named, "3 good.test ", ""},
		{"1.1", withTLS(good, version(tls.VersionTLS11)), named, "", "protocol_version"},
		{"1.2 where 1.3 is wanted", withTLS(good, version(tls.VersionTLS12)), named + `, min: "1.3"`, "", "protocol_version"},
		{"by address", withTLS(a.issue("p256", "127.0.0.1")), ca, "3  ", ""},
		{"another address", withTLS(a.issue("p256", "127.0.0.2")), ca, "", "bad_certificate"},
		{"name where the address is asked for", withTLS(good), ca, "", "bad_certificate"},
		{"request's name", withTLS(a.issue("p256", "localhost")), ca + ", sni: request", "3 localhost ", ""},
		{"another name", withTLS(a.issue("p256", "bad.test")), named, "", "bad_certificate"},
		{"a stranger's", withTLS(strangers.issue("p256", "good.test")), named, "", "unknown_ca"},
		{"expired", withTLS(a.issue("p256", "good.test", expired)), named, "", "certificate_expired"},
		{"not yet valid", withTLS(a.issue("p256", "good.test", func(c *x509.Certificate) { c.NotBefore = c.NotAfter.Add(-60e9) })), named, "", "certificate"},
		{"for clients", withTLS(a.issue("p256", "good.test", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })), named, "", "certificate"},
		{"revoked", withTLS(revoked), named + fmt.Sprintf(", crl: %q", a.revoke(revoked)), "", "certificate_revoked"},
		{"another revoked", withTLS(good), named + fmt.Sprintf(", crl: %q", a.revoke(revoked)), "3 good.test ", ""},
		{"the system's authorities", withTLS(good), "sni: good.test", "", "unknown_ca"},
		{"insecure", withTLS(strangers.issue("p256", "bad.test", expired)), "insecure: true, sni: good.test", "3 good.test ", ""},
		{"pinned", withTLS(good), named + ", pins: " + pin(good), "3 good.test ", ""},
		{"another pinned", withTLS(good), named + ", pins: " + pin(revoked), "", "certificate"},
		{"spiffe", withTLS(spiffe), ca + `, sni: good.test, san: {uri: "spiffe://prod.test/api"}`, "3 good.test ", ""},
		{"another spiffe", withTLS(spiffe), ca + `, sni: good.test, san: {uri: "spiffe://prod.test/web"}`, "", "certificate"},
		{"client certificate", withTLS(good, asks), named + ", cert: alice", "3 good.test alice.test", ""},
		{"client certificate 1.2", withTLS(good, asks, version(tls.VersionTLS12)), named + ", cert: alice", "3 good.test alice.test", ""},
		{"client certificate missing", withTLS(good, asks), named, "", "alert 116"},
		{"client certificate missing 1.2", withTLS(good, asks, version(tls.VersionTLS12)), named, "", ""},
		{"client certificate of a stranger", withTLS(good, asks), named + ", cert: mallory", "", "alert 48"},
		{"client certificate that nobody asks for", withTLS(good), named + ", cert: alice", "3 good.test ", ""},
		{"no TLS", plainly, named, "", ""},
		{"tlcp", tlcpServer(tlcp.ClientAuthNone), fmt.Sprintf("ca: %q, sni: sm.test, protocol: tlcp", sm.ca), "3  ", ""},
		{"tlcp with client certificates", tlcpServer(tlcp.ClientAuthRequire), fmt.Sprintf("ca: %q, sni: sm.test, protocol: tlcp, cert: smalice", sm.ca), "3  ", ""},
		{"tlcp without client certificates", tlcpServer(tlcp.ClientAuthRequire), fmt.Sprintf("ca: %q, sni: sm.test, protocol: tlcp", sm.ca), "", ""},
		{"tlcp, another name", tlcpServer(tlcp.ClientAuthNone), fmt.Sprintf("ca: %q, sni: good.test, protocol: tlcp", sm.ca), "", "bad_certificate"},
		{"tlcp, a stranger's", tlcpServer(tlcp.ClientAuthNone), named + ", protocol: tlcp", "", "unknown_ca"},
		{"tlcp to TLS", withTLS(good), named + ", protocol: tlcp", "", ""},
		{"rfc8998", rfc8998Server, fmt.Sprintf("ca: %q, sni: sm.test, protocol: rfc8998", sm.ca), "3  ", ""},
		{"rfc8998, another name", rfc8998Server, fmt.Sprintf("ca: %q, sni: good.test, protocol: rfc8998", sm.ca), "", "bad_certificate"},
		{"rfc8998 to TLS", withTLS(good), named + ", protocol: rfc8998", "", ""},
	}

	var rules, clusters strings.Builder
	endpoints := make([]*endpoint, len(all))
	var paths []string
	for i, u := range all {
		endpoints[i] = newEndpoint(t, u.endpoint)
		fmt.Fprintf(&rules, "        - {match: {path: /%d}, to: c%d}\n", i, i)
		fmt.Fprintf(&clusters, "  c%d: {endpoints: [%q], tls: {%s}}\n", i, endpoints[i].addr, u.tls)
		paths = append(paths, fmt.Sprintf("/%d", i))
	}
	p := harness.Start(t, harness.Longmen, "", harness.Options{Config: `workers: 2
admin: {bind: "@admin@"}
access_log: {path: "@log@", format: json}
listeners:
  main: {bind: "@addr@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
` + rules.String() + "clusters:\n" + clusters.String() + "secrets:\n" +
		indent(2, alice.secret("alice")+strangers.issue("p256", "mallory.test").secret("mallory")+strings.Replace(smSecret(sm.dir, "alice"), `"alice"`, "smalice", 1))})

	index := make([]int, len(all))
	for i := range index {
		index[i] = i
	}
	verdicts := each(index, 4, func(i int) string { return "endpoints/" + all[i].name }, func(i int) string {
		u := all[i]
		for n := range 3 { // once on a new connection, then on what is kept
			body := strings.Repeat("x", 3)
			res, err := harness.Do(p.Addr, fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", i, len(body), body))
			switch {
			case err != nil:
				return err.Error()
			case u.want == "" && res.Status != 503 && res.Status != 502:
				return fmt.Sprintf("status %d %q, want it refused", res.Status, res.Body)
			case u.want != "" && (res.Status != 200 || string(res.Body) != u.want):
				return fmt.Sprintf("request %d: status %d %q, want %q", n, res.Status, res.Body, u.want)
			}
		}
		if got := endpoints[i].requests.Load(); u.want == "" && got != 0 {
			return fmt.Sprintf("it got %d requests", got)
		}
		return ""
	})
	lines, err := p.WaitLogs(paths)
	check(t, err)
	for i, u := range all {
		l := lines[paths[i]]
		said := fmt.Sprintf("the access log says flag=%q side=%q phase=%q cause=%q", l.Flag(), l.Text("side"), l.Text("phase"), l.Text("cause"))
		if u.want == "" && verdicts[i].Fault == "" && (l.Flag() == "" || l.Text("side") != "upstream" || !strings.Contains(l.Text("cause"), u.cause)) {
			verdicts[i].Fault = said
		}
	}
	harness.Report(t, "endpoints", harness.Longmen, verdicts)
}
