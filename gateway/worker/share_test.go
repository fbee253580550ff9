package worker

import (
	"slices"
	"testing"
)

// A crowd of coroutines that were woken has its share of a turn; the others go on
// in the next one, before those that were woken later, and none is lost. What Burn
// was given does not wait for the crowd.
func TestShareOfCoroutines(t *testing.T) {
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const n = 20
	var order []int
	var all []*Coroutine
	for i := range n {
		all = append(all, l.Go(soonRunner(func(co *Coroutine) {
			co.Wait()
			order = append(order, i)
			for began := l.Clock(); l.Clock()-began < leastShare; {
			}
		})))
		all[i].Wake()
	}
	later := l.Go(soonRunner(func(co *Coroutine) {
		co.Wait()
		order = append(order, n)
	}))
	turn := func() {
		l.readClock()
		l.divide()
		l.share = leastShare // whatever the machine did meanwhile
		l.runReady()
	}
	turn()
	if len(order) != resumedLook-1 {
		t.Fatalf("the first turn resumed %v", order)
	}
	later.Wake()
	burned := l.Go(soonRunner(func(co *Coroutine) {
		co.Wait()
		order = append(order, -1)
	}))
	l.Burn(burned.Wake)
	l.burn()
	if order[len(order)-1] != -1 || len(order) != resumedLook {
		t.Fatalf("what was burned waited: %v", order)
	}
	for range n {
		turn()
	}
	var want []int
	for i := range n + 1 {
		if i == resumedLook-1 {
			want = append(want, -1)
		}
		want = append(want, i)
	}
	if !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if len(l.ready) > 0 || l.live > 0 {
		t.Errorf("%d are ready, %d live", len(l.ready), l.live)
	}
}
