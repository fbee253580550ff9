package histogram

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestEveryBucketHoldsItsBounds(t *testing.T) {
	next := uint64(0)
	for i := range buckets {
		if got := index(next); got != i {
			t.Fatalf("index(%d) = %d, want %d", next, got, i)
		}
		if got := index(upper(i)); got != i {
			t.Fatalf("index(upper(%d) = %d) = %d", i, upper(i), got)
		}
		if width := upper(i) - next; width > next/sub {
			t.Fatalf("bucket %d from %d is %d wide", i, next, width)
		}
		next = upper(i) + 1
	}
	if next <= uint64(Limit) {
		t.Fatalf("buckets end at %d, before the limit %d", next, Limit)
	}
}

func TestQuantilesAgainstSortedValues(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	values := make([]time.Duration, 10_000)
	for i := range values {
		values[i] = time.Duration(rnd.ExpFloat64() * float64(200*time.Microsecond))
		h.Record(values[i])
	}
	slices.Sort(values)
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		rank := max(int(q*float64(len(values))), 1)
		exact := values[rank-1]
		got := h.Quantile(q)
		if got < exact || got > exact+exact/sub+1 {
			t.Errorf("Quantile(%v) = %v, exactly %v", q, got, exact)
		}
	}
	if h.Max() != values[len(values)-1] || h.Count() != uint64(len(values)) {
		t.Errorf("max %v of %d, want %v of %d", h.Max(), h.Count(), values[len(values)-1], len(values))
	}
}

func TestEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 {
		t.Error("an empty histogram must read zero")
	}
	h.Record(-time.Second)
	h.Record(time.Hour)
	if h.Quantile(0.5) != 0 {
		t.Errorf("a negative duration must count as zero, got %v", h.Quantile(0.5))
	}
	if h.Quantile(1) != Limit {
		t.Errorf("an hour must count as the limit, got %v", h.Quantile(1))
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
