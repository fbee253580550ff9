package tls_test

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
	"longmen/tls/record"
	"longmen/tls/tlcp"
	"longmen/tls/tls13"
)

// smClients are the clients of TLCP and of RFC 8998, and the certificates that
// longmen cert has made for them and for the server sm.test.
type smClients struct {
	dir    string
	server string // the pair, as the value of a secret
	ca     string
	roots  *smx509.CertPool
	pair   *tlcp.Certificate // the client's
}

func newSM(t testing.TB) *smClients {
	t.Helper()
	dir := t.TempDir()
	certify(t, dir, "--name", "sm.test", "--kind", "sm2")
	certify(t, dir, "--name", "alice", "--kind", "sm2", "--client")
	s := &smClients{dir: dir, ca: filepath.Join(dir, "ca-sm2.crt"), roots: smx509.NewCertPool()}
	_, s.server, _ = strings.Cut(strings.TrimSpace(smSecret(dir, "sm.test")), ": ")
	s.roots.AppendCertsFromPEM(read(t, s.ca))
	s.pair = s.load(t, "alice")
	return s
}

// load reads a pair.
func (s *smClients) load(t testing.TB, name string) *tlcp.Certificate {
	t.Helper()
	file := func(end string) []byte { return blockOf(t, filepath.Join(s.dir, name+end)) }
	sign, err := smx509.ParsePKCS8PrivateKey(file(".sign.key"))
	check(t, err)
	encrypt, err := smx509.ParsePKCS8PrivateKey(file(".encrypt.key"))
	check(t, err)
	return &tlcp.Certificate{
		Chain: [][]byte{file(".sign.crt"), file(".encrypt.crt")},
		Sign:  sign.(*sm2.PrivateKey), Encrypt: encrypt.(*sm2.PrivateKey),
	}
}

func blockOf(t testing.TB, path string) []byte {
	t.Helper()
	block, _ := pem.Decode(read(t, path))
	if block == nil {
		t.Fatal("no PEM in ", path)
	}
	return block.Bytes
}

// tlcp is a client's handshake with one suite, or with all for 0.
func (s *smClients) tlcp(c net.Conn, suite uint16, edit ...func(*tlcp.ClientConfig)) (*handshake.Result, error) {
	config := &tlcp.ClientConfig{ServerName: "sm.test", Roots: s.roots, Protocols: []string{"http/1.1"}}
	if suite != 0 {
		config.Suites = []uint16{suite}
	}
	for _, f := range edit {
		f(config)
	}
	return tlcp.Client(c, config)
}

// shows has the client show its certificates.
func (s *smClients) shows(c *tlcp.ClientConfig) { c.Certificate = s.pair }

func (s *smClients) rfc8998(c net.Conn, edit ...func(*tls13.ClientConfig)) (*handshake.Result, error) {
	config := &tls13.ClientConfig{ServerName: "sm.test", Roots: s.roots, Protocols: []string{"http/1.1"}}
	for _, f := range edit {
		f(config)
	}
	return tls13.Client(c, config)
}

func (s *smClients) shows8998(c *tls13.ClientConfig) {
	c.Certificate = &tls.Certificate{Certificate: s.pair.Chain[:1], PrivateKey: s.pair.Sign}
}

// A sessionConn is a connection after its handshake, as a net.Conn.
type sessionConn struct {
	net.Conn
	session   *record.Session
	in, plain []byte
}

func (c *sessionConn) Read(p []byte) (int, error) {
	for len(c.plain) == 0 {
		plain, used, err := c.session.Open(c.in)
		c.in = c.in[used:]
		if c.session.HasReply() {
			c.Conn.Write(c.session.AppendReply(nil))
		}
		if c.plain = plain; len(plain) > 0 {
			break
		}
		if err != nil {
			return 0, err
		}
		buf := make([]byte, 32<<10)
		n, err := c.Conn.Read(buf)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // nobody has said so by close_notify
		}
		if err != nil {
			return 0, err
		}
		c.in = append(append([]byte(nil), c.in...), buf[:n]...)
	}
	n := copy(p, c.plain)
	c.plain = c.plain[n:]
	return n, nil
}

func (c *sessionConn) Write(p []byte) (int, error) {
	if _, err := c.Conn.Write(c.session.Seal(nil, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *sessionConn) Close() error {
	c.Conn.Write(c.session.AppendClose(nil))
	return c.Conn.Close()
}

// after makes the connection of a handshake's result, and complains if it is not
// what was wanted.
func after(c net.Conn, r *handshake.Result, err error, suite uint16, resumed bool) (net.Conn, error) {
	switch {
	case err != nil:
		return nil, err
	case r.Suite != suite || r.Protocol != "http/1.1" || r.Resumed != resumed || !r.PeerVerified:
		return nil, fmt.Errorf("%+v, want suite %#x, resumed %v", r, suite, resumed)
	}
	return &sessionConn{Conn: c, session: r.Session}, nil
}
