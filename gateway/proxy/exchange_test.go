package proxy

import (
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
	"longmen/gateway/upstream/origintest"
)

// The client's connection is reset while the stream is in each of its phases.
func TestClientGone(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
	asked := make(chan bool, 1)
	silent := func(p *peer, _ int) {
		p.head()
		asked <- true
		p.ended()
	}
	for _, test := range []struct {
		name    string
		request string
		phase   stream.Phase
		setting func(t *testing.T, set *settings)
		serve   func(p *peer, n int)
		ready   func(s *stage, c *peer) // waits until the stream is in the phase
		then    func(s *stage)
	}{
		{name: "connecting", request: get, phase: stream.PhaseResponseHead,
			setting: func(t *testing.T, set *settings) { set.clusters[0] = clusterOf("c", origintest.DeafPort(t)) },
			ready: func(s *stage, _ *peer) {
				s.until("it connects", func() bool { return s.stats(0).ConnectionsActive.Load() == 1 })
			}},
		{name: "waiting for a connection", request: get, phase: stream.PhaseResponseHead,
			setting: func(_ *testing.T, set *settings) { set.clusters[0].Limits.Connections = 1 },
			ready: func(s *stage, _ *peer) {
				s.until("it waits", func() bool { return s.stats(0).RequestsPending.Load() == 1 })
			}},
		{name: "waiting for the head", request: get, phase: stream.PhaseResponseHead, serve: silent,
			ready: func(*stage, *peer) { <-asked }},
		{name: "expecting 100", request: "PUT / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
			phase: stream.PhaseRequestBody, serve: silent, ready: func(*stage, *peer) { <-asked }},
		{name: "within the body", request: "PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nhalf",
			phase: stream.PhaseRequestBody, serve: silent, ready: func(*stage, *peer) { <-asked }},
		{name: "within an upload that is not read", request: "PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 90000000\r\n\r\n" + strings.Repeat("x", 16<<20),
			phase: stream.PhaseRequestBody, serve: func(p *peer, _ int) { p.head(); asked <- true; <-p.Context().Done() },
			ready: func(s *stage, _ *peer) { <-asked }},
		{name: "within the response", request: get, phase: stream.PhaseResponseBody,
			serve: func(p *peer, _ int) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
				p.ended()
			},
			ready: func(_ *stage, c *peer) { c.head(); c.r.Peek(4) }},
		{name: "within a response that it does not read", request: get, phase: stream.PhaseResponseBody,
			serve: func(p *peer, _ int) {
				p.head()
				p.send("HTTP/1.1 200 OK\r\ncontent-length: 90000000\r\n\r\n")
				asked <- true
				io.Copy(p.TCPConn, io.LimitReader(zeros{}, 90000000))
			},
			ready: func(_ *stage, c *peer) { <-asked; c.head() }},
		{name: "within a tunnel", request: "GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", phase: stream.PhaseTunnel,
			setting: func(_ *testing.T, set *settings) { set.http.Upgrades = []string{"websocket"} },
			serve: func(p *peer, _ int) {
				p.head()
				p.send("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello")
				p.ended()
			},
			ready: func(_ *stage, c *peer) { c.head(); c.r.Peek(5) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.serve == nil {
				test.serve = func(*peer, int) {}
			}
			set := settings{routes: []*router.Route{to("/", nil)}}.with(newOrigin(t, test.serve))
			if test.setting != nil {
				test.setting(t, &set)
			}
			s := newStage(t, set)
			if set.clusters[0].Limits.Connections == 1 {
				s.shared[0].Breakers(false).TryConnection()
				defer s.shared[0].Breakers(false).ReleaseConnection()
			}
			c := s.dial()
			go c.send("%s", test.request)
			test.ready(s, c)
			c.reset()
			r := s.record()
			if r.Err == nil || r.Err.Side != stream.Downstream || r.Flag() != stream.DownstreamConnectionEnd {
				t.Errorf("%+v", r.Err)
			}
			if r.Status >= 400 {
				t.Errorf("status %d for nobody", r.Status)
			}
			s.quiet()
			if n := len(s.records); n > 0 {
				t.Errorf("the stream was logged %d times", n+1)
			}
		})
	}
}

func TestRouteTimeout(t *testing.T) {
	short := func(f *router.Forward) { f.Timeout = 40 * time.Millisecond }
	t.Run("while connecting", func(t *testing.T) {
		s := newStage(t, settings{routes: []*router.Route{to("/", short)}, clusters: nil}.clustered(clusterOf("c", origintest.DeafPort(t))))
		if resp, _ := s.get("/"); resp.StatusCode != 504 {
			t.Errorf("%d", resp.StatusCode)
		}
		if r := s.record(); r.Flag() != stream.UpstreamTimeout || r.Err.Phase != stream.PhaseConnect {
			t.Errorf("%+v", r.Err)
		}
	})
	t.Run("while waiting for a connection", func(t *testing.T) {
		set := settings{routes: []*router.Route{to("/", short)}}.clustered(clusterOf("c", origintest.ClosedPort(t)))
		set.clusters[0].Limits.Connections = 1
		s := newStage(t, set)
		s.shared[0].Breakers(false).TryConnection()
		defer s.shared[0].Breakers(false).ReleaseConnection()
		if resp, _ := s.get("/"); resp.StatusCode != 504 {
			t.Errorf("%d", resp.StatusCode)
		}
		if r := s.record(); r.Flag() != stream.UpstreamTimeout || r.Tries != 0 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("before the head", func(t *testing.T) {
		s, _ := forwarding(t, short, func(p *peer, _ int) { p.ask(); p.ended() })
		if resp, _ := s.get("/"); resp.StatusCode != 504 {
			t.Errorf("%d", resp.StatusCode)
		}
		if r := s.record(); r.Flag() != stream.UpstreamTimeout || r.Err.Phase != stream.PhaseResponseHead {
			t.Errorf("%+v", r.Err)
		}
		s.quiet()
		if n := s.stats(0).Timeouts[metrics.UpstreamTimeoutRoute].Load(); n != 1 {
			t.Errorf("%d timeouts counted", n)
		}
		if n := s.stats(0).Requests[0].Load(); n != 1 {
			t.Errorf("%d tries without an answer counted", n)
		}
	})
	t.Run("within the body", func(t *testing.T) {
		s, _ := forwarding(t, short, func(p *peer, _ int) {
			p.ask()
			p.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
			p.ended()
		})
		if resp, body := s.get("/"); resp.StatusCode != 200 || body != "CUT half" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		if r := s.record(); r.Flag() != stream.UpstreamTimeout || r.Err.Phase != stream.PhaseResponseBody || r.Status != 200 {
			t.Errorf("%+v", r.Err)
		}
	})
	t.Run("not before the request is whole", func(t *testing.T) {
		s, _ := forwarding(t, short, func(p *peer, _ int) {
			_, body := p.ask()
			p.ok(body)
		})
		c := s.dial()
		c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nsl")
		var begin int64
		s.until("the time has passed", func() bool {
			if begin == 0 {
				begin = s.loop.Now()
			}
			return s.loop.Now() > begin+int64(100*time.Millisecond)
		})
		c.send("ow")
		if resp, body := c.answer("POST"); resp.StatusCode != 200 || body != "slow" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
	})
}

// clustered sets the clusters.
func (s settings) clustered(c ...*cluster.Config) settings {
	s.clusters = c
	return s
}

func TestResponseTimeout(t *testing.T) {
	set := settings{routes: []*router.Route{to("/", nil)}}.with(newOrigin(t, func(p *peer, _ int) {
		if r, _ := p.ask(); r.URL.Path == "/slow" {
			p.ended()
		}
		p.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha")
		// The body takes longer than the head may.
		time.Sleep(80 * time.Millisecond)
		p.send("lf")
	}))
	set.clusters[0].ResponseTimeout = 40 * time.Millisecond
	s := newStage(t, set)
	if resp, _ := s.get("/slow"); resp.StatusCode != 504 {
		t.Errorf("%d", resp.StatusCode)
	}
	if r := s.record(); r.Flag() != stream.UpstreamTimeout {
		t.Errorf("%+v", r.Err)
	}
	if n := s.stats(0).Timeouts[metrics.UpstreamTimeoutResponse].Load(); n != 1 {
		t.Errorf("%d timeouts counted", n)
	}
	if resp, body := s.get("/"); resp.StatusCode != 200 || body != "half" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// Figures of the tries tell what the endpoints did.
func TestTriesAreCounted(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, n int) {
		p.ask()
		switch n {
		case 1:
			p.send("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
		case 2:
			p.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut")
		case 3:
			p.send("HTTP/1.1 103 Early\r\n\r\n")
		case 4:
			p.send("nonsense\r\n\r\n")
		}
	})
	for range 4 {
		c := s.dial()
		c.send("GET / HTTP/1.0\r\nHost: test\r\n\r\n")
		c.ended()
		s.record()
	}
	s.quiet()
	stats := s.stats(0)
	if none, ok := stats.Requests[0].Load(), stats.Requests[2].Load(); none != 2 || ok != 2 || stats.Requests[1].Load() != 0 {
		t.Errorf("%d without an answer, %d with 1xx, %d with 2xx", none, stats.Requests[1].Load(), ok)
	}
	if resets, bad := stats.Resets.Load(), stats.ProtocolErrors.Load(); resets != 2 || bad != 1 {
		t.Errorf("%d resets, %d protocol errors", resets, bad)
	}
}

func TestLimitOfRequests(t *testing.T) {
	go1 := make(chan bool)
	set := settings{routes: []*router.Route{to("/", nil)}}.with(newOrigin(t, func(p *peer, _ int) {
		p.ask()
		<-go1
		p.ok("")
	}))
	set.clusters[0].Limits.Requests = 1
	s := newStage(t, set)
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	s.until("the first is under way", func() bool { return s.stats(0).RequestsActive.Load() == 1 })
	if resp, _ := s.get("/"); resp.StatusCode != 503 {
		t.Errorf("%d", resp.StatusCode)
	}
	if r := s.record(); r.Flag() != stream.UpstreamOverflow || s.stats(0).Overflows[metrics.LimitRequests].Load() != 1 {
		t.Errorf("%+v", r.Err)
	}
	close(go1)
	if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}

func TestResponsesOfEveryFraming(t *testing.T) {
	answers := []struct{ raw, body string }{
		{"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", "abc"},
		{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "abc"},
		{"HTTP/1.1 204 No Content\r\n\r\n", ""},
		{"HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n", ""},
		{"HTTP/1.0 200 OK\r\n\r\nabc", "abc"},
	}
	var next atomic.Int32
	s, o := forwarding(t, nil, func(p *peer, _ int) {
		for {
			if r, _ := p.ask(); r == nil {
				return
			}
			a := answers[next.Load()]
			p.send("%s", a.raw)
			if strings.HasPrefix(a.raw, "HTTP/1.0") {
				return
			}
		}
	})
	c := s.dial()
	for i, a := range answers {
		next.Store(int32(i))
		c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
		if _, body := c.answer("GET"); body != a.body {
			t.Errorf("%q: %q", a.raw, body)
		}
		if r := s.record(); r.Err != nil {
			t.Errorf("%q: %v", a.raw, r.Err)
		}
	}
	if n := o.Accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestTunnels(t *testing.T) {
	echo := func(p *peer) {
		io.Copy(p.TCPConn, p.r)
		p.CloseWrite()
	}
	set := settings{
		routes: []*router.Route{
			{Name: "connect", Match: router.Match{Connect: true}, Forward: to("", func(f *router.Forward) { f.Connect = true }).Forward},
			to("/ws", func(f *router.Forward) { f.Upgrades, f.Timeout = []string{"websocket"}, 30*time.Millisecond }),
			to("/", nil),
		},
		config: func(c *http1.Config) { c.AbortOnHalfClose = true },
	}
	o := newOrigin(t, func(p *peer, _ int) {
		for {
			first, err := p.r.Peek(3)
			if err != nil || string(first) == "raw" {
				echo(p)
				return
			}
			r, _ := p.ask()
			if r == nil {
				return
			}
			if r.Header.Get("Upgrade") != "" {
				p.send("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
				echo(p)
				return
			}
			p.ok("plain")
		}
	})
	s := newStage(t, set.with(o))
	through := func(c *peer, text string) {
		t.Helper()
		c.send("%s", text)
		got := make([]byte, len(text))
		if _, err := io.ReadFull(c.r, got); err != nil || string(got) != text {
			t.Fatalf("%v: %d bytes", err, len(got))
		}
	}
	// An idle connection is there that CONNECT must not take.
	s.get("/")
	s.record()
	s.quiet()

	c := s.dial()
	c.send("CONNECT test:1 HTTP/1.1\r\nHost: test:1\r\n\r\n")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 200") {
		t.Fatalf("%q", head)
	}
	through(c, "raw bytes")
	if n := o.Accepted.Load(); n != 2 {
		t.Errorf("%d connections: the tunnel began where a request went before", n)
	}
	c.CloseWrite()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
	if r := s.record(); r.Err != nil || r.RequestBytes != 9 || r.ResponseBytes != 9 {
		t.Errorf("%+v", r)
	}

	c = s.dial()
	c.send("GET /ws HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 101") || !strings.Contains(head, "upgrade: WebSocket") {
		t.Fatalf("%q", head)
	}
	early := make([]byte, 5)
	io.ReadFull(c.r, early)
	if string(early) != "early" {
		t.Errorf("%q", early)
	}
	through(c, strings.Repeat("big", 100<<10))
	var begin int64
	s.until("the route's timeout has passed", func() bool {
		if begin == 0 {
			begin = s.loop.Now()
		}
		return s.loop.Now() > begin+int64(60*time.Millisecond)
	})
	through(c, "still there")
	c.CloseWrite()
	c.ended()
	if r := s.record(); r.Err != nil {
		t.Errorf("%+v", r)
	}

	// Not allowed: it goes without its Upgrade.
	if resp, body := s.get("/other", "Connection: upgrade", "Upgrade: websocket"); resp.StatusCode != 200 || body != "plain" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if resp, body := s.get("/ws", "Connection: upgrade", "Upgrade: h2c"); resp.StatusCode != 200 || body != "plain" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
}

// An endpoint that switches unasked is wrong.
func TestSwitchUnasked(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, _ int) {
		p.ask()
		p.send("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
	})
	if resp, _ := s.get("/"); resp.StatusCode != http.StatusBadGateway {
		t.Errorf("%d", resp.StatusCode)
	}
	if r := s.record(); r.Flag() != stream.UpstreamProtocolError {
		t.Errorf("%+v", r.Err)
	}
}

// The stream's idle timeout ends what stands still, in either direction.
func TestStreamIdle(t *testing.T) {
	s, _ := forwarding(t, func(f *router.Forward) { f.IdleTimeout = 40 * time.Millisecond }, func(p *peer, _ int) { p.head(); p.ended() })
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nhalf",
	} {
		c := s.dial()
		c.send("%s", request)
		if resp, _ := c.answer("GET"); resp.StatusCode != 504 {
			t.Errorf("%d", resp.StatusCode)
		}
		if r := s.record(); r.Flag() != stream.StreamIdleTimeout {
			t.Errorf("%+v", r.Err)
		}
		s.quiet()
	}
}
