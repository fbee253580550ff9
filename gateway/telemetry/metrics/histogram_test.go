package metrics

import (
	"math"
	"testing"
	"time"
)

func TestBucketBoundsHoldTheirValues(t *testing.T) {
	for i := range bucketCount - 1 {
		upper := upperBound(i)
		if got := bucketOf(upper); got != i {
			t.Errorf("bucketOf(%d) = %d, want %d: a bound belongs to its own bucket", upper, got, i)
		}
		if got := bucketOf(upper + 1); got != i+1 {
			t.Errorf("bucketOf(%d) = %d, want %d", upper+1, got, i+1)
		}
	}
	for _, ns := range []uint64{1e12 + 1, 1e15, math.MaxInt64} {
		if got := bucketOf(ns); got != bucketCount-1 {
			t.Errorf("bucketOf(%d) = %d, want the last", ns, got)
		}
	}
	if got := bucketOf(0); got != 0 {
		t.Errorf("bucketOf(0) = %d", got)
	}
}

func TestBucketsGrow(t *testing.T) {
	last := 0
	for ns := uint64(1); ns < 1e13; ns += 1 + ns/97 {
		i := bucketOf(ns)
		if i < last || i >= bucketCount {
			t.Fatalf("bucketOf(%d) = %d after %d", ns, i, last)
		}
		last = i
	}
}

func TestUsualBoundsAreExact(t *testing.T) {
	for _, bound := range []time.Duration{
		100 * time.Microsecond, 250 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
		10 * time.Millisecond, 25 * time.Millisecond, time.Second, 2500 * time.Millisecond, 30 * time.Second, 60 * time.Second, 300 * time.Second,
	} {
		var h Histogram
		h.Observe(int64(bound) - 1)
		h.Observe(int64(bound))
		h.Observe(int64(bound) + 1)
		var d Distribution
		h.AddTo(&d)
		if got := d.AtMost(bound); got != 2 {
			t.Errorf("at most %v: %d of 3, want 2", bound, got)
		}
		if d.Count != 3 || d.Sum != 3*bound {
			t.Errorf("%v: count %d, sum %v", bound, d.Count, d.Sum)
		}
	}
}

func TestQuantile(t *testing.T) {
	var a, b Histogram
	for i := range 1000 {
		h := &a
		if i%2 == 1 {
			h = &b
		}
		h.Observe(int64(i+1) * int64(time.Millisecond))
	}
	var d Distribution
	if d.Quantile(0.5) != 0 {
		t.Error("an empty distribution has quantiles")
	}
	a.AddTo(&d)
	b.AddTo(&d)
	for q, want := range map[float64]time.Duration{0: 0, 0.5: 500 * time.Millisecond, 0.9: 900 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		got := d.Quantile(q)
		if diff := math.Abs(float64(got - want)); diff > 0.03*float64(want)+float64(time.Millisecond) {
			t.Errorf("quantile %v = %v, want about %v", q, got, want)
		}
	}
	var late Histogram
	late.Observe(math.MaxInt64)
	late.Observe(-5)
	d = Distribution{}
	late.AddTo(&d)
	if d.Count != 2 || d.Quantile(1) != 1000*time.Second || d.AtMost(time.Microsecond*10) != 1 {
		t.Errorf("beyond the ends: count %d, quantile %v", d.Count, d.Quantile(1))
	}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Observe(int64(i) * 977 % 100_000_000)
	}
}

func BenchmarkCounter(b *testing.B) {
	var c Counter
	for range b.N {
		c.Inc()
	}
}
