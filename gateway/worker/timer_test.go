package worker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// tick is the length of a wheel's tick in nanoseconds.
const tick = 1 << tickBits

// testTimer is a Timer that the naive model below knows too.
type testTimer struct {
	Timer
	model    *timerModel
	deadline int64 // by the model; 0 when it is not armed
	fired    int
}

func (t *testTimer) Expire(x *Timer) { t.model.expired(t) }

// timerModel is a wheel and, beside it, what each timer's deadline is.
type timerModel struct {
	*testing.T
	l      *Loop
	rand   *rand.Rand
	timers []*testTimer
	depth  int
}

// newClock is a loop without descriptors, whose time the test sets.
func newClock(now int64) *Loop {
	l := &Loop{now: now}
	l.timers.tick = now >> tickBits
	return l
}

func newTimerModel(t *testing.T, seed uint64, n int) *timerModel {
	m := &timerModel{T: t, l: newClock(1 + int64(seed)*12345678901), rand: rand.New(rand.NewPCG(seed, 1))}
	for range n {
		x := &testTimer{model: m}
		x.Init(x)
		m.timers = append(m.timers, x)
	}
	return m
}

// advance moves time by d and fires what is due.
func (m *timerModel) advance(d int64) {
	m.l.now += d
	m.l.timers.advance(m.l.now, func(t *Timer) { t.handler.Expire(t) })
	count := 0
	for i, x := range m.timers {
		if x.deadline != 0 && x.deadline+2*tick <= m.l.now {
			m.Fatalf("timer %d was due at %d and has not fired at %d", i, x.deadline, m.l.now)
		}
		if x.Armed() != (x.deadline != 0) {
			m.Fatalf("timer %d: Armed is %v, deadline %d", i, x.Armed(), x.deadline)
		}
		if x.prev != nil {
			count++
		}
	}
	if m.l.timers.count != count {
		m.Fatalf("the wheel counts %d timers and holds %d", m.l.timers.count, count)
	}
	m.checkWait()
}

// checkWait holds wait to its promise: the loop wakes in time for the earliest.
func (m *timerModel) checkWait() {
	wait := m.l.timers.wait(m.l.now)
	for i, x := range m.timers {
		if x.deadline == 0 {
			continue
		}
		if wait < 0 || m.l.now+int64(wait) > max(x.deadline, m.l.now)+2*tick {
			m.Fatalf("timer %d is due in %d, and the loop would sleep %d", i, x.deadline-m.l.now, wait)
		}
	}
}

func (m *timerModel) expired(t *testTimer) {
	if t.deadline == 0 {
		m.Fatal("a timer fired that was not armed")
	}
	if t.deadline > m.l.now {
		m.Fatalf("a timer fired %d ns early", t.deadline-m.l.now)
	}
	t.deadline = 0
	t.fired++
	// A handler does as it likes with itself and others.
	if m.depth == 0 && m.rand.IntN(2) == 0 {
		m.depth++
		for range m.rand.IntN(4) {
			m.act(m.timers[m.rand.IntN(len(m.timers))])
		}
		m.depth--
	}
}

// spans are lengths of time of every level of the wheel and beyond.
var spans = [...]int64{1, tick, 20 * tick, 256 * tick, 70000 * tick, 1 << 24 * tick, 1 << 26 * tick}

func (m *timerModel) span() int64 {
	n := spans[m.rand.IntN(len(spans))]
	switch m.rand.IntN(4) {
	case 0:
		return n
	case 1:
		return n + m.rand.Int64N(3) - 1
	}
	return m.rand.Int64N(n + 1)
}

func (m *timerModel) act(x *testTimer) {
	d := m.span()
	switch m.rand.IntN(8) {
	case 0:
		m.l.Disarm(&x.Timer)
		x.deadline = 0
	case 1:
		m.l.Drop(&x.Timer)
		x.deadline = 0
		if x.prev != nil {
			m.Fatal("a dropped timer stands in the wheel")
		}
	case 2:
		m.l.ArmBy(&x.Timer, time.Duration(d))
		if x.deadline == 0 || x.deadline > m.l.now+d {
			x.deadline = m.l.now + d
		}
	default:
		m.l.Arm(&x.Timer, time.Duration(d))
		x.deadline = m.l.now + d
	}
}

func TestTimersFireInTimeAndNeverEarly(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newTimerModel(t, seed, 1+int(seed)*3)
			for range 1200 {
				for range m.rand.IntN(4) {
					m.act(m.timers[m.rand.IntN(len(m.timers))])
				}
				m.checkWait()
				switch m.rand.IntN(3) {
				case 0: // as the loop sleeps
					if w := m.l.timers.wait(m.l.now); w >= 0 {
						m.advance(int64(w))
					}
				case 1:
					m.advance(m.rand.Int64N(4 * tick))
				default:
					m.advance(min(m.span(), 3<<16*tick))
				}
			}
			fired := 0
			for _, x := range m.timers {
				fired += x.fired
			}
			if fired == 0 {
				t.Error("no timer fired at all")
			}
		})
	}
}

// Every distance at which a level ends, from every phase of the lower levels.
func TestTimersAtTheEdgesOfLevels(t *testing.T) {
	for _, begin := range []int64{0, 1, 255, 256, 65535, 65536, 1<<24 - 1, 1 << 24} {
		for _, n := range []int64{0, 1, 2, 254, 255, 256, 257, 511, 512, 65534, 65535, 65536, 65537, 1<<24 - 1, 1 << 24, 1<<24 + 1} {
			m := newTimerModel(t, 1, 1)
			m.l = newClock(begin*tick + 1)
			x := m.timers[0]
			m.depth = 1 // its handler does nothing
			m.l.Arm(&x.Timer, time.Duration(n*tick))
			x.deadline = m.l.now + n*tick
			for laps := 0; x.deadline != 0; laps++ {
				if laps > 1<<17 {
					t.Fatalf("from tick %d: the timer in %d ticks never fires", begin, n)
				}
				m.advance(int64(m.l.timers.wait(m.l.now)))
			}
			if m.l.timers.count != 0 || x.fired != 1 {
				t.Errorf("count %d, fired %d", m.l.timers.count, x.fired)
			}
		}
	}
}

func TestTimerArmedVeryFarAway(t *testing.T) {
	m := newTimerModel(t, 1, 2)
	m.depth = 1
	for i, d := range []time.Duration{math.MaxInt64, math.MinInt64} {
		m.l.Arm(&m.timers[i].Timer, d)
	}
	m.timers[0].deadline = m.l.now + farthest
	m.timers[1].deadline = m.l.now
	m.advance(1 << 24 * tick)
	if m.timers[0].fired != 0 || m.timers[1].fired != 1 {
		t.Errorf("fired %d and %d times", m.timers[0].fired, m.timers[1].fired)
	}
}

func BenchmarkTimerArm(b *testing.B) {
	l := newClock(1)
	var t Timer
	t.Init(nil)
	b.Run("push back", func(b *testing.B) {
		for b.Loop() {
			l.Arm(&t, time.Minute)
		}
	})
	b.Run("arm and drop", func(b *testing.B) {
		for b.Loop() {
			l.Arm(&t, time.Minute)
			l.Drop(&t)
		}
	})
}
