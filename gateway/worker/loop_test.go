package worker

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// startLoop runs a loop until the test ends.
func startLoop(t testing.TB, o Options) *Loop {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return l
}

// receive takes one value of c, or fails the test.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// goroutinesBack waits until no more goroutines run than before.
func goroutinesBack(t testing.TB, before int) {
	t.Helper()
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestPostAndDoFromManyGoroutines(t *testing.T) {
	l := startLoop(t, Options{})
	const goroutines, each = 16, 500
	var wg sync.WaitGroup
	sum, last := 0, [goroutines]int{}
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				f := func() {
					sum++
					if i > 0 && last[g] != i-1 {
						t.Errorf("task %d of goroutine %d ran after task %d", i, g, last[g])
					}
					last[g] = i
				}
				if i%10 == 9 {
					l.Do(f)
				} else {
					l.Post(f)
				}
			}
		})
	}
	wg.Wait()
	l.Do(func() {
		if sum != goroutines*each {
			t.Errorf("%d tasks ran, want %d", sum, goroutines*each)
		}
	})
}

func TestPanicInATaskIsLoggedAndSurvived(t *testing.T) {
	var log syncBuffer
	l := startLoop(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	l.Post(func() { panic("oh dear") })
	l.Do(func() {})
	if n := l.Stats().Panics.Load(); n != 1 {
		t.Errorf("%d panics counted", n)
	}
	if s := log.String(); !strings.Contains(s, "oh dear") || !strings.Contains(s, "loop_test.go") {
		t.Errorf("the log does not say what and where: %s", s)
	}
}

// syncBuffer is a bytes.Buffer for two goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

type handlerFunc func(Events)

func (f handlerFunc) Ready(ev Events) { f(ev) }

// pair is a connected pair of non-blocking sockets.
func pair(t testing.TB) [2]int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds
}

// An event of a descriptor that a handler of the same batch has removed must
// reach neither it nor the new owner of its slot.
func TestEventsOfARemovedDescriptorAreDropped(t *testing.T) {
	l := startLoop(t, Options{})
	type end struct {
		fd   int
		slot Slot
		told int
	}
	const n = 8
	var ends [n]end
	var peers [n]int
	first, newcomer := -1, 0
	l.Do(func() {
		for i := range ends {
			fds := pair(t)
			ends[i].fd, peers[i] = fds[0], fds[1]
		}
		for i := range ends {
			e := &ends[i]
			var err error
			e.slot, err = l.Add(e.fd, handlerFunc(func(Events) {
				e.told++
				if first >= 0 {
					return
				}
				first = i
				for k := range ends {
					if k == i {
						continue
					}
					o := &ends[k]
					l.Remove(o.slot)
					unix.Close(o.fd)
					// The slot has a new owner at once, which hears of its own events only.
					fds := pair(t)
					o.fd = fds[0]
					unix.Close(peers[k])
					peers[k] = fds[1]
					if o.slot, err = l.Add(o.fd, handlerFunc(func(ev Events) {
						if ev&Readable != 0 {
							newcomer++
						}
					})); err != nil {
						t.Error(err)
					}
				}
			}))
			if err != nil {
				t.Error(err)
			}
		}
		// All are ready before the loop looks: one batch.
		for _, p := range peers {
			Write(p, []byte("x"))
		}
	})
	l.Do(func() {})
	l.Do(func() {
		for i, e := range ends {
			if want := i == first; (e.told > 0) != want {
				t.Errorf("handler %d was told %d times; the first was %d", i, e.told, first)
			}
		}
		if newcomer != 0 {
			t.Errorf("new owners were told %d events that are not theirs", newcomer)
		}
		if first < 0 {
			t.Error("no handler was told")
		}
		for i := range ends {
			l.Remove(ends[i].slot)
			l.Remove(ends[i].slot) // twice does no harm
			unix.Close(ends[i].fd)
			unix.Close(peers[i])
		}
		if free := len(l.slots.free); free != n {
			t.Errorf("%d slots free, want %d", free, n)
		}
	})
}

func TestManySlotsAreReused(t *testing.T) {
	l := startLoop(t, Options{})
	l.Do(func() {
		var slots []Slot
		seen := map[Slot]bool{}
		for round := range 3 {
			var fds []int
			for range 700 {
				fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
				if err != nil {
					t.Error(err)
					return
				}
				s, err := l.Add(fd, handlerFunc(func(Events) {}))
				if err != nil {
					t.Error(err)
				}
				if seen[s] {
					t.Errorf("round %d: slot %v for the second time", round, s)
				}
				seen[s] = true
				slots, fds = append(slots, s), append(fds, fd)
			}
			for i, s := range slots {
				l.Remove(s)
				unix.Close(fds[i])
			}
			slots = slots[:0]
		}
		if l.slots.count > 710 {
			t.Errorf("%d slots were made for 700 descriptors", l.slots.count)
		}
	})
}

func TestAddOfABadDescriptorGivesTheSlotBack(t *testing.T) {
	l := startLoop(t, Options{})
	l.Do(func() {
		count, free := l.slots.count, len(l.slots.free)
		if _, err := l.Add(-1, handlerFunc(func(Events) {})); err == nil {
			t.Error("no error")
		}
		if _, err := l.Add(-1, handlerFunc(func(Events) {})); err == nil {
			t.Error("no error")
		}
		if got := int(l.slots.count-count) - (len(l.slots.free) - free); got != 0 {
			t.Errorf("%d slots are lost", got)
		}
	})
}

type flushFunc func()

func (f flushFunc) Flush() { f() }

func TestFlushRunsAtTheEndOfTheTurn(t *testing.T) {
	l := startLoop(t, Options{})
	var order []string
	done := make(chan struct{})
	l.Post(func() {
		order = append(order, "task")
		l.FlushLater(flushFunc(func() {
			order = append(order, "flush")
			l.FlushLater(flushFunc(func() { order = append(order, "second flush"); panic("survived") }))
			l.FlushLater(flushFunc(func() { order = append(order, "third flush"); close(done) }))
		}))
		l.Go(run(func(*Coroutine) { order = append(order, "coroutine") }))
		l.GoLater(run(func(*Coroutine) { order = append(order, "later") }))
	})
	receive(t, done)
	l.Do(func() {
		if got := strings.Join(order, ", "); got != "task, coroutine, later, flush, second flush, third flush" {
			t.Error(got)
		}
	})
}

func TestBuffers(t *testing.T) {
	var b Buffers
	var lent [][]byte
	total := 0
	for _, c := range []struct{ n, size int }{
		{0, 2 << 10}, {1, 2 << 10}, {2 << 10, 2 << 10}, {2<<10 + 1, 16 << 10}, {16 << 10, 16 << 10},
		{64 << 10, 68 << 10}, {256 << 10, 256 << 10}, {256<<10 + 1, 256<<10 + 1},
	} {
		p := b.Get(c.n)
		if len(p) != 0 || cap(p) != c.size {
			t.Errorf("Get(%d): len %d, cap %d, want 0 and %d", c.n, len(p), cap(p), c.size)
		}
		total += c.size
		lent = append(lent, append(p, "x"...))
	}
	if n, size := b.Lent(); n != len(lent) || size != total {
		t.Errorf("lent %d of %d bytes, want %d of %d", n, size, len(lent), total)
	}
	for _, p := range lent {
		b.Put(p)
	}
	if n, size := b.Lent(); n != 0 || size != 0 {
		t.Errorf("lent %d of %d bytes after all were given back", n, size)
	}
	if p := b.Get(10); len(p) != 0 {
		t.Error("a slice that was given back is lent with its bytes")
	} else {
		b.Put(p)
	}
	if n := testing.AllocsPerRun(100, func() { b.Put(b.Get(3000)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}

	p := append(b.Get(10), "some text"...)
	if q := b.Grow(p, 100); &q[0] != &p[0] {
		t.Error("Grow moved what had room")
	}
	q := b.Grow(p, 5000)
	if string(q) != "some text" || cap(q)-len(q) < 5000 {
		t.Errorf("Grow gave %q with cap %d", q, cap(q))
	}
	b.Put(q)
	if n, size := b.Lent(); n != 0 || size != 0 {
		t.Errorf("lent %d of %d bytes", n, size)
	}
}

func TestBuffersKeepABoundedNumber(t *testing.T) {
	var b Buffers
	for i, c := range classes {
		var all [][]byte
		for range c.keep + 5 {
			all = append(all, b.Get(c.size))
		}
		for _, p := range all {
			b.Put(p)
		}
		if len(b.free[i]) != c.keep {
			t.Errorf("%d slices of %d bytes are kept, want %d", len(b.free[i]), c.size, c.keep)
		}
	}
}

func TestTimersOfARunningLoop(t *testing.T) {
	l := startLoop(t, Options{})
	type fired struct{ asked, took time.Duration }
	c := make(chan fired, 3)
	for _, d := range []time.Duration{0, 10 * time.Millisecond, 50 * time.Millisecond} {
		l.Do(func() {
			x := &chanTimer{f: func(began int64) { c <- fired{d, time.Duration(l.now - began)} }, began: l.now}
			x.Init(x)
			l.Arm(&x.Timer, d)
		})
	}
	for range 3 {
		if f := receive(t, c); f.took < f.asked {
			t.Errorf("fired after %v, asked for %v", f.took, f.asked)
		}
	}
}

type chanTimer struct {
	Timer
	f     func(int64)
	began int64
}

func (t *chanTimer) Expire(*Timer) { t.f(t.began) }

func TestWallClockGoesWithNow(t *testing.T) {
	l := startLoop(t, Options{})
	l.Do(func() {
		if d := time.Since(l.Wall()); d < -time.Minute || d > time.Minute {
			t.Errorf("Wall is off by %v", d)
		}
		before, now := l.Wall(), l.now
		l.now += 500
		if d := l.Wall().Sub(before); d != 500 {
			t.Errorf("Wall moved by %v", d)
		}
		l.now = now
	})
}

func TestStopAndCloseLeaveNothing(t *testing.T) {
	fds, goroutines := descriptors(t), runtime.NumGoroutine()
	for range 5 {
		l, err := New(Options{Idle: 3})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- l.Run() }()
		unwound := 0
		l.Do(func() {
			for range 20 { // more than are kept
				l.Go(run(func(co *Coroutine) {
					defer func() { unwound++ }()
					co.Wait()
				}))
			}
			var some []*Coroutine
			for range 10 {
				some = append(some, l.Go(run(func(co *Coroutine) { co.Wait() })))
			}
			for _, co := range some {
				co.Wake()
			}
		})
		l.Do(func() {
			l.GoLater(run(func(*Coroutine) { t.Error("a coroutine began after Stop") }))
			l.stopping = true
			l.ready, l.spare = nil, l.ready // as if the turn had ended with it unserved
		})
		if err := receive(t, ended); err != nil {
			t.Error(err)
		}
		l.Close()
		l.Close() // twice does no harm
		if unwound != 20 {
			t.Errorf("%d coroutines were unwound, want 20", unwound)
		}
		l.Post(func() { t.Error("a task ran after Close") })
		if l.Do(func() {}) {
			t.Error("Do says that its function ran after the end")
		}
	}
	goroutinesBack(t, goroutines)
	if n := descriptors(t); n != fds {
		t.Errorf("%d descriptors, %d before", n, fds)
	}
}

// A function of Await may end after its loop was closed.
func TestAwaitEndsAfterClose(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- l.Run() }()
	goOn := make(chan struct{})
	l.Do(func() {
		l.Go(run(func(co *Coroutine) {
			co.Await(func() error { <-goOn; return nil })
			t.Error("Await returned after Close")
		}))
	})
	l.Stop()
	receive(t, ended)
	l.Close()
	close(goOn)
	goroutinesBack(t, goroutines)
}

func TestWatchdogNamesWhatHoldsALoop(t *testing.T) {
	var log syncBuffer
	held, free := startLoop(t, Options{ID: 7}), startLoop(t, Options{ID: 8})
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		Watchdog{Loops: []*Loop{held, free}, Limit: 20 * time.Millisecond, Pause: time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil))}.Run(stop)
	}()
	name := "the slow filter"
	let := make(chan struct{})
	held.Post(func() {
		held.Go(run(func(*Coroutine) {
			held.Label(&name)
			blockHere(let)
			held.Label(nil)
		}))
	})
	for end := time.Now().Add(patience); log.String() == "" && time.Now().Before(end); {
		runtime.Gosched()
	}
	close(let)
	held.Do(func() {})
	close(stop)
	receive(t, ended)
	if n, m := held.Stats().Held.Load(), free.Stats().Held.Load(); n != 1 || m != 0 {
		t.Errorf("reports: %d of the held loop, %d of the other", n, m)
	}
	if strings.Contains(log.String(), "epollWait") {
		t.Error("the report shows a loop that sleeps")
	}
	for _, want := range []string{"the slow filter", "blockHere", "worker=7"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the report does not hold %q: %s", want, log.String())
		}
	}
}

//go:noinline
func blockHere(let chan struct{}) { <-let }

func TestStatsArePublished(t *testing.T) {
	l := startLoop(t, Options{})
	for range 10 {
		l.Do(func() {})
	}
	for end := time.Now().Add(patience); l.Stats().Tasks.Load() < 10; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d tasks published, %d turns", l.Stats().Tasks.Load(), l.Stats().Turns.Load())
		}
	}
}

func BenchmarkPost(b *testing.B) {
	l := startLoop(b, Options{})
	var n atomic.Int64
	f := func() { n.Add(1) }
	for b.Loop() {
		l.Post(f)
	}
	l.Do(func() {})
}
