package concurrency

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

const ms = int64(time.Millisecond)

func defaults() *settings {
	return &settings{
		percentile: 0.5, every: 100 * time.Millisecond, least: 3, most: 1000,
		again: time.Minute, jitter: 0.15, requests: 50, alone: 3, buffer: 0.25, status: 503,
	}
}

// answer lets a request through that takes so long.
func answer(t *testing.T, c *controller, now int64, took time.Duration) {
	t.Helper()
	if !c.enter(now) {
		t.Fatalf("refused at %v with %d under way of %d", time.Duration(now), c.active.Load(), c.limit.Load())
	}
	c.sample(now, now+int64(took))
	c.leave()
}

// The way of Envoy's gradient controller, step by step.
func TestGradient(t *testing.T) {
	c := newController(defaults(), 0)
	c.jitter = func() float64 { return 1 }
	now := int64(0)
	// minRTT is measured first, with three requests at once.
	for i := range 3 {
		if !c.enter(now) {
			t.Fatalf("request %d is refused", i)
		}
	}
	if c.enter(now) {
		t.Fatal("a fourth one is let through")
	}
	for range 3 {
		c.sample(now, now+10*ms)
		c.leave()
	}
	for range 46 {
		now += ms
		answer(t, c, now, 10*time.Millisecond)
	}
	if !c.measuring.Load() || c.minRTT != 0 {
		t.Fatal("measured too early")
	}
	answer(t, c, now, 10*time.Millisecond)
	// The clock is that of the answer.
	now += 10 * ms
	near := func(got time.Duration, want time.Duration) bool {
		return math.Abs(float64(got-want)) < 0.02*float64(want)
	}
	if c.measuring.Load() || !near(c.minRTT, 10*time.Millisecond) || c.limit.Load() != 3 {
		t.Fatalf("measured %v, limit %d", c.minRTT, c.limit.Load())
	}
	if c.window != now+100*ms || c.measure != now+69*int64(time.Second) {
		t.Errorf("window ends at %v, measured again at %v", time.Duration(c.window), time.Duration(c.measure))
	}
	// As fast as can be: the gradient is 1.25, and √ of the limit is added.
	for _, want := range []int64{5, 8, 13, 20} {
		answer(t, c, now, 10*time.Millisecond)
		now += 100 * ms
		if !c.enter(now) {
			t.Fatal("refused")
		}
		c.leave()
		if got := c.limit.Load(); got != want {
			t.Errorf("limit %d, want %d", got, want)
		}
	}
	// Four times as slow: half, which is the least.
	answer(t, c, now, 40*time.Millisecond)
	now += 100 * ms
	c.look(now)
	if got := c.limit.Load(); got != 13 { // 10 + √10
		t.Errorf("limit %d", got)
	}
	// A window without an answer changes nothing.
	now += 1000 * ms
	c.look(now)
	if got := c.limit.Load(); got != 13 {
		t.Errorf("limit %d", got)
	}
}

func TestBounds(t *testing.T) {
	s := defaults()
	s.fixed, s.again, s.least, s.most = 10*time.Millisecond, 0, 4, 30
	c := newController(s, 0)
	if c.measuring.Load() || c.limit.Load() != 4 {
		t.Fatal("what is given is not measured")
	}
	now := int64(0)
	for range 50 {
		answer(t, c, now, time.Millisecond)
		now += 100 * ms
	}
	c.look(now)
	if got := c.limit.Load(); got != 30 {
		t.Errorf("limit %d, want the most", got)
	}
	for range 50 {
		answer(t, c, now, time.Second)
		now += 2000 * ms
	}
	c.look(now)
	if got := c.limit.Load(); got != 4 || c.measuring.Load() {
		t.Errorf("limit %d, want the least", got)
	}
}

// minRTT is measured again after a time, and when it is in doubt.
func TestMinRTTIsMeasuredAgain(t *testing.T) {
	measure := func(c *controller, now int64, took time.Duration) int64 {
		for range 50 {
			answer(t, c, now, took)
			now += ms
		}
		return now + int64(took)
	}
	c := newController(defaults(), 0)
	c.jitter = func() float64 { return 0 }
	now := measure(c, 0, 10*time.Millisecond)
	for range 20 {
		answer(t, c, now, 10*time.Millisecond)
		now += 100 * ms
	}
	before := c.limit.Load()
	late := now
	if !c.enter(late) {
		t.Fatal("refused")
	}
	now = c.measure
	c.look(now)
	if !c.measuring.Load() || c.limit.Load() != 3 {
		t.Fatal("after a minute it is measured again")
	}
	// What was under way before is no sample.
	c.sample(late, now+ms)
	c.leave()
	if n := c.seen.count.Load(); n != 0 {
		t.Errorf("%d samples", n)
	}
	now = measure(c, now, 20*time.Millisecond)
	if c.limit.Load() != before || c.minRTT < 19*time.Millisecond {
		t.Errorf("limit %d, want %d as before; minRTT %v", c.limit.Load(), before, c.minRTT)
	}
	// The endpoints are slower for good: five windows at the lowest limit.
	windows := 0
	for !c.measuring.Load() && windows < 100 {
		answer(t, c, now, 200*time.Millisecond)
		now += 200 * ms
		c.look(now)
		windows++
	}
	if windows < lowestWindows || windows > 20 {
		t.Errorf("measured after %d windows", windows)
	}
	if measure(c, now, 200*time.Millisecond); c.minRTT < 190*time.Millisecond {
		t.Errorf("minRTT %v", c.minRTT)
	}
}

// origin answers as many requests at once as it has servers; others wait.
type origin struct {
	free    []int64 // when each server is
	service int64
}

func (o *origin) ask(now int64) (done int64) {
	first := 0
	for i, at := range o.free {
		if at < o.free[first] {
			first = i
		}
	}
	o.free[first] = max(o.free[first], now) + o.service
	return o.free[first]
}

// simulate offers requests at random times, at twice what the origin can do, and
// gives what came of it: answers a second, their mean time, and the mean limit.
func simulate(t *testing.T, c *controller, o *origin, random *rand.Rand, from *int64, lasts time.Duration) (rate float64, mean time.Duration, limit float64) {
	t.Helper()
	type flight struct{ begun, done int64 }
	var flights []flight // by done: the origin is first in, first out
	now, end := *from, *from+int64(lasts)
	gap := float64(o.service) / float64(len(o.free)) / 2
	var answers, arrivals int
	var time, limits int64
	for now < end {
		now += int64(random.ExpFloat64() * gap)
		for len(flights) > 0 && flights[0].done <= now {
			f := flights[0]
			flights = flights[1:]
			c.sample(f.begun, f.done)
			c.leave()
			answers++
			time += f.done - f.begun
		}
		arrivals++
		limits += c.limit.Load()
		if c.enter(now) {
			if n := c.active.Load(); n > c.limit.Load() {
				t.Fatalf("%d under way of %d", n, c.limit.Load())
			}
			flights = append(flights, flight{now, o.ask(now)})
		}
	}
	for _, f := range flights {
		c.sample(f.begun, f.done)
		c.leave()
		now = max(now, f.done)
	}
	*from = now
	return float64(answers) / lasts.Seconds(), seconds(time, answers), float64(limits) / float64(arrivals)
}

func seconds(total int64, n int) time.Duration { return time.Duration(total / int64(max(n, 1))) }

// Offered twice what the origin can do, the limit finds what it can, whatever that
// is at the time: nearly all of it is used, and nobody waits for long.
func TestLimitConverges(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := defaults()
	s.again = 20 * time.Second
	c := newController(s, 0)
	c.jitter = random.Float64
	now := int64(0)
	for _, phase := range []struct {
		servers int
		service time.Duration
	}{{20, 10 * time.Millisecond}, {8, 10 * time.Millisecond}, {40, 10 * time.Millisecond}, {20, 30 * time.Millisecond}} {
		o := &origin{free: make([]int64, phase.servers), service: int64(phase.service)}
		simulate(t, c, o, random, &now, 25*time.Second) // until it has settled
		rate, mean, limit := simulate(t, c, o, random, &now, 15*time.Second)
		can := float64(phase.servers) / phase.service.Seconds()
		t.Logf("%d servers of %v: limit %.1f, %.0f answers/s of %.0f, %v", phase.servers, phase.service, limit, rate, can, mean)
		if rate < 0.85*can {
			t.Errorf("%v: %.0f answers a second of %.0f", phase, rate, can)
		}
		if mean > 5*phase.service/2 {
			t.Errorf("%v: answers take %v", phase, mean)
		}
		if most := 2.2 * float64(phase.servers); limit < 0.9*float64(phase.servers) || limit > most {
			t.Errorf("%v: limit %.1f", phase, limit)
		}
	}
}

func TestHistogram(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	h := &histogram{}
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(math.Exp(random.Float64()*20) * 100)
		all = append(all, d)
		h.add(d)
	}
	slices.Sort(all)
	for _, share := range []float64{0.01, 0.25, 0.5, 0.9, 1} {
		want := all[int(math.Ceil(share*float64(len(all))))-1]
		if got := h.percentile(share); math.Abs(float64(got-want)) > 0.016*float64(want)+1 {
			t.Errorf("%v: %v, want %v", share, got, want)
		}
	}
	h.reset()
	if h.percentile(0.5) != 0 || h.count.Load() != 0 {
		t.Error("not empty")
	}
	last := time.Duration(-1)
	for b := range h.buckets {
		if m := middle(b); m <= last || bucket(m) != b {
			t.Fatalf("bucket %d: %v after %v, found in %d", b, m, last, bucket(m))
		} else {
			last = m
		}
	}
	if bucket(-1) != 0 || bucket(math.MaxInt64) != len(h.buckets)-1 {
		t.Error("out of bounds")
	}
}

// However many ask, no more are under way than the limit says.
func TestLimitIsExactOverWorkers(t *testing.T) {
	s := defaults()
	s.fixed, s.again, s.least, s.most = time.Second, 0, 7, 7
	c := newController(s, 0)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5000 {
				if c.enter(0) {
					c.sample(0, ms)
					c.leave()
				}
			}
		})
	}
	all.Wait()
	if n := c.active.Load(); n != 0 {
		t.Errorf("%d under way", n)
	}
	for i := range 10 {
		if c.enter(0) != (i < 7) {
			t.Errorf("request %d", i)
		}
	}
}
