package tls13

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
	"longmen/tls/record"

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

// An outcome is what a handshake came to on one side, and that side's connection.
type outcome struct {
	result *handshake.Result
	err    error
	conn   net.Conn
	in     []byte // came in and was not opened yet
}

// ended takes what Server and Client return. A connection whose handshake failed is closed.
func ended(conn net.Conn) func(*handshake.Result, error) *outcome {
	return func(result *handshake.Result, err error) *outcome {
		if err != nil {
			conn.Close()
		}
		return &outcome{result: result, err: err, conn: conn}
	}
}

// write sends text through the session that the handshake ended in.
func (o *outcome) write(t testing.TB, text string) {
	t.Helper()
	if _, err := o.conn.Write(o.result.Session.Seal(nil, []byte(text))); err != nil {
		t.Fatal(err)
	}
}

// read gives what came through the session, n bytes or more.
func (o *outcome) read(t testing.TB, n int) string {
	t.Helper()
	var got []byte
	buffer := make([]byte, 4096)
	for {
		plain, used, err := o.result.Session.Open(o.in)
		got = append(got, plain...)
		o.in = o.in[used:]
		if err != nil {
			t.Fatal(err)
		}
		if len(got) >= n {
			return string(got)
		}
		k, err := o.conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		o.in = append(o.in, buffer[:k]...)
	}
}

// shake runs both sides, each with its end of a wire.
func (p *pair) shake(t testing.TB) (client, server *outcome) {
	t.Helper()
	return p.shakeOver(newWire(t))
}

func (p *pair) shakeOver(near, far net.Conn) (client, server *outcome) {
	done := make(chan *outcome, 1)
	go func() { done <- ended(far)(Server(far, p.server)) }()
	client = ended(near)(Client(near, p.client))
	return client, <-done
}

// mustShake is shake where both sides have to succeed and then understand each other.
func (p *pair) mustShake(t testing.TB) (client, server *handshake.Result) {
	t.Helper()
	c, s := p.shake(t)
	if c.err != nil || s.err != nil {
		t.Fatalf("client: %v, server: %v", c.err, s.err)
	}
	exchange(t, c, s)
	return c.result, s.result
}

// exchange says something both ways. The client's session takes the tickets on the way.
func exchange(t testing.TB, client, server *outcome) {
	t.Helper()
	for _, way := range []struct{ from, to *outcome }{{server, client}, {client, server}} {
		way.from.write(t, "a word")
		if got := way.to.read(t, len("a word")); got != "a word" || len(way.to.in) != 0 {
			t.Fatalf("%q came, and %d bytes", got, len(way.to.in))
		}
	}
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

// wantSessionAlert asserts that a client, whose handshake ended before the server saw the last
// of it, is told alert as soon as it reads.
func wantSessionAlert(t testing.TB, client *outcome, alert handshake.Alert) {
	t.Helper()
	if client.err != nil {
		wantAlert(t, client.err, alert, true)
		return
	}
	buffer := make([]byte, 4096)
	n, err := client.conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = client.result.Session.Open(buffer[:n])
	if e, ok := errors.AsType[*record.AlertError](err); !ok || !e.Received || e.Alert != uint8(alert) {
		t.Fatalf("the client's session says %v, want the alert %s", err, alert)
	}
}
