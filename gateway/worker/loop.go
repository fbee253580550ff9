// Package worker is the event loop: one goroutine that owns an epoll instance,
// the connections registered with it, their timers, buffers and coroutines.
// Nothing of a loop is shared with another, so nothing takes a lock. What other
// goroutines want done on a loop they Post.
package worker

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Events is what epoll reports of a descriptor.
type Events uint32

// The events. HangUp and Failed come unasked.
const (
	Readable   Events = unix.EPOLLIN
	Writable   Events = unix.EPOLLOUT
	PeerClosed Events = unix.EPOLLRDHUP // the peer sent FIN
	HangUp     Events = unix.EPOLLHUP   // both directions are over
	Failed     Events = unix.EPOLLERR
)

// Handler is told of events on a descriptor. They are edge-triggered: reported
// when something becomes possible, not while it stays so.
type Handler interface {
	Ready(ev Events)
}

// Flusher has something to do at the end of the turn, such as writing what was
// gathered during it.
type Flusher interface {
	Flush()
}

// Options are the settings of a loop. The zero value of each field means its
// default.
type Options struct {
	ID     int
	Events int // events taken from the kernel at once; default 256
	Awaits int // functions of Await at once; default 64
	Idle   int // idle coroutines kept; default 1024
	CPU    int // CPU to run on; used only when Pin
	Pin    bool
	Log    *slog.Logger // default slog.Default()
}

// Loop is one worker's event loop. Except where it says otherwise, its methods
// must be called on the loop: from handlers, timers, tasks and coroutines.
type Loop struct {
	ID  int
	Log *slog.Logger
	// Buffers lends memory to this loop's connections.
	Buffers Buffers
	// Scratch is one large buffer for whoever reads from a socket right now;
	// see connection.Conn for who may hold on to it.
	Scratch []byte
	// ScratchOwner is told to copy what it still needs when another wants it.
	ScratchOwner Evictable

	epfd, wakefd int
	events       []unix.EpollEvent
	slots        slots
	timers       wheel
	now          int64
	base         time.Time // monotonic zero
	wall         time.Time // wall clock at wallAt
	wallAt       int64
	stamp        stamp

	ready     []*Coroutine
	soon      []Runner // of GoSoon, from soonDone on
	soonDone  int
	soonBegun uint  // in this turn
	soonSince int64 // Clock when the first of them did
	soonSpent bool  // the turn begins no more of them
	resumed   uint  // of ready, in this turn
	resuming  int64 // Clock when the turn came to them
	share     int64 // of the turn, that they have, and those of GoSoon
	spent     bool  // the turn resumes no more of them
	backlog   []*Coroutine
	burning   []func() // of Burn, from burned on
	burned    int
	gentle    int64 // when Gently was called last
	spare     []*Coroutine
	dirty     []Flusher
	current   *Coroutine

	all                []*Coroutine
	idle               *Coroutine
	idleCount, maxIdle int
	live               int
	awaits, maxAwaits  int
	awaiting           []*Coroutine
	pin                bool
	cpu                int
	eachTurn           []func(now int64)
	stopping           bool

	inbox    atomic.Pointer[posted] // of Post, the last first
	notified atomic.Bool            // the loop is told, or about to be
	mu       sync.Mutex             // held to write to wakefd, and to close it
	closed   bool                   // under mu: wakefd is no more
	ended    chan struct{}

	stats Stats
	tally tally
	// busySince is when the turn under way began, 0 while the loop sleeps;
	// the watchdog reads it.
	busySince atomic.Int64
	label     atomic.Pointer[string]
}

// Evictable holds bytes in a loop's Scratch.
type Evictable interface {
	// Evict copies the bytes away: Scratch is about to be overwritten.
	Evict()
}

// Stats counts what a loop does. Written by the loop, read by anyone.
type Stats struct {
	Turns, Events, Tasks, TimersFired atomic.Uint64
	Panics, Held                      atomic.Uint64 // Held: the watchdog's reports
	BusyTime, LongestTurn             atomic.Int64  // ns, without sleep
	Coroutines, IdleCoroutines        atomic.Int64
	Buffers, BufferBytes              atomic.Int64
	Timers                            atomic.Int64
}

// tally is what the loop counts in plain memory and publishes now and then:
// an atomic store each turn and counter would cost more than it tells.
type tally struct {
	turns, events, tasks, fired uint64
	busy, longest               int64
	published                   int64
}

// ScratchSize is the size of Loop.Scratch in bytes.
const ScratchSize = 128 << 10

// New makes a loop. Run it on a goroutine of its own, once.
func New(o Options) (*Loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(epfd)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	l := &Loop{
		ID: o.ID, Log: o.Log, epfd: epfd, wakefd: wakefd,
		Scratch:   make([]byte, ScratchSize),
		events:    make([]unix.EpollEvent, orDefault(o.Events, 256)),
		maxAwaits: orDefault(o.Awaits, 64),
		maxIdle:   orDefault(o.Idle, 1024),
		pin:       o.Pin, cpu: o.CPU,
		base:  time.Now(),
		ended: make(chan struct{}),
	}
	l.readClock()
	l.timers.tick = l.now >> tickBits
	if _, err := l.Add(wakefd, wakeup{l}); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func orDefault(n, d int) int {
	if n > 0 {
		return n
	}
	return d
}

type wakeup struct{ l *Loop }

// Ready empties the eventfd.
func (w wakeup) Ready(Events) {
	var b [8]byte
	Read(w.l.wakefd, b[:])
}

// Now is the loop's monotonic time in nanoseconds, read once a turn.
func (l *Loop) Now() int64 { return l.now }

// Clock is the loop's time at this moment, of the same zero as Now: for who has to
// know how long something has taken within a turn.
func (l *Loop) Clock() int64 { return int64(time.Since(l.base)) + 1 }

// Wall is the wall clock that goes with Now.
func (l *Loop) Wall() time.Time { return l.wall.Add(time.Duration(l.now - l.wallAt)) }

func (l *Loop) readClock() {
	l.now = int64(time.Since(l.base)) + 1 // never 0: 0 means "not yet" in records
	if l.now-l.wallAt > int64(time.Second) || l.wallAt == 0 {
		// Taken anew once a second, so that a corrected clock is followed.
		l.wall, l.wallAt = time.Now().Round(0), l.now
	}
}

// Post runs f on the loop soon. Any goroutine may call it; it never blocks.
// After Stop, f may never run.
func (l *Loop) Post(f func()) {
	l.PostQuietly(f)
	l.Notify()
}

// PostQuietly is Post, but the loop need not hear of it before Notify: who has
// several things to post wakes it once.
//
// It takes no lock: one that is held by a thread of low priority, while the kernel
// lets the loop run, would stop the loop.
func (l *Loop) PostQuietly(f func()) {
	p := &posted{f: f}
	for {
		p.next = l.inbox.Load()
		if l.inbox.CompareAndSwap(p.next, p) {
			return
		}
	}
}

// Notify wakes the loop for what was posted quietly.
func (l *Loop) Notify() {
	if l.inbox.Load() == nil || l.notified.Swap(true) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		var one = [8]byte{1}
		unix.Write(l.wakefd, one[:])
	}
}

// posted is a task of Post.
type posted struct {
	f    func()
	next *posted // posted before it
}

// Do runs f on the loop and waits for it. It reports whether f ran, which it
// does not when the loop has ended. It must not be called on the loop.
func (l *Loop) Do(f func()) bool {
	done := make(chan struct{})
	l.Post(func() { defer close(done); f() })
	select {
	case <-done:
		return true
	case <-l.ended:
	}
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// Settled reports whether nothing waits for a later turn: coroutines that were woken,
// what is to run soon, what is to be burned. Those that wait for something else are
// not looked at.
func (l *Loop) Settled() bool {
	return len(l.ready) == 0 && len(l.soon) == 0 && len(l.burning) == l.burned
}

// EachTurn calls f at the end of every turn.
func (l *Loop) EachTurn(f func(now int64)) { l.eachTurn = append(l.eachTurn, f) }

// FlushLater calls f.Flush at the end of this turn.
func (l *Loop) FlushLater(f Flusher) { l.dirty = append(l.dirty, f) }

// Label names what runs now, for the watchdog; nil when it ends.
func (l *Loop) Label(name *string) { l.label.Store(name) }

// Stop ends Run after the turn under way. Any goroutine may call it.
func (l *Loop) Stop() { l.Post(func() { l.stopping = true }) }

// Stats are the loop's counters.
func (l *Loop) Stats() *Stats { return &l.stats }

// Run serves until Stop.
func (l *Loop) Run() error {
	defer close(l.ended)
	if l.pin {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var set unix.CPUSet
		set.Set(l.cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			l.Log.Warn("worker cannot be pinned", "worker", l.ID, "cpu", l.cpu, "error", err)
		}
	}
	for !l.stopping {
		n, err := l.sleep()
		if err != nil {
			return err
		}
		l.readClock()
		began := l.now
		l.busySince.Store(began)
		for i := range n {
			ev := &l.events[i]
			if h := l.slots.find(ev.Fd, ev.Pad); h != nil {
				l.dispatch(h, Events(ev.Events))
			}
		}
		l.runTasks()
		l.timers.advance(l.now, l.fire)
		l.divide()
		l.runReady()
		if len(l.burning) > 0 {
			l.flush() // what there is to send does not wait for it
			l.burn()
			l.runReady()
		}
		l.flush()
		for _, f := range l.eachTurn {
			f(l.now)
		}
		l.account(n, began)
	}
	return nil
}

// sleep waits for events, or for the next timer.
func (l *Loop) sleep() (int, error) {
	timeout := -1
	switch {
	case len(l.ready) > 0 || len(l.soon) > 0 || len(l.dirty) > 0 || len(l.burning) > 0 || l.notified.Load():
		timeout = 0
	default:
		if d := l.timers.wait(l.now); d >= 0 {
			timeout = int((d + time.Millisecond - 1) / time.Millisecond)
		}
	}
	l.busySince.Store(0)
	if timeout < 0 || timeout > briefly {
		// More often than not the next events are near. Waiting for them a
		// little without telling the runtime spares it to take the processor
		// away and to find one again; a signal ends the wait when the runtime
		// wants the loop to stop (a collection).
		n, e := epollWait(l.epfd, l.events, briefly)
		if n > 0 || e != 0 {
			return waited(n, e)
		}
		l.publish() // others can read the figures of a loop that sleeps
		return waited(epollSleep(l.epfd, l.events, timeout))
	}
	if l.now-l.tally.published > int64(100*time.Millisecond) {
		l.publish()
	}
	return waited(epollWait(l.epfd, l.events, timeout))
}

// briefly is how long, in milliseconds, the loop waits without telling Go's
// scheduler.
const briefly = 1

func waited(n int, e unix.Errno) (int, error) {
	switch e {
	case 0:
		return n, nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("epoll_wait: %w", e)
}

// dispatch shields the loop: a panic in a handler must not end the process.
func (l *Loop) dispatch(h Handler, ev Events) {
	defer l.shield()
	h.Ready(ev)
}

func (l *Loop) fire(t *Timer) {
	defer l.shield()
	l.tally.fired++
	t.handler.Expire(t)
}

func (l *Loop) shield() {
	if v := recover(); v != nil {
		l.panicked(v, debug.Stack())
	}
}

func (l *Loop) panicked(v any, stack []byte) {
	l.stats.Panics.Add(1)
	l.Log.Error("panic on a worker", "worker", l.ID, "panic", fmt.Sprint(v), "stack", string(stack))
}

func (l *Loop) runTasks() {
	if !l.notified.Load() {
		return
	}
	// In this order: what is posted after the swap finds notified false, and wakes
	// the loop again.
	l.notified.Store(false)
	var first *posted
	for p := l.inbox.Swap(nil); p != nil; {
		next := p.next
		p.next, first = first, p
		p = next
	}
	for ; first != nil; first = first.next {
		l.tally.tasks++
		l.runTask(first.f)
	}
}

func (l *Loop) runTask(f func()) {
	defer l.shield()
	f()
}

// runReady resumes the coroutines that were woken, starts what is to run soon,
// and goes on with those that these wake in turn, as far as their share of the turn
// goes. The rest is first in the next turn.
func (l *Loop) runReady() {
	for round := 0; round < 16 && (len(l.ready) > 0 && !l.spent || len(l.soon) > 0 && !l.soonSpent); round++ {
		l.ready, l.spare = l.spare[:0], l.ready
		for i, co := range l.spare {
			if !l.mayResume() {
				l.putBack(l.spare, i)
				break
			}
			l.spare[i] = nil
			co.queued = false
			if co.run != nil {
				l.resume(co)
			}
		}
		for r := l.nextSoon(); r != nil; r = l.nextSoon() {
			l.Go(r)
		}
	}
}

const (
	// leastShare is what a turn spends at least on coroutines that were woken, and
	// again on those that begin: a crowd of them does not keep others waiting. A turn
	// whose events took longer spends as long, so that they do not fall behind.
	leastShare = int64(100 * time.Microsecond)
	// resumedLook is how many are resumed between two looks at the clock.
	resumedLook = 4
)

// divide gives the turn's coroutines their share, when its events and tasks are
// done with.
func (l *Loop) divide() {
	l.soonBegun, l.soonSpent = 0, false
	l.resumed, l.spent = 0, false
	if len(l.ready) > 0 || len(l.soon) > 0 || len(l.burning) > 0 {
		l.resuming = l.Clock()
		l.share = max(leastShare, l.resuming-l.now)
	}
}

// mayResume counts a coroutine that is to be resumed; false when the turn has
// resumed enough of them.
func (l *Loop) mayResume() bool {
	if l.resumed++; l.resumed%resumedLook == 0 && !l.spent {
		l.spent = l.Clock()-l.resuming > l.share
	}
	return !l.spent
}

// putBack makes those of list from i on the first that are ready. The list is
// used up.
func (l *Loop) putBack(list []*Coroutine, i int) {
	n := copy(list, list[i:])
	clear(list[n:])
	l.ready, l.spare = append(list[:n], l.ready...), l.ready
	clear(l.spare)
	l.spare = l.spare[:0]
}

func (l *Loop) flush() {
	for i := 0; i < len(l.dirty); i++ {
		f := l.dirty[i]
		l.dirty[i] = nil
		l.flushOne(f)
	}
	l.dirty = l.dirty[:0]
}

func (l *Loop) flushOne(f Flusher) {
	defer l.shield()
	f.Flush()
}

func (l *Loop) account(events int, began int64) {
	t := &l.tally
	end := int64(time.Since(l.base)) + 1
	t.turns++
	t.events += uint64(events)
	t.busy += end - began
	t.longest = max(t.longest, end-began)
}

// publish makes the counters readable by others.
func (l *Loop) publish() {
	t, s := &l.tally, &l.stats
	t.published = l.now
	s.Turns.Store(t.turns)
	s.Events.Store(t.events)
	s.Tasks.Store(t.tasks)
	s.TimersFired.Store(t.fired)
	s.BusyTime.Store(t.busy)
	s.LongestTurn.Store(t.longest)
	s.Coroutines.Store(int64(l.live))
	s.IdleCoroutines.Store(int64(l.idleCount))
	s.Buffers.Store(int64(l.Buffers.lent))
	s.BufferBytes.Store(int64(l.Buffers.bytes))
	s.Timers.Store(int64(l.timers.count))
}

// Close gives up the loop's descriptors and coroutines: what waits in one is
// unwound. Run must have ended.
func (l *Loop) Close() {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return
	}
	l.burning, l.burned = nil, 0
	l.soon, l.soonDone = nil, 0 // a coroutine that unwinds begins nothing new
	for len(l.all) > 0 {
		l.forget(l.all[len(l.all)-1])
	}
	l.idle, l.idleCount, l.live = nil, 0, 0
	unix.Close(l.wakefd)
	unix.Close(l.epfd)
}
