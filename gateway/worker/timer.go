package worker

import (
	"math/bits"
	"time"
)

// TimerHandler is told when a Timer's time has come, on the loop.
type TimerHandler interface {
	Expire(t *Timer)
}

// Timer is one deadline, embedded in what it belongs to. It costs no
// allocation, and pushing its deadline back, or stopping it, costs one store:
// it stays where it stands in the wheel and looks again when it gets there.
type Timer struct {
	next     *Timer
	prev     **Timer // what points at this timer; nil when it is in no slot
	due      int64   // when its slot comes up
	deadline int64   // when it shall fire; 0 when it is stopped
	handler  TimerHandler
}

// The wheel has three levels. A tick is about 4.2 ms; a level's slot spans
// everything that the level below holds.
const (
	tickBits   = 22
	levelBits  = 8
	levelSlots = 1 << levelBits
	levels     = 3
	farthest   = 1 << 62 // ns, 146 years; what is later is armed for then
)

type wheel struct {
	tick  int64 // ticks up to this one have been fired
	count int   // timers in slots
	slots [levels][levelSlots]*Timer
	used  [levels][levelSlots / 64]uint64 // a bit for a slot that may hold timers
}

// Init names the handler. It must be called once before the timer is used.
func (t *Timer) Init(h TimerHandler) { t.handler = h }

// Armed reports whether the timer is going to fire.
func (t *Timer) Armed() bool { return t.deadline != 0 }

// Left is how long it is until t fires; it must be armed.
func (l *Loop) Left(t *Timer) time.Duration { return time.Duration(t.deadline - l.now) }

// Arm lets t fire after d, in place of any earlier deadline. Timers fire up to
// two ticks (8 ms) late, never early.
func (l *Loop) Arm(t *Timer, d time.Duration) {
	t.deadline = l.now + int64(min(max(d, 0), farthest))
	if t.prev != nil {
		if t.due <= t.deadline {
			return
		}
		t.unlink()
		l.timers.count--
	}
	l.timers.add(t, t.deadline)
}

// Disarm stops t. It may stay in the wheel for a while: before its memory is
// given up, use Drop.
func (l *Loop) Disarm(t *Timer) { t.deadline = 0 }

// Drop stops t and takes it out of the wheel.
func (l *Loop) Drop(t *Timer) {
	t.deadline = 0
	if t.prev != nil {
		t.unlink()
		l.timers.count--
	}
}

func (t *Timer) unlink() {
	*t.prev = t.next
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev = nil, nil
}

// add puts t in the slot for deadline. A slot's time is rounded up, so that a
// timer never fires early; what lies beyond the wheel waits in its last slot
// and is added again from there.
func (w *wheel) add(t *Timer, deadline int64) {
	tick := (deadline + 1<<tickBits - 1) >> tickBits
	if tick <= w.tick {
		tick = w.tick + 1
	}
	level := 0
	for level < levels-1 && tick-w.tick >= 1<<(levelBits*(level+1)) {
		level++
	}
	shift := levelBits * level
	if far := w.tick>>shift + levelSlots - 1; tick>>shift > far {
		tick = far << shift
	}
	t.due = tick << tickBits
	slot := int(tick>>shift) & (levelSlots - 1)
	head := &w.slots[level][slot]
	t.next, t.prev = *head, head
	if t.next != nil {
		t.next.prev = &t.next
	}
	*head = t
	w.used[level][slot/64] |= 1 << (slot % 64)
	w.count++
}

// advance fires what is due at now.
func (w *wheel) advance(now int64, fire func(*Timer)) {
	target := now >> tickBits
	if w.count == 0 {
		w.tick = max(w.tick, target)
		return
	}
	for w.tick < target {
		// Jump over empty slots up to the next lap of the lowest level.
		next := w.nextTick()
		if next > target {
			w.tick = target
			return
		}
		w.tick = next
		for level := levels - 1; level >= 0; level-- {
			shift := levelBits * level
			if w.tick&(1<<shift-1) != 0 {
				continue
			}
			w.drain(level, int(w.tick>>shift)&(levelSlots-1), now, fire)
		}
	}
}

// drain empties a slot: what is due fires, the rest finds its place again.
func (w *wheel) drain(level, slot int, now int64, fire func(*Timer)) {
	bit := uint64(1) << (slot % 64)
	if w.used[level][slot/64]&bit == 0 {
		return
	}
	w.used[level][slot/64] &^= bit
	// The whole list is taken out first: a handler may add to this very slot,
	// or drop another timer of the list.
	var list *Timer
	list, w.slots[level][slot] = w.slots[level][slot], nil
	if list != nil {
		list.prev = &list
	}
	for list != nil {
		t := list
		t.unlink()
		w.count--
		switch {
		case t.deadline == 0:
		case t.deadline <= now:
			t.deadline = 0
			fire(t)
		default:
			w.add(t, t.deadline)
		}
	}
}

// nextTick is the next tick at which a slot may hold something: a used slot of
// the lowest level, or the next lap, where higher levels are looked at.
func (w *wheel) nextTick() int64 {
	lap := (w.tick>>levelBits + 1) << levelBits
	for t := w.tick + 1; t < lap; {
		slot := int(t) & (levelSlots - 1)
		word := w.used[0][slot/64] >> (slot % 64)
		if word != 0 {
			return t + int64(bits.TrailingZeros64(word))
		}
		t += int64(64 - slot%64)
	}
	return lap
}

// wait is how long the loop may sleep at now: -1 without end.
func (w *wheel) wait(now int64) time.Duration {
	if w.count == 0 {
		return -1
	}
	return max(0, time.Duration(w.nextTick()<<tickBits-now))
}

// ArmBy lets t fire after d at the latest: it is armed unless it fires earlier.
func (l *Loop) ArmBy(t *Timer, d time.Duration) {
	if t.deadline == 0 || t.deadline > l.now+int64(d) {
		l.Arm(t, d)
	}
}
