package listener

import (
	"sync"
	"testing"
	"time"
)

func TestGateLimit(t *testing.T) {
	var g Gate
	for range 5 { // no limit, but counted
		if !g.Enter() {
			t.Fatal("refused without a limit")
		}
	}
	g.SetLimits(6, 0)
	if !g.Enter() || g.Enter() || g.Open() != 6 {
		t.Fatalf("%d open with a limit of 6", g.Open())
	}
	g.SetLimits(2, 0) // what is open stays open
	if g.Enter() || g.Open() != 6 {
		t.Fatalf("%d open", g.Open())
	}
	for range 5 {
		g.Leave()
	}
	if !g.Enter() || g.Enter() || g.Open() != 2 {
		t.Fatalf("%d open with a limit of 2", g.Open())
	}
	g.SetLimits(0, 0)
	if !g.Enter() {
		t.Fatal("refused without a limit")
	}
}

func TestGateOverWorkers(t *testing.T) {
	var g Gate
	g.SetLimits(10, 0)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 2000 {
				if g.Enter() {
					if n := g.Open(); n > 10+4 { // others may be on their way out
						t.Errorf("%d open", n)
					}
					g.Leave()
				}
			}
		})
	}
	all.Wait()
	if n := g.Open(); n != 0 {
		t.Errorf("%d open", n)
	}
}

func TestRate(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	// pass counts how many of n come through at once after d.
	pass := func(g *Gate, d time.Duration, n int) (passed int) {
		at = at.Add(d)
		for range n {
			if g.InRate(at) {
				passed++
			}
		}
		return passed
	}
	for _, test := range []struct {
		name string
		rate int
		run  func(g *Gate) []int
		want []int
	}{
		{"off", 0, func(g *Gate) []int { return []int{pass(g, 0, 1000)} }, []int{1000}},
		{"one a second", 1, func(g *Gate) []int {
			return []int{pass(g, 0, 5), pass(g, 999*time.Millisecond, 5), pass(g, time.Millisecond, 5), pass(g, 10*time.Second, 5)}
		}, []int{1, 0, 1, 1}},
		{"a hundred a second, ten at once", 100, func(g *Gate) []int {
			return []int{pass(g, 0, 50), pass(g, 5*time.Millisecond, 50), pass(g, 5*time.Millisecond, 50), pass(g, 30*time.Millisecond, 50), pass(g, time.Hour, 50)}
		}, []int{10, 0, 1, 3, 10}},
		{"evenly", 1000, func(g *Gate) []int {
			n := 0
			for range 2000 {
				n += pass(g, time.Millisecond, 1)
			}
			return []int{n}
		}, []int{2000}},
		{"twice too many", 1000, func(g *Gate) []int {
			n := 0
			for range 2000 {
				n += pass(g, time.Millisecond, 2)
			}
			return []int{n}
		}, []int{2000 + 99}},
		{"the clock goes back", 100, func(g *Gate) []int {
			return []int{pass(g, 0, 50), pass(g, -time.Millisecond, 50), pass(g, 12*time.Millisecond, 50)}
		}, []int{10, 0, 1}},
	} {
		var g Gate
		g.SetLimits(0, test.rate)
		got := test.run(&g)
		for i := range test.want {
			if got[i] != test.want[i] {
				t.Errorf("%s: %v, want %v", test.name, got, test.want)
				break
			}
		}
	}
}

// A wall clock that is set back must not shut the listener for as long.
func TestRateWhenTheClockIsSetBack(t *testing.T) {
	var g Gate
	g.SetLimits(0, 100)
	at := time.Unix(1_700_000_000, 0)
	for range 20 {
		g.InRate(at)
	}
	if !g.InRate(at.Add(-time.Hour)) {
		t.Error("no connection for an hour")
	}
}

func TestRateOverWorkers(t *testing.T) {
	var g Gate
	g.SetLimits(0, 1000)
	at := time.Unix(1_700_000_000, 0)
	var passed Gate
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				if g.InRate(at) {
					passed.Enter()
				}
			}
		})
	}
	all.Wait()
	if n := passed.Open(); n != 100 {
		t.Errorf("%d, want a tenth of a second's 100", n)
	}
}
