package balance

import (
	"math"
	"sync/atomic"
	"time"
)

// Latency is what is known of an endpoint's answers. It is one for all workers, so
// that what one of them had to wait for is known to all, and it outlasts changes of the
// list. Its words are changed by compare and swap; they are to stand on a line of
// memory that is written when a request comes and goes anyway, and then cost less than
// every worker's learning alone, which takes each its own slow answer.
//
// The zero value knows nothing.
type Latency struct {
	// average is of response times, in nanoseconds. It jumps to a time above it at
	// once, and otherwise forgets with the time constant decay.
	average cell
	// failures is the part of requests that failed, 0 to 1.
	failures cell
}

// A cell is a moving average that many write to: a float32 in the upper half
// of a word, the tick of the last change in the lower; 0: nothing is known.
type cell struct{ word atomic.Uint64 }

// tick is what time is counted in: 2^20 ns, so that 31 bits last for 26 days.
const tickBits = 20

func tickOf(now int64) uint32 { return uint32(uint64(now) >> tickBits) }

// DefaultDecay is Finagle's.
const DefaultDecay = 10 * time.Second

const (
	minDecay   = 10 * time.Millisecond
	maxLatency = float32(time.Minute)
	// failedLatency is the average of an endpoint that failed before it ever answered:
	// nothing would be the best.
	failedLatency = float32(100 * time.Millisecond)
	// leastBlend makes a failure, or its opposite, count for one of 32 requests at least, so
	// that an endpoint of many requests that fails is left as soon as that many have.
	leastBlend = 1. / 32
	// fewFailures are as good as none.
	fewFailures = 1e-4
)

// decay is in ticks.
func (s *PeakEWMASettings) decay() float64 {
	if s.Decay == 0 {
		return float64(DefaultDecay >> tickBits)
	}
	return float64(max(s.Decay, minDecay)) / (1 << tickBits)
}

// Observe notes that a response took that long, at the time now; both in nanoseconds,
// now of the clock of Options.Now.
func (l *Latency) Observe(s *PeakEWMASettings, now, took int64) {
	tick, decay := tickOf(now), s.decay()
	l.average.peak(tick, float32(max(took, 1)), decay)
	if l.failures.word.Load() != 0 {
		l.failures.blend(tick, 0, decay, tick)
	}
}

// AtLeast notes that a response had not come after that long, when nobody waited for it any more.
func (l *Latency) AtLeast(s *PeakEWMASettings, now, took int64) {
	if average, _ := unpack(l.average.word.Load()); float32(took) > average {
		l.average.peak(tickOf(now), float32(took), s.decay())
	}
}

// Fail notes that a request failed, or was answered with an error of the server,
// after that long. A quick failure must not look like a quick answer: it counts
// as a response time only where that is above the average, and otherwise keeps
// the average from shrinking, as it would if nothing were heard.
func (l *Latency) Fail(s *PeakEWMASettings, now, took int64) {
	tick, decay := tickOf(now), s.decay()
	word := l.average.word.Load()
	average, at := unpack(word)
	if word == 0 {
		average, at = failedLatency, tick-math.MaxInt32 // never
	}
	l.average.peak(tick, max(float32(took), average), decay)
	l.failures.blend(tick, 1, decay, at)
}

// Average is the average response time in nanoseconds, and Failures the part of
// requests that failed, as they were at the last change; 0 when nothing is known.
func (l *Latency) Average() int64 {
	value, _ := unpack(l.average.word.Load())
	return int64(value)
}

// Failures: see Average.
func (l *Latency) Failures() float64 {
	value, _ := unpack(l.failures.word.Load())
	return float64(value)
}

// wait is how long a request may have to wait for its answer, in nanoseconds,
// as far as is known: the average as it has shrunk since, and dearer by
// failures: 1 % of them count for 4 %, half of them for 16 times.
func (l *Latency) wait(tick uint32, decay float64) (ns float64, known bool) {
	word := l.average.word.Load()
	if word == 0 {
		return 0, false
	}
	ns = faded(word, tick, decay)
	if word = l.failures.word.Load(); word != 0 {
		good := max(1-faded(word, tick, decay), 1./32)
		ns /= good * good * good * good
	}
	return ns, true
}

// attempts is how often a change is tried: when others are quicker each time, theirs will do.
const attempts = 4

// peak takes a value into the average with the weight of the time that has
// passed, or puts it in the average's place if it is above. Of those below, one
// counts in a tick.
func (c *cell) peak(tick uint32, value float32, decay float64) {
	value = min(value, maxLatency)
	for range attempts {
		before := c.word.Load()
		average, at := unpack(before)
		elapsed, next := int32(tick-at), value
		if before != 0 && value < average {
			if elapsed <= 0 {
				return
			}
			next = value + (average-value)*keeps(elapsed, decay)
		}
		last := tick
		if before != 0 && elapsed < 0 {
			last = at // another worker's clock was read later
		}
		if c.word.CompareAndSwap(before, pack(next, last)) {
			return
		}
	}
}

// blend takes a value into the average with the weight of the time that has
// passed, but at least leastBlend; while the average is nothing, since the tick since.
func (c *cell) blend(tick uint32, value float32, decay float64, since uint32) {
	for range attempts {
		before := c.word.Load()
		average, at := unpack(before)
		if before == 0 {
			at = since
		}
		elapsed := max(int32(tick-at), 0)
		next := average + (value-average)*max(1-keeps(elapsed, decay), leastBlend)
		word := pack(next, at+uint32(elapsed))
		if next < fewFailures {
			word = 0
		}
		if c.word.CompareAndSwap(before, word) {
			return
		}
	}
}

// keeps is the part of an average that is left after some ticks.
func keeps(elapsed int32, decay float64) float32 {
	return float32(math.Exp(-float64(elapsed) / decay))
}

// faded is what is left of a cell's value at a later tick.
func faded(word uint64, tick uint32, decay float64) float64 {
	value, at := unpack(word)
	if elapsed := int32(tick - at); elapsed > 0 {
		return float64(value) * math.Exp(-float64(elapsed)/decay)
	}
	return float64(value)
}

func pack(value float32, tick uint32) uint64 {
	return uint64(math.Float32bits(value))<<32 | uint64(tick)
}

func unpack(word uint64) (value float32, tick uint32) {
	return math.Float32frombits(uint32(word >> 32)), uint32(word)
}
