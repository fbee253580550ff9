package std

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// handshakes runs both sides and gives both errors.
func handshakes(t *testing.T, near, far net.Conn, ours func(net.Conn) error, theirs func(net.Conn) error) (our, their error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		err := theirs(far)
		if err != nil { // it closes; otherwise it waits for what we say
			far.Close()
		}
		done <- err
	}()
	our = ours(near)
	near.Close()
	return our, <-done
}

// What a server refuses, it refuses with an alert that it knows of and the client gets.
func TestServerRefuses(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue(t, false)
	for _, c := range []struct {
		name           string
		server, client *tls.Config
		alert          handshake.Alert
	}{
		{"version", &tls.Config{MinVersion: tls.VersionTLS13}, &tls.Config{MaxVersion: tls.VersionTLS12}, handshake.ProtocolVersion},
		{"suite", &tls.Config{}, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, handshake.HandshakeFailure},
		{"group", &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}}, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, handshake.HandshakeFailure},
		{"ALPN", &tls.Config{NextProtos: []string{"h2"}}, &tls.Config{NextProtos: []string{"mail"}}, handshake.NoApplicationProtocol},
		{"ALPN in 1.2", &tls.Config{NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12}, &tls.Config{NextProtos: []string{"mail"}}, handshake.NoApplicationProtocol},
		{"certificate wanted", &tls.Config{ClientAuth: tls.RequireAnyClientCert}, &tls.Config{}, handshake.CertificateRequired},
		{"certificate wanted in 1.2", &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, &tls.Config{}, handshake.HandshakeFailure},
		{"certificate untrusted", &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: newAuthority(t).pool},
			&tls.Config{Certificates: []tls.Certificate{certificate}}, handshake.UnknownCA},
		{"refused when verified", &tls.Config{VerifyConnection: func(tls.ConnectionState) error { return errors.New("no") }}, &tls.Config{}, handshake.BadCertificate},
		{"refused for a reason", &tls.Config{VerifyConnection: revoked}, &tls.Config{}, handshake.CertificateRevoked},
		{"refused for a reason in 1.2", &tls.Config{VerifyConnection: revoked, MaxVersion: tls.VersionTLS12}, &tls.Config{}, handshake.CertificateRevoked},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := pair(t)
			server, client := c.server.Clone(), c.client.Clone()
			server.Certificates = []tls.Certificate{certificate}
			client.RootCAs, client.ServerName = ca.pool, testName
			if c.name == "certificate untrusted" { // sent although the server does not ask for its authority
				client.Certificates = nil
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }
			}
			our, their := handshakes(t, near, far, func(conn net.Conn) error {
				_, err := Server(conn, server, Options{})
				return err
			}, func(conn net.Conn) error {
				peer := tls.Client(conn, client)
				if err := peer.Handshake(); err != nil {
					return err
				}
				_, err := peer.Read(make([]byte, 1)) // in TLS 1.3 the server may refuse later
				return err
			})
			wantAlert(t, our, &handshake.Error{Alert: c.alert, Sent: true})
			if their == nil || !strings.Contains(their.Error(), tls.AlertError(c.alert).Error()) {
				t.Errorf("the client got %v", their)
			}
		})
	}
}

func revoked(tls.ConnectionState) error {
	return handshake.Errorf(handshake.CertificateRevoked, "revoked")
}

func wantAlert(t *testing.T, err error, want *handshake.Error) {
	t.Helper()
	e, ok := errors.AsType[*handshake.Error](err)
	if !ok || e.Alert != want.Alert || e.Sent != want.Sent || e.Received != want.Received || (e.Cause == nil) != e.Received {
		t.Fatalf("%#v, want %#v", err, want)
	}
}

func TestClientRefuses(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue(t, false)
	for _, c := range []struct {
		name           string
		client, server *tls.Config
		want           *handshake.Error
	}{
		{"authority", &tls.Config{RootCAs: newAuthority(t).pool}, &tls.Config{}, &handshake.Error{Alert: handshake.BadCertificate, Sent: true}},
		{"authority in 1.2", &tls.Config{RootCAs: newAuthority(t).pool}, &tls.Config{MaxVersion: tls.VersionTLS12}, &handshake.Error{Alert: handshake.BadCertificate, Sent: true}},
		{"name", &tls.Config{ServerName: "another.test"}, &tls.Config{}, &handshake.Error{Alert: handshake.BadCertificate, Sent: true}},
		{"revoked", &tls.Config{VerifyConnection: revoked}, &tls.Config{}, &handshake.Error{Alert: handshake.CertificateRevoked, Sent: true}},
		{"revoked in 1.2", &tls.Config{VerifyConnection: revoked}, &tls.Config{MaxVersion: tls.VersionTLS12}, &handshake.Error{Alert: handshake.CertificateRevoked, Sent: true}},
		{"refused by the server", &tls.Config{NextProtos: []string{"mail"}}, &tls.Config{NextProtos: []string{"h2"}}, &handshake.Error{Alert: handshake.NoApplicationProtocol, Received: true}},
		{"version", &tls.Config{MaxVersion: tls.VersionTLS12}, &tls.Config{MinVersion: tls.VersionTLS13}, &handshake.Error{Alert: handshake.ProtocolVersion, Received: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := pair(t)
			server, client := c.server.Clone(), c.client.Clone()
			server.Certificates = []tls.Certificate{certificate}
			if client.RootCAs == nil {
				client.RootCAs = ca.pool
			}
			if client.ServerName == "" {
				client.ServerName = testName
			}
			our, their := handshakes(t, near, far, func(conn net.Conn) error {
				_, err := Client(conn, client, Options{})
				return err
			}, func(conn net.Conn) error { return tls.Server(conn, server).Handshake() })
			wantAlert(t, our, c.want)
			if c.want.Sent && (their == nil || !strings.Contains(their.Error(), tls.AlertError(c.want.Alert).Error())) {
				t.Errorf("the server got %v", their)
			}
		})
	}
}

// The server learns why a client ended.
func TestServerIsRefused(t *testing.T) {
	ca := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		near, far := pair(t)
		config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, false)}, MaxVersion: version}
		our, _ := handshakes(t, near, far, func(conn net.Conn) error {
			_, err := Server(conn, config, Options{})
			return err
		}, func(conn net.Conn) error {
			return tls.Client(conn, &tls.Config{ServerName: testName, RootCAs: newAuthority(t).pool}).Handshake()
		})
		wantAlert(t, our, &handshake.Error{Alert: handshake.BadCertificate, Received: true})
	}
}

// A client that does not trust the certificate may say so in the clear: OpenSSL's does.
func TestServerIsRefusedInTheClear(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue(t, false)
	near, far := pair(t)
	defer near.Close()
	defer far.Close()
	go func() {
		buf := make([]byte, 64<<10)
		tls.Client(&teller{Conn: far, told: []byte{21, 3, 3, 0, 2, 2, byte(handshake.UnknownCA)}}, &tls.Config{ServerName: testName, RootCAs: ca.pool}).Read(buf)
	}()
	_, err := Server(near, &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true}, Options{})
	wantAlert(t, err, &handshake.Error{Alert: handshake.UnknownCA, Received: true})
}

// A teller sends its first write, and another thing in place of the second.
type teller struct {
	net.Conn
	told   []byte
	writes int
}

func (c *teller) Write(p []byte) (int, error) {
	if c.writes++; c.writes == 1 {
		return c.Conn.Write(p)
	}
	_, err := c.Conn.Write(c.told)
	c.told = nil
	return len(p), err
}

// A conn that ends says so itself.
func TestServerConnectionEnds(t *testing.T) {
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, false)}}
	for _, sent := range []string{"", "\x16\x03\x01", "\x16\x03\x01\x00\x10\x01"} {
		near, far := newPipe()
		far.Write([]byte(sent))
		far.Close()
		_, err := Server(near, config, Options{})
		if err != io.EOF {
			t.Errorf("after %q: %v", sent, err)
		}
	}
}

// A client's Finished, or what it sends in its place, is changed on the way: in both versions
// the server's alert is protected by then.
func TestServerAlertProtected(t *testing.T) {
	ca := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, false)}, MaxVersion: version}
		cache := tls.NewLRUClientSessionCache(1)
		for _, resumed := range []bool{false, true} {
			near, far := pair(t)
			client := &tls.Config{ServerName: testName, RootCAs: ca.pool, ClientSessionCache: cache}
			our, their := handshakes(t, near, far, func(conn net.Conn) error {
				_, err := Server(&spoiler{Conn: conn, on: resumed}, config, Options{})
				if err == nil {
					conn.Write(make([]byte, 1)) // anything; the client has its ticket
				}
				return err
			}, func(conn net.Conn) error {
				peer := tls.Client(conn, client)
				if err := peer.Handshake(); err != nil {
					return err
				}
				_, err := peer.Read(make([]byte, 1))
				return err
			})
			if !resumed {
				if our != nil {
					t.Fatal(our)
				}
				continue
			}
			wantAlert(t, our, &handshake.Error{Alert: handshake.BadRecordMAC, Sent: true})
			if !strings.Contains(their.Error(), tls.AlertError(handshake.BadRecordMAC).Error()) {
				t.Errorf("the client got %v", their)
			}
		}
	}
}

// A spoiler changes the last byte of the record after the peer's change_cipher_spec.
type spoiler struct {
	net.Conn
	on   bool
	head []byte // of the record under way
	ccs  bool
}

func (s *spoiler) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if !s.on {
		return n, err
	}
	if len(s.head) < record.HeaderSize {
		s.head = append(s.head, p[:n]...)
		return n, err
	}
	if s.ccs { // its whole body is read at once
		p[n-1] ^= 1
	}
	s.ccs = s.head[0] == record.TypeChangeCipherSpec
	s.head = nil
	return n, err
}
