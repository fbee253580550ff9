package cluster

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Four workers never hold more than the limit, and nothing is lost.
func TestLimits(t *testing.T) {
	config := &Config{Limits: Limits{Connections: 1, Pending: 2, Requests: 3, Retries: 4}}
	c := New(config).Breakers(false)
	for _, l := range []struct {
		name    string
		try     func() bool
		release func()
		max     int64
	}{
		{"connections", c.TryConnection, c.ReleaseConnection, 1},
		{"pending", c.TryPending, c.ReleasePending, 2},
		{"requests", c.TryRequest, c.ReleaseRequest, 3},
		{"retries", c.TryRetry, c.ReleaseRetry, 4},
	} {
		var held, most, got atomic.Int64
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for range 2000 {
					if !l.try() {
						continue
					}
					got.Add(1)
					if n := held.Add(1); n > most.Load() {
						most.Store(n)
					}
					held.Add(-1)
					l.release()
				}
			})
		}
		workers.Wait()
		if most.Load() > l.max || got.Load() == 0 {
			t.Errorf("%s: %d held at once, limit %d, got %d", l.name, most.Load(), l.max, got.Load())
		}
		for range l.max {
			if !l.try() {
				t.Errorf("%s: less than the limit was given", l.name)
			}
		}
		if l.try() {
			t.Errorf("%s: more than the limit was given", l.name)
		}
	}
	if s := c.States(); s.Connections.InUse != 1 || s.Pending.InUse != 2 || s.Requests.InUse != 3 || s.Retries != (Breaker{4, 4}) || s.Retries.Remaining() != 0 {
		t.Errorf("in use: %+v", s)
	}
}

func TestLimitsAreInherited(t *testing.T) {
	limited := func(n int) *Cluster { return New(&Config{Limits: Limits{Requests: n}}) }
	used := func(c *Cluster) int64 { _, _, requests, _ := c.InUse(); return requests }

	first := limited(2)
	for range 2 {
		if !first.Breakers(false).TryRequest() {
			t.Fatal("no requests")
		}
	}
	second := limited(3)
	second.Inherit(first)
	if !second.Breakers(false).TryRequest() || second.Breakers(false).TryRequest() {
		t.Errorf("requests under way do not count after a reload: %d", used(second))
	}
	unlimited := limited(0)
	unlimited.Inherit(second)
	if !unlimited.Breakers(false).TryRequest() || used(unlimited) != 0 {
		t.Error("no limit limits")
	}
	fourth := limited(1)
	fourth.Inherit(unlimited)
	unlimited.Breakers(false).ReleaseRequest()
	for range 2 {
		first.Breakers(false).ReleaseRequest()
	}
	second.Breakers(false).ReleaseRequest()
	if used(first) != 0 || used(second) != 0 || used(fourth) != 0 {
		t.Errorf("left over: %d %d %d", used(first), used(second), used(fourth))
	}
	if !fourth.Breakers(false).TryRequest() || fourth.Breakers(false).TryRequest() {
		t.Error("the limit of one is not one")
	}
}

// A budget allows retries in proportion to the requests, and always some; the other priority has its own.
func TestRetryBudget(t *testing.T) {
	c := New(&Config{Limits: Limits{RetryBudget: &RetryBudget{Percent: 25, MinConcurrency: 2}}, HighLimits: Limits{RetryBudget: &RetryBudget{}}})
	for _, test := range []struct {
		high     bool
		requests int
		want     int
	}{{false, 0, 2}, {false, 8, 2}, {false, 11, 2}, {false, 40, 10}, {true, 0, 3}, {true, 100, 20}} {
		b := c.Breakers(test.high)
		for range test.requests {
			if !b.TryRequest() {
				t.Fatal("a request was refused")
			}
		}
		if s := b.States(); s.Retries.Most != int64(test.want) || s.Requests.InUse != int64(test.requests) || s.Requests.Most != 0 {
			t.Errorf("%d requests: %+v", test.requests, s)
		}
		got := 0
		for b.TryRetry() {
			got++
		}
		if got != test.want {
			t.Errorf("%d retries while there are %d requests, want %d", got, test.requests, test.want)
		}
		for range got {
			b.ReleaseRetry()
		}
		for range test.requests {
			b.ReleaseRequest()
		}
	}
}
