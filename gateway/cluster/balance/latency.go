package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// Latency is what is known of an endpoint's response times: a moving average
// that jumps to a time that is above it at once, and otherwise forgets with
// the time constant decay. It is one for all workers, so that a slow answer to
// one of them is known to all, and stays when the list changes. It is one
// word, changed by compare and swap: on a line of memory that is written when a
// request comes and goes anyway, that costs less than what each worker would pay for
// learning alone.
//
// The zero value knows nothing.
type Latency struct {
	// The average in nanoseconds as a float32 in the upper half, the tick of the
	// last change in the lower; 0: nothing is known.
	word atomic.Uint64
}

// tick is what time is counted in: 2^20 ns, so that 32 bits last for 52 days.
// Times that come in one tick count as one.
const tickBits = 20

// DefaultDecay is Finagle's.
const DefaultDecay = 10 * time.Second

const (
	minDecay = 10 * time.Millisecond
	// failureFactor is how many times the average a failure counts for: a quick error
	// must not look like a quick answer. A single one costs an endpoint some
	// requests, several in a row nearly all.
	failureFactor = 4
	maxLatency    = float32(time.Minute)
	minLatency    = float32(100 * time.Microsecond) // that a failure counts for
)

func (s *PeakEWMASettings) decay() float64 {
	if s.Decay == 0 {
		return float64(DefaultDecay >> tickBits)
	}
	return float64(max(s.Decay, minDecay)) / (1 << tickBits)
}

// Observe notes that a response took that long, at the time now; both in nanoseconds,
// now of the clock of Options.Now.
func (l *Latency) Observe(s *PeakEWMASettings, now, took int64) {
	l.change(s, now, float32(max(took, 1)), 0)
}

// Fail notes that a request failed, or was answered with an error of the server, after that long.
func (l *Latency) Fail(s *PeakEWMASettings, now, took int64) {
	l.change(s, now, max(float32(took), minLatency), failureFactor)
}

// change takes a time of at least took and times × the average into the average.
func (l *Latency) change(s *PeakEWMASettings, now int64, took, times float32) {
	for range 4 { // when others are quicker so often, theirs will do
		before := l.word.Load()
		average, at := unpack(before)
		tick := uint32(uint64(now) >> tickBits)
		value := min(max(took, times*average), maxLatency)
		elapsed := int32(tick - at)
		switch {
		case before == 0 || value >= average:
		case elapsed <= 0:
			return // the tick has its time
		default:
			weight := float32(math.Exp(-float64(elapsed) / s.decay()))
			value = average*weight + value*(1-weight)
		}
		if before != 0 && elapsed < 0 {
			tick = at // another worker's clock was read later
		}
		if l.word.CompareAndSwap(before, pack(value, tick)) {
			return
		}
	}
}

// Average is the average in nanoseconds, as it was at the last change; 0 when nothing is known.
func (l *Latency) Average() int64 {
	average, _ := unpack(l.word.Load())
	return int64(average)
}

func pack(average float32, tick uint32) uint64 {
	return uint64(math.Float32bits(average))<<32 | uint64(tick)
}

func unpack(word uint64) (average float32, tick uint32) {
	return math.Float32frombits(uint32(word >> 32)), uint32(word)
}
