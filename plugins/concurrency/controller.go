package concurrency

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// controller finds the limit of one route. All workers share it; a request costs it
// some atomic additions. What is due at a time is done by the request that comes
// first after it.
//
// In every window the responses' time (a percentile) is compared with minRTT, what
// they take when hardly anything is under way:
//
//	gradient = minRTT × (1 + buffer) / sampleRTT, from 0.5 to 2
//	limit    = limit × gradient + √(limit × gradient)
//
// The square root lets the limit grow while the responses are as fast as can be. Now
// and then, and when the limit is as low as can be for long, minRTT is measured anew:
// with so few requests at once that they do not wait for each other.
type controller struct {
	settings *settings

	active atomic.Int64 // requests under way
	limit  atomic.Int64
	due    atomic.Int64 // when update has something to do
	epoch  atomic.Int64 // requests that began before do not count as samples
	seen   histogram

	refused atomic.Pointer[refusal] // of the last limit that requests were refused by

	mu        sync.Mutex
	measuring atomic.Bool // minRTT; written under mu, as all of the following
	minRTT    time.Duration
	deferred  int64 // the limit to go on with after the measurement
	window    int64 // when the window ends
	measure   int64 // when minRTT is to be measured
	lowest    int   // windows in a row with the lowest limit
	jitter    func() float64
}

// lowestWindows is after how many windows with the lowest limit minRTT is doubted.
const lowestWindows = 5

func newController(s *settings, now int64) *controller {
	c := &controller{settings: s, jitter: rand.Float64}
	c.limit.Store(s.least)
	if s.fixed > 0 {
		c.minRTT = s.fixed
		c.window, c.measure = now+int64(s.every), math.MaxInt64
		c.due.Store(c.window)
		return c
	}
	c.begin(now)
	return c
}

// enter asks whether one more request may be under way at now; each true must be
// answered by leave.
func (c *controller) enter(now int64) bool {
	c.look(now)
	if c.active.Add(1) > c.limit.Load() {
		c.active.Add(-1)
		return false
	}
	return true
}

func (c *controller) leave() { c.active.Add(-1) }

// sample takes how long a request took that began at one time and was answered at
// another.
func (c *controller) sample(begun, now int64) {
	if begun < c.epoch.Load() {
		return
	}
	n := c.seen.add(time.Duration(now - begun))
	if c.measuring.Load() && n >= c.settings.requests {
		c.mu.Lock()
		if c.measuring.Load() && c.seen.count.Load() >= c.settings.requests {
			c.measured(now)
		}
		c.mu.Unlock()
	}
	c.look(now)
}

// look does what is due, unless somebody else does.
func (c *controller) look(now int64) {
	if now >= c.due.Load() && c.mu.TryLock() {
		c.update(now)
		c.mu.Unlock()
	}
}

// update ends a window, or begins to measure minRTT.
func (c *controller) update(now int64) {
	switch {
	case c.measuring.Load():
		return
	case now >= c.measure:
		c.begin(now)
		return
	case now < c.window:
		return
	}
	c.window = now + int64(c.settings.every)
	if c.seen.count.Load() > 0 {
		before := c.limit.Load()
		after := c.next(before, c.seen.percentile(c.settings.percentile))
		c.seen.reset()
		c.limit.Store(after)
		if after == c.settings.least && before == after {
			c.lowest++
		} else {
			c.lowest = 0
		}
		if c.lowest >= lowestWindows && c.settings.fixed == 0 {
			c.begin(now)
			return
		}
	}
	c.due.Store(min(c.window, c.measure))
}

// next is the limit after a window in which responses took that long.
func (c *controller) next(limit int64, took time.Duration) int64 {
	s := c.settings
	gradient := float64(c.minRTT) * (1 + s.buffer) / float64(max(took, 1))
	scaled := float64(limit) * min(max(gradient, 0.5), 2)
	return min(max(int64(scaled+math.Sqrt(scaled)), s.least), s.most)
}

// begin begins to measure minRTT.
func (c *controller) begin(now int64) {
	c.deferred = c.limit.Load()
	c.limit.Store(min(c.settings.alone, c.settings.most))
	c.seen.reset()
	c.epoch.Store(now)
	c.lowest = 0
	c.due.Store(math.MaxInt64)
	c.measuring.Store(true)
}

// measured ends it.
func (c *controller) measured(now int64) {
	s := c.settings
	c.minRTT = c.seen.percentile(s.percentile)
	c.seen.reset()
	c.limit.Store(c.deferred)
	c.measuring.Store(false)
	c.window = now + int64(s.every)
	c.measure = now + int64(float64(s.again)*(1+s.jitter*c.jitter()))
	c.due.Store(min(c.window, c.measure))
}
