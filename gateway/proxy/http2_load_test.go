package proxy

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/upstream/origintest"
)

// leaving are the connections of an endpoint that said GOAWAY.
type leaving struct{ conns sync.Map }

// goAway says that k is the last request that is processed on its connection.
func (l *leaving) goAway(k *origintest.Call) {
	if _, gone := l.conns.LoadOrStore(k.Conn, true); !gone {
		k.GoAway(k.ID)
	}
}

func (l *leaving) has(c net.Conn) bool {
	_, gone := l.conns.Load(c)
	return gone
}

// Endpoints that refuse streams and close connections by the protocol's rules
// while the cluster's settings change: no client notices anything.
func TestRefusalsUnderLoad(t *testing.T) {
	var gone leaving
	var calls, refused, left atomic.Int64
	serve := func(o *origintest.HTTP2) {
		o.Settings = []xhttp2.Setting{{ID: xhttp2.SettingMaxConcurrentStreams, Val: 8}}
		o.Do = func(k *origintest.Call) {
			n := calls.Add(1)
			switch {
			case gone.has(k.Conn): // above the last one
			case n%40 == 0: // rarely enough that no request is refused more often than it is repeated
				refused.Add(1)
				k.Reset(xhttp2.ErrCodeRefusedStream)
			case n%130 == 0:
				left.Add(1)
				gone.goAway(k)
				k.Answer()
			default:
				k.Answer()
			}
		}
	}
	a, b := origintest.NewHTTP2(t, serve), origintest.NewHTTP2(t, serve)
	s := overHTTP2(t, nil, a, b)
	var clients sync.WaitGroup
	var ended atomic.Bool
	clients.Go(func() { // settings that change
		for i := 1; !ended.Load(); i++ {
			next := *s.shared[0].Config()
			next.HTTP2.MaxStreams = 10 + i%2
			c := cluster.New(&next)
			c.Inherit(s.shared[0])
			s.shared[0] = c
			s.loop.Do(func() { s.up.Adopt([]*cluster.Cluster{c}) })
			time.Sleep(5 * time.Millisecond)
		}
	})
	var others sync.WaitGroup
	for range 30 {
		others.Go(func() {
			c := s.dial()
			defer c.Close()
			for range 40 {
				c.send("POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody")
				if resp, body := c.answer("POST"); resp.StatusCode != 200 || body != "hello" {
					t.Errorf("%d %q: %v", resp.StatusCode, body, s.record().Err)
				}
			}
		})
	}
	others.Wait()
	ended.Store(true)
	clients.Wait()
	if refused.Load() == 0 || left.Load() == 0 {
		t.Errorf("%d streams were refused, %d connections left", refused.Load(), left.Load())
	}
	s.quiet()
}

// Endpoints of HTTP/2 that do anything at any moment, with clients that do:
// every stream is logged once, and nothing is held afterwards.
func TestNothingIsHeldAfterChaosOverHTTP2(t *testing.T) {
	var gone leaving
	serve := func(seed uint64) func(o *origintest.HTTP2) {
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(3, seed))
		return func(o *origintest.HTTP2) {
			o.Settings = []xhttp2.Setting{{ID: xhttp2.SettingMaxConcurrentStreams, Val: 5}}
			o.Do = func(k *origintest.Call) {
				mu.Lock()
				what := random.IntN(14)
				mu.Unlock()
				switch what {
				case 0:
					k.Conn.Close()
				case 1:
					k.Reset(xhttp2.ErrCodeRefusedStream)
				case 2:
					k.Reset(xhttp2.ErrCodeInternal)
				case 3:
					gone.goAway(k)
					k.Answer()
				case 4:
					k.GoAway(0)
				case 5: // no answer
				case 6:
					k.Begin(30_000)
				case 7:
					k.Begin(60_000)
					k.Reset(xhttp2.ErrCodeCancel)
				default:
					if !gone.has(k.Conn) {
						k.Answer()
					}
				}
			}
		}
	}
	s := overHTTP2(t, func(f *router.Forward) {
		f.Timeout = 50 * time.Millisecond
		f.Retry = &router.Retry{Attempts: 3, On: router.On5xx | router.OnReset | router.OnConnectFailure, PerTry: 20 * time.Millisecond,
			BackoffBase: time.Millisecond, BackoffMax: 5 * time.Millisecond}
	}, origintest.NewHTTP2(t, serve(1)), origintest.NewHTTP2(t, serve(2)))
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(4, uint64(i)))
			for range 60 {
				chaos(s, random)
			}
		})
	}
	clients.Wait()
	s.quiet()
	s.until("client connections have ended", func() bool { return s.server.Connections() == 0 })
	statuses := map[int]int{}
	for len(s.records) > 0 {
		statuses[s.record().Status]++
	}
	if statuses[200] == 0 {
		t.Errorf("%v", statuses)
	}
	t.Logf("streams by status: %v", statuses)
}
