package tls13

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"slices"
	"testing"
	"time"
)

// plainTickets are no tickets to use: they hide nothing. They are open for tests to look at
// and to change.
type plainTickets struct{ refuse bool }

func (p *plainTickets) Seal(dst, content []byte, _ time.Time) ([]byte, error) {
	return append(dst, content...), nil
}

func (p *plainTickets) Open(ticket []byte, _ time.Time) ([]byte, bool, error) {
	if p.refuse {
		return nil, false, io.ErrUnexpectedEOF
	}
	return bytes.Clone(ticket), false, nil
}

// talk has a crypto/tls connection and our session say something to each other.
func talk(t testing.TB, theirs *tls.Conn, ours *outcome) {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		_, err := theirs.Write([]byte("from crypto/tls"))
		written <- err
	}()
	if got := ours.read(t, len("from crypto/tls")); got != "from crypto/tls" {
		t.Fatalf("it said %q", got)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	ours.write(t, "from us")
	buffer := make([]byte, len("from us"))
	if _, err := io.ReadFull(theirs, buffer); err != nil || string(buffer) != "from us" {
		t.Fatalf("%q, %v", buffer, err)
	}
}

// TestServerForGo is our server under crypto/tls's client.
func TestServerForGo(t *testing.T) {
	p := newNISTPair(t)
	for _, retry := range []bool{false, true} {
		for _, mutual := range []bool{false, true} {
			server := &ServerConfig{
				Certificate: &tls.Certificate{Certificate: p.server.Certificate, PrivateKey: p.server.PrivateKey, OCSPStaple: []byte("a staple")},
				Protocols:   []string{"h2", "http/1.1"},
				Tickets:     &plainTickets{},
				Time:        atNoon,
			}
			client := &tls.Config{
				ServerName:         "server.test",
				RootCAs:            p.theirs,
				MinVersion:         tls.VersionTLS13,
				CurvePreferences:   []tls.CurveID{tls.CurveP256},
				NextProtos:         []string{"spdy", "http/1.1"},
				ClientSessionCache: tls.NewLRUClientSessionCache(4),
				Time:               atNoon,
			}
			if retry {
				client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
			}
			if mutual {
				server.ClientAuth, server.ClientCAs = ClientAuthRequire, p.ours
				client.Certificates = []tls.Certificate{*p.client}
			}
			for _, resumed := range []bool{false, true, true} {
				near, far := newWire(t)
				theirs := tls.Client(near, client)
				done := make(chan error, 1)
				go func() { done <- theirs.Handshake() }()
				end := ended(far)(serve(far, server, choosing(nist())))
				if err := <-done; err != nil || end.err != nil {
					t.Fatalf("retry %v, mutual %v: client: %v, server: %v", retry, mutual, err, end.err)
				}
				talk(t, theirs, end)
				state := theirs.ConnectionState()
				if state.DidResume != resumed || end.result.Resumed != resumed || state.HelloRetryRequest != retry {
					t.Errorf("retry %v, mutual %v: resumed %v and %v, want %v; HelloRetryRequest %v",
						retry, mutual, state.DidResume, end.result.Resumed, resumed, state.HelloRetryRequest)
				}
				if state.NegotiatedProtocol != "http/1.1" || end.result.Protocol != "http/1.1" || string(state.OCSPResponse) != "a staple" {
					t.Errorf("ALPN %q and %q, staple %q", state.NegotiatedProtocol, end.result.Protocol, state.OCSPResponse)
				}
				if end.result.PeerVerified != mutual || mutual && !slices.EqualFunc(end.result.PeerChain, p.client.Certificate, bytes.Equal) {
					t.Errorf("mutual %v: the server verified %v: %d certificates", mutual, end.result.PeerVerified, len(end.result.PeerChain))
				}
			}
		}
	}
}

// TestClientForGo is our client with crypto/tls's server.
func TestClientForGo(t *testing.T) {
	p := newNISTPair(t)
	for _, retry := range []bool{false, true} {
		for _, mutual := range []bool{false, true} {
			client := &ClientConfig{
				ServerName: "server.test",
				Roots:      p.ours,
				Protocols:  []string{"h2", "http/1.1"},
				Sessions:   NewSessions(4),
				Time:       atNoon,
				holdShare:  retry,
			}
			server := &tls.Config{
				Certificates:     []tls.Certificate{{Certificate: p.server.Certificate, PrivateKey: p.server.PrivateKey, OCSPStaple: []byte("a staple")}},
				MinVersion:       tls.VersionTLS13,
				CurvePreferences: []tls.CurveID{tls.CurveP256},
				NextProtos:       []string{"http/1.1"},
				Time:             atNoon,
			}
			if mutual {
				client.Certificate = p.client
				server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, p.theirs
			}
			for _, resumed := range []bool{false, true, true} {
				near, far := newWire(t)
				theirs := tls.Server(far, server)
				done := make(chan error, 1)
				go func() { done <- theirs.Handshake() }()
				end := ended(near)(dial(near, client, nist()))
				if err := <-done; err != nil || end.err != nil {
					t.Fatalf("retry %v, mutual %v: client: %v, server: %v", retry, mutual, end.err, err)
				}
				talk(t, theirs, end)
				state := theirs.ConnectionState()
				if state.DidResume != resumed || end.result.Resumed != resumed {
					t.Errorf("retry %v, mutual %v: resumed %v and %v, want %v", retry, mutual, state.DidResume, end.result.Resumed, resumed)
				}
				if state.NegotiatedProtocol != "http/1.1" || end.result.Protocol != "http/1.1" || state.ServerName != "server.test" {
					t.Errorf("ALPN %q and %q, name %q", state.NegotiatedProtocol, end.result.Protocol, state.ServerName)
				}
				if got := string(end.result.OCSPStaple); resumed == (got == "a staple") {
					t.Errorf("resumed %v: staple %q", resumed, got)
				}
				if !end.result.PeerVerified || mutual != (len(state.VerifiedChains) > 0) {
					t.Errorf("mutual %v: the client verified %v, the server %d chains", mutual, end.result.PeerVerified, len(state.VerifiedChains))
				}
			}
		}
	}
}

// TestGoRefuses is what crypto/tls says to wrong clients and servers of ours, and what comes
// of it on our side.
func TestGoRefuses(t *testing.T) {
	p := newNISTPair(t)
	server := &tls.Config{Certificates: []tls.Certificate{*p.server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), Time: atNoon}
	near, far := newWire(t)
	theirs := tls.Server(far, server)
	done := make(chan error, 1)
	go func() { done <- theirs.Handshake() }()
	end := ended(near)(dial(near, &ClientConfig{ServerName: "server.test", Roots: p.ours, Certificate: p.client, Time: atNoon}, nist()))
	if end.err != nil {
		t.Fatal(end.err) // a TLS 1.3 client is done before the server has seen its certificate
	}
	if err := <-done; err == nil {
		t.Fatal("crypto/tls took a certificate of an unknown authority")
	}
	buffer := make([]byte, 4096)
	n, err := near.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := end.result.Session.Open(buffer[:n]); err == nil {
		t.Error("the session has not seen the alert")
	}
}
