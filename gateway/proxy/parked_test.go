package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
)

// This file is about streams that wait for their answer without a coroutine: a
// request that is at hand as a whole, on a connection that is idle.

// parks counts the streams that were parked, those for /warm aside.
func (s settings) parks(n *atomic.Int32) settings {
	before := s.config
	s.config = func(c *http1.Config) {
		if before != nil {
			before(c)
		}
		begin := c.Inline.Begin
		c.Inline.Begin = func(st *stream.Stream) (*stream.Response, error) {
			resp, err := begin(st)
			if err == stream.ErrParked && string(st.Request.Path) != "/warm" {
				n.Add(1)
			}
			return resp, err
		}
	}
	return s
}

// warm answers requests for /warm and returns the next other one, nil when the
// connection has ended.
func (p *peer) warm() *http.Request {
	for {
		r, _ := p.ask()
		if r == nil || r.URL.Path != "/warm" {
			return r
		}
		p.ok("warm")
	}
}

// parked opens a client's connection, sees to it that an idle connection is
// there, and sends a request that will be parked.
func (s *stage) parked(request string) *peer {
	s.Helper()
	c := s.dial()
	c.send("GET /warm HTTP/1.1\r\nHost: test\r\n\r\n")
	if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
		s.Fatalf("%d", resp.StatusCode)
	}
	s.record()
	s.quiet()
	c.send("%s", request)
	return c
}

const getX = "GET /x HTTP/1.1\r\nHost: test\r\n\r\n"

// The endpoint stops at every byte of its answer, and then goes on, closes,
// resets or says something else.
func TestParkedAtEveryByte(t *testing.T) {
	const early = "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"
	const head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
	const all = early + head + "hello"
	for _, ending := range []struct {
		name string
		do   func(p *peer, s *stage, rest string)
	}{
		{"goes on", func(p *peer, s *stage, rest string) {
			s.loop.Do(func() {}) // what was sent is looked at by itself
			s.loop.Do(func() {})
			p.send("%s", rest)
		}},
		{"closes", func(p *peer, s *stage, _ string) { p.Close() }},
		{"resets", func(p *peer, s *stage, _ string) { p.reset() }},
		{"speaks nonsense", func(p *peer, s *stage, _ string) { p.send("\x00\r\n\r\n\x00"); p.Close() }},
	} {
		t.Run(ending.name, func(t *testing.T) {
			for _, method := range []string{"GET", "POST"} {
				var cut, parked atomic.Int32
				var s *stage
				o := newOrigin(t, func(p *peer, _ int) {
					for r := p.warm(); r != nil; r = p.warm() {
						n := int(cut.Swap(int32(len(all)))) // once
						p.send("%s", all[:n])
						if n < len(all) {
							ending.do(p, s, all[n:])
						}
					}
				})
				s = newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with(o).parks(&parked))
				for n := range len(all) {
					if method == "POST" && n == 2 {
						break // a method makes a difference only before the first byte
					}
					cut.Store(int32(n))
					parked.Store(0)
					c := s.parked(method + " /x HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
					status, text := 0, ""
					hints := 0
					for {
						resp, err := http.ReadResponse(c.r, nil)
						if err != nil {
							t.Fatalf("cut at %d: %v", n, err)
						}
						if resp.StatusCode == 103 {
							hints++
							continue
						}
						body, err := io.ReadAll(resp.Body)
						status, text = resp.StatusCode, string(body)
						if err != nil {
							text = "CUT"
						}
						break
					}
					c.Close()
					r := s.record()
					want, flag := "200 hello", stream.FlagNone
					switch bad := ending.name == "speaks nonsense"; {
					case ending.name == "goes on":
					case n == 0 && !bad && method == "GET": // stale
						if r.Tries != 2 {
							t.Errorf("cut at %d: %d tries", n, r.Tries)
						}
					case n < len(early)+len(head):
						want, flag = "502 Bad Gateway\n", stream.UpstreamConnectionEnd
						if bad {
							flag = stream.UpstreamProtocolError
						}
					case bad && len(all)-n <= 5: // all of it is a body
						want = "200 " + all[len(early+head):n] + "\x00\r\n\r\n\x00"[:len(all)-n]
					default:
						want, flag = "200 CUT", stream.UpstreamConnectionEnd
					}
					if got := fmt.Sprintf("%d %s", status, text); got != want || r.Flag() != flag {
						t.Errorf("%s cut at %d: %q, flag %v; want %q, %v (%v)", method, n, got, r.Flag(), want, flag, r.Err)
					}
					if n >= len(early) && hints != 1 || hints > 1 {
						t.Errorf("cut at %d: %d informational responses", n, hints)
					}
					if parked.Load() != 1 {
						t.Fatalf("%d streams were parked: not what is tested here", parked.Load())
					}
					s.quiet()
				}
			}
		})
	}
}

// Every limit of time ends a parked stream in its own way.
func TestParkedForTooLong(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit func(f *router.Forward, c *cluster.Config, d time.Duration) // 0 takes it away
		flag  stream.Flag
		count func(c *metrics.ClusterStats) uint64
	}{
		{"route", func(f *router.Forward, _ *cluster.Config, d time.Duration) { f.Timeout = d }, stream.UpstreamTimeout,
			func(c *metrics.ClusterStats) uint64 { return c.Timeouts[metrics.UpstreamTimeoutRoute].Load() }},
		{"try", func(f *router.Forward, _ *cluster.Config, d time.Duration) {
			f.Retry = &router.Retry{Attempts: 1, On: router.OnConnectFailure, PerTry: d}
		}, stream.UpstreamTimeout, func(c *metrics.ClusterStats) uint64 { return c.Timeouts[metrics.UpstreamTimeoutTry].Load() }},
		{"response", func(_ *router.Forward, c *cluster.Config, d time.Duration) { c.ResponseTimeout = d }, stream.UpstreamTimeout,
			func(c *metrics.ClusterStats) uint64 { return c.Timeouts[metrics.UpstreamTimeoutResponse].Load() }},
		{"idle", func(f *router.Forward, _ *cluster.Config, d time.Duration) { f.IdleTimeout = d }, stream.StreamIdleTimeout,
			func(c *metrics.ClusterStats) uint64 { return c.Timeouts[metrics.UpstreamTimeoutIdle].Load() }},
	} {
		for _, said := range []string{"", "HTTP/1.1 2", "HTTP/1.1 103 Early\r\n\r\n"} {
			t.Run(test.name+" "+said, func(t *testing.T) {
				var parked atomic.Int32
				set := settings{routes: []*router.Route{to("/", nil)}}.with(newOrigin(t, func(p *peer, _ int) {
					if p.warm() != nil {
						p.send("%s", said)
						p.ended()
					}
				})).parks(&parked)
				s := newStage(t, set)
				limit := func(d time.Duration) {
					s.loop.Do(func() { test.limit(set.routes[0].Forward, set.clusters[0], d) })
				}
				c := s.parked("")
				limit(30 * time.Millisecond)
				c.send(getX)
				resp, _ := c.answer("GET")
				if resp.StatusCode == 103 {
					resp, _ = c.answer("GET")
				}
				limit(0)
				if r := s.record(); resp.StatusCode != 504 || r.Flag() != test.flag || r.Tries != 1 || test.count(s.stats(0)) != 1 {
					t.Errorf("%d, %+v, counted %d", resp.StatusCode, r.Err, test.count(s.stats(0)))
				}
				// The client's connection goes on.
				c.send("GET /warm HTTP/1.1\r\nHost: test\r\n\r\n")
				if resp, body := c.answer("GET"); resp.StatusCode != 200 || body != "warm" {
					t.Errorf("%d %q", resp.StatusCode, body)
				}
				if parked.Load() != 1 {
					t.Errorf("%d streams were parked", parked.Load())
				}
			})
		}
	}
}

// A parked stream's answer can ask for another try.
func TestParkedThenRetried(t *testing.T) {
	for _, test := range []struct {
		request string
		unsafe  bool
		tries   int
	}{
		{getX, false, 2},
		{"PUT /x HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody", false, 2},
		{"POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody", false, 1},
		{"POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody", true, 2},
	} {
		for _, busy := range []string{
			"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy",
			"HTTP/1.1 503 Busy\r\ntransfer-encoding: chunked\r\n\r\n",
			"HTTP/1.1 503 Busy\r\ncontent-length: 4000000\r\n\r\n" + strings.Repeat("x", 100_000),
		} {
			if test.tries == 1 && !strings.HasSuffix(busy, "busy") {
				continue // the answer would never end
			}
			var asked, parked atomic.Int32
			var last atomic.Pointer[string]
			serve := func(p *peer, _ int) {
				for {
					r, body := p.ask()
					switch {
					case r == nil:
						return
					case r.URL.Path == "/warm":
						p.ok("warm")
					case asked.Add(1) == 1:
						p.send("%s", busy)
					default:
						last.Store(&body)
						p.ok("again")
					}
				}
			}
			set := settings{routes: []*router.Route{to("/", func(f *router.Forward) {
				f.Retry = &router.Retry{Attempts: 1, On: router.On5xx, Unsafe: test.unsafe}
			})}}.with(newOrigin(t, serve), newOrigin(t, serve)).parks(&parked)
			s := newStage(t, set)
			c := s.parked("GET /warm HTTP/1.1\r\nHost: test\r\n\r\n") // both have a connection
			c.answer("GET")
			s.record()
			s.quiet()
			c.send("%s", test.request)
			method, _, _ := strings.Cut(test.request, " ")
			resp, _ := c.answer(method)
			r := s.record()
			if test.tries == 1 && (resp.StatusCode != 503 || r.Tries != 1) || test.tries == 2 && (resp.StatusCode != 200 || r.Tries != 2) || parked.Load() != 1 {
				t.Errorf("%q: %d after %d tries, %d parked", test.request, resp.StatusCode, r.Tries, parked.Load())
			}
			if body := last.Load(); test.tries == 2 && (body == nil || strings.HasSuffix(test.request, "body") != (*body == "body")) {
				t.Errorf("%q was sent again with another body", test.request)
			}
			s.quiet()
		}
	}
}

// Answers that cannot be sent at once go on on a coroutine.
func TestParkedForALongAnswer(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	var what atomic.Int32
	answers := []string{
		fmt.Sprintf("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", len(big), big),
		fmt.Sprintf("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(big), big),
		"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + big,
		fmt.Sprintf("HTTP/1.1 200 OK\r\nx-long: %s\r\ncontent-length: 16000\r\n\r\n%s", strings.Repeat("y", 60000), big[:16000]),
	}
	var parked atomic.Int32
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with(newOrigin(t, func(p *peer, _ int) {
		for p.warm() != nil {
			a := answers[what.Load()]
			if p.send("%s", a); strings.Contains(a, "close") {
				return
			}
		}
	})).parks(&parked))
	for i, a := range answers {
		what.Store(int32(i))
		c := s.parked(getX)
		if resp, body := c.answer("GET"); resp.StatusCode != 200 || len(body) != 16000 && body != big {
			t.Errorf("%.60q: %d, %d bytes", a, resp.StatusCode, len(body))
		}
		if r := s.record(); r.Err != nil {
			t.Errorf("%.60q: %v", a, r.Err)
		}
		c.Close()
	}
	if parked.Load() != int32(len(answers)) {
		t.Errorf("%d streams were parked", parked.Load())
	}
}

// The client goes while its stream is parked.
func TestParkedClientGone(t *testing.T) {
	asked := make(chan bool, 1)
	for _, half := range []bool{false, true} {
		s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, config: func(c *http1.Config) { c.AbortOnHalfClose = true }}.with(newOrigin(t, func(p *peer, _ int) {
			if p.warm() != nil {
				asked <- true
				p.ended()
			}
		})))
		c := s.parked(getX)
		<-asked
		if half {
			c.CloseWrite()
		} else {
			c.reset()
		}
		if r := s.record(); r.Flag() != stream.DownstreamConnectionEnd || r.Status != 0 {
			t.Errorf("%+v", r.Err)
		}
		c.ended()
		s.quiet()
		if n := s.stats(0).ConnectionsActive.Load(); n != 0 {
			t.Errorf("%d connections are open: the endpoint still works for nobody", n)
		}
	}
}
