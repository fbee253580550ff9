package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
)

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
