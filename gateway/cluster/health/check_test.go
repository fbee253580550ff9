package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAfter(t *testing.T) {
	const every, noTraffic, noTrafficHealthy, unhealthy, unhealthyEdge, healthyEdge = 1, 2, 3, 4, 5, 6
	all := Config{
		Every: every, NoTraffic: noTraffic, NoTrafficHealthy: noTrafficHealthy,
		UnhealthyInterval: unhealthy, UnhealthyEdge: unhealthyEdge, HealthyEdge: healthyEdge,
	}
	for _, c := range []struct {
		name   string
		config Config
		state  State
		passed bool
		unused bool
		want   time.Duration
	}{
		{"up", all, Up, true, false, every},
		{"up, failing", all, Up, false, false, unhealthyEdge},
		{"down", all, Down, false, false, unhealthy},
		{"down, passing", all, Down, true, false, healthyEdge},
		{"unused up", all, Up, true, true, noTrafficHealthy},
		{"unused up, failing", all, Up, false, true, noTrafficHealthy},
		{"unused down", all, Down, false, true, noTraffic},
		{"unused down, passing", all, Down, true, true, noTraffic},
		{"unused, one interval", Config{Every: every, NoTraffic: noTraffic}, Up, true, true, noTraffic},
		{"unused, not configured", Config{Every: every, NoTrafficHealthy: noTrafficHealthy}, Up, true, true, every},
		{"unhealthy edge is unhealthy", Config{Every: every, UnhealthyInterval: unhealthy}, Up, false, false, unhealthy},
		{"unhealthy is every", Config{Every: every}, Down, false, false, every},
		{"edges are every", Config{Every: every}, Up, false, false, every},
		{"healthy edge is every", Config{Every: every, UnhealthyInterval: unhealthy}, Down, true, false, every},
		{"default", Config{}, Up, true, false, 5 * time.Second},
	} {
		if got := c.config.after(c.state, c.passed, !c.unused); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// script checks one target; the result of each check is the next of results, and the last ones
// are like the last. It returns when each check began, and the events.
type script struct {
	t       *testing.T
	results []error
	start   time.Time
	at      []time.Duration
	events  []string
	got     []error
}

func newScript(t *testing.T, s *Scheduler, config *Config, takes time.Duration, results ...error) (*script, *Group, *Check) {
	c := &script{t: t, results: results, start: time.Now()}
	g := s.Group(nil)
	g.probe = func(ctx context.Context, _ *Target) error {
		n := len(c.at)
		c.at = append(c.at, time.Since(c.start))
		select {
		case <-time.After(takes):
			return c.results[min(n, len(c.results)-1)]
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	check := g.Add(Target{
		Config: config,
		Report: func(e Event) {
			c.events = append(c.events, fmt.Sprintf("%v %v->%v %s", time.Since(c.start), e.Old, e.New, e.Reason))
		},
		Result: func(err error) { c.got = append(c.got, err) },
	})
	return c, g, check
}

func (c *script) expect(at ...time.Duration) {
	c.t.Helper()
	if !slices.Equal(c.at, at) {
		c.t.Errorf("checks at %v, want %v", c.at, at)
	}
}

func (c *script) expectEvents(events ...string) {
	c.t.Helper()
	if !slices.Equal(c.events, events) {
		c.t.Errorf("events %q, want %q", c.events, events)
	}
}

// steady is a scheduler without chance.
func steady(t *testing.T, random float64) *Scheduler {
	s := NewScheduler(0)
	s.mu.Lock()
	s.random = func() float64 { return random }
	s.mu.Unlock()
	t.Cleanup(s.Close)
	return s
}

var (
	errRefused = &networkError{errors.New("connect: connection refused"), true}
	errBad     = errors.New("status 503 is not in 200..299")
)

// A doubted target that can't be connected to is down at once; one that can is not.
func TestDoubt(t *testing.T) {
	for _, c := range []struct {
		name   string
		second error
		want   []string
	}{
		{"refused", errRefused, []string{"0s unchecked->up 1 check passed", "12s up->down connect: connection refused"}},
		{"bad answer", errBad, []string{"0s unchecked->up 1 check passed"}},
		{"good answer", nil, []string{"0s unchecked->up 1 check passed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := steady(t, 0.5)
				config := &Config{Every: 20 * time.Second, Unhealthy: 3}
				x, g, check := newScript(t, s, config, 0, nil, nil, c.second, nil)
				time.Sleep(12 * time.Second)
				for range 10 {
					check.Doubt()
				}
				synctest.Wait()
				x.expect(0, 10*time.Second, 12*time.Second)
				time.Sleep(21 * time.Second)
				g.Close()
				x.expect(0, 10*time.Second, 12*time.Second, 32*time.Second)
				x.expectEvents(c.want...)
			})
		})
	}
}

// However often a target is doubted, it is checked for that once in a second.
func TestDoubtsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := steady(t, 0.999)
		x, g, check := newScript(t, s, &Config{Every: time.Hour}, 95*time.Millisecond, nil)
		for range 250 { // for 2.5 s
			check.Doubt()
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		x.expect(0, 100*time.Millisecond, 1100*time.Millisecond, 2100*time.Millisecond)
		check.Remove()
		check.Doubt()
		time.Sleep(2 * time.Second)
		g.Close()
		if len(x.at) != 4 {
			t.Errorf("checks at %v", x.at)
		}
	})
}

// One failure that is refused does not make a target down that nobody doubted.
func TestRefusedWithoutDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := steady(t, 1)
		x, g, _ := newScript(t, s, &Config{Every: time.Second}, 0, nil, errRefused, errRefused, nil)
		time.Sleep(5 * time.Second)
		g.Close()
		x.expectEvents("0s unchecked->up 1 check passed")
	})
}

func TestFinalStatuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := steady(t, 1)
		c := &HTTP{Retriable: []Statuses{{500, 504}}}
		x, g, _ := newScript(t, s, &Config{Every: time.Second, HTTP: c}, 0, nil, c.judge(500), c.judge(503), nil, c.judge(404), nil)
		time.Sleep(4500 * time.Millisecond)
		g.Close()
		x.expectEvents("0s unchecked->up 1 check passed", "4s up->down status 404 is not in 200..299")
		if len(x.got) != 5 || x.got[4] == nil || x.got[0] != nil {
			t.Errorf("results %v", x.got)
		}
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := steady(t, 0.25)
		config := &Config{Every: 10 * time.Second, InitialJitter: 20 * time.Second, Jitter: 4 * time.Second, JitterPercent: 40}
		x, g, _ := newScript(t, s, config, 0, nil)
		time.Sleep(30 * time.Second)
		g.Close()
		// The first after 5 s, the second after a part of the interval, then each
		// interval; the additions are a quarter of 4 s and of 40 %.
		x.expect(5*time.Second, 5*time.Second+2500*time.Millisecond+time.Second+250*time.Millisecond, 8750*time.Millisecond+12*time.Second)
	})
}

func TestEdges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := steady(t, 1)
		config := &Config{Every: 10 * time.Second, UnhealthyEdge: time.Second, UnhealthyInterval: 5 * time.Second, HealthyEdge: 2 * time.Second}
		x, g, _ := newScript(t, s, config, 0, nil, errBad, errBad, errBad, errBad, nil, nil)
		time.Sleep(35 * time.Second)
		g.Close()
		second := time.Second
		x.expect(0, 10*second, 11*second, 12*second, 17*second, 22*second, 24*second, 34*second)
		x.expectEvents("0s unchecked->up 1 check passed", "12s up->down status 503 is not in 200..299", "24s down->up 2 checks passed")
	})
}
