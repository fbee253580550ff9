package proxy

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream/origintest"
)

// failure is how an endpoint fails a request.
type failure struct {
	name string
	do   func(p *peer)
	on   router.RetryOn // the conditions that hold
	code int            // that the endpoint answers; 0: none
}

var failures = []failure{
	{"reset within the request", func(p *peer) { p.r.ReadByte(); p.reset() }, router.On5xx | router.OnGatewayError | router.OnReset, 0},
	{"closed after the request", func(p *peer) { p.ask() }, router.On5xx | router.OnGatewayError | router.OnReset, 0},
	{"reset after the request", func(p *peer) { p.ask(); p.reset() }, router.On5xx | router.OnGatewayError | router.OnReset, 0},
	{"closed in the head", func(p *peer) { p.ask(); p.send("HTTP/1.1 200 OK\r\ncont") }, router.On5xx | router.OnGatewayError | router.OnReset, 0},
	{"closed after 103", func(p *peer) { p.ask(); p.send("HTTP/1.1 103 Early\r\n\r\n") }, router.On5xx | router.OnGatewayError | router.OnReset, 0},
	{"no HTTP", func(p *peer) { p.ask(); p.send("SSH-2.0\r\n\r\n") }, router.On5xx | router.OnGatewayError | router.OnReset, 0},
	{"503", func(p *peer) {
		p.ask()
		p.send("HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbusy")
	}, router.On5xx | router.OnGatewayError, 503},
	{"500", func(p *peer) { p.ask(); p.send("HTTP/1.1 500 Oops\r\nconnection: close\r\ncontent-length: 0\r\n\r\n") }, router.On5xx, 500},
	{"409", func(p *peer) {
		p.ask()
		p.send("HTTP/1.1 409 Conflict\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
	}, router.OnRetriable4xx, 409},
	{"429", func(p *peer) { p.ask(); p.send("HTTP/1.1 429 Later\r\nconnection: close\r\ncontent-length: 0\r\n\r\n") }, router.OnRetriableStatusCodes, 429},
	{"404", func(p *peer) { p.ask(); p.send("HTTP/1.1 404 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n") }, 0, 404},
	{"200 cut", func(p *peer) { p.ask(); p.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha") }, 0, 200},
}

// policies are routes by their prefix.
var policies = map[string]*router.Retry{
	"/none":     nil,
	"/5xx":      {Attempts: 1, On: router.On5xx},
	"/gateway":  {Attempts: 1, On: router.OnGatewayError},
	"/connect":  {Attempts: 1, On: router.OnConnectFailure},
	"/reset":    {Attempts: 1, On: router.OnReset},
	"/before":   {Attempts: 1, On: router.OnResetBeforeRequest},
	"/409":      {Attempts: 1, On: router.OnRetriable4xx},
	"/codes":    {Attempts: 1, On: router.OnRetriableStatusCodes, Codes: []int{429}},
	"/all":      {Attempts: 1, On: 0xffff, Codes: []int{429}},
	"/anything": {Attempts: 1, On: 0xffff, Codes: []int{429}, Unsafe: true},
	"/never":    {Attempts: 0, On: 0xffff, Codes: []int{429}, Unsafe: true},
}

func policyRoutes() (routes []*router.Route) {
	for prefix, retry := range policies {
		routes = append(routes, to(prefix, func(f *router.Forward) { f.Retry = retry }))
	}
	return routes
}

// Every combination of method, failure and policy: a request that may have run
// is sent again only if its method is idempotent or the route says so, and what
// is sent again is the same.
func TestWhatIsSentAgain(t *testing.T) {
	var script atomic.Pointer[func(p *peer)] // for the next connection; nil: all is well
	got := make(chan string, 10)
	serve := func(p *peer, _ int) {
		if fail := script.Swap(nil); fail != nil {
			(*fail)(p)
			return
		}
		r, body := p.ask()
		if r == nil {
			return
		}
		got <- fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, body)
		p.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
	}
	s := newStage(t, settings{routes: policyRoutes()}.with(newOrigin(t, serve), newOrigin(t, serve)))
	const body = "the whole body"
	for _, request := range []string{"GET", "HEAD", "OPTIONS", "TRACE", "PUT body", "DELETE", "DELETE body", "POST", "POST body", "PATCH body", "PURGE"} {
		method, _, withBody := strings.Cut(request, " ")
		idempotent := !slices.Contains([]string{"POST", "PATCH", "PURGE"}, method)
		for _, fail := range failures {
			for path, policy := range policies {
				again := policy != nil && policy.Attempts > 0 && policy.On&fail.on != 0 && (idempotent || policy.Unsafe)
				script.Store(&fail.do)
				c := s.dial()
				want := fmt.Sprintf("%s %s ", method, path)
				if withBody {
					c.send("%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
					want += body
				} else {
					c.send("%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", method, path)
				}
				status := 0
				for {
					resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
					if err != nil {
						break
					}
					io.Copy(io.Discard, resp.Body)
					if status = resp.StatusCode; status != 103 {
						break
					}
				}
				c.Close()
				r := s.record()
				name := fmt.Sprintf("%s %s %s", request, path, fail.name)
				wantStatus, wantTries := fail.code, 1
				if wantStatus == 0 {
					wantStatus = 502
				}
				if again {
					wantStatus, wantTries = 200, 2
				}
				if status != wantStatus || r.Tries != wantTries {
					t.Errorf("%s: %d after %d tries; want %d after %d", name, status, r.Tries, wantStatus, wantTries)
				}
				select {
				case sent := <-got:
					if !again || sent != want {
						t.Errorf("%s: sent again: %q", name, sent)
					}
				default:
					if again {
						t.Errorf("%s: not sent again", name)
					}
				}
			}
		}
	}
	s.quiet()
}

// A request that reached no endpoint is given to another one whatever it is,
// unless a policy of the route says otherwise.
func TestEndpointThatRefuses(t *testing.T) {
	o := newOrigin(t, func(p *peer, _ int) {
		for {
			r, body := p.ask()
			if r == nil {
				return
			}
			p.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
			p.Close()
		}
	})
	set := settings{routes: policyRoutes()}.with(o)
	set.clusters[0].Endpoints = append(set.clusters[0].Endpoints, clusterOf("", origintest.ClosedPort(t)).Endpoints...)
	s := newStage(t, set)
	for path, policy := range policies {
		heals := policy == nil || policy.Attempts > 0 && policy.On&(router.OnConnectFailure|router.On5xx|router.OnGatewayError|router.OnReset|router.OnResetBeforeRequest) != 0
		statuses := map[int]int{}
		tries := 0
		for range 4 { // round robin: every second one is refused
			c := s.dial()
			c.send("POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody", path)
			resp, body := c.answer("POST")
			if statuses[resp.StatusCode]++; resp.StatusCode == 200 && body != "body" {
				t.Errorf("%s: the endpoint got %q", path, body)
			}
			c.Close()
			r := s.record()
			tries += r.Tries
			if resp.StatusCode == 503 && (r.Flag() != stream.UpstreamConnectFailure || r.Endpoint == o.At) {
				t.Errorf("%s: %v by %v", path, r.Err, r.Endpoint)
			}
		}
		if heals && statuses[200] != 4 || !heals && (statuses[503] == 0 || tries != 4) {
			t.Errorf("%s: %v in %d tries", path, statuses, tries)
		}
	}
	if s.stats(0).ConnectFailures.Load() == 0 {
		t.Error("no connect failure was counted")
	}
}

// The last answer counts when there is nobody else, or no try left.
func TestRetriesEnd(t *testing.T) {
	var asked atomic.Int32
	o := newOrigin(t, func(p *peer, _ int) {
		for {
			if r, _ := p.ask(); r == nil {
				return
			}
			p.send("HTTP/1.1 503 Busy\r\nx-n: %d\r\ncontent-length: 4\r\n\r\nbusy", asked.Add(1))
		}
	})
	s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) { f.Retry = &router.Retry{Attempts: 3, On: router.On5xx} })}}.with(o))
	resp, body := s.get("/")
	if resp.StatusCode != 503 || resp.Header.Get("X-N") != "4" || body != "busy" || asked.Load() != 4 {
		t.Errorf("%d %v %q after %d tries", resp.StatusCode, resp.Header, body, asked.Load())
	}
	if r := s.record(); r.Err != nil || r.Tries != 4 || r.RetryEnd != stream.RetryAttempts || o.Accepted.Load() != 1 {
		t.Errorf("%+v on %d connections", r, o.Accepted.Load())
	}
	stats := s.stats(0)
	if stats.RetryEnds[stream.RetryAttempts].Load() != 1 {
		t.Error("the end is not counted")
	}
	if n := stats.Retries.Load(); n != 3 {
		t.Errorf("%d retries", n)
	}
	s.quiet()
	if n := stats.Requests[5].Load(); n != 4 {
		t.Errorf("%d tries with a 5xx", n)
	}
}

func TestLimitOfRetries(t *testing.T) {
	s0, o := 0, newOrigin(t, func(p *peer, _ int) {
		p.ask()
		p.send("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
	})
	set := settings{routes: []*router.Route{to("/", func(f *router.Forward) { f.Retry = &router.Retry{Attempts: 3, On: router.On5xx} })}}.with(o)
	set.clusters[0].Limits = cluster.Limits{Connections: 1000, Pending: 1000, Requests: 1000, Retries: 1}
	s := newStage(t, set)
	if !s.shared[s0].Breakers(false).TryRetry() { // somebody else's
		t.Fatal("no unit")
	}
	s.get("/")
	if r := s.record(); r.Tries != 1 {
		t.Errorf("%d tries", r.Tries)
	}
	s.shared[s0].Breakers(false).ReleaseRetry()
	if n := s.stats(s0).Overflows[metrics.LimitRetries].Load(); n != 1 {
		t.Errorf("%d overflows", n)
	}
}

func TestPerTryTimeout(t *testing.T) {
	var asked atomic.Int32
	serve := func(p *peer, _ int) {
		if p.ask(); asked.Add(1) == 1 {
			p.ended()
			return
		}
		p.ok("late is well")
	}
	s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) {
		f.Timeout = patience
		f.Retry = &router.Retry{Attempts: 2, On: router.On5xx, PerTry: 30 * time.Millisecond}
	})}}.with(newOrigin(t, serve), newOrigin(t, serve)))
	if resp, body := s.get("/"); resp.StatusCode != 200 || body != "late is well" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if r := s.record(); r.Tries != 2 || r.Err != nil {
		t.Errorf("%+v", r)
	}
	if n := s.stats(0).Timeouts[metrics.UpstreamTimeoutTry].Load(); n != 1 {
		t.Errorf("%d timeouts counted", n)
	}
	// POST may have run: its time is up, and that is all.
	asked.Store(0)
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx")
	if resp, _ := c.answer("POST"); resp.StatusCode != 504 || asked.Load() != 1 {
		t.Errorf("%d after %d tries", resp.StatusCode, asked.Load())
	}
}

// A kept connection that turns out to be closed costs an idempotent request
// nothing, whatever the policy, and no other request is sent twice.
func TestStaleConnections(t *testing.T) {
	for _, test := range []struct {
		method, body string
		attempts     int // -1: no policy
		status       int
	}{
		{"GET", "", -1, 200},
		{"GET", "", 0, 200},
		{"PUT", "replayed", -1, 200},
		{"DELETE", "", 1, 200},
		{"POST", "once", -1, 502},
		{"POST", "", -1, 502},
		{"POST", "once", 1, 502},
		{"PUT", strings.Repeat("x", 1<<20), -1, 502}, // not kept
	} {
		t.Run(fmt.Sprintf("%s %d %d", test.method, len(test.body), test.attempts), func(t *testing.T) {
			var got []string
			s, o := forwarding(t, func(f *router.Forward) {
				if test.attempts >= 0 {
					f.Retry = &router.Retry{Attempts: test.attempts, On: router.On5xx | router.OnReset}
				}
			}, func(p *peer, n int) {
				if n == 1 {
					p.ask()
					p.ok("first")
					p.ask() // and closes
					return
				}
				for {
					r, body := p.ask()
					if r == nil {
						return
					}
					got = append(got, r.Method+" "+body)
					p.ok("again")
				}
			})
			s.get("/")
			s.record()
			s.quiet()
			c := s.dial()
			c.send("%s / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", test.method, len(test.body), test.body)
			resp, _ := c.answer(test.method)
			if resp.StatusCode != test.status {
				t.Errorf("%d", resp.StatusCode)
			}
			r := s.record()
			if test.status == 200 && (r.Err != nil || o.Accepted.Load() != 2 || len(got) != 1 || got[0] != test.method+" "+test.body) {
				t.Errorf("%v, %d connections, %q", r.Err, o.Accepted.Load(), got)
			}
			if test.status != 200 && (o.Accepted.Load() != 1 || len(got) != 0) {
				t.Errorf("sent twice: %q", got)
			}
			if s.stats(0).Retries.Load() != 0 {
				t.Error("counted as a retry")
			}
		})
	}
}

// A stale connection takes no attempt from the policy.
func TestStaleIsNoAttempt(t *testing.T) {
	s, o := forwarding(t, func(f *router.Forward) { f.Retry = &router.Retry{Attempts: 1, On: router.On5xx} }, func(p *peer, n int) {
		switch n {
		case 1:
			p.ask()
			p.ok("")
			p.ask()
		case 2:
			p.ask()
			p.send("HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
		default:
			p.ask()
			p.ok("third")
		}
	})
	s.get("/")
	s.record()
	s.quiet()
	if resp, body := s.get("/"); resp.StatusCode != 200 || body != "third" || o.Accepted.Load() != 3 {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if r := s.record(); r.Tries != 3 {
		t.Errorf("%d tries", r.Tries)
	}
}

func TestBackoffIsAborted(t *testing.T) {
	busy := func(p *peer, _ int) {
		p.ask()
		p.send("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
	}
	t.Run("by the client", func(t *testing.T) {
		s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) {
			f.Retry = &router.Retry{Attempts: 1, On: router.On5xx, BackoffBase: 1 << 60}
		})}}.with(newOrigin(t, busy)))
		c := s.dial()
		c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
		s.until("the retry waits", func() bool { return s.stats(0).Retries.Load() == 1 })
		c.reset()
		if r := s.record(); r.Flag() != stream.DownstreamConnectionEnd || r.Tries != 1 {
			t.Errorf("%+v", r)
		}
		s.quiet()
	})
	t.Run("by the route's timeout", func(t *testing.T) {
		s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) {
			f.Timeout = 30 * time.Millisecond
			f.Retry = &router.Retry{Attempts: 1, On: router.On5xx, BackoffBase: 1 << 60}
		})}}.with(newOrigin(t, busy)))
		if resp, _ := s.get("/"); resp.StatusCode != 504 {
			t.Errorf("%d", resp.StatusCode)
		}
		if r := s.record(); r.Flag() != stream.UpstreamTimeout {
			t.Errorf("%+v", r.Err)
		}
		if n := s.stats(0).Timeouts[metrics.UpstreamTimeoutRoute].Load(); n != 1 {
			t.Errorf("%d timeouts counted", n)
		}
	})
	t.Run("not at all", func(t *testing.T) {
		var n atomic.Int32
		s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) {
			f.Retry = &router.Retry{Attempts: 5, On: router.On5xx, BackoffBase: time.Microsecond, BackoffMax: time.Millisecond}
		})}}.with(newOrigin(t, func(p *peer, _ int) {
			for r, _ := p.ask(); r != nil; r, _ = p.ask() {
				if n.Add(1) < 4 {
					p.send("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
				} else {
					p.ok("at last")
				}
			}
		})))
		if _, body := s.get("/"); body != "at last" {
			t.Error(body)
		}
	})
}
