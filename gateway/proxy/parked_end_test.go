package proxy

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/upstream/origintest"
)

// The cluster is removed, or replaced, while a stream waits for its answer.
func TestParkedOverAChange(t *testing.T) {
	asked, answer := make(chan bool, 1), make(chan bool)
	o := newOrigin(t, func(p *peer, _ int) {
		for p.warm() != nil {
			asked <- true
			<-answer
			p.ok("in time")
		}
	})
	for name, next := range map[string]func(s *stage) []*cluster.Cluster{
		"removed": func(*stage) []*cluster.Cluster { return nil },
		"replaced": func(s *stage) []*cluster.Cluster {
			c := cluster.New(s.shared[0].Config())
			c.Inherit(s.shared[0])
			return []*cluster.Cluster{c}
		},
		"without its endpoint": func(s *stage) []*cluster.Cluster {
			config := *s.shared[0].Config()
			config.Endpoints = clusterOf("", origintest.ClosedPort(s)).Endpoints
			c := cluster.New(&config)
			c.Inherit(s.shared[0])
			return []*cluster.Cluster{c}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with(o))
			c := s.parked(getX)
			<-asked
			s.loop.Do(func() { s.up.Adopt(next(s)) })
			answer <- true
			if resp, body := c.answer("GET"); resp.StatusCode != 200 || body != "in time" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			s.record()
			s.quiet()
			if n := s.stats(0).ConnectionsIdle.Load(); (n == 1) != (name == "replaced") {
				t.Errorf("%d connections are kept", n)
			}
		})
	}
}

// Round robin gives each endpoint its turn, whether or not it has an idle
// connection.
func TestTurnsWithAndWithoutIdleConnections(t *testing.T) {
	var order []string
	origin := func(name string, keeps bool) *origintest.Origin {
		return newOrigin(t, func(p *peer, _ int) {
			for {
				if r, _ := p.ask(); r == nil {
					return
				}
				order = append(order, name)
				if !keeps {
					p.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
					return
				}
				p.ok("")
			}
		})
	}
	var parked atomic.Int32
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with(origin("a", true), origin("b", false), origin("c", true)).parks(&parked))
	c := s.dial()
	for range 30 {
		c.send(getX)
		c.answer("GET")
	}
	turn := strings.Join(order[:3], "")
	if got := strings.Join(order, ""); got != strings.Repeat(turn, 10) || !strings.Contains(turn+turn, "abc") {
		t.Errorf("%s", got)
	}
	if parked.Load() != 18 {
		t.Errorf("%d streams were parked", parked.Load())
	}
}

// A panic in any part of the handler, or behind it, leaves nothing held.
func TestPanicsLeaveNothingHeld(t *testing.T) {
	for _, test := range []struct {
		in     string
		status int // 0: the connection is closed
		loop   uint64
	}{
		{"begin", 500, 0}, {"poll", 500, 0}, {"resume", 500, 0}, {"reply", 0, 1}, {"finish", 0, 1},
	} {
		t.Run(test.in, func(t *testing.T) {
			fail := func(s *stream.Stream, in string) {
				if test.in == in && string(s.Request.Path) == "/x" {
					panic(in)
				}
			}
			set := settings{routes: []*router.Route{to("/", nil)}}.with(newOrigin(t, func(p *peer, _ int) {
				for p.warm() != nil {
					p.ok("well")
				}
			}))
			set.config = func(c *http1.Config) {
				in, reply, finish := *c.Inline, c.Reply, c.Finish
				wrap := func(name string, h stream.Handler) stream.Handler {
					return func(s *stream.Stream) (*stream.Response, error) {
						resp, err := h(s)
						fail(s, name)
						if name == "poll" && err == nil {
							switch {
							case string(s.Request.Path) != "/x":
							case test.in == "resume":
								return nil, stream.ErrCoroutine
							case test.in == "reply":
								return nil, errNoRoute
							}
						}
						return resp, err
					}
				}
				c.Inline = &stream.Inline{Begin: wrap("begin", in.Begin), Poll: wrap("poll", in.Poll), Resume: func(s *stream.Stream) (*stream.Response, error) {
					fail(s, "resume")
					return in.Resume(s)
				}}
				c.Reply = func(s *stream.Stream, e *stream.Error) *stream.Response { fail(s, "reply"); return reply(s, e) }
				c.Finish = func(s *stream.Stream, resp *stream.Response) { finish(s, resp); fail(s, "finish") }
			}
			s := newStage(t, set)
			s.panics = test.loop
			other := s.parked("")
			c := s.parked(getX)
			resp, err := http.ReadResponse(c.r, nil)
			if test.status == 0 && err == nil || test.status != 0 && (err != nil || resp.StatusCode != test.status) {
				t.Errorf("%v %v", resp, err)
			}
			if r := s.record(); r.Flag() != stream.LocalError && test.in != "finish" {
				t.Errorf("%+v", r.Err)
			}
			c.Close()
			s.quiet()
			other.send("GET /warm HTTP/1.1\r\nHost: test\r\n\r\n")
			if resp, body := other.answer("GET"); resp.StatusCode != 200 || body != "warm" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			s.record()
			if n := len(s.records); n != 0 {
				t.Errorf("%d streams were logged twice", n)
			}
		})
	}
}
