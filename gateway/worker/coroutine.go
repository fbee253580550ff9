package worker

import (
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
)

// Runner is what a coroutine runs.
type Runner interface {
	// Run does the work, parking the coroutine by co.Wait where it must wait.
	Run(co *Coroutine)
}

// Coroutine runs straight, blocking-style code on a loop's own thread: a
// switch costs tens of nanoseconds and never passes through Go's scheduler.
// All methods but Await's function run on the loop.
type Coroutine struct {
	loop    *Loop
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	run     Runner
	queued  bool // stands in the loop's ready list
	running bool
	woken   bool       // Wake came while it ran
	free    *Coroutine // the loop's list of idle coroutines
	place   int        // in the loop's list of all coroutines
}

// errStopped unwinds a parked coroutine when its loop is closed.
var errStopped = errors.New("worker: the loop was closed")

// Unwinding reports whether a recovered value is that of a coroutine which its
// loop's Close unwinds: who recovers from panics must panic again with it.
func Unwinding(v any) bool { return v == error(errStopped) }

// Go runs r on a pooled coroutine at once, until it first waits.
func (l *Loop) Go(r Runner) *Coroutine {
	co := l.take()
	co.run = r
	l.resume(co)
	return co
}

// GoSoon runs r in this turn, or in a later one behind a crowd, on the coroutine
// that first has nothing left to do: one that ends a stream goes on with the next
// at once, which spares two switches and finds its stack in the cache.
func (l *Loop) GoSoon(r Runner) { l.soon = append(l.soon, r) }

// soonLook is how many of what GoSoon was given begin between two looks at the clock.
const soonLook = 8

// nextSoon takes the first Runner of GoSoon; nil when there is none, or the turn has
// begun enough of them.
func (l *Loop) nextSoon() Runner {
	if l.soonDone == len(l.soon) || l.soonSpent {
		return nil
	}
	switch l.soonBegun++; {
	case l.soonBegun == 1:
		l.soonSince = l.Clock()
	case l.soonBegun%soonLook == 0:
		l.soonSpent = l.Clock()-l.soonSince > l.share
	}
	r := l.soon[l.soonDone]
	l.soon[l.soonDone] = nil
	if l.soonDone++; l.soonDone == len(l.soon) {
		l.soon, l.soonDone = l.soon[:0], 0
	}
	return r
}

// GoLater runs r on a pooled coroutine, in this turn but not at once: what a
// coroutine uses to start another one.
func (l *Loop) GoLater(r Runner) *Coroutine {
	co := l.take()
	co.run = r
	co.queued = true
	l.ready = append(l.ready, co)
	return co
}

func (l *Loop) take() *Coroutine {
	if co := l.idle; co != nil {
		l.idle, co.free = co.free, nil
		l.idleCount--
		l.live++
		return co
	}
	co := &Coroutine{loop: l, place: len(l.all)}
	co.next, co.stop = iter.Pull(co.main)
	l.all = append(l.all, co)
	l.live++
	return co
}

// main is the body of the coroutine: it runs one Runner after another.
func (co *Coroutine) main(yield func(struct{}) bool) {
	co.yield = yield
	for {
		co.call()
		if co.run = co.loop.nextSoon(); co.run != nil {
			continue
		}
		if !yield(struct{}{}) {
			return
		}
	}
}

func (co *Coroutine) call() {
	defer func() {
		if v := recover(); v != nil && !Unwinding(v) {
			co.loop.panicked(v, debug.Stack())
		}
	}()
	co.run.Run(co)
}

func (l *Loop) resume(co *Coroutine) {
	before := l.current
	l.current = co
	co.running, co.woken = true, false
	co.next()
	co.running = false
	l.current = before
	if co.run != nil {
		return
	}
	l.live--
	if l.idleCount >= l.maxIdle {
		l.forget(co)
		return
	}
	co.free, l.idle = l.idle, co
	l.idleCount++
}

// forget ends a coroutine that nobody needs any more.
func (l *Loop) forget(co *Coroutine) {
	last := l.all[len(l.all)-1]
	l.all[co.place], last.place = last, co.place
	l.all[len(l.all)-1] = nil
	l.all = l.all[:len(l.all)-1]
	co.stop()
}

// Wait parks the coroutine until Wake. Wake-ups may be spurious, so callers
// wait in a loop on their condition.
func (co *Coroutine) Wait() {
	if co.woken {
		co.woken = false
		return
	}
	if !co.yield(struct{}{}) {
		panic(errStopped)
	}
}

// Wake lets a parked coroutine go on in this turn of the loop, or in the next when
// a crowd has used this one up, or makes the next Wait of a running one return at
// once. It may be called any number of
// times, and after the coroutine's work has ended.
func (co *Coroutine) Wake() {
	if co.running {
		co.woken = true
		return
	}
	if co.queued || co.run == nil {
		return
	}
	co.queued = true
	co.loop.ready = append(co.loop.ready, co)
}

// Resume is Wake, but lets a parked coroutine go on at once: for who has bytes for
// it, which it passes on while they are in the processor's cache, before there are
// more. On a coroutine it is Wake.
func (co *Coroutine) Resume() {
	if co.loop.current != nil || co.running || co.queued || co.run == nil {
		co.Wake()
		return
	}
	co.loop.resume(co)
}

// Yield lets the other coroutines that can go on do so first.
func (co *Coroutine) Yield() {
	if !co.queued {
		co.queued = true
		co.loop.ready = append(co.loop.ready, co)
	}
	if !co.yield(struct{}{}) {
		panic(errStopped)
	}
}

// Loop is the loop the coroutine lives on.
func (co *Coroutine) Loop() *Loop { return co.loop }

// Await runs f on an ordinary goroutine, where it may block or burn CPU, and
// returns its error here, on the loop. A panic in f is returned as an error.
// At most Options.Awaits run at once for one loop; more wait their turn.
func (co *Coroutine) Await(f func() error) error {
	l := co.loop
	for l.awaits >= l.maxAwaits {
		l.awaiting = append(l.awaiting, co)
		co.Wait()
		// After a spurious wake-up it still stands in the list, where it
		// would take the wake-up that another one needs.
		l.awaiting = slices.DeleteFunc(l.awaiting, func(o *Coroutine) bool { return o == co })
	}
	l.awaits++
	var (
		done bool
		err  error
	)
	go func() {
		e := protect(f)
		l.Post(func() {
			err, done = e, true
			l.awaits--
			if len(l.awaiting) > 0 {
				first := l.awaiting[0]
				l.awaiting = append(l.awaiting[:0], l.awaiting[1:]...)
				first.Wake()
			}
			co.Wake()
		})
	}()
	for !done {
		co.Wait()
	}
	return err
}

func protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return f()
}
