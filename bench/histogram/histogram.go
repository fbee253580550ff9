// Package histogram counts durations in buckets whose width grows with the
// value, as HDR histograms do: every recorded value is known to within 1/128,
// from a nanosecond to a minute, in a fixed 33 KB and without allocation.
package histogram

import (
	"math/bits"
	"time"
)

const (
	subBits = 7 // 128 buckets for each power of two: at most 0.8 % wide
	sub     = 1 << subBits
	// Limit is the largest value told apart; longer ones are counted as Limit.
	Limit   = time.Minute
	buckets = (36-subBits)*sub + sub // 2^36 ns is 68.7 s
)

// Histogram is ready to use when zero. It is not safe for concurrent use.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
	max    time.Duration
}

// Record counts one duration; a negative one counts as zero.
func (h *Histogram) Record(d time.Duration) {
	d = min(max(d, 0), Limit)
	h.counts[index(uint64(d))]++
	h.total++
	h.max = max(h.max, d)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the longest duration recorded, exact up to Limit.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the smallest duration that at least the share q (0 to 1) of the
// recorded ones do not exceed, rounded up to its bucket's end; 0 when nothing
// was recorded.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := uint64(q * float64(h.total))
	if float64(rank) < q*float64(h.total) || rank == 0 {
		rank++
	}
	rank = min(rank, h.total)
	var seen uint64
	for i, n := range h.counts {
		seen += n
		if seen >= rank {
			return min(time.Duration(upper(i)), h.max)
		}
	}
	return h.max
}

// index is the bucket of v. Below sub each value has its own; above, the
// power of two picks a row of sub buckets and the next subBits bits the place.
func index(v uint64) int {
	if v < sub {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift*sub + int(v>>shift)
}

// upper is the largest value of bucket i.
func upper(i int) uint64 {
	if i < 2*sub {
		return uint64(i)
	}
	shift := i/sub - 1
	return (uint64(i-shift*sub)+1)<<shift - 1
}
