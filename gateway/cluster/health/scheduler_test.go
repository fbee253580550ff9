package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fake is a group whose checks take a given time and answer from a script.
func fake(s *Scheduler, takes time.Duration, answer func(*Target) error) *Group {
	g := s.Group(nil)
	g.probe = func(ctx context.Context, t *Target) error {
		select {
		case <-time.After(takes):
			return answer(t)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return g
}

func ignore(Event) {}

func TestThresholds(t *testing.T) {
	bad := errors.New("status 503 is not in 200..299")
	for _, c := range []struct {
		name    string
		initial State
		results string // + passes, - fails
		want    []string
	}{
		{"first failure", Unchecked, "-", []string{"0 unchecked->down status 503 is not in 200..299"}},
		{"first success", Unchecked, "+", []string{"0 unchecked->up 1 check passed"}},
		{"up needs two", Unchecked, "-+-++", []string{"0 unchecked->down status 503 is not in 200..299", "4 down->up 2 checks passed"}},
		{"down needs three", Unchecked, "+--+---", []string{"0 unchecked->up 1 check passed", "6 up->down status 503 is not in 200..299"}},
		{"known down", Down, "+-++", []string{"3 down->up 2 checks passed"}},
		{"known up", Up, "---", []string{"2 up->down status 503 is not in 200..299"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewScheduler(1)
				defer s.Close()
				done := make(chan struct{})
				next := 0
				var got []string
				g := fake(s, 0, func(*Target) error {
					result := c.results[min(next, len(c.results)-1)]
					if next++; next == len(c.results)+1 {
						close(done)
					}
					if result == '-' {
						return bad
					}
					return nil
				})
				g.Add(Target{Config: &Config{}, Initial: c.initial, Report: func(e Event) {
					got = append(got, fmt.Sprintf("%d %s->%s %s", next-1, e.Old, e.New, e.Reason))
				}})
				<-done
				g.Close()
				if !slices.Equal(got, c.want) {
					t.Errorf("got %q\nwant %q", got, c.want)
				}
				if stats := g.Stats(); stats.Attempts < uint64(len(c.results)) || stats.Attempts != stats.Successes+stats.Failures || stats.NetworkFailures != 0 {
					t.Errorf("stats %+v", stats)
				}
			})
		})
	}
}

func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewScheduler(0)
		defer s.Close()
		s.mu.Lock()
		s.random = func() float64 { return 0.25 }
		s.mu.Unlock()
		start := time.Now()
		var at []time.Duration
		done := make(chan struct{})
		g := fake(s, 300*time.Millisecond, func(*Target) error {
			at = append(at, time.Since(start)-300*time.Millisecond)
			if len(at) == 4 {
				close(done)
			}
			return nil
		})
		g.Add(Target{Config: &Config{Every: 10 * time.Second, Jitter: 4 * time.Second}, Report: ignore})
		<-done
		g.Close()
		// At once; a random part of the interval later; then each interval; plus jitter.
		want := []time.Duration{0, 3500 * time.Millisecond, 14500 * time.Millisecond, 25500 * time.Millisecond}
		if !slices.Equal(at, want) {
			t.Errorf("checks at %v, want %v", at, want)
		}
	})
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewScheduler(0)
		defer s.Close()
		g := fake(s, time.Hour, func(*Target) error { return nil })
		events := make(chan Event, 1)
		start := time.Now()
		g.Add(Target{Config: &Config{Timeout: 700 * time.Millisecond}, Report: func(e Event) { events <- e }})
		e := <-events
		if e.New != Down || e.Reason != "no answer within 700ms" || time.Since(start) != 700*time.Millisecond {
			t.Errorf("%+v after %s", e, time.Since(start))
		}
		synctest.Wait()
		g.Close()
		if stats := g.Stats(); stats.NetworkFailures != 1 || stats.Failures != 1 {
			t.Errorf("stats %+v", stats)
		}
	})
}

// Ten thousand endpoints are all checked, never more than the limit at once.
func TestConcurrencyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const endpoints, limit = 10_000, 100
		s := NewScheduler(limit)
		defer s.Close()
		var running, most atomic.Int64
		var mu sync.Mutex
		seen := map[string]int{}
		g := fake(s, 0, nil)
		g.probe = func(_ context.Context, target *Target) error {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(10 * time.Millisecond)
			running.Add(-1)
			mu.Lock()
			seen[target.Hostname]++
			mu.Unlock()
			return nil
		}
		config := &Config{Every: 5 * time.Second}
		for i := range endpoints {
			g.Add(Target{Config: config, Hostname: fmt.Sprint(i), Report: ignore})
		}
		time.Sleep(16 * time.Second)
		g.Close()
		if most.Load() > limit {
			t.Errorf("%d checks at once", most.Load())
		}
		if len(seen) != endpoints {
			t.Errorf("%d endpoints were checked", len(seen))
		}
		for name, n := range seen {
			if n < 3 || n > 5 {
				t.Fatalf("endpoint %s was checked %d times in 16 s", name, n)
			}
		}
	})
}

func TestRemoveAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewScheduler(0)
		defer s.Close()
		var checked atomic.Int64
		g := fake(s, time.Millisecond, func(*Target) error { checked.Add(1); return nil })
		waiting := g.Add(Target{Config: &Config{}, Report: ignore})
		time.Sleep(time.Millisecond)
		synctest.Wait()
		before := checked.Load()
		waiting.Remove()
		time.Sleep(time.Minute)
		if now := checked.Load(); now != before {
			t.Errorf("%d checks after the target was removed", now-before)
		}

		slow := fake(s, 500*time.Millisecond, func(*Target) error { t.Error("the check was not broken off"); return nil })
		slow.Add(Target{Config: &Config{}, Report: func(e Event) { t.Errorf("report %+v of a check that was broken off", e) }})
		other := fake(s, time.Millisecond, func(*Target) error { checked.Add(1); return nil })
		other.Add(Target{Config: &Config{}, Report: ignore})
		synctest.Wait()
		slow.Close()
		g.Close()
		if added := slow.Add(Target{Config: &Config{}, Report: ignore}); !added.removed {
			t.Error("a closed group took a target")
		}
		before = checked.Load()
		time.Sleep(time.Minute)
		if checked.Load() < before+5 {
			t.Error("closing one group stopped the checks of another")
		}
		other.Close()
		if s.running != 0 || len(s.due) != 0 {
			t.Errorf("%d checks running, %d in the queue", s.running, len(s.due))
		}
	})
}
