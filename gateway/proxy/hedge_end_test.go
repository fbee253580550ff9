package proxy

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/cluster"
	"longmen/gateway/filter"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream/origintest"
)

// A client that leaves ends all tries; so does the route's timeout.
func TestHedgeEnds(t *testing.T) {
	for _, end := range []string{"client", "timeout"} {
		t.Run(end, func(t *testing.T) {
			r := newRow(t, 3)
			s := newStage(t, settings{routes: hedged(func(f *router.Forward) {
				beside(3)(f)
				if end == "timeout" {
					f.Timeout = 30 * time.Millisecond
				}
			})}.with(r.origins...))
			c := s.dial()
			c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
			calls := []*asked{r.take(), r.take(), r.take()}
			flag := stream.UpstreamTimeout
			if end == "client" {
				c.reset()
				flag = stream.DownstreamConnectionEnd
			} else if resp, _ := c.answer("GET"); resp.StatusCode != 504 {
				t.Errorf("%d", resp.StatusCode)
			}
			for _, k := range calls {
				k.cancelled()
			}
			if rec := s.record(); rec.Flag() != flag || rec.Tries != 3 || rec.Err.Phase == stream.PhaseConnect {
				t.Errorf("%+v", rec.Record)
			}
			s.quiet()
		})
	}
}

// The response of the one that won is the stream's own: it streams, its trailers
// come, and its client may leave within it.
func TestHedgeResponse(t *testing.T) {
	r := newRow(t, 2)
	s := newStage(t, settings{routes: hedged(beside(2))}.with(r.origins...))
	c := s.dial()
	c.send("GET /x HTTP/1.1\r\nHost: test\r\nTE: trailers\r\n\r\n")
	first, second := r.take(), r.take()
	first.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n4\r\nhalf\r\n")
	second.cancelled()
	first.send("5\r\nwhole\r\n0\r\nx-sum: 9\r\n\r\n")
	close(first.next)
	resp, body := c.answer("GET")
	if body != "halfwhole" || resp.Trailer.Get("X-Sum") != "9" {
		t.Errorf("%q %v", body, resp.Trailer)
	}
	s.record()
	c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	first, second = r.take(), r.take()
	second.send("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
	first.cancelled()
	c.head()
	c.reset()
	second.cancelled()
	if rec := s.record(); rec.Flag() != stream.DownstreamConnectionEnd || rec.Err.Phase != stream.PhaseResponseBody {
		t.Errorf("%v", rec.Err)
	}
	s.quiet()
}

// A try that waits for a connection is cancelled there.
func TestHedgeInTheQueue(t *testing.T) {
	r := newRow(t, 2)
	set := settings{routes: hedged(beside(2))}.with(r.origins...)
	set.clusters[0].Limits = cluster.Limits{Connections: 1, Pending: 10, Requests: 1000, Retries: 1000}
	s := newStage(t, set)
	c := s.dial()
	c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	first := r.take()
	s.until("the second waits", func() bool { return s.stats(0).RequestsPending.Load() == 1 })
	first.say(200, "yes")
	if _, body := c.answer("GET"); body != "yes" {
		t.Error(body)
	}
	if rec := s.record(); rec.Tries != 1 {
		t.Errorf("%d tries", rec.Tries)
	}
	c.Close()
	s.quiet()
	r.none()
}

// An endpoint that cannot be reached is no answer as long as another one may be.
func TestHedgeUnreachable(t *testing.T) {
	r := newRow(t, 1)
	set := settings{routes: hedged(beside(2))}.with(r.origins...)
	set.clusters[0].Endpoints = append(set.clusters[0].Endpoints, clusterOf("", origintest.ClosedPort(t)).Endpoints...)
	s := newStage(t, set)
	for range 4 {
		c := s.dial()
		c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
		k := r.take()
		s.until("the other one has failed", func() bool { return s.stats(0).RequestsActive.Load() == 1 })
		k.say(200, "here")
		if _, body := c.answer("GET"); body != "here" {
			t.Error(body)
		}
		if rec := s.record(); rec.Tries != 2 || rec.Endpoint != r.origins[0].At {
			t.Errorf("%+v", rec.Record)
		}
		c.Close()
	}
	s.quiet()
	r.none()
}

// Over HTTP/2 a try that lost is reset, and its connection stays.
func TestHedgeOverHTTP2(t *testing.T) {
	a, b := held(t), held(t)
	config := clusterOf("c", a.At, b.At)
	config.Protocol = cluster.HTTP2Only
	s := newStage(t, settings{routes: hedged(beside(2)), clusters: []*cluster.Config{config}})
	for i := range 3 {
		c := s.dial()
		c.send("PUT /x HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello")
		first, second := a.Next(t), b.Next(t)
		if string(first.Body) != "hello" || string(second.Body) != "hello" {
			t.Errorf("%q %q", first.Body, second.Body)
		}
		if i == 2 {
			first.Reset(xhttp2.ErrCodeInternal)
			s.until("one try has ended", func() bool { return s.stats(0).HTTP2.StreamsActive.Load() == 1 })
			first = second
		}
		first.Answer()
		if resp, body := c.answer("PUT"); resp.StatusCode != 200 || body != "hello" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		if rec := s.record(); rec.Tries != 2 || rec.Err != nil {
			t.Errorf("%+v", rec.Record)
		}
		c.Close()
	}
	s.quiet()
	if a.Accepted.Load() != 1 || b.Accepted.Load() != 1 {
		t.Errorf("%d and %d connections", a.Accepted.Load(), b.Accepted.Load())
	}
	if n := s.stats(0).HTTP2.ResetsSent.Load(); n != 2 {
		t.Errorf("%d resets", n)
	}
}

// A refused stream, or a kept connection that was closed, costs a hedged request's try
// nothing.
func TestHedgeFreely(t *testing.T) {
	r := newRow(t, 1)
	s := newStage(t, settings{routes: hedged(func(f *router.Forward) { f.Retry.PerTry = patience })}.with(r.origins...))
	p := s.dial()
	p.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	k := r.take()
	k.say(200, "")
	p.answer("GET")
	s.record()
	s.quiet()
	p.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	k = r.take() // on the kept connection
	k.Close()
	close(k.next)
	k = r.take()
	k.say(200, "again")
	if _, body := p.answer("GET"); body != "again" {
		t.Error(body)
	}
	if rec := s.record(); rec.Tries != 2 || s.stats(0).Retries.Load() != 0 {
		t.Errorf("%+v", rec.Record)
	}
}

// A try that fails while only such are under way whose time is over is followed by
// another one: who takes long may never answer.
func TestHedgeFailsBesideSilence(t *testing.T) {
	r := newRow(t, 3)
	s := newStage(t, settings{routes: hedged(nil)}.with(r.origins...))
	c := s.dial()
	c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	silent := r.take()
	second := r.take()
	second.say(503, "")
	third := r.take()
	if third.at == silent.at || third.at == second.at {
		t.Errorf("endpoint %d was asked again", third.at)
	}
	third.say(200, "third")
	if _, body := c.answer("GET"); body != "third" {
		t.Error(body)
	}
	silent.cancelled()
	if rec := s.record(); rec.Tries != 3 || rec.Retried != stream.RetryStatus {
		t.Errorf("%+v", rec.Record)
	}
	c.Close()
	s.quiet()
	r.none()
}

// Who takes long may answer while another try waits for its time, or when all attempts
// have failed.
func TestHedgeAnswersLate(t *testing.T) {
	for name, edit := range map[string]func(*router.Retry){
		"before the next try": func(r *router.Retry) { r.BackoffBase = 1 << 60 },
		"after the last try":  func(r *router.Retry) { r.Attempts = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRow(t, 3)
			s := newStage(t, settings{routes: hedged(func(f *router.Forward) { edit(f.Retry) })}.with(r.origins...))
			c := s.dial()
			c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
			late := r.take()
			second := r.take()
			second.say(503, "")
			s.until("the answer was judged", func() bool { return s.stats(0).RequestsActive.Load() == 1 })
			late.say(200, "late")
			if _, body := c.answer("GET"); body != "late" {
				t.Error(body)
			}
			if rec := s.record(); rec.Tries != 2 {
				t.Errorf("%+v", rec.Record)
			}
			c.Close()
			s.quiet()
			r.none()
		})
	}
}

// Where the time of a try begins another one it ends none, not of requests that
// cannot be hedged either.
func TestHedgeEndsNoTry(t *testing.T) {
	r := newRow(t, 2)
	s := newStage(t, settings{routes: hedged(func(f *router.Forward) { f.Retry.PerTry, f.Timeout = time.Millisecond, 50*time.Millisecond })}.with(r.origins...))
	c := s.dial()
	c.send("POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi")
	k := r.take()
	if resp, _ := c.answer("POST"); resp.StatusCode != 504 {
		t.Errorf("%d", resp.StatusCode)
	}
	k.cancelled()
	if rec := s.record(); rec.Tries != 1 || s.stats(0).Timeouts[metrics.UpstreamTimeoutRoute].Load() != 1 || s.stats(0).Timeouts[metrics.UpstreamTimeoutTry].Load() != 0 {
		t.Errorf("%+v", rec.Record)
	}
}

// Filters come before a hedged request, and once.
func TestHedgeBehindFilters(t *testing.T) {
	r := newRow(t, 2)
	var passed atomic.Int32
	count := filterFunc(func(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
		passed.Add(1)
		return next(s)
	})
	set := settings{routes: hedged(beside(2)), chain: filter.Chain{{Name: "count", Filter: count}}}.with(r.origins...)
	s := newStage(t, set)
	c := s.dial()
	c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	first, second := r.take(), r.take()
	second.say(200, "second")
	if _, body := c.answer("GET"); body != "second" || passed.Load() != 1 {
		t.Errorf("%q, %d times through the filter", body, passed.Load())
	}
	first.cancelled()
	if rec := s.record(); rec.Tries != 2 || rec.Endpoint != r.origins[second.at].At {
		t.Errorf("%+v", rec.Record)
	}
	c.Close()
	s.quiet()
}

// trailing is a body with a trailer section.
type trailing struct {
	*stream.Bytes
	trailer stream.Header
}

func (b *trailing) Trailer() *stream.Header { return &b.trailer }

// A body with trailers is sent once, as it is.
func TestHedgeNotWithTrailers(t *testing.T) {
	r := newRow(t, 2)
	s := newStage(t, settings{routes: hedged(beside(2))}.with(r.origins...))
	s.loop.Do(func() {
		x := s.proxy.get()
		st := &stream.Stream{Loop: s.loop}
		st.Request.Method, st.Request.Length = []byte("PUT"), 4
		body := &trailing{Bytes: stream.NewBytes([]byte("body"))}
		body.trailer.AddString("x-sum", "1")
		st.Request.Body, x.s, x.forward = body, st, hedged(beside(2))[0].Forward
		if !x.hedges() {
			t.Error("it could be hedged, as far as the head says")
		}
		whole, err := x.gather(nil)
		got := st.Request.Body
		p, last := got.Buffered()
		if whole || err != nil || string(p) != "body" || !last || string(got.Trailer().Get("x-sum")) != "1" || x.record.Body != body {
			t.Errorf("%v %v %q %v", whole, err, p, last)
		}
		x.s = nil
		s.proxy.put(x)
	})
}

// Random ends at random moments leave nothing behind.
func TestHedgeChaos(t *testing.T) {
	r := newRow(t, 4)
	s := newStage(t, settings{routes: hedged(func(f *router.Forward) {
		f.Hedge = &router.Hedge{InitialRequests: 2, AdditionalChance: 500_000, OnPerTryTimeout: true}
		f.Retry.PerTry = time.Millisecond
	})}.with(r.origins...))
	stop := make(chan bool)
	served := make(chan bool)
	go func() {
		defer close(served)
		for n := 0; ; n++ {
			select {
			case k := <-r.calls:
				switch n % 7 {
				case 0:
					k.say(503, "busy")
				case 1:
					k.Close()
					close(k.next)
				case 2:
					k.send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut")
					k.Close()
					close(k.next)
				case 3:
					close(k.next) // silence
				default:
					k.say(200, "good")
				}
			case <-stop:
				return
			}
		}
	}()
	for i := range 300 {
		c := s.dial()
		c.send("PUT /x HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
		if i%5 == 0 {
			c.reset()
		} else {
			io.Copy(io.Discard, c.r)
			c.Close()
		}
		s.record()
	}
	s.quiet()
	close(stop)
	<-served
}
