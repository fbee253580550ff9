package balance

import (
	"math"
	"sync"
	"testing"
	"time"
)

const (
	ms     = int64(time.Millisecond)
	second = int64(time.Second)
)

func near(got, want int64, part float64) bool {
	return math.Abs(float64(got-want)) <= part*float64(want)
}

func TestLatencyJumpsUpAndDecays(t *testing.T) {
	var l Latency
	s := &PeakEWMASettings{}
	if l.Average() != 0 {
		t.Errorf("nothing is known, and the average is %d", l.Average())
	}
	now := 5 * second
	l.Observe(s, now, 10*ms)
	if !near(l.Average(), 10*ms, 1e-6) {
		t.Errorf("the first makes it %d", l.Average())
	}
	l.Observe(s, now, 500*ms)
	if !near(l.Average(), 500*ms, 1e-6) {
		t.Errorf("a peak makes it %d", l.Average())
	}
	l.Observe(s, now, 10*ms)
	if !near(l.Average(), 500*ms, 1e-6) {
		t.Errorf("an answer of the same tick makes it %d", l.Average())
	}
	// After one decay time of answers of 10 ms there is 1/e of the peak left.
	for range 1000 {
		now += 10 * ms
		l.Observe(s, now, 10*ms)
	}
	if want := 10*ms + part(490*ms); !near(l.Average(), want, 0.01) {
		t.Errorf("after %v: %d, want %d", DefaultDecay, l.Average(), want)
	}
	// How often it is told makes no difference.
	var seldom Latency
	seldom.Observe(s, 5*second, 500*ms)
	seldom.Observe(s, 15*second, 10*ms)
	if !near(seldom.Average(), l.Average(), 0.01) {
		t.Errorf("told once: %d, a thousand times: %d", seldom.Average(), l.Average())
	}
}

func TestLatencyDecay(t *testing.T) {
	for _, c := range []struct{ set, want time.Duration }{
		{0, DefaultDecay}, {time.Second, time.Second}, {time.Microsecond, 10 * time.Millisecond}, {-time.Second, 10 * time.Millisecond},
	} {
		var l Latency
		s := &PeakEWMASettings{Decay: c.set}
		l.Observe(s, 0, second)
		l.Observe(s, int64(c.want), 1)
		if want := part(second); !near(l.Average(), want, 0.06) { // of 10 ms a tick is a tenth
			t.Errorf("decay %v: %d after %v, want %d", c.set, l.Average(), c.want, want)
		}
	}
}

// The part that failed is what it is, at any rate of requests.
func TestFailuresAreCounted(t *testing.T) {
	s := &PeakEWMASettings{}
	for _, c := range []struct {
		each   int64 // ns between requests
		every  int   // that fails
		want   float64
		within float64
	}{{5 * ms, 1, 1, 0.001}, {5 * ms, 2, 0.5, 0.03}, {5 * ms, 100, 0.01, 0.02}, {5 * second, 1, 1, 0.01}} {
		var l Latency
		for k := range 4000 {
			now := int64(k) * c.each
			if k%c.every == c.every/2 {
				l.Fail(s, now, ms)
			} else {
				l.Observe(s, now, 10*ms)
			}
		}
		if got := l.Failures(); math.Abs(got-c.want) > c.within {
			t.Errorf("every %dth of requests each %d ns fails: %.4f", c.every, c.each, got)
		}
		if c.every > 1 && !near(l.Average(), 10*ms, 1e-3) {
			t.Errorf("quick failures make the average %d", l.Average())
		}
	}
	var l Latency
	l.Observe(s, 0, 10*ms)
	l.Fail(s, ms*2, 70*ms)
	if !near(l.Average(), 70*ms, 1e-6) {
		t.Errorf("a slow failure makes the average %d", l.Average())
	}
	for k := range int64(100) {
		l.Observe(s, (1+k)*second, 10*ms)
	}
	if l.Failures() != 0 || l.failures.word.Load() != 0 {
		t.Errorf("after 100 s there are %f failures left", l.Failures())
	}
}

// Who gives up waiting knows the least that it would have been.
func TestAtLeast(t *testing.T) {
	var l Latency
	s := &PeakEWMASettings{}
	l.AtLeast(s, 0, 20*ms)
	l.AtLeast(s, second, 10*ms)
	if !near(l.Average(), 20*ms, 1e-6) || l.Failures() != 0 {
		t.Errorf("average %d, failures %f", l.Average(), l.Failures())
	}
	l.AtLeast(s, second, 30*ms)
	if !near(l.Average(), 30*ms, 1e-6) {
		t.Errorf("average %d", l.Average())
	}
}

// One that never answered is not the best for failing quickly.
func TestFailureOfTheUnknown(t *testing.T) {
	var l Latency
	s := &PeakEWMASettings{}
	l.Fail(s, second, ms)
	if !near(l.Average(), 100*ms, 1e-6) || l.Failures() < 0.999 {
		t.Errorf("average %d, failures %f", l.Average(), l.Failures())
	}
	if wait, known := l.wait(tickOf(second), s.decay()); !known || wait < 1e12 {
		t.Errorf("wait %g", wait)
	}
}

// A worker whose clock was read a little earlier takes nothing back.
func TestLatencyOfEarlierClocks(t *testing.T) {
	var l Latency
	s := &PeakEWMASettings{}
	l.Observe(s, 10*second, 100*ms)
	l.Observe(s, 9*second, ms)
	if !near(l.Average(), 100*ms, 1e-6) {
		t.Errorf("an answer before makes it %d", l.Average())
	}
	l.Observe(s, 9*second, 200*ms)
	l.Observe(s, 10*second, ms) // if the time had gone back, this would be a second later
	if !near(l.Average(), 200*ms, 1e-6) {
		t.Errorf("the time went back: %d", l.Average())
	}
}

// Workers observe at once; the largest is never lost, as it is above all.
func TestLatencyIsShared(t *testing.T) {
	var l Latency
	var workers sync.WaitGroup
	for w := range int64(8) {
		workers.Go(func() {
			s := &PeakEWMASettings{}
			for k := range int64(1000) {
				l.Observe(s, second, k*1000+w)
			}
		})
	}
	workers.Wait()
	if got := l.Average(); got < 990_000 || got > 1_000_000 {
		t.Errorf("%d", got)
	}
	if n := testing.AllocsPerRun(100, func() { l.Observe(&PeakEWMASettings{}, 2*second, 5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// part is what is left after one decay time.
func part(of int64) int64 { return int64(float64(of) / math.E) }
