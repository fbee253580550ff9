package supervisor

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/snapshot"
	"longmen/tls/certificate"
	"longmen/tls/server"
	"longmen/tls/ticket"
)

// issued makes a self-signed server certificate for the names.
func issued(t testing.TB, key crypto.Signer, names ...string) (*certificate.Certificate, *x509.Certificate) {
	t.Helper()
	der, parsed := selfSigned(t, key, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, names...)
	return parsedPair(t, key, der, names[0]), parsed
}

func selfSigned(t testing.TB, key crypto.Signer, usage []x509.ExtKeyUsage, names ...string) ([]byte, *x509.Certificate) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: usage,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return der, parsed
}

func rsaKey(t testing.TB) crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func p256Key(t testing.TB) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// secured gives a listener TLS with these certificates, and returns a client's
// configuration that trusts them.
func secured(t testing.TB, l *snapshot.Listener, keys map[string]crypto.Signer) *tls.Config {
	t.Helper()
	source, err := ticket.Random(ticket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	var all []*certificate.Certificate
	for name, key := range keys {
		c, root := issued(t, key, strings.Split(name, " ")[0])
		all = append(all, c)
		roots.AddCert(root)
	}
	l.TLS = &server.Config{
		Certificates: certificate.NewTable(all), HandshakeTimeout: patience, MaxHandshakes: 1000,
		Default: &server.Settings{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, ALPN: []string{"http/1.1"}, Tickets: source.Context("test")},
	}
	return &tls.Config{RootCAs: roots}
}

// asks makes one request over a new connection and returns what the connection
// agreed on.
func asks(t testing.TB, at string, config *tls.Config) (tls.ConnectionState, string) {
	t.Helper()
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", at, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * patience))
	k := dialled(t, c)
	k.ask("/")
	_, body := k.answer()
	return c.ConnectionState(), body
}

func TestTLS(t *testing.T) {
	h := newHouse(t, Options{})
	l := listens(t, "https", "secure")
	config := secured(t, l, map[string]crypto.Signer{"a.test": rsaKey(t), "b.test": p256Key(t), "both.test 1": rsaKey(t), "both.test 2": p256Key(t)})
	h.applied(snap("1", l))
	at := h.address("https")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, name := range []string{"a.test", "b.test", "both.test"} {
			t.Run(tls.VersionName(version)+" "+name, func(t *testing.T) {
				c := config.Clone()
				c.ServerName, c.MinVersion, c.MaxVersion = name, version, version
				c.NextProtos = []string{"h2", "http/1.1"}
				c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
				for i := range 3 {
					state, body := asks(t, at, c)
					if body != "secure" || state.Version != version || state.NegotiatedProtocol != "http/1.1" || state.DidResume != (i > 0) {
						t.Errorf("connection %d: %q, %s, ALPN %q, resumed %v", i, body, tls.VersionName(state.Version), state.NegotiatedProtocol, state.DidResume)
					}
					if _, ecdsa := state.PeerCertificates[0].PublicKey.(*ecdsa.PublicKey); ecdsa != (name != "a.test") {
						t.Errorf("%s is served with %T", name, state.PeerCertificates[0].PublicKey)
					}
				}
			})
		}
	}
}

// Bodies pass in both directions, in whatever pieces, on many connections at once.
func TestTLSBodies(t *testing.T) {
	h := newHouse(t, Options{})
	origin := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go origin.Serve(ln)
	t.Cleanup(func() { origin.Close() })
	l := forwards(t, "https", "echo")
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	h.applied(having(snap("1", l), cluster.New(clusterOf("echo", ln.Addr()))))
	config.ServerName = "a.test"
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: 2 * patience}
	var all sync.WaitGroup
	for i, size := range []int{0, 1, 1300, 16384, 16385, 70_000, 1 << 20, 5 << 20} {
		all.Go(func() {
			sent := bytes.Repeat([]byte(fmt.Sprintf("%07d.", i)), size/8+1)[:size]
			for range 3 {
				resp, err := client.Post("https://"+h.address("https")+"/", "text/plain", bytes.NewReader(sent))
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("%d bytes came back as %d: %v", size, len(got), err)
				}
			}
		})
	}
	all.Wait()
}

func TestTLSBadBeginnings(t *testing.T) {
	h := newHouse(t, Options{})
	l := listens(t, "https", "secure")
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	l.TLS.StrictSNI = true
	l.TLS.HandshakeTimeout = 300 * time.Millisecond
	h.applied(snap("1", l))
	at := h.address("https")
	t.Run("unknown name", func(t *testing.T) {
		c := config.Clone()
		c.ServerName = "other.test"
		_, err := tls.Dial("tcp", at, c)
		if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Error(err)
		}
	})
	t.Run("old version", func(t *testing.T) {
		c := config.Clone()
		c.ServerName, c.MinVersion, c.MaxVersion = "a.test", tls.VersionTLS10, tls.VersionTLS11
		_, err := tls.Dial("tcp", at, c)
		if err == nil || !strings.Contains(err.Error(), "protocol version") {
			t.Error(err)
		}
	})
	for name, test := range map[string]struct{ send, want string }{
		"plain HTTP":   {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "},
		"garbage":      {"\x00\x01\x02\x03", ""},
		"SSL 2.0":      {"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", "\x15\x03\x03\x00\x02\x02\x46"},
		"empty":        {"\x16\x03\x01\x00\x00", "\x15\x03\x03\x00\x02\x02\x0a"},
		"half":         {"\x16\x03\x01\x00\x80\x01\x00", ""},
		"malformed":    {"\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00", "\x15\x03\x03\x00\x02\x02\x32"},
		"no handshake": {"\x17\x03\x03\x00\x10", ""},
		"nothing":      {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, at)
			io.WriteString(c, test.send)
			got, err := io.ReadAll(c)
			if _, reset := err.(*net.OpError); err != nil && !reset {
				t.Error(err)
			}
			if !strings.HasPrefix(string(got), test.want) || test.want == "" && len(got) > 0 {
				t.Errorf("%q", got)
			}
		})
	}
	t.Run("others are served", func(t *testing.T) {
		c := config.Clone()
		c.ServerName = "a.test"
		if _, body := asks(t, at, c); body != "secure" {
			t.Error(body)
		}
	})
}

func TestTLSAndPlainOnOnePort(t *testing.T) {
	h := newHouse(t, Options{})
	l := listens(t, "https", "both")
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	config.ServerName = "a.test"
	l.TLS.Plain = true
	h.applied(snap("1", l))
	if _, body := asks(t, h.address("https"), config); body != "both" {
		t.Error(body)
	}
	c := dial(t, h.address("https"))
	c.ask("/")
	if _, body := c.answer(); body != "both" {
		t.Error(body)
	}
}

// A gateway that stops leaves nothing of handshakes that are under way.
func TestTLSStop(t *testing.T) {
	h := newHouse(t, Options{DrainTimeout: time.Second})
	l := listens(t, "https", "secure")
	secured(t, l, map[string]crypto.Signer{"a.test": rsaKey(t)})
	h.applied(snap("1", l))
	for i := range 20 {
		c := dial(t, h.address("https"))
		io.WriteString(c, "\x16\x03\x01\x00\x80\x01\x00"[:i%8])
	}
	h.stopped()
}

// A connection for a name of another is passed on as it is, and so is what comes
// back.
func TestTLSPassthrough(t *testing.T) {
	h := newHouse(t, Options{})
	origin := newSecureOrigin(t, tls.VersionTLS13, p256Key(t), false, nil)
	l := listens(t, "https", "ours")
	logged := logsTo(t, l)
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	l.TLS.Passthrough.Set("origin.test", "origin")
	l.TLS.Passthrough.Set("gone.test", "gone")
	c := clusterOf("origin", origin.Addr())
	gone := clusterOf("gone", net.TCPAddrFromAddrPort(freePort(t)))
	h.applied(having(snap("1", l), cluster.New(c), cluster.New(gone)))
	config.ServerName = "a.test"
	if _, body := asks(t, h.address("https"), config); body != "ours" {
		t.Error(body)
	}
	config.RootCAs, config.ServerName = origin.root.Standard(), "origin.test"
	conn, err := tls.Dial("tcp", h.address("https"), config)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(2 * patience))
	sent := strings.Repeat("through ", 50_000)
	for range 2 {
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: origin.test\r\nContent-Length: %d\r\n\r\n%s", len(sent), sent)
		k := &client{t, conn, bufio.NewReader(conn)}
		if resp, body := k.answer(); resp.StatusCode != 200 || body != sent {
			t.Errorf("%d, %d bytes", resp.StatusCode, len(body))
		}
	}
	conn.Close()
	config.ServerName = "gone.test"
	if _, err := tls.Dial("tcp", h.address("https"), config); err == nil {
		t.Error("connected to an endpoint that is not there")
	}
	h.stopped()
	if got := logged(); !strings.Contains(got, "- 0 UF") {
		t.Errorf("logged %q", got)
	}
}

// A client that says goodbye right behind its request gets the answer, and the end.
func TestTLSGoodbyeBehindARequest(t *testing.T) {
	h := newHouse(t, Options{})
	l := listens(t, "https", "secure")
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	config.ServerName = "a.test"
	h.applied(snap("1", l))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config.MaxVersion = version
		c, err := tls.Dial("tcp", h.address("https"), config)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		c.CloseWrite()
		if got, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(got), "secure") {
			t.Errorf("%q, %v", got, err)
		}
		c.Close()
	}
}
