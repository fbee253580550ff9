package proxy

import (
	"math/rand/v2"
	"testing"
	"time"

	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

func TestIntervals(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	seconds, unix := router.ResetField{Name: "retry-after"}, router.ResetField{Name: "x-ratelimit-reset", Format: router.ResetUnix}
	other := router.ResetField{Name: "x-ratelimit-reset"}
	for _, test := range []struct {
		value string
		f     router.ResetField
		want  time.Duration // -1: it says nothing
	}{
		{"0", seconds, 0},
		{"7", seconds, 7 * time.Second},
		{"-7", seconds, -1},
		{"7.5", seconds, -1},
		{"", seconds, -1},
		{"soon", seconds, -1},
		{"9223372036854775807", seconds, time.Duration(maxSeconds) * time.Second},
		{"9223372036854775808", seconds, -1},
		{"Sun, 22 Nov 2026 10:00:30 GMT", seconds, 30 * time.Second},
		{"Sun, 22 Nov 2026 09:00:00 GMT", seconds, 0},
		{"Sunday, 22-Nov-26 10:00:30 GMT", seconds, 30 * time.Second},
		{"Sun, 22 Nov 2026 10:00:30 GMT", other, -1},
		{"7", other, 7 * time.Second},
		{"1795341610", unix, 10 * time.Second},
		{"1795341600", unix, 0},
		{"0", unix, 0},
		{"-9223372036854775808", unix, 0},
		{"9223372036854775807", unix, time.Duration(maxSeconds) * time.Second},
		{"Sun, 22 Nov 2026 10:00:30 GMT", unix, -1},
	} {
		got, ok := interval([]byte(test.value), test.f, now)
		if !ok {
			got = -1
		}
		if got != test.want {
			t.Errorf("%s: %q is %v, want %v", test.f.Name, test.value, got, test.want)
		}
	}
}

func FuzzInterval(f *testing.F) {
	for _, value := range []string{"", "7", "-1", "9223372036854775808", "Sun, 22 Nov 2026 10:00:30 GMT"} {
		f.Add([]byte(value))
	}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, field := range []router.ResetField{{Name: "retry-after"}, {Name: "x", Format: router.ResetUnix}} {
			if d, ok := interval(value, field, now); d < 0 {
				t.Errorf("%q: %v %v", value, d, ok)
			}
		}
	})
}

// The pauses are Envoy's: random up to the base, twice that, and so on, up to the most.
func TestBackoffs(t *testing.T) {
	x := exchange{proxy: &Proxy{random: rand.NewChaCha8([32]byte{7})}, s: new(stream.Stream)}
	policy := &router.Retry{BackoffBase: 100, BackoffMax: 1000}
	for retries, most := range []time.Duration{100, 200, 400, 800, 1000, 1000, 1000} {
		x.retries = retries
		var sum, top time.Duration
		const n = 20_000
		for range n {
			d, ok := x.backoff(policy, nil)
			if !ok || d < 0 || d > most {
				t.Fatalf("retry %d: %v %v", retries+1, d, ok)
			}
			sum, top = sum+d, max(top, d)
		}
		if mean := sum / n; mean < most*48/100 || mean > most*52/100 || top < most*99/100 {
			t.Errorf("retry %d: mean %v, most %v of %v", retries+1, sum/n, top, most)
		}
	}
	x.retries = 16
	for _, base := range []time.Duration{1 << 60, 1 << 40, 1} {
		if d, ok := x.backoff(&router.Retry{BackoffBase: base}, nil); !ok || d < 0 {
			t.Errorf("base %d: %v", base, d)
		}
	}
	if d, ok := x.backoff(&router.Retry{}, nil); d != 0 || !ok {
		t.Errorf("without a base: %v", d)
	}
}

// What endpoints ask for is waited for, and half as much at most; the first field
// that says something within bounds counts.
func TestPoliteBackoffs(t *testing.T) {
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with())
	s.loop.Do(func() {
		x := s.proxy.get()
		x.s = &stream.Stream{Loop: s.loop}
		after := &router.RateLimitedBackoff{Max: time.Minute, Fields: []router.ResetField{{Name: "x-first", Format: router.ResetUnix}, {Name: "retry-after"}}}
		policy := &router.Retry{BackoffBase: time.Microsecond, After: after}
		for _, test := range []struct {
			name, value string
			asked       time.Duration // 0: the common back-off
		}{
			{"retry-after", "4", 4 * time.Second},
			{"retry-after", "61", 0},
			{"retry-after", "later", 0},
			{"x-other", "4", 0},
		} {
			resp := &stream.Response{Status: 503}
			resp.Header.AddString("x-first", "18446744073709551615")
			resp.Header.AddString(test.name, test.value)
			least, most := test.asked, test.asked*3/2
			if test.asked == 0 {
				most = time.Microsecond
			}
			for range 1000 {
				if d, ok := x.backoff(policy, resp); !ok || d < least || d > most {
					t.Fatalf("%s: %s: %v %v", test.name, test.value, d, ok)
				}
			}
		}
		// Not beyond the route's timeout.
		resp := &stream.Response{Status: 429}
		resp.Header.AddString("retry-after", "4")
		s.loop.Arm(&x.deadline, 4*time.Second)
		if _, ok := x.backoff(policy, resp); ok {
			t.Error("a pause as long as the time that is left")
		}
		s.loop.Arm(&x.deadline, 4100*time.Millisecond)
		for range 100 {
			if d, ok := x.backoff(policy, resp); !ok || d >= 4100*time.Millisecond {
				t.Error(d, ok)
			}
		}
		x.s = nil
		s.proxy.put(x)
	})
}

// An answer that asks for more time than is left is the client's at once, with what
// it asks for.
func TestRetryAfterTooLate(t *testing.T) {
	for _, test := range []struct {
		after string
		tries int
		end   stream.RetryEnd
	}{{"60", 1, stream.RetryTooLate}, {"0", 2, 0}} {
		r := newRow(t, 2)
		s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) {
			f.Timeout = patience
			f.Retry = &router.Retry{Attempts: 1, On: router.On5xx, BackoffBase: time.Millisecond,
				After: &router.RateLimitedBackoff{Max: time.Hour, Fields: []router.ResetField{{Name: "retry-after"}}}}
		})}}.with(r.origins...))
		c := s.dial()
		c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
		k := r.take()
		k.send("HTTP/1.1 503 Busy\r\nretry-after: %s\r\ncontent-length: 0\r\n\r\n", test.after)
		close(k.next)
		if test.tries == 2 {
			r.take().say(200, "")
		}
		resp, _ := c.answer("GET")
		if test.tries == 1 && (resp.StatusCode != 503 || resp.Header.Get("Retry-After") != test.after) {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
		if rec := s.record(); rec.Tries != test.tries || rec.RetryEnd != test.end {
			t.Errorf("after %s: %d tries, %v", test.after, rec.Tries, rec.RetryEnd)
		}
	}
}

// A try of which nothing comes for too long ends: before its head it may be repeated,
// within its body the response is cut.
func TestPerTryIdle(t *testing.T) {
	r := newRow(t, 2)
	s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) {
		f.Timeout = patience
		f.Retry = &router.Retry{Attempts: 1, On: router.On5xx, PerTryIdle: 30 * time.Millisecond}
	})}}.with(r.origins...))
	c := s.dial()
	c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	silent := r.take()
	second := r.take()
	silent.cancelled()
	second.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nxxxxxxxxx")
	second.cancelled() // the last byte never comes
	if _, body := c.answer("GET"); body != "CUT xxxxxxxxx" {
		t.Errorf("%q", body)
	}
	if rec := s.record(); rec.Retried != stream.RetryIdle || rec.Tries != 2 || rec.Flag() != stream.UpstreamTimeout || rec.Err.Phase != stream.PhaseResponseBody {
		t.Errorf("%+v", rec.Record)
	}
	if n := s.stats(0).Timeouts[metrics.UpstreamTimeoutTryIdle].Load(); n != 2 {
		t.Errorf("%d timeouts counted", n)
	}
	c.Close()
	s.quiet()
}

// seen is a body that looks at the exchange's timer while it is waited for.
type seen struct {
	*stream.Bytes
	look func()
}

func (b seen) Next(co *worker.Coroutine) ([]byte, error) {
	b.look()
	return b.Bytes.Next(co)
}

// Whatever comes of a response gives its try more time, and a client that takes it
// slowly takes none of it.
func TestPerTryIdleBeginsAgain(t *testing.T) {
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with())
	s.loop.Do(func() {
		x := s.proxy.get()
		x.s = &stream.Stream{Loop: s.loop}
		x.forward = &router.Forward{Retry: &router.Retry{PerTryIdle: time.Hour}}
		renewed := func() bool { return x.idle.Armed() && s.loop.Left(&x.idle) > 59*time.Minute }
		s.loop.Arm(&x.idle, time.Minute)
		if x.Inform(103, nil); !renewed() {
			t.Error("103 is no sign of life")
		}
		s.loop.Disarm(&x.idle)
		if x.Inform(103, nil); x.idle.Armed() {
			t.Error("the time began with 103")
		}
		looked := false
		body := idleBody{seen{stream.NewBytes([]byte("piece")), func() { looked = renewed() }}, x}
		if p, _ := body.Next(nil); string(p) != "piece" || !looked || x.idle.Armed() {
			t.Errorf("%q: %v, %v", p, looked, x.idle.Armed())
		}
		x.s = nil
		s.proxy.put(x)
	})
}

// A request that has none of the fields that the policy asks for is not tried again.
func TestRetriableRequestHeaders(t *testing.T) {
	r := newRow(t, 2)
	s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) {
		f.Retry = &router.Retry{Attempts: 1, On: router.On5xx, RequestHeaders: []router.ValueMatch{{Name: "x-again", Kind: router.Present}, {Name: "x-safe", Kind: router.Exact, Value: "1"}}}
	})}}.with(r.origins...))
	for _, test := range []struct {
		field string
		tries int
	}{{"x-other: 1", 1}, {"x-again: no", 2}, {"x-safe: 0", 1}, {"x-safe: 1", 2}} {
		c := s.dial()
		c.send("GET /x HTTP/1.1\r\nHost: test\r\n%s\r\n\r\n", test.field)
		for range test.tries {
			r.take().say(503, "")
		}
		c.answer("GET")
		want := stream.RetryAttempts
		if test.tries == 1 {
			want = stream.RetryNoHeader
		}
		if rec := s.record(); rec.Tries != test.tries || rec.RetryEnd != want {
			t.Errorf("%s: %d tries, %v", test.field, rec.Tries, rec.RetryEnd)
		}
		c.Close()
	}
}

// Why a failed request was not tried again.
func TestRetryEnds(t *testing.T) {
	for _, test := range []struct {
		name, request string
		on            router.RetryOn
		want          stream.RetryEnd
		tries         int
	}{
		{"not asked for", "GET / HTTP/1.1\r\nHost: test\r\n\r\n", router.OnConnectFailure, stream.RetryWentOn, 1},
		{"attempts", "GET / HTTP/1.1\r\nHost: test\r\n\r\n", router.On5xx, stream.RetryAttempts, 2},
		{"not idempotent", "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n", router.On5xx, stream.RetryUnsafe, 1},
	} {
		r := newRow(t, 2)
		s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) { f.Retry = &router.Retry{Attempts: 1, On: test.on} })}}.with(r.origins...))
		c := s.dial()
		c.send("%s", test.request)
		for range test.tries {
			r.take().say(500, "")
		}
		c.answer("GET")
		if rec := s.record(); rec.RetryEnd != test.want || rec.Tries != test.tries {
			t.Errorf("%s: %v after %d tries", test.name, rec.RetryEnd, rec.Tries)
		}
	}
}

// The unit of the cluster's retries is given back with the response's head: a long
// response of a second try does not keep others from theirs.
func TestRetriesEndWithTheHead(t *testing.T) {
	r := newRow(t, 2)
	s := newStage(t, settings{routes: []*router.Route{to("/", func(f *router.Forward) { f.Retry = &router.Retry{Attempts: 1, On: router.On5xx} })}}.with(r.origins...))
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	r.take().say(500, "")
	k := r.take()
	if _, _, _, retries := s.shared[0].InUse(); retries != 1 {
		t.Errorf("%d retries under way", retries)
	}
	k.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha")
	c.head()
	if _, _, _, retries := s.shared[0].InUse(); retries != 0 {
		t.Errorf("%d retries under way", retries)
	}
	k.send("lf")
	close(k.next)
	s.record()
}
