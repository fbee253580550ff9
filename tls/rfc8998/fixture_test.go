package rfc8998

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"longmen/tls/handshake"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// noon is the time of all tests.
var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

// An authority issues the certificates of a test.
type authority struct {
	root *smx509.Certificate
	key  crypto.Signer
	pool *smx509.CertPool
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	template := &smx509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             noon.AddDate(-1, 0, 0),
		NotAfter:              noon.AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              smx509.KeyUsageCertSign,
	}
	key := newKey(t)
	a := &authority{key: key, pool: smx509.NewCertPool()}
	a.root = parseDER(t, create(t, template, template, key.Public(), key))
	a.pool.AddCert(a.root)
	return a
}

func newKey(t testing.TB) *sm2.PrivateKey {
	t.Helper()
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func create(t testing.TB, template, parent *smx509.Certificate, public crypto.PublicKey, key crypto.Signer) []byte {
	t.Helper()
	der, err := smx509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parseDER(t testing.TB, der []byte) *smx509.Certificate {
	t.Helper()
	certificate, err := smx509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// issue gives a certificate for a server and a client named name; change, if not nil, has the
// last word.
func (a *authority) issue(t testing.TB, name string, key crypto.Signer, change func(*smx509.Certificate)) *tls.Certificate {
	t.Helper()
	template := &smx509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    noon.Add(-time.Hour),
		NotAfter:     noon.Add(30 * 24 * time.Hour),
		KeyUsage:     smx509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []smx509.ExtKeyUsage{smx509.ExtKeyUsageServerAuth, smx509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	return &tls.Certificate{
		Certificate: [][]byte{create(t, template, a.root, key.Public(), a.key)},
		PrivateKey:  key,
	}
}

// A pair is a server's and a client's config that get on with each other.
type pair struct {
	authority *authority
	server    *ServerConfig
	client    *ClientConfig
}

func newPair(t testing.TB) *pair {
	t.Helper()
	a := newAuthority(t, "root")
	return &pair{
		authority: a,
		server:    &ServerConfig{Certificate: a.issue(t, "server.test", newKey(t), nil), Time: atNoon},
		client:    &ClientConfig{ServerName: "server.test", Roots: a.pool, Time: atNoon},
	}
}

// outcome is what a handshake came to on one side.
type outcome struct {
	result *handshake.Result
	err    error
	conn   net.Conn
}

// shake runs both sides, each with its end of a wire; an end whose side fails is closed.
func (p *pair) shake(t testing.TB) (client, server outcome) {
	t.Helper()
	near, far := newWire(t)
	return p.shakeOver(near, far)
}

func (p *pair) shakeOver(near, far net.Conn) (client, server outcome) {
	done := make(chan outcome, 1)
	go func() { done <- ended(far)(Server(far, p.server)) }()
	client = ended(near)(Client(near, p.client))
	return client, <-done
}

func ended(conn net.Conn) func(*handshake.Result, error) outcome {
	return func(result *handshake.Result, err error) outcome {
		if err != nil {
			conn.Close()
		}
		return outcome{result, err, conn}
	}
}

// mustShake is shake where both sides have to succeed. What the server sent after its
// handshake, tickets, is taken by the client's session.
func (p *pair) mustShake(t testing.TB) (client, server *handshake.Result) {
	t.Helper()
	c, s := p.shake(t)
	if c.err != nil || s.err != nil {
		t.Fatalf("client: %v, server: %v", c.err, s.err)
	}
	exchange(t, c, s)
	return c.result, s.result
}

// exchange sends something both ways through the sessions that a handshake ended in.
func exchange(t testing.TB, a, b outcome) {
	t.Helper()
	say := func(from, to outcome, text string) {
		t.Helper()
		if _, err := from.conn.Write(from.result.Session.Seal(nil, []byte(text))); err != nil {
			t.Fatal(err)
		}
		var got, in []byte
		buffer := make([]byte, 4096)
		for len(got) < len(text) {
			n, err := to.conn.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			in = append(in, buffer[:n]...)
			plain, used, err := to.result.Session.Open(in)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, plain...)
			in = in[used:]
		}
		if string(got) != text || len(in) != 0 {
			t.Fatalf("%q arrived as %q", text, got)
		}
	}
	say(b, a, "from the second")
	say(a, b, "from the first")
}

// wantAlert asserts that err is an Error with this alert, seen on the side that sends it or on
// the one that receives it.
func wantAlert(t testing.TB, err error, alert handshake.Alert, received bool) {
	t.Helper()
	e, ok := errors.AsType[*handshake.Error](err)
	if !ok {
		t.Fatalf("%v, want the alert %s", err, alert)
	}
	if e.Alert != alert || e.Received != received {
		t.Fatalf("%v (received: %v), want the alert %s (received: %v)", err, e.Received, alert, received)
	}
}
