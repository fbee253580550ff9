package worker

import (
	"log/slog"
	"slices"
	"testing"
)

// soonRunner is a Runner made of a function.
type soonRunner func(co *Coroutine)

func (r soonRunner) Run(co *Coroutine) { r(co) }

// TestGoSoon: what is to run soon runs in this turn, in order, on a coroutine
// that has ended where there is one; a panic and a wait are no hindrance.
func TestGoSoon(t *testing.T) {
	l := startLoop(t, Options{Log: slog.New(slog.DiscardHandler)})
	var order []int
	var on []*Coroutine
	var waiting *Coroutine
	l.Do(func() {
		for i := range 6 {
			l.GoSoon(soonRunner(func(co *Coroutine) {
				order = append(order, i)
				on = append(on, co)
				switch i {
				case 1:
					panic("one of them fails")
				case 3:
					waiting = co
					co.Wait()
					order = append(order, 33)
				}
			}))
		}
	})
	l.Do(func() {
		if want := []int{0, 1, 2, 3, 4, 5}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
		if on[0] != on[1] || on[1] != on[2] || on[2] != on[3] || on[4] != on[5] {
			t.Error("a coroutine that ended did not go on with the next")
		}
		if on[3] == on[4] {
			t.Error("a coroutine that waits was given another Runner")
		}
		waiting.Wake()
	})
	l.Do(func() {
		if len(order) != 7 || order[6] != 33 {
			t.Errorf("the one that waited did not go on: %v", order)
		}
	})
}
