package worker

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// run is a Runner that is a function.
type run func(*Coroutine)

func (f run) Run(co *Coroutine) { f(co) }

func TestGoRunsUntilItWaits(t *testing.T) {
	l := startLoop(t, Options{})
	done := make(chan string, 1)
	l.Do(func() {
		var steps []string
		step := func(s string) { steps = append(steps, s) }
		co := l.Go(run(func(co *Coroutine) {
			step("begin")
			co.Wait()
			step("woken")
			done <- strings.Join(steps, ", ")
		}))
		step("parked")
		co.Wake()
		co.Wake()
		step("not at once")
	})
	if got := receive(t, done); got != "begin, parked, not at once, woken" {
		t.Error(got)
	}
}

func TestWakeBeforeWaitIsNotLost(t *testing.T) {
	l := startLoop(t, Options{})
	done := make(chan struct{})
	l.Do(func() {
		l.Go(run(func(co *Coroutine) {
			co.Wake()
			co.Wake()
			co.Wait() // returns at once, once
			parked := true
			l.GoLater(run(func(*Coroutine) {
				if !parked {
					t.Error("the second Wait returned without a Wake")
				}
				co.Wake()
			}))
			co.Wait()
			parked = false
			close(done)
		}))
	})
	receive(t, done)
}

func TestSpuriousWakes(t *testing.T) {
	l := startLoop(t, Options{})
	done := make(chan int, 1)
	ready, wakes := false, 0
	var co *Coroutine
	l.Do(func() {
		co = l.Go(run(func(co *Coroutine) {
			for !ready {
				co.Wait()
				wakes++
			}
			done <- wakes
		}))
	})
	for range 10 {
		l.Do(func() { co.Wake() })
	}
	l.Do(func() { ready = true; co.Wake() })
	if n := receive(t, done); n != 11 {
		t.Errorf("%d wakes", n)
	}
	l.Do(func() { co.Wake() }) // its work has ended
	l.Do(func() {
		if co.run != nil || l.idleCount != 1 || len(l.ready) != 0 {
			t.Errorf("idle %d, ready %d", l.idleCount, len(l.ready))
		}
	})
}

func TestYieldLetsOthersGoFirst(t *testing.T) {
	l := startLoop(t, Options{})
	done := make(chan string, 1)
	l.Do(func() {
		var order strings.Builder
		other := l.Go(run(func(co *Coroutine) {
			co.Wait()
			order.WriteString("b")
		}))
		l.Go(run(func(co *Coroutine) {
			order.WriteString("a")
			other.Wake()
			co.Yield()
			order.WriteString("c")
			done <- order.String()
		}))
	})
	if got := receive(t, done); got != "abc" {
		t.Errorf("order %q", got)
	}
}

func TestCoroutinesAreReused(t *testing.T) {
	l := startLoop(t, Options{})
	l.Do(func() {
		first := l.Go(run(func(*Coroutine) {}))
		for range 100 {
			if co := l.Go(run(func(*Coroutine) {})); co != first {
				t.Error("an idle coroutine was not used")
			}
		}
		if l.idleCount != 1 || l.live != 0 || len(l.all) != 1 {
			t.Errorf("idle %d, live %d, all %d", l.idleCount, l.live, len(l.all))
		}
		r := run(func(*Coroutine) {})
		if n := testing.AllocsPerRun(100, func() { l.Go(r) }); n > 1 { // the interface of a func
			t.Errorf("%v allocations", n)
		}
	})
}

func TestNoMoreIdleCoroutinesThanAllowed(t *testing.T) {
	l := startLoop(t, Options{Idle: 4})
	l.Do(func() {
		var all []*Coroutine
		for range 50 {
			all = append(all, l.Go(run(func(co *Coroutine) { co.Wait() })))
		}
		for _, co := range all {
			co.Wake()
		}
	})
	l.Do(func() {
		if l.idleCount != 4 || l.live != 0 || len(l.all) != 4 {
			t.Errorf("idle %d, live %d, all %d", l.idleCount, l.live, len(l.all))
		}
	})
}

func TestPanicInARunnerEndsItAlone(t *testing.T) {
	var log syncBuffer
	l := startLoop(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	l.Do(func() {
		co := l.Go(run(func(*Coroutine) { panic("a runner's panic") }))
		if again := l.Go(run(func(*Coroutine) {})); again != co {
			t.Error("the coroutine was lost")
		}
		// Nested: the outer one goes on.
		after := false
		l.Go(run(func(*Coroutine) {
			l.Go(run(func(*Coroutine) { panic("nested") }))
			after = true
		}))
		if !after || l.live != 0 {
			t.Errorf("after %v, live %d", after, l.live)
		}
	})
	if n := l.Stats().Panics.Load(); n != 2 || !strings.Contains(log.String(), "a runner's panic") {
		t.Errorf("%d panics, log %s", n, log.String())
	}
}

func TestAwait(t *testing.T) {
	l := startLoop(t, Options{})
	await := func(f func() error) error {
		c := make(chan error, 1)
		l.Post(func() {
			l.Go(run(func(co *Coroutine) {
				defer co.Wake()
				co.Wake() // spurious: Await must not return for it
				c <- co.Await(f)
			}))
		})
		return receive(t, c)
	}
	if err := await(func() error { return nil }); err != nil {
		t.Error(err)
	}
	if err := await(func() error { return io.ErrUnexpectedEOF }); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
	if err := await(func() error { panic("in a goroutine") }); err == nil || !strings.Contains(err.Error(), "in a goroutine") {
		t.Error(err)
	}
	wrapped := errors.New("x")
	if err := await(func() error { return wrapped }); !errors.Is(err, wrapped) {
		t.Error(err)
	}
}

// No more functions run at once than allowed, and each of those that wait
// comes to its turn, however often they are woken for nothing.
func TestAwaitLimit(t *testing.T) {
	const limit, n = 3, 40
	l := startLoop(t, Options{Awaits: limit})
	began, goOn, done := make(chan struct{}, n), make(chan struct{}), make(chan struct{}, n)
	var all []*Coroutine
	l.Do(func() {
		for range n {
			all = append(all, l.Go(run(func(co *Coroutine) {
				co.Await(func() error { began <- struct{}{}; <-goOn; return nil })
				done <- struct{}{}
			})))
		}
	})
	for i := range n {
		receive(t, began)
		l.Do(func() {
			for k := range all {
				all[(k+i)%n].Wake()
			}
		})
		l.Do(func() {})
		l.Do(func() {
			if want := min(limit, n-i); l.awaits != want || len(l.awaiting) != max(0, n-i-limit) {
				t.Errorf("round %d: %d run and %d wait, want %d and %d", i, l.awaits, len(l.awaiting), want, max(0, n-i-limit))
			}
		})
		goOn <- struct{}{}
		receive(t, done)
	}
	l.Do(func() {
		if l.awaits != 0 || len(l.awaiting) != 0 {
			t.Errorf("%d run and %d wait at the end", l.awaits, len(l.awaiting))
		}
	})
}

// What recovers from panics can tell the unwinding of Close.
func TestCloseUnwindsThroughRecover(t *testing.T) {
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var seen []bool
	l.Go(run(func(co *Coroutine) {
		defer func() { seen = append(seen, Unwinding(recover())) }()
		func() {
			defer func() {
				v := recover()
				seen = append(seen, Unwinding(v))
				panic(v)
			}()
			co.Wait()
		}()
	}))
	l.Close()
	if len(seen) != 2 || !seen[0] || !seen[1] || Unwinding("other") || Unwinding(nil) {
		t.Errorf("seen %v", seen)
	}
}

func BenchmarkCoroutineRoundTrip(b *testing.B) {
	l, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	co := l.Go(run(func(co *Coroutine) {
		for {
			co.Wait()
		}
	}))
	for b.Loop() {
		co.Wake()
		l.runReady()
	}
}

func BenchmarkGo(b *testing.B) {
	l, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	var r Runner = run(func(*Coroutine) {})
	for b.Loop() {
		l.Go(r)
	}
}
