package metrics

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Histogram counts durations. Its buckets are log-linear in decimal: every
// decade from 10 µs to 1000 s has 36 of equal width (a quarter of the decade's
// start), so that the bounds people use (1, 2.5, 5, 10 ms …) are bounds of
// buckets and exported counts are exact, while quantiles are good to a few per
// cent. What is shorter falls into four buckets of 2.5 µs, what is longer into
// one without an upper bound.
//
// It has one writer and many readers. Its 2.3 KB are allocated at the first
// observation: most clusters of a large configuration see no traffic.
type Histogram struct {
	sum     Counter // nanoseconds
	buckets atomic.Pointer[[bucketCount]Counter]
}

const (
	decades     = 8
	perDecade   = 36
	bucketCount = 4 + decades*perDecade + 1
)

// decadeStarts are the lower bounds of the decades in nanoseconds.
var decadeStarts = [decades + 1]uint64{1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}

// decadeOf gives, by the number of significant bits of a duration in
// nanoseconds, the decade of the smallest number of so many bits. The decade of
// the number itself is this one or the next.
var decadeOf = [65]uint8{
	14: 0, 15: 0, 16: 0, 17: 0, // 10 µs = 14 bits
	18: 1, 19: 1, 20: 1, // 100 µs = 17 bits
	21: 2, 22: 2, 23: 2, 24: 2, // 1 ms = 20 bits
	25: 3, 26: 3, 27: 3, // 10 ms = 24 bits
	28: 4, 29: 4, 30: 4, // 100 ms = 27 bits
	31: 5, 32: 5, 33: 5, 34: 5, // 1 s = 30 bits
	35: 6, 36: 6, 37: 6, // 10 s = 34 bits
	38: 7, 39: 7, 40: 7, // 100 s = 37 bits
}

// Observe counts one duration in nanoseconds; a negative one counts as 0. Only
// the owning loop may call it.
func (h *Histogram) Observe(ns int64) {
	ns = max(ns, 0)
	buckets := h.buckets.Load()
	if buckets == nil {
		buckets = new([bucketCount]Counter)
		h.buckets.Store(buckets)
	}
	buckets[bucketOf(uint64(ns))].Inc()
	h.sum.Add(uint64(ns))
}

// bucketOf finds the bucket whose bounds hold ns: above the lower, up to and
// with the upper one, as Prometheus' "le" has it.
func bucketOf(ns uint64) int {
	if ns > 0 {
		ns-- // (lower, upper] of whole numbers is [lower, upper) of their predecessors
	}
	if ns >= decadeStarts[decades] {
		return bucketCount - 1
	}
	decade := int(decadeOf[bits.Len64(ns)])
	if ns >= decadeStarts[decade+1] {
		decade++
	}
	return decade*perDecade + int(ns/(decadeStarts[decade]/4))
}

// upperBound is the largest duration in nanoseconds that bucket i counts; the
// last bucket has none.
func upperBound(i int) uint64 {
	decade := max(0, (i-4)/perDecade)
	return uint64(i-decade*perDecade+1) * (decadeStarts[decade] / 4)
}

// Distribution is what one or more histograms hold, added up.
type Distribution struct {
	Count uint64
	Sum   time.Duration

	buckets [bucketCount]uint64
}

// AddTo adds what h holds to d. Numbers that are counted meanwhile may be in it or not.
func (h *Histogram) AddTo(d *Distribution) {
	buckets := h.buckets.Load()
	if buckets == nil {
		return
	}
	for i := range buckets {
		n := buckets[i].Load()
		d.buckets[i] += n
		d.Count += n
	}
	d.Sum += time.Duration(h.sum.Load())
}

// AtMost is how many durations were no longer than bound, which must be a
// bucket's bound (a multiple of a quarter of its decade's start) for the count
// to be exact; else it is that of the nearest bound below.
func (d *Distribution) AtMost(bound time.Duration) uint64 {
	var n uint64
	for i := 0; i < bucketCount-1 && upperBound(i) <= uint64(bound); i++ {
		n += d.buckets[i]
	}
	return n
}

// Quantile estimates the duration that the share q (0 to 1) of all durations does
// not exceed, by assuming that a bucket's are spread evenly over it. It is 0
// when nothing was counted.
func (d *Distribution) Quantile(q float64) time.Duration {
	if d.Count == 0 {
		return 0
	}
	rank := q * float64(d.Count)
	var below float64
	for i := range bucketCount - 1 {
		n := float64(d.buckets[i])
		if n > 0 && below+n >= rank {
			lower := 0.0
			if i > 0 {
				lower = float64(upperBound(i - 1))
			}
			return time.Duration(lower + (float64(upperBound(i))-lower)*max(0, rank-below)/n)
		}
		below += n
	}
	return time.Duration(decadeStarts[decades])
}
