package proxy

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// pause is how long to wait before the next try; 0: not at all.
type pause = time.Duration

// backoff is how long to wait before the next try: what the endpoint asks for, if
// the route listens to that, else a random time in [0, base*2^(n-1)] before the
// n-th retry. It reports false when the endpoint asks for more than is left.
func (x *exchange) backoff(r *router.Retry, resp *stream.Response) (pause, bool) {
	if r.After != nil && resp != nil {
		if asked, ok := asksOf(r.After, resp, x.s.Loop.Wall()); ok {
			return x.politely(asked)
		}
	}
	if r.BackoffBase <= 0 {
		return 0, true
	}
	n := min(x.retries, 16)
	most := r.BackoffBase << n
	if most>>n != r.BackoffBase {
		most = r.BackoffBase
	}
	if r.BackoffMax > 0 {
		most = min(most, r.BackoffMax)
	}
	return x.within(most), true
}

// politely is a time from asked to half as much again, before the exchange's
// deadline.
func (x *exchange) politely(asked time.Duration) (pause, bool) {
	spread := asked / 2
	if x.deadline.Armed() {
		left := x.s.Loop.Left(&x.deadline)
		if asked >= left {
			return 0, false
		}
		spread = min(spread, (left-asked)/2)
	}
	return asked + x.within(spread), true
}

// within is a random time in [0, most].
func (x *exchange) within(most time.Duration) time.Duration {
	return time.Duration(x.proxy.random.Uint64() % uint64(most+1))
}

// asksOf is how long the endpoint asks to wait, as the first of the fields says that
// can be understood and asks for no more than Max.
func asksOf(a *router.RateLimitedBackoff, resp *stream.Response, now time.Time) (time.Duration, bool) {
	for _, f := range a.Fields {
		value := resp.Header.Get(f.Name)
		if value == nil {
			continue
		}
		if d, ok := interval(value, f, now); ok && d <= a.Max {
			return d, true
		}
	}
	return 0, false
}

// maxSeconds is the largest number of seconds that is a time.Duration.
const maxSeconds = math.MaxInt64 / int64(time.Second)

// interval reads how long it is from now to what a field says, never below 0.
func interval(value []byte, f router.ResetField, now time.Time) (time.Duration, bool) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	switch {
	case err == nil && f.Format == router.ResetUnix:
		n = max(n, 0) - now.Unix()
		return time.Duration(min(max(n, 0), maxSeconds)) * time.Second, true
	case err == nil && n >= 0:
		return time.Duration(min(n, maxSeconds)) * time.Second, true
	case err != nil && f.Format == router.ResetSeconds && f.Name == "retry-after":
		at, err := http.ParseTime(string(value)) // RFC 9110 section 5.6.7
		return max(at.Sub(now), 0), err == nil
	}
	return 0, false
}

// rest waits before the next try, and reports whether it may come.
func (x *exchange) rest(co *worker.Coroutine, d pause) bool {
	if d <= 0 {
		return true
	}
	x.paused = true
	x.s.Loop.Arm(&x.pause, d)
	for x.paused {
		if x.s.Wait(co) != nil {
			return false
		}
	}
	return true
}
