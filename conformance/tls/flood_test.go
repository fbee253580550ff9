package tls_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// Floods of handshakes, beside streams that were there before: they go on, new
// clients get in, and nothing is left over.

// streams are established connections that ask one request after the other.
type streams struct {
	over   chan struct{}
	all    sync.WaitGroup
	mu     sync.Mutex
	took   []time.Duration
	faults []string
}

func (g *gateway) streams(t testing.TB, n int, config *tls.Config) *streams {
	s := &streams{over: make(chan struct{})}
	for range n {
		e, err := establish(g.Addr, config)
		check(t, err)
		e.raw.SetDeadline(time.Now().Add(2 * time.Minute))
		s.all.Go(func() {
			defer e.raw.Close()
			defer e.tls.Close()
			for {
				select {
				case <-s.over:
					return
				default:
				}
				began := time.Now()
				err := e.ask("/stream")
				s.mu.Lock()
				s.took = append(s.took, time.Since(began))
				if err != nil {
					s.faults = append(s.faults, err.Error())
				}
				s.mu.Unlock()
				if err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return s
}

// lap describes the requests since the last lap.
func (s *streams) lap() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := s.took
	s.took = nil
	if len(took) == 0 {
		return "no request"
	}
	slices.Sort(took)
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	return fmt.Sprintf("%d requests, p50 %v, p99 %v, longest %v", len(took), round(took[len(took)/2]), round(took[len(took)*99/100]), round(took[len(took)-1]))
}

func (s *streams) end(t testing.TB) {
	t.Helper()
	close(s.over)
	s.all.Wait()
	for _, fault := range s.faults {
		t.Error("an established stream: ", fault)
	}
}

func TestFlood(t *testing.T) {
	a := newAuthority(t, "root")
	g := serve(t, fmt.Sprintf("certs: [rsa, p256]\nhandshake_timeout: 8s\nmax_handshakes: %d\n", short(256, 1024)),
		a.issue("rsa", "rsa.test").secret("rsa")+a.issue("p256", "p256.test").secret("p256"))
	good(t, g, a)
	g.noLeak()
	config := &tls.Config{ServerName: "p256.test", RootCAs: a.roots()}
	s := g.streams(t, 4, config)
	memory := func() string {
		rss, err := g.RSS()
		check(t, err)
		return fmt.Sprintf("%d MiB", rss>>20)
	}
	n := short(300, 2000)
	time.Sleep(200 * time.Millisecond)
	t.Logf("quiet: %s, %s", s.lap(), memory())

	hello := newHello().record()
	flood := func(name string, sent []byte) {
		var held []net.Conn
		for range n {
			c, err := net.DialTimeout("tcp", g.Addr, harness.Patience)
			check(t, err)
			_, err = c.Write(sent)
			check(t, err)
			held = append(held, c)
		}
		for range 5 { // a new client is in before the others' time is over
			began := time.Now()
			good(t, g, a)
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("%s: a new client waits %v", name, took)
			}
		}
		time.Sleep(200 * time.Millisecond)
		t.Logf("%s, %d: %s, %s", name, n, s.lap(), memory())
		for _, c := range held {
			c.Close()
		}
	}
	flood("half a hello and silence", hello[:len(hello)/2])
	flood("a hello and silence", hello)

	// Each client tries again, as browsers do, when the gateway has ended its
	// connection: one whose answer takes longer than a second may lose its place to
	// others, and on a machine that is busy with all the clients some are that slow.
	var tries atomic.Int64
	var all sync.WaitGroup
	rsa := &tls.Config{ServerName: "rsa.test", RootCAs: a.roots()}
	for range n {
		all.Go(func() {
			var fault string
			for range 5 {
				tries.Add(1)
				if fault = request(g.Addr, rsa); fault == "" {
					return
				}
			}
			t.Error("a client among many: ", fault)
		})
	}
	all.Wait()
	t.Logf("full handshakes at once, %d in %d tries: %s, %s", n, tries.Load(), s.lap(), memory())
	s.end(t)
}

// When every place is taken by clients that say nothing more, a place is taken
// from one of them, also when nothing else happens.
func TestPlaces(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, "root")
	g := serve(t, "certs: [p256]\nhandshake_timeout: 1m\nmax_handshakes: 4\n", a.issue("p256", "p256.test").secret("p256"))
	good(t, g, a)
	g.noLeak()
	hello := newHello().record()
	for range 8 {
		c, err := net.DialTimeout("tcp", g.Addr, harness.Patience)
		check(t, err)
		defer c.Close()
		_, err = c.Write(hello)
		check(t, err)
	}
	// Each worker has two places, and up to 8 that wait before the client; one in a
	// place gives way after a second.
	began := time.Now()
	good(t, g, a)
	t.Logf("a client is in after %v", time.Since(began).Round(time.Millisecond))
}
