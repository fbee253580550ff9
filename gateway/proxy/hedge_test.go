package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
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

// asked is a request that came to one of a row of endpoints, which the test answers.
type asked struct {
	*peer
	at     int // the endpoint's number
	method string
	body   string
	head   http.Header
	gone   chan bool // closed when the connection has ended
	next   chan bool // the test is done with it
}

// row is endpoints of HTTP/1 whose requests the test answers.
type row struct {
	testing.TB
	origins []*origintest.Origin
	calls   chan *asked
}

func newRow(t testing.TB, n int) *row {
	r := &row{TB: t, calls: make(chan *asked, 100)}
	for at := range n {
		r.origins = append(r.origins, newOrigin(t, func(p *peer, _ int) {
			for {
				request, body := p.ask()
				if request == nil {
					return
				}
				k := &asked{p, at, request.Method, body, request.Header, make(chan bool), make(chan bool)}
				r.calls <- k
				<-k.next
				if _, err := p.r.Peek(1); err != nil {
					close(k.gone)
					return
				}
			}
		}))
	}
	t.Cleanup(func() {
		for {
			select {
			case k := <-r.calls:
				close(k.next)
			default:
				return
			}
		}
	})
	return r
}

// take waits for the next request.
func (r *row) take() *asked {
	r.Helper()
	select {
	case k := <-r.calls:
		return k
	case <-time.After(patience):
		r.Fatal("no request came")
		return nil
	}
}

// none looks whether there was any other request.
func (r *row) none() {
	r.Helper()
	select {
	case k := <-r.calls:
		r.Errorf("endpoint %d was asked too: %s %q", k.at, k.method, k.body)
		close(k.next)
	default:
	}
}

// say answers, and the endpoint goes on.
func (k *asked) say(status int, body string) {
	k.send("HTTP/1.1 %d X\r\ncontent-length: %d\r\nx-at: %d\r\n\r\n%s", status, len(body), k.at, body)
	close(k.next)
}

// cancelled waits until the gateway has ended the connection.
func (k *asked) cancelled() {
	k.Helper()
	close(k.next)
	select {
	case <-k.gone:
	case <-time.After(patience):
		k.Error("the connection of a try that lost goes on")
	}
}

// hedged are routes for hedged requests.
func hedged(edit func(*router.Forward)) []*router.Route {
	return []*router.Route{to("/", func(f *router.Forward) {
		f.Timeout = patience
		f.Hedge = &router.Hedge{InitialRequests: 1, OnPerTryTimeout: true}
		f.Retry = &router.Retry{Attempts: 2, On: router.On5xx, PerTry: 10 * time.Millisecond}
		if edit != nil {
			edit(f)
		}
	})}
}

// beside begins n tries at once, and none for the time that they take.
func beside(n int) func(*router.Forward) {
	return func(f *router.Forward) { f.Hedge, f.Retry.PerTry = &router.Hedge{InitialRequests: n}, 0 }
}

// A try that takes long goes on while another one has begun; whichever answers first
// wins, and the other one's connection is closed.
func TestHedgeOnPerTryTimeout(t *testing.T) {
	for _, winner := range []string{"first", "second"} {
		t.Run(winner, func(t *testing.T) {
			r := newRow(t, 2)
			s := newStage(t, settings{routes: hedged(func(f *router.Forward) { f.Retry.Attempts = 1 })}.with(r.origins...))
			c := s.dial()
			c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
			first := r.take()
			second := r.take()
			if first.at == second.at {
				t.Error("the same endpoint was asked twice")
			}
			wins, loses := first, second
			if winner == "second" {
				wins, loses = second, first
			}
			wins.say(200, "the answer")
			if resp, body := c.answer("GET"); resp.StatusCode != 200 || body != "the answer" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			loses.cancelled()
			rec := s.record()
			if rec.Tries != 2 || rec.Err != nil || rec.Retried != stream.Hedged || rec.Endpoint != r.origins[wins.at].At {
				t.Errorf("%+v", rec.Record)
			}
			if n, hedges := s.stats(0).Retries.Load(), s.stats(0).Hedges.Load(); n != 1 || hedges != 1 {
				t.Errorf("%d retries, %d hedges", n, hedges)
			}
			c.Close()
			s.quiet()
			r.none()
			if n := s.stats(0).ConnectionsIdle.Load(); n != 1 {
				t.Errorf("%d idle connections: the winner's is kept", n)
			}
		})
	}
}

// The first good one of several answers wins; bad ones are discarded while
// others are under way, and the last one is the client's.
func TestHedgeInitialRequests(t *testing.T) {
	three := func(f *router.Forward) {
		beside(3)(f)
		f.Retry.Attempts = 0
	}
	for _, test := range []struct {
		name     string
		statuses []int // in the order of answering; 0: the connection ends
		want     int
		end      stream.RetryEnd
	}{
		{"the first is good", []int{200}, 200, 0},
		{"the second is good", []int{503, 204}, 204, 0},
		{"the third is good", []int{0, 503, 200}, 200, 0},
		{"none is good", []int{503, 0, 500}, 500, stream.RetryAttempts},
		{"all break", []int{0, 0, 0}, 502, stream.RetryAttempts},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRow(t, 3)
			s := newStage(t, settings{routes: hedged(three)}.with(r.origins...))
			c := s.dial()
			c.send("PUT /x HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello")
			var calls []*asked
			seen := map[int]bool{}
			for range 3 {
				k := r.take()
				if calls, seen[k.at] = append(calls, k), true; k.body != "hello" {
					t.Errorf("endpoint %d got %q", k.at, k.body)
				}
			}
			if len(seen) != 3 {
				t.Error("an endpoint was asked twice")
			}
			for i, status := range test.statuses {
				k := calls[i]
				if status == 0 {
					k.Close()
					close(k.next)
				} else {
					k.say(status, "")
				}
				if i < len(test.statuses)-1 {
					s.until("the answer was judged", func() bool { return s.stats(0).RequestsActive.Load() == int64(2-i) })
				}
			}
			if resp, _ := c.answer("PUT"); resp.StatusCode != test.want {
				t.Errorf("%d", resp.StatusCode)
			}
			for _, k := range calls[len(test.statuses):] {
				k.cancelled()
			}
			if rec := s.record(); rec.Tries != 3 || rec.RetryEnd != test.end {
				t.Errorf("%d tries, %v", rec.Tries, rec.RetryEnd)
			}
			c.Close()
			s.quiet()
			r.none()
		})
	}
}

// AdditionalChance adds one to those that begin at once.
func TestHedgeAdditionalChance(t *testing.T) {
	for _, chance := range []uint32{0, 1_000_000} {
		r := newRow(t, 3)
		s := newStage(t, settings{routes: hedged(func(f *router.Forward) {
			beside(2)(f)
			f.Hedge.AdditionalChance = chance
		})}.with(r.origins...))
		c := s.dial()
		c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
		n := 2 + int(chance/1_000_000)
		var calls []*asked
		for range n {
			calls = append(calls, r.take())
		}
		calls[0].say(200, "")
		c.answer("GET")
		if rec := s.record(); rec.Tries != n {
			t.Errorf("chance %d: %d tries", chance, rec.Tries)
		}
		for _, k := range calls[1:] {
			k.cancelled()
		}
		r.none()
	}
}

// What may not run twice is given to one endpoint at a time, whatever the route says of
// hedging, unless it says that it may.
func TestHedgeOnlyWhatMayRunTwice(t *testing.T) {
	for _, test := range []struct {
		request string
		unsafe  bool
		tries   int
	}{
		{"POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", false, 1},
		{"POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", true, 2},
		{"PATCH /x HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", false, 1},
		{"GET /x HTTP/1.1\r\nHost: test\r\n\r\n", false, 2},
		{fmt.Sprintf("PUT /x HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", maxReplay, strings.Repeat("x", maxReplay)), false, 2},
		{fmt.Sprintf("PUT /x HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", maxReplay+1, strings.Repeat("x", maxReplay+1)), false, 1},
		{"PUT /x HTTP/1.1\r\nHost: test\r\nX-Once: 1\r\nContent-Length: 5\r\n\r\nhello", false, 2},
	} {
		r := newRow(t, 2)
		s := newStage(t, settings{routes: hedged(func(f *router.Forward) {
			beside(2)(f)
			f.Retry.Unsafe = test.unsafe
		})}.with(r.origins...))
		c := s.dial()
		go c.send("%s", test.request)
		var calls []*asked
		for range test.tries {
			calls = append(calls, r.take())
		}
		for _, k := range calls {
			if _, body, _ := strings.Cut(test.request, "\r\n\r\n"); k.body != body {
				t.Errorf("%.20s: %d bytes came", test.request, len(k.body))
			}
		}
		calls[0].say(200, "")
		c.answer("PUT")
		if rec := s.record(); rec.Tries != test.tries {
			t.Errorf("%.20s: %d tries", test.request, rec.Tries)
		}
		for _, k := range calls[1:] {
			k.cancelled()
		}
		c.Close()
		s.quiet()
		r.none()
	}
}

// A body that comes later is waited for, and its client is told to go on.
func TestHedgeWaitsForTheBody(t *testing.T) {
	r := newRow(t, 2)
	s := newStage(t, settings{routes: hedged(beside(2))}.with(r.origins...))
	c := s.dial()
	c.send("PUT /x HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n")
	if head := c.head(); !strings.HasPrefix(head, "HTTP/1.1 100 ") {
		t.Fatalf("%q", head)
	}
	c.send("hello")
	c.send("world")
	first, second := r.take(), r.take()
	if first.body != "helloworld" || second.body != "helloworld" || first.head.Get("Expect") != "" {
		t.Errorf("%q %q %v", first.body, second.body, first.head)
	}
	// What endpoints say on the way is not passed on: there are several.
	first.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
	second.send("HTTP/1.1 100 Continue\r\n\r\n")
	first.say(201, "made")
	if resp, body := c.answer("PUT"); resp.StatusCode != 201 || body != "made" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	second.cancelled()
	// A client that leaves before its body is whole.
	c = s.dial()
	s.record()
	c.send("PUT /x HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello")
	s.until("the request is under way", func() bool { _, _, requests, _ := s.shared[0].InUse(); return requests == 1 })
	c.reset()
	if rec := s.record(); rec.Flag() != stream.DownstreamConnectionEnd || rec.Tries != 0 {
		t.Errorf("%+v", rec.Record)
	}
	s.quiet()
	r.none()
}

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

// Failures before the time of a try are retried as the policy says; after the last
// attempt a try that takes long simply goes on.
func TestHedgeAndRetry(t *testing.T) {
	r := newRow(t, 4)
	s := newStage(t, settings{routes: hedged(func(f *router.Forward) {
		f.Retry.PerTry, f.Retry.Attempts = 20*time.Millisecond, 2
	})}.with(r.origins...))
	c := s.dial()
	c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	first := r.take()
	first.say(503, "") // at once: a retry
	second := r.take()
	third := r.take() // beside the second, which takes long
	second.Close()
	close(second.next)
	s.until("the last attempt's time is over, too", func() bool { return s.stats(0).Timeouts[metrics.UpstreamTimeoutTry].Load() >= 2 })
	third.say(200, "late")
	if resp, body := c.answer("GET"); resp.StatusCode != 200 || body != "late" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if rec := s.record(); rec.Tries != 3 || rec.Retried != stream.Hedged || rec.RetryEnd != stream.RetryAttempts {
		t.Errorf("%+v", rec.Record)
	}
	c.Close()
	s.quiet()
	r.none()
}

// Tries beside the first come out of the cluster's retries, and no other limit is
// left taken.
func TestHedgeIsBudgeted(t *testing.T) {
	r := newRow(t, 3)
	set := settings{routes: hedged(func(f *router.Forward) { f.Hedge.InitialRequests = 3 })}.with(r.origins...)
	set.clusters[0].Limits = cluster.Limits{Connections: 1000, Pending: 1000, Requests: 1000, Retries: 1}
	s := newStage(t, set)
	c := s.dial()
	c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	first, second := r.take(), r.take()
	s.until("the time of both is over", func() bool { return s.stats(0).Timeouts[metrics.UpstreamTimeoutTry].Load() == 2 })
	s.until("more were refused", func() bool { return s.stats(0).Overflows[metrics.LimitRetries].Load() == 3 })
	first.say(200, "")
	c.answer("GET")
	second.cancelled()
	if rec := s.record(); rec.Tries != 2 || rec.RetryEnd != stream.RetryOverflow {
		t.Errorf("%+v", rec.Record)
	}
	c.Close()
	s.quiet()
	r.none()
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

// Where the time of a try begins another one it ends none, not of requests that
// cannot be hedged either.
func TestHedgeEndsNoTry(t *testing.T) {
	r := newRow(t, 2)
	s := newStage(t, settings{routes: hedged(func(f *router.Forward) { f.Retry.PerTry, f.Timeout = time.Millisecond, 50 * time.Millisecond })}.with(r.origins...))
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
