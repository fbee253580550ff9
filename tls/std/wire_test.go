package std

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// A dripping connection gives one byte a read.
type dripping struct{ net.Conn }

func (d dripping) Read(p []byte) (int, error) { return d.Conn.Read(p[:min(1, len(p))]) }

// A splitter writes unprotected handshake records in pieces, as records of their own.
type splitter struct {
	net.Conn
	piece     int
	protected bool
}

func (s *splitter) Write(p []byte) (int, error) {
	var out []byte
	for rest := p; len(rest) > 0; {
		n := record.HeaderSize + int(binary.BigEndian.Uint16(rest[3:]))
		rec := rest[:n]
		rest = rest[n:]
		s.protected = s.protected || rec[0] == record.TypeChangeCipherSpec
		if rec[0] != record.TypeHandshake || s.protected {
			out = append(out, rec...)
			continue
		}
		for body := rec[record.HeaderSize:]; len(body) > 0; {
			m := min(s.piece, len(body))
			out = append(out, rec[0], rec[1], rec[2], 0, byte(m))
			out = append(out, body[:m]...)
			body = body[m:]
		}
	}
	_, err := s.Conn.Write(out)
	return len(p), err
}

// However the handshake arrives, the connection is taken over at its right byte, with data
// behind it that was there all the time.
func TestFragments(t *testing.T) {
	ca := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, false)}}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, piece := range []int{20, 39, 255} {
			client := &tls.Config{RootCAs: ca.pool, ServerName: testName, MaxVersion: version}
			near, far := newPipe()
			done := make(chan error, 1)
			go func() {
				peer := tls.Client(&splitter{Conn: far, piece: piece}, client)
				_, err := peer.Write([]byte("at once")) // right behind its Finished
				done <- err
			}()
			result, err := Server(dripping{near}, server, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			expect(t, &secured{Conn: near, Result: result}, "at once")

			near, far = newPipe()
			go func() {
				peer := tls.Server(&splitter{Conn: far, piece: piece}, &tls.Config{Certificates: server.Certificates, MaxVersion: version})
				_, err := peer.Write([]byte("at once"))
				done <- err
			}()
			if result, err = Client(dripping{near}, client, Options{}); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			expect(t, &secured{Conn: near, Result: result}, "at once")
		}
	}
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
}

// A handshake that is cut at any byte of the client's ends in the error of the connection.
func TestServerCut(t *testing.T) {
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, false)}}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := &tls.Config{RootCAs: ca.pool, ServerName: testName, MaxVersion: version}
		complete := false
		for cut := 0; !complete; cut++ {
			near, far := newPipe()
			go tls.Client(far, client).Handshake()
			_, err := Server(&cutOff{near, cut}, config, Options{})
			far.Close()
			if complete = err == nil; !complete && err != io.EOF {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if cut > 2000 {
				t.Fatal("it never ends")
			}
		}
	}
}

// A cutOff connection ends after some bytes.
type cutOff struct {
	net.Conn
	left int
}

func (c *cutOff) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

// Session tickets of a size that needs several records, after client certificates, or none.
func TestServerTickets(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue(t, false)
	for _, c := range []struct {
		name   string
		ticket int // bytes; 0 for those of crypto/tls, -1 for none
		auth   tls.ClientAuthType
	}{
		{"none", -1, 0}, {"none, with a client certificate", -1, tls.RequireAnyClientCert},
		{"one", 0, 0}, {"one, with a client certificate", 0, tls.RequireAnyClientCert},
		{"20 KB", 20_000, 0}, {"60 KB", 60_000, tls.RequireAnyClientCert},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: c.auth, SessionTicketsDisabled: c.ticket < 0}
			if c.ticket > 0 {
				config.WrapSession = func(tls.ConnectionState, *tls.SessionState) ([]byte, error) { return make([]byte, c.ticket), nil }
				config.UnwrapSession = func([]byte, tls.ConnectionState) (*tls.SessionState, error) { return nil, nil }
			}
			near, far := pair(t)
			peer := tls.Client(far, &tls.Config{
				RootCAs: ca.pool, ServerName: testName, Certificates: []tls.Certificate{certificate},
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			})
			done := make(chan error, 1)
			go func() { done <- peer.Handshake() }()
			result, err := Server(near, config, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if (c.auth != 0) != (len(result.PeerChain) == 1 && bytes.Equal(result.PeerChain[0], certificate.Certificate[0])) || result.PeerVerified {
				t.Fatalf("peer chain of %d, verified %v", len(result.PeerChain), result.PeerVerified)
			}
			exchange(t, peer, &secured{Conn: near, Result: result}, messages[:2]...)
		})
	}
}

// A message that the peer puts behind its Finished, in the same record, would be lost.
func TestBehindFinished(t *testing.T) {
	w := &wire{log: &keyLog{master: make([]byte, 48)}}
	suite := tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
	for range 2 {
		w.in.note([]byte{record.TypeChangeCipherSpec, 3, 3, 0, 1})
		w.out.note([]byte{record.TypeChangeCipherSpec, 3, 3, 0, 1})
	}
	w.in.note([]byte{record.TypeHandshake, 3, 3, 0, finishedSize + 24 + 4})
	copy(w.out.hello.b[39:], []byte{byte(suite >> 8), byte(suite)})
	w.out.hello.n = 41
	if _, _, err := w.halves12(suite); err != errAfterFinished {
		t.Fatal(err)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []*tls.Config{
		{MaxVersion: tls.VersionTLS11},
		{CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}},
		{CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}},
		{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }},
	} {
		if Check(c) == nil {
			t.Errorf("%v is taken", c)
		}
	}
	if err := Check(&tls.Config{CipherSuites: suites12, MinVersion: tls.VersionTLS12}); err != nil {
		t.Error(err)
	}
}

// The key log of a caller gets what crypto/tls writes, and a deadline of the connection is the
// error.
func TestKeyLogAndDeadline(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue(t, false)
	near, far := pair(t)
	var ours, theirs bytes.Buffer
	go tls.Client(far, &tls.Config{RootCAs: ca.pool, ServerName: testName, KeyLogWriter: &theirs}).Handshake()
	chosen := false
	_, err := Server(near, &tls.Config{}, Options{KeyLog: &ours, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		chosen = hello.ServerName == testName
		return &certificate, nil
	}})
	if err != nil || !chosen {
		t.Fatal(err, chosen)
	}
	if lines := bytes.Count(ours.Bytes(), []byte("\n")); lines != 4 || !bytes.Contains(ours.Bytes(), []byte("SERVER_TRAFFIC_SECRET_0 ")) {
		t.Fatalf("%d lines", lines)
	}
	near, _ = pair(t)
	near.SetDeadline(time.Unix(1, 0))
	_, err = Server(near, &tls.Config{Certificates: []tls.Certificate{certificate}}, Options{})
	if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*handshake.Error](err); ok {
		t.Fatal("a deadline is not the handshake's error")
	}
}
