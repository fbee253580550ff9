package tlcp

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
)

// resumable are configs with caches on both sides.
func resumable(t testing.TB) (*ServerConfig, *ClientConfig) {
	t.Helper()
	server, client := configs(t)
	server.Sessions, client.Sessions = NewCache(64, time.Hour), NewCache(64, time.Hour)
	return server, client
}

func TestResumption(t *testing.T) {
	for _, suite := range Suites() {
		for _, mutual := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s mutual=%v", SuiteName(suite), mutual), func(t *testing.T) {
				server, client := resumable(t)
				client.Suites = []uint16{suite}
				client.Certificate = pki(t).client
				if mutual {
					server.ClientAuth = ClientAuthRequire
				}
				server.Protocols, client.Protocols = []string{"h2", "http/1.1"}, []string{"http/1.1"}
				if o := succeed(t, server, client); o.client.Resumed || o.server.Resumed {
					t.Fatal("resumed nothing")
				}
				client.Protocols = []string{"h2"} // is chosen anew (RFC 7301 §3.1)
				for range 2 {
					o := succeed(t, server, client)
					if !o.client.Resumed || !o.server.Resumed || o.client.Suite != suite || o.server.Suite != suite {
						t.Fatalf("%+v, %+v", o.client, o.server)
					}
					if o.client.Protocol != "h2" || o.server.Protocol != "h2" || o.server.ServerName != "server.test" {
						t.Errorf("%+v, %+v", o.client, o.server)
					}
					if !sameChain(o.client.PeerChain, pki(t).server.Chain) || !o.client.PeerVerified {
						t.Error("the server's chain is lost")
					}
					if sameChain(o.server.PeerChain, pki(t).client.Chain) != mutual || o.server.PeerVerified != mutual {
						t.Error("the client's chain is lost")
					}
				}
			})
		}
	}
}

// What changed between two connections decides whether the second one may resume.
func TestNoResumption(t *testing.T) {
	for name, change := range map[string]func(*ServerConfig, *ClientConfig){
		"the server forgot":        func(s *ServerConfig, _ *ClientConfig) { s.Sessions = NewCache(64, time.Hour) },
		"the server keeps nothing": func(s *ServerConfig, _ *ClientConfig) { s.Sessions = nil },
		"the client forgot":        func(_ *ServerConfig, c *ClientConfig) { c.Sessions = NewCache(64, time.Hour) },
		"another domain":           func(s *ServerConfig, _ *ClientConfig) { s.Context = "another" },
		"too old":                  func(s *ServerConfig, _ *ClientConfig) { s.Time = later(90 * time.Minute) },
		"too old for the client":   func(_ *ServerConfig, c *ClientConfig) { c.Time = later(90 * time.Minute) },
		"the suite is off":         func(s *ServerConfig, _ *ClientConfig) { s.Suites = []uint16{ECC_SM4_CBC_SM3} },
		"the suite is not offered": func(_ *ServerConfig, c *ClientConfig) { c.Suites = []uint16{ECC_SM4_CBC_SM3} },
		"certificates are wanted":  func(s *ServerConfig, _ *ClientConfig) { s.ClientAuth = ClientAuthRequire },
		"another name to verify":   func(_ *ServerConfig, c *ClientConfig) { c.VerifyName = "other.test" },
		"another name to send": func(_ *ServerConfig, c *ClientConfig) {
			c.SessionKey, c.ServerName, c.VerifyName = "server.test", "other.test", "server.test"
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := resumable(t)
			client.Certificate = pki(t).client
			server.Certificate = pairFor(t, pki(t).ca, "server.test", "other.test")
			if o := succeed(t, server, client); o.server.Resumed {
				t.Fatal("resumed nothing")
			}
			change(server, client)
			if o := succeed(t, server, client); o.server.Resumed || o.client.Resumed {
				t.Error("resumed")
			}
		})
	}
}

func later(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }

// pairFor is a pair for several names.
func pairFor(t testing.TB, ca *testCA, names ...string) *Certificate {
	t.Helper()
	edit := func(c *smx509.Certificate) { c.DNSNames = names }
	sign, signKey := ca.issue(t, names[0], signUsage, edit)
	encrypt, encryptKey := ca.issue(t, names[0], encryptUsage, edit)
	return &Certificate{Chain: [][]byte{sign, encrypt}, Sign: signKey, Encrypt: encryptKey}
}

func TestUnverifiedSessionIsNotTaken(t *testing.T) {
	server, client := resumable(t)
	client.Insecure = true
	succeed(t, server, client)
	if o := succeed(t, server, client); !o.client.Resumed || o.client.PeerVerified {
		t.Fatalf("%+v", o.client)
	}
	client.Insecure = false
	if o := succeed(t, server, client); o.client.Resumed || !o.client.PeerVerified {
		t.Fatalf("%+v", o.client)
	}
}

// The last word is asked for in resumed handshakes too: a certificate may have been revoked.
func TestLastWordOnResumption(t *testing.T) {
	revoked := errors.New("revoked")
	for _, side := range []string{"server", "client"} {
		t.Run(side, func(t *testing.T) {
			server, client := resumable(t)
			server.ClientAuth, client.Certificate = ClientAuthRequire, pki(t).client
			var asked int
			var answer error
			ask := func(chain []*smx509.Certificate) error {
				asked++
				if len(chain) != 2 {
					t.Errorf("asked about %d certificates", len(chain))
				}
				return answer
			}
			if side == "server" {
				server.VerifyPeer = ask
			} else {
				client.VerifyPeer = ask
			}
			succeed(t, server, client)
			if o := succeed(t, server, client); !o.server.Resumed || asked != 2 {
				t.Fatalf("resumed %v, asked %d times", o.server.Resumed, asked)
			}
			answer = revoked
			o := shake(t, server, client)
			fails(t, o, side, handshake.BadCertificate)
			answer = nil
			if o := succeed(t, server, client); o.server.Resumed {
				t.Error("the session outlived a failure")
			}
			answer = handshake.Errorf(handshake.CertificateRevoked, "revoked")
			fails(t, shake(t, server, client), side, handshake.CertificateRevoked)
		})
	}
}

func TestClientRefusesAnotherSuiteOnResumption(t *testing.T) {
	server, client := resumable(t)
	succeed(t, server, client)
	session := client.Sessions.Load("server.test", time.Now())
	server.Sessions.Load(string(session.id), time.Now()).suite = ECC_SM4_CBC_SM3
	fails(t, shake(t, server, client), "client", handshake.IllegalParameter)
}

func TestWrongMasterSecretEndsTheSession(t *testing.T) {
	server, client := resumable(t)
	succeed(t, server, client)
	client.Sessions.Load("server.test", time.Now()).master[0] ^= 1
	fails(t, shake(t, server, client), "client", handshake.BadRecordMAC)
	if o := succeed(t, server, client); o.server.Resumed {
		t.Error("the session outlived a failure")
	}
}

// A connection that the network ends says nothing against its session.
func TestSessionSurvivesTheNetwork(t *testing.T) {
	server, client := resumable(t)
	succeed(t, server, client)
	for _, side := range []string{"client", "server"} {
		o := cutOnce(t, server, client, side, &cutter{record: 1, keep: 3, stop: true})
		if err := map[string]error{"client": o.serverErr, "server": o.clientErr}[side]; err != io.ErrUnexpectedEOF {
			t.Fatalf("cut by the %s: %v", side, err)
		}
	}
	if o := succeed(t, server, client); !o.server.Resumed {
		t.Error("the session is lost")
	}
}

func TestCache(t *testing.T) {
	now := time.Now()
	cache := NewCache(32, time.Minute)
	for i := range 1000 {
		cache.Store(strconv.Itoa(i), &Session{created: now})
	}
	if n := cache.Len(); n > 32 {
		t.Errorf("%d sessions in a cache for 32", n)
	}
	cache = NewCache(1, time.Minute) // one a shard
	for i := range 1000 {
		cache.Store(strconv.Itoa(i), &Session{created: now})
	}
	if n := cache.Len(); n != cacheShards {
		t.Errorf("%d sessions", n)
	}

	cache = NewCache(3*cacheShards, time.Minute)
	shard := cache.shard("a")
	var keys []string // four that share a shard for three
	for i := 0; len(keys) < 4; i++ {
		if key := strconv.Itoa(i); cache.shard(key) == shard {
			keys = append(keys, key)
		}
	}
	for _, key := range keys[:3] {
		cache.Store(key, &Session{created: now})
	}
	cache.Load(keys[0], now)
	cache.Store(keys[3], &Session{created: now})
	for i, want := range []bool{true, false, true, true} {
		if got := cache.Load(keys[i], now) != nil; got != want {
			t.Errorf("key %d is kept: %v", i, got)
		}
	}
	replaced := &Session{created: now}
	cache.Store(keys[0], replaced)
	if cache.Load(keys[0], now) != replaced || cache.Len() != 3 {
		t.Error("not replaced")
	}
	if cache.Load(keys[0], now.Add(time.Minute+1)) != nil || cache.Len() != 2 {
		t.Error("an old session is kept")
	}
	cache.Remove(keys[2])
	cache.Remove("unknown")
	if cache.Load(keys[2], now) != nil || cache.Len() != 1 {
		t.Error("not removed")
	}
}

func TestCacheIsShared(t *testing.T) {
	cache := NewCache(64, time.Minute)
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for i := range 500 {
				key := strconv.Itoa((i * (w + 1)) % 100)
				cache.Store(key, &Session{created: time.Now()})
				cache.Load(key, time.Now())
				if i%7 == 0 {
					cache.Remove(key)
				}
			}
		})
	}
	workers.Wait()
	if cache.Len() > 64 {
		t.Error("too many")
	}
}

func TestSessionsAreNotPrinted(t *testing.T) {
	s := &Session{master: []byte("the master secret"), id: []byte("id")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, s); got != "TLCP session" {
			t.Errorf("%s prints %q", verb, got)
		}
		if got := fmt.Sprintf(verb, []*Session{s}); got != "[TLCP session]" && verb != "%#v" {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}
