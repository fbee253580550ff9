package std

import (
	"bytes"
	"crypto/tls"
	"testing"
)

var messages = [][]byte{
	[]byte("GET / HTTP/1.1\r\n\r\n"),
	bytes.Repeat([]byte("0123456789abcdef"), 100),
	bytes.Repeat([]byte{0}, 1<<14),
	bytes.Repeat([]byte("large"), 100_000),
}

// A variant is a version and suite, made to be chosen by what the crypto/tls side offers.
type variant struct {
	name    string
	version uint16
	suite   uint16
	rsa     bool
}

func variants() []variant {
	v := []variant{{"TLS 1.3", tls.VersionTLS13, 0, false}}
	for _, id := range suites12 {
		name := tls.CipherSuiteName(id)
		v = append(v, variant{name, tls.VersionTLS12, id, bytes.Contains([]byte(name), []byte("RSA"))})
	}
	return append(v,
		variant{"RSA AES128", tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256, true},
		variant{"RSA AES256", tls.VersionTLS12, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, true})
}

func (v variant) limit(c *tls.Config) *tls.Config {
	c.MinVersion, c.MaxVersion = v.version, v.version
	if v.suite != 0 {
		c.CipherSuites = []uint16{v.suite}
	}
	return c
}

func TestServer(t *testing.T) {
	ca := newAuthority(t)
	certificates := map[bool]tls.Certificate{true: ca.issue(t, true), false: ca.issue(t, false)}
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			client, server := pair(t)
			config := v.limit(&tls.Config{
				Certificates: []tls.Certificate{certificates[v.rsa]}, NextProtos: []string{"h2", "http/1.1"},
			})
			config.SetSessionTicketKeys([][32]byte{{1}})
			cache := tls.NewLRUClientSessionCache(1)
			for i, resumed := range []bool{false, true, true} {
				if i > 0 {
					client, server = pair(t)
				}
				peer := tls.Client(client, &tls.Config{
					RootCAs: ca.pool, ServerName: testName, NextProtos: []string{"http/1.1"},
					MinVersion: v.version, MaxVersion: v.version, ClientSessionCache: cache, CipherSuites: config.CipherSuites,
				})
				done := make(chan error, 1)
				go func() { done <- peer.Handshake() }()
				result, err := Server(server, config, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				state := peer.ConnectionState()
				if result.Version != state.Version || result.Suite != state.CipherSuite || result.Protocol != "http/1.1" ||
					result.ServerName != testName || result.Resumed != state.DidResume || result.Group != uint16(state.CurveID) {
					t.Fatalf("result %+v", result)
				}
				if result.Resumed != resumed {
					t.Fatalf("connection %d: resumed is %v", i, result.Resumed)
				}
				if i == 1 { // each byte by itself
					exchange(t, peer, &secured{Conn: dripping{server}, Result: result}, messages[:2]...)
					continue
				}
				exchange(t, peer, &secured{Conn: server, Result: result, migrate: i == 2}, messages...)
			}
		})
	}
}

func TestClient(t *testing.T) {
	ca := newAuthority(t)
	certificates := map[bool]tls.Certificate{true: ca.issue(t, true), false: ca.issue(t, false)}
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			server := v.limit(&tls.Config{
				Certificates: []tls.Certificate{certificates[v.rsa]}, NextProtos: []string{"h2", "http/1.1"},
			})
			config := v.limit(&tls.Config{
				RootCAs: ca.pool, ServerName: testName, NextProtos: []string{"http/1.1"},
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			})
			for i, resumed := range []bool{false, true, true} {
				near, far := pair(t)
				peer := tls.Server(far, server)
				done := make(chan error, 1)
				go func() { done <- peer.Handshake() }()
				result, err := Client(near, config, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				state := peer.ConnectionState()
				if result.Version != state.Version || result.Suite != state.CipherSuite || result.Protocol != "http/1.1" ||
					result.ServerName != testName || result.Resumed != state.DidResume || result.Group != uint16(state.CurveID) ||
					!result.PeerVerified || !bytes.Equal(result.PeerChain[0], certificates[v.rsa].Certificate[0]) {
					t.Fatalf("result %+v", result)
				}
				if result.Resumed != resumed {
					t.Fatalf("connection %d: resumed is %v", i, result.Resumed)
				}
				exchange(t, &secured{Conn: near, Result: result, migrate: i == 2}, peer, messages...)
			}
		})
	}
}
