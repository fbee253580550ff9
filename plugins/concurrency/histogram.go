package concurrency

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts times, exact to 1.6 %: each doubling has 32 buckets, and a bucket
// stands for its middle. Any worker may add; one at a time asks and resets.
type histogram struct {
	count   atomic.Int64
	buckets [octaves << subBits]atomic.Uint32
}

const (
	subBits = 5
	octaves = 38 // up to 2^42 ns, more than an hour; what is longer counts as that
)

// add counts a time and gives how many there are.
func (h *histogram) add(d time.Duration) int64 {
	h.buckets[bucket(d)].Add(1)
	return h.count.Add(1)
}

// bucket is where a time is counted.
func bucket(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < 1<<subBits {
		return int(n)
	}
	octave := bits.Len64(n) - subBits - 1
	b := octave<<subBits + int(n>>octave)
	return min(b, octaves<<subBits-1)
}

// middle is the time that a bucket stands for.
func middle(b int) time.Duration {
	if b < 2<<subBits {
		return time.Duration(b)
	}
	octave := b>>subBits - 1
	low := int64(b&(1<<subBits-1)|1<<subBits) << octave
	return time.Duration(low + 1<<octave/2)
}

// percentile is the time that such a share of the times does not pass, 0 without any.
func (h *histogram) percentile(share float64) time.Duration {
	total := uint64(0)
	for b := range h.buckets {
		total += uint64(h.buckets[b].Load())
	}
	rank, passed := uint64(max(math.Ceil(share*float64(total)), 1)), uint64(0)
	for b := range h.buckets {
		if passed += uint64(h.buckets[b].Load()); passed >= rank {
			return middle(b)
		}
	}
	return 0
}

// reset forgets all. What is added meanwhile may be counted or not.
func (h *histogram) reset() {
	for b := range h.buckets {
		if h.buckets[b].Load() != 0 {
			h.buckets[b].Store(0)
		}
	}
	h.count.Store(0)
}
