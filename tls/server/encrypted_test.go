package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"longmen/tls/certificate"
	"longmen/tls/ech"
	"longmen/tls/handshake"
	"longmen/tls/hello"
	"longmen/tls/sign"
	"longmen/tls/ticket"
	"longmen/tls/verify"
)

const publicName = "public.test"

// A secret is a listener with the names open.test, whose clients need no certificate, and
// closed.test, whose clients do, behind one public name.
type secret struct {
	t      *testing.T
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey
	roots  *x509.CertPool
	config *Config
	shown  Challenges
	last   *handshake.Result
	err    error
}

func newSecret(t *testing.T, keys ...*ech.Key) *secret {
	t.Helper()
	s := &secret{t: t, roots: x509.NewCertPool()}
	s.key = newKey(t)
	der := s.certify(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, s.key)
	var err error
	if s.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	s.roots.AddCert(s.ca)
	roots, err := verify.ParseRoots(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	clients, err := verify.New(verify.Config{Mode: verify.Require, Role: verify.Client, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	tickets, err := ticket.Random(ticket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	settings := func(alpn string) *Settings {
		return &Settings{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13, ALPN: []string{alpn}, Tickets: tickets.Context(alpn)}
	}
	s.config = &Config{Default: settings("public")}
	var all []*certificate.Certificate
	for _, name := range []string{publicName, "open.test", "closed.test", "old.test"} {
		all = append(all, s.served(name))
	}
	s.config.Certificates = certificate.NewTable(all)
	s.config.Domains.Set("open.test", settings("open"))
	closed := settings("closed")
	closed.Clients, closed.ClientRoots = clients, roots
	s.config.Domains.Set("closed.test", closed)
	old := settings("old")
	old.MaxVersion = tls.VersionTLS12
	s.config.Domains.Set("old.test", old)
	if len(keys) > 0 {
		if s.config.ECH, err = ech.NewKeys(keys); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (s *secret) certify(template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	s.t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent := s.ca
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	return der
}

func (s *secret) served(name string) *certificate.Certificate {
	s.t.Helper()
	key := newKey(s.t)
	der := s.certify(&x509.Certificate{DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, key)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	parser := &certificate.Parser{Policy: sign.Go}
	c, err := parser.Parse(certificate.Source{Name: name, Pair: certificate.Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// identity is a client's certificate.
func (s *secret) identity() []tls.Certificate {
	key := newKey(s.t)
	der := s.certify(&x509.Certificate{Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, key)
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
}

// client is a configuration for a name; keys are what DNS tells of them, nil for none.
func (s *secret) client(name string, published *ech.Key) *tls.Config {
	config := &tls.Config{RootCAs: s.roots, ServerName: name, NextProtos: []string{"open", "closed", "public", "old"}}
	if published != nil {
		config.EncryptedClientHelloConfigList = published.List()
	}
	return config
}

// A begun connection is one of which the ClientHello was looked at.
type begun struct {
	net.Conn
	io.Reader
}

func (b *begun) Read(p []byte) (int, error) { return b.Reader.Read(p) }

func (s *secret) serve(c net.Conn) (*handshake.Result, error) {
	var first []byte
	for {
		msg, used, err := hello.Find(first, nil)
		if err != nil {
			return nil, err
		}
		if used > 0 {
			h := &Handshake{
				Conn: &begun{c, io.MultiReader(bytes.NewReader(first), c)}, Hello: new(hello.ClientHello), Now: time.Now(),
				Offload: func(_ *sign.Flow, f func() error) error { return f() }, Loading: new(sign.Flow), Verifying: new(sign.Flow),
				Challenges: s.shown,
			}
			if err := h.Hello.Parse(msg); err != nil {
				return nil, err
			}
			return s.config.Run(h)
		}
		room := make([]byte, 4096)
		n, err := c.Read(room)
		if err != nil {
			return nil, err
		}
		first = append(first, room[:n]...)
	}
}

// dial runs a handshake, leaves the server's outcome in last and err, and returns the client's.
func (s *secret) dial(config *tls.Config) (state tls.ConnectionState, err error) {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			s.last, s.err = nil, err
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		if s.last, s.err = s.serve(c); s.err == nil {
			_, s.err = c.Write(s.last.Session.Seal(nil, []byte("hello")))
		}
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	raw.SetDeadline(time.Now().Add(20 * time.Second))
	c := tls.Client(raw, config)
	if err = c.Handshake(); err == nil {
		_, err = io.ReadFull(c, make([]byte, 5))
	}
	state = c.ConnectionState()
	raw.Close()
	<-done
	return state, err
}

func newECH(t *testing.T) *ech.Key {
	t.Helper()
	k, err := ech.New(publicName)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Settings and certificate are those of the inner name, with each key, and on resumption.
func TestEncryptedHello(t *testing.T) {
	now, before := newECH(t), newECH(t)
	s := newSecret(t, now, before)
	for _, key := range []*ech.Key{now, before} {
		for _, name := range []string{"open.test", "closed.test"} {
			config := s.client(name, key)
			config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			if name == "closed.test" {
				config.Certificates = s.identity()
			}
			for i := range 3 {
				state, err := s.dial(config)
				if err != nil || s.err != nil {
					t.Fatalf("%s: %v, %v", name, err, s.err)
				}
				want := strings.TrimSuffix(name, ".test")
				if !state.ECHAccepted || !s.last.ECHAccepted || s.last.ServerName != name || state.NegotiatedProtocol != want || state.DidResume != (i > 0) {
					t.Errorf("%s: accepted %v %v, name %q, ALPN %q, resumed %v", name, state.ECHAccepted, s.last.ECHAccepted, s.last.ServerName, state.NegotiatedProtocol, state.DidResume)
				}
				if err := state.PeerCertificates[0].VerifyHostname(name); err != nil {
					t.Error(err)
				}
				if (s.last.Peer != nil) != (name == "closed.test") {
					t.Errorf("%s: the client's certificate is %v", name, s.last.Peer)
				}
			}
		}
	}
}

// A HelloRetryRequest goes between two hellos that are both encrypted.
func TestEncryptedHelloRetried(t *testing.T) {
	key := newECH(t)
	s := newSecret(t, key)
	own, _ := s.config.Domains.Find("open.test")
	own.Groups = []tls.CurveID{tls.CurveP384}
	state, err := s.dial(s.client("open.test", key))
	if err != nil || !state.ECHAccepted || !state.HelloRetryRequest || s.last.ServerName != "open.test" {
		t.Errorf("%v, %v, accepted %v", err, s.err, state.ECHAccepted)
	}
}

// What is refused for the inner name is told with its own alert.
func TestEncryptedHelloRefused(t *testing.T) {
	key := newECH(t)
	s := newSecret(t, key)
	s.config.StrictSNI = true
	for name, c := range map[string]struct {
		config *tls.Config
		alert  handshake.Alert
	}{
		"no certificate of the client": {s.client("closed.test", key), handshake.CertificateRequired},
		"a name that is not served":    {s.client("other.test", key), handshake.UnrecognizedName},
		"a name without TLS 1.3":       {s.client("old.test", key), handshake.ProtocolVersion},
	} {
		_, err := s.dial(c.config)
		if e, ok := errors.AsType[*handshake.Error](s.err); !ok || e.Alert != c.alert || !e.Sent {
			t.Errorf("%s: %v", name, s.err)
		}
		if err == nil || !strings.Contains(err.Error(), tls.AlertError(c.alert).Error()) {
			t.Errorf("%s: the client was told %v", name, err)
		}
	}
}

// A client with an old configuration gets a certificate for the public name, and the first key.
func TestEncryptedHelloToAnotherKey(t *testing.T) {
	now, before := newECH(t), newECH(t)
	s := newSecret(t, now, before)
	sameID, err := ech.New(publicName)
	for err == nil && sameID.List()[6] != now.List()[6] {
		sameID, err = ech.New(publicName)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, stale := range map[string]*ech.Key{"of another id": newECH(t), "of the same id": sameID} {
		_, err := s.dial(s.client("closed.test", stale))
		rejected, ok := errors.AsType[*tls.ECHRejectionError](err)
		if !ok {
			t.Fatalf("%s: %v, %v", name, err, s.err)
		}
		if !bytes.Equal(rejected.RetryConfigList, now.List()) {
			t.Errorf("%s: told of %x", name, rejected.RetryConfigList)
		}
		again := s.client("open.test", nil)
		again.EncryptedClientHelloConfigList = rejected.RetryConfigList
		if state, err := s.dial(again); err != nil || !state.ECHAccepted {
			t.Errorf("%s: the second try: %v", name, err)
		}
	}
	// Without keys there is nothing to tell.
	none := newSecret(t)
	_, err = none.dial(none.client("open.test", now))
	if rejected, ok := errors.AsType[*tls.ECHRejectionError](err); !ok || len(rejected.RetryConfigList) != 0 {
		t.Errorf("%v", err)
	}
}

// Clients that know nothing of it are served by the name in the clear, those of TLS 1.2 too.
func TestPlainHelloBesideEncrypted(t *testing.T) {
	s := newSecret(t, newECH(t))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, name := range []string{"open.test", publicName} {
			config := s.client(name, nil)
			config.MaxVersion = version
			state, err := s.dial(config)
			if err != nil || state.Version != version || state.ECHAccepted || s.last.ECHAccepted || s.last.ServerName != name {
				t.Errorf("%s, %s: %v, %v", tls.VersionName(version), name, err, s.err)
			}
		}
	}
	if state, err := s.dial(s.client("old.test", nil)); err != nil || state.Version != tls.VersionTLS12 {
		t.Errorf("%v, %v", err, s.err)
	}
}

// GREASE (RFC 9849 section 6.2) is answered as if it was not there, and with configurations
// that such clients do not look at. crypto/tls's client sends none, so hellos are made by hand.
func TestGREASEHello(t *testing.T) {
	key := newECH(t)
	s := newSecret(t, key)
	id := key.List()[6]
	for name, c := range map[string]struct {
		suite [4]byte
		id    byte
		size  int
	}{
		"another id":         {[4]byte{0, 1, 0, 1}, id + 1, 32},
		"the id of a key":    {[4]byte{0, 1, 0, 1}, id, 32},
		"an unknown KDF":     {[4]byte{0, 9, 0, 1}, id, 32},
		"an unknown AEAD":    {[4]byte{0, 1, 0x7f, 0xff}, id, 32},
		"a short public key": {[4]byte{0, 1, 0, 1}, id, 1},
	} {
		extension := slices.Concat([]byte{0}, c.suite[:], []byte{c.id, 0, byte(c.size)}, bytes.Repeat([]byte{9}, c.size), []byte{0, 144}, bytes.Repeat([]byte{7}, 144))
		if answer := s.answer(greased(t, "open.test", extension)); len(answer) < 6 || answer[0] != 22 || answer[5] != 2 {
			t.Errorf("%s: answered with %x, %v", name, answer[:min(len(answer), 8)], s.err)
		}
	}
	// Malformed ones are refused, whether keys are there or not.
	for _, config := range []*ech.Keys{s.config.ECH, nil} {
		s.config.ECH = config
		for n := range 12 {
			answer := s.answer(greased(t, "open.test", []byte{0, 0, 1, 0, 1, id, 0, 2, 9, 9, 0, 1, 7}[:n+1]))
			if len(answer) != 7 || answer[0] != 21 || answer[6] != 50 {
				t.Errorf("%d bytes: answered with %x, %v", n+1, answer[:min(len(answer), 8)], s.err)
			}
		}
	}
}

// answer is what a server writes to a client that sends one record.
func (s *secret) answer(record []byte) []byte {
	near, far := net.Pipe()
	deadline := time.Now().Add(20 * time.Second)
	near.SetDeadline(deadline)
	far.SetDeadline(deadline)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		_, s.err = s.serve(far)
		if e, ok := errors.AsType[*hello.Error](s.err); ok {
			far.Write(Alert(handshake.Alert(e.Alert), false))
		}
	}()
	var first [512]byte
	go near.Write(record)
	n, _ := near.Read(first[:])
	near.Close()
	<-done
	return first[:n]
}

// greased is the record of a ClientHello of crypto/tls with one extension more.
func greased(t *testing.T, name string, extension []byte) []byte {
	t.Helper()
	near, far := net.Pipe()
	client := tls.Client(near, &tls.Config{ServerName: name, CurvePreferences: []tls.CurveID{tls.X25519}})
	go client.Handshake()
	header := make([]byte, 5)
	if _, err := io.ReadFull(far, header); err != nil {
		t.Fatal(err)
	}
	msg := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(far, msg); err != nil {
		t.Fatal(err)
	}
	near.Close()
	far.Close()
	var h hello.ClientHello
	if err := h.Parse(msg); err != nil {
		t.Fatal(err)
	}
	more := slices.Concat([]byte{0xfe, 0x0d, byte(len(extension) >> 8), byte(len(extension))}, extension)
	at := len(msg) - len(h.Extensions) - 2
	all := slices.Concat(more, h.Extensions)
	msg = slices.Concat(msg[:at], []byte{byte(len(all) >> 8), byte(len(all))}, all)
	msg[1], msg[2], msg[3] = 0, byte((len(msg)-4)>>8), byte(len(msg)-4)
	if err := new(hello.ClientHello).Parse(msg); err != nil {
		t.Fatal(fmt.Errorf("the hello that was made: %w", err))
	}
	return slices.Concat([]byte{22, 3, 1, byte(len(msg) >> 8), byte(len(msg))}, msg)
}
