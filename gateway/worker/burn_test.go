package worker

import (
	"log/slog"
	"slices"
	"testing"
	"time"
)

// What is burned runs in its order, after the turn's coroutines, within the
// budget of a turn; a panic is no hindrance.
func TestBurn(t *testing.T) {
	l := startLoop(t, Options{Log: slog.New(slog.DiscardHandler)})
	const n = 6
	var order []int
	var turns []uint64
	done := make(chan bool)
	l.Do(func() {
		for i := range n {
			l.Burn(func() {
				order, turns = append(order, i), append(turns, l.tally.turns)
				if i == n-1 {
					l.Burn(func() { close(done) })
				}
				for began := time.Now(); time.Since(began) < burnBudget; {
				}
				if i == 1 {
					panic("one of them fails")
				}
			})
		}
		l.Go(soonRunner(func(co *Coroutine) {
			co.Yield()
			order = append(order, -1)
		}))
	})
	<-done
	l.Do(func() {
		if want := []int{-1, 0, 1, 2, 3, 4, 5}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
		for i := 1; i < n; i++ {
			if turns[i] == turns[i-1] {
				t.Errorf("functions that use up the budget run in one turn: %v", turns)
			}
		}
		if len(l.burning) != 0 || l.burned != 0 {
			t.Errorf("%d of %d are done", l.burned, len(l.burning))
		}
	})
}

// What is posted, and what coroutines wait for, is not held up by what is burned;
// what a burned function wakes runs in the same turn.
func TestBurnHoldsUpNobody(t *testing.T) {
	l := startLoop(t, Options{})
	stop, woken := false, make(chan bool, 1)
	var again func()
	again = func() {
		if stop {
			return
		}
		l.Burn(again)
		for began := time.Now(); time.Since(began) < burnBudget; {
		}
	}
	l.Do(func() { l.Burn(again) })
	l.Do(func() {
		l.Go(soonRunner(func(co *Coroutine) {
			turn := uint64(0)
			l.Burn(func() { turn = l.tally.turns; co.Wake() })
			for turn == 0 {
				co.Wait()
			}
			woken <- turn == l.tally.turns
		}))
	})
	if !<-woken {
		t.Error("what a burned function woke waited for the next turn")
	}
	l.Do(func() { stop = true })
}

// Memory does not grow while there is always more to burn.
func TestBurnedMakesRoom(t *testing.T) {
	l := startLoop(t, Options{})
	l.Do(func() {
		left := 100_000
		var again func()
		again = func() {
			if left--; left > 0 {
				l.Burn(again)
			}
		}
		for range 10 {
			l.Burn(again)
		}
		for l.burned < len(l.burning) {
			l.burn()
			if n := cap(l.burning); n > 20_000 {
				t.Fatalf("room for %d functions", n)
			}
			if left > 0 && len(l.burning)-l.burned != 10 {
				t.Fatalf("%d wait", len(l.burning)-l.burned)
			}
		}
	})
}
