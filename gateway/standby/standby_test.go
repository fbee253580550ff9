package standby

import (
	"sync"
	"testing"
	"time"
)

// Of every hundred numbers each comes once, whatever the seed, and those of a range
// are far from each other.
func TestSequence(t *testing.T) {
	for seed := range uint64(50) {
		s := NewSequence(seed)
		for range 20 {
			var seen [100]int
			last, least := -1, 100
			for i := range 100 {
				n := s.Next()
				seen[n]++
				if n < 10 {
					if last >= 0 {
						least = min(least, i-last)
					}
					last = i
				}
			}
			for n, count := range seen {
				if count != 1 {
					t.Fatalf("seed %d: %d came %d times of a hundred", seed, n, count)
				}
			}
			if least < 5 {
				t.Fatalf("seed %d: two of the ten below 10 come within %d", seed, least)
			}
		}
	}
}

// A pattern in the requests does not decide which side they meet: one percent of a
// hundred thousand requests of four kinds in turn is one percent of each kind.
func TestSequenceHasNoPattern(t *testing.T) {
	for _, period := range []int{2, 4, 5, 10, 25, 50, 100} {
		s := NewSequence(7)
		met := make([]int, period)
		const requests = 200_000
		for i := range requests {
			if s.Next() == 0 {
				met[i%period]++
			}
		}
		want := requests / 100 / period
		for kind, n := range met {
			if n < want/4 || n > want*4 {
				t.Errorf("kind %d of %d: %d, about %d is fair", kind, period, n, want)
			}
		}
	}
}

// Workers begin at different places.
func TestSequencesAreStaggered(t *testing.T) {
	first := map[int]bool{}
	for worker := range uint64(8) {
		s := NewSequence(worker)
		first[s.Next()] = true
	}
	if len(first) < 6 {
		t.Errorf("8 workers begin at %d places", len(first))
	}
}

func TestSwitch(t *testing.T) {
	config := &Config{State: Standby, Local: 1, Forward: 99, To: "active", Warm: 1, WarmEvery: time.Second}
	s := NewSwitch(config)
	at := func(what string, state State, override bool, keeps int) {
		t.Helper()
		if p := s.Position(); p.State != state || p.Override != override || p.Keeps() != keeps || p.Config == nil {
			t.Errorf("%s: %s, override %v, keeps %d", what, p.State, p.Override, p.Keeps())
		}
	}
	at("as configured", Standby, false, 1)
	if s.Clear() {
		t.Error("there was nothing to withdraw")
	}
	now := time.Unix(1000, 0)
	if !s.Override(Active, now) || s.Override(Active, now.Add(time.Hour)) {
		t.Error("one change is not one")
	}
	at("switched", Active, true, 100)
	if since := s.Position().Since; !since.Equal(now) {
		t.Errorf("since %s", since)
	}
	if s.Clear() != true {
		t.Error("withdrawing changed nothing")
	}
	at("withdrawn", Standby, false, 1)
	if s.Override(Standby, now) {
		t.Error("it was standby already")
	}
	at("held", Standby, true, 1)
}

// An override outlasts a new version of its cluster, and not a new configuration of
// its standby.
func TestInherit(t *testing.T) {
	config := Config{State: Standby, Local: 1, Forward: 99, To: "active"}
	for _, test := range []struct {
		change func(*Config)
		kept   bool
	}{
		{func(*Config) {}, true},
		{func(c *Config) { c.Local, c.Forward = 2, 98 }, false},
		{func(c *Config) { c.To = "other" }, false},
		{func(c *Config) { c.Warm = 3 }, false},
		{func(c *Config) { c.State = Active }, false},
	} {
		old := NewSwitch(&config)
		old.Override(Active, time.Unix(5, 0))
		next := config
		test.change(&next)
		s := NewSwitch(&next)
		s.Inherit(old)
		p := s.Position()
		if p.Override != test.kept || p.Config != &next || !test.kept && p.State != next.State {
			t.Errorf("%+v: %+v", next, p)
		}
	}
	s := NewSwitch(&config)
	s.Inherit(NewSwitch(&config))
	if s.Position().Override {
		t.Error("an override out of nothing")
	}
}

// Who throws a switch and who reads it see whole positions.
func TestConcurrent(t *testing.T) {
	s := NewSwitch(&Config{State: Active, Local: 5, Forward: 95})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 1000 {
				switch {
				case i > 1:
					if p := s.Position(); p.Keeps() != 100 && p.Keeps() != 5 {
						t.Errorf("keeps %d", p.Keeps())
					}
				case n%3 == 0:
					s.Clear()
				default:
					s.Override(State(n%2), time.Time{})
				}
			}
		})
	}
	all.Wait()
}

func TestReadingDoesNotAllocate(t *testing.T) {
	s, sequence := NewSwitch(&Config{State: Standby, Local: 1, Forward: 99}), NewSequence(1)
	kept := 0
	if n := testing.AllocsPerRun(1000, func() {
		if sequence.Next() < s.Position().Keeps() {
			kept++
		}
	}); n != 0 || kept == 0 {
		t.Errorf("%v allocations, %d kept", n, kept)
	}
}
