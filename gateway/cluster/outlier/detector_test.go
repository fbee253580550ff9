package outlier

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type name string

func (n name) String() string { return string(n) }

// fixture is a detector that runs, with the events that came of it.
type fixture struct {
	*Detector
	hosts []*Host
	began time.Time

	mu     sync.Mutex
	events []string
}

// run makes a detector of so many endpoints a, b, c and so on, inside a bubble of
// synctest, and ends it with the test.
func run(t *testing.T, n int, change func(*Config)) *fixture {
	config := Defaults()
	config.MaxEjectionPercent = 100
	change(&config)
	f := &fixture{Detector: New(&config), began: time.Now()}
	f.random = func() float64 { return 0.5 }
	for i := range n {
		h := &Host{Owner: name(string(rune('a' + i)))}
		f.hosts = append(f.hosts, h)
		f.Add(h)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx, f.note) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

func (f *fixture) note(e Event) {
	action := "back"
	switch {
	case e.Ejected && e.Enforced:
		action = "out"
	case e.Ejected:
		action = "found"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, fmt.Sprintf("%v %v %s %v #%d %v: %s", time.Since(f.began), e.Host.Owner, action, e.Cause, e.Times, e.Lasts, e.Reason))
}

// expect compares the events since it was called last.
func (f *fixture) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.events, want) {
		t.Errorf("events\n%s\nwant\n%s", strings.Join(f.events, "\n"), strings.Join(want, "\n"))
	}
	f.events = nil
}

// statuses reports responses.
func statuses(m *Monitor, statuses ...int) {
	for _, status := range statuses {
		m.Status(status)
	}
}

func TestRowsEject(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		report func(*Monitor)
		want   string // after "0s a "
	}{
		{"5xx", nil, func(m *Monitor) { statuses(m, 500, 501, 505, 500, 599) }, "out consecutive_5xx #1 30s: 5 responses 5xx in a row"},
		{"four", nil, func(m *Monitor) { statuses(m, 500, 500, 500, 500, 404, 500, 500, 500, 500) }, ""},
		{"another count", func(c *Config) { c.Consecutive5xx = 1 }, func(m *Monitor) { statuses(m, 500) }, "out consecutive_5xx #1 30s: a response 5xx"},
		{"off", func(c *Config) { c.Consecutive5xx = 0 }, func(m *Monitor) { statuses(m, 500, 500, 500, 500, 500, 500) }, ""},
		{
			"gateway failures", func(c *Config) { c.Consecutive5xx, c.Enforcing.ConsecutiveGatewayFailure = 0, 100 },
			func(m *Monitor) { statuses(m, 502, 503, 504, 503, 502) },
			"out consecutive_gateway_failure #1 30s: 5 responses 502 to 504 in a row",
		},
		{
			"a 500 ends a row of gateway failures", func(c *Config) { c.Consecutive5xx, c.Enforcing.ConsecutiveGatewayFailure = 0, 100 },
			func(m *Monitor) { statuses(m, 502, 503, 504, 503, 500, 502) },
			"",
		},
		{
			"gateway failures are not enforced", func(c *Config) { c.Consecutive5xx = 0 },
			func(m *Monitor) { statuses(m, 502, 503, 504, 503, 502) },
			"found consecutive_gateway_failure #0 0s: 5 responses 502 to 504 in a row",
		},
		{"resets count as 503", nil, func(m *Monitor) { m.Reset(); m.Timeout(); m.Reset(); m.ConnectFailed(false); m.Status(500) }, "out consecutive_5xx #1 30s: 5 responses 5xx in a row"},
		{
			"split", func(c *Config) { c.SplitLocalOrigin = true },
			func(m *Monitor) { m.Reset(); m.Timeout(); m.Reset(); m.ConnectFailed(false); m.Timeout() },
			"out consecutive_local_origin_failure #1 30s: 5 requests without response in a row",
		},
		{
			"split: responses end a row", func(c *Config) { c.SplitLocalOrigin = true },
			func(m *Monitor) {
				m.Reset()
				m.Timeout()
				m.Status(500)
				m.Reset()
				m.ConnectFailed(false)
				m.Timeout()
			},
			"",
		},
		{
			"split: no responses are no 5xx", func(c *Config) { c.SplitLocalOrigin = true },
			func(m *Monitor) { statuses(m, 500, 500); m.Reset(); statuses(m, 500); m.Reset(); statuses(m, 500) },
			"",
		},
		{"refused", nil, func(m *Monitor) { m.ConnectFailed(true) }, "out consecutive_refused #1 30s: a connection was refused"},
		{"refused, off", func(c *Config) { c.ConsecutiveRefused = 0 }, func(m *Monitor) { m.ConnectFailed(true) }, ""},
		{
			"refused again", func(c *Config) { c.ConsecutiveRefused = 2 },
			func(m *Monitor) { m.ConnectFailed(true); m.Connected(); m.ConnectFailed(true) },
			"",
		},
		{
			"refused twice, though older connections go on", func(c *Config) { c.ConsecutiveRefused = 2 },
			func(m *Monitor) { m.ConnectFailed(true); m.Status(200); m.ConnectFailed(true) },
			"out consecutive_refused #1 30s: 2 connections refused in a row",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := run(t, 2, func(config *Config) {
					if c.change != nil {
						c.change(config)
					}
				})
				c.report(f.Monitor(f.hosts[0]))
				if c.want == "" {
					f.expect(t)
				} else {
					f.expect(t, "0s a "+c.want)
				}
				if f.hosts[0].Ejected() != strings.HasPrefix(c.want, "out") {
					t.Error("the endpoint's state is another one")
				}
			})
		})
	}
}

// What is found but not ejected is found again after as many failures, not at each.
func TestFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 1, func(c *Config) { c.Enforcing.Consecutive5xx = 50 }) // the draw is 50 %: not below
		m := f.Monitor(f.hosts[0])
		for range 12 {
			m.Status(500)
			synctest.Wait()
		}
		one := "0s a found consecutive_5xx #0 0s: 5 responses 5xx in a row"
		f.expect(t, one, one)
		f.random = func() float64 { return 0.49 }
		statuses(m, 500, 500, 500)
		f.expect(t, "0s a out consecutive_5xx #1 30s: 5 responses 5xx in a row")
	})
}

// An ejection lasts longer each time, up to the maximum, and less long after a time without.
func TestEjectionTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 1, func(c *Config) { c.Consecutive5xx, c.MaxEjectionTime = 1, 75*time.Second })
		m := f.Monitor(f.hosts[0])
		eject := func(lasts time.Duration) {
			t.Helper()
			m.Status(500)
			synctest.Wait()
			e := f.hosts[0].Ejection()
			if d := e.Until.Sub(e.Since); d != lasts || !e.Active {
				t.Errorf("the ejection lasts %v, want %v", d, lasts)
			}
			time.Sleep(lasts - time.Nanosecond)
			synctest.Wait()
			if !f.hosts[0].Ejected() {
				t.Error("it is over too early")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
			if f.hosts[0].Ejected() {
				t.Error("it goes on")
			}
		}
		eject(30 * time.Second)
		eject(60 * time.Second)
		eject(75 * time.Second)
		eject(75 * time.Second) // at 240 s
		time.Sleep(25 * time.Second)
		synctest.Wait() // after the interval of 250 and of 260 s
		if b := f.hosts[0].watch.Load().backoff; b != 2 {
			t.Errorf("backoff %d", b)
		}
		eject(75 * time.Second)
		time.Sleep(time.Hour)
		synctest.Wait()
		eject(30 * time.Second)
		if e := f.hosts[0].Ejection(); e.Times != 6 || e.Active {
			t.Errorf("%+v", e)
		}
	})
}

func TestJitterOfEjections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 1, func(c *Config) { c.Consecutive5xx, c.MaxEjectionTimeJitter = 1, 10*time.Second })
		f.Monitor(f.hosts[0]).Status(500)
		f.expect(t, "0s a out consecutive_5xx #1 35s: a response 5xx")
		time.Sleep(time.Minute)
		f.expect(t, "35s a back consecutive_5xx #1 35s: its time is over")
	})
}

func TestMaxEjectionPercent(t *testing.T) {
	for _, c := range []struct {
		hosts, percent int
		always         bool
		want           int
	}{
		{10, 50, false, 5}, {9, 50, false, 4}, {4, 10, false, 0}, {4, 10, true, 1}, {4, 0, true, 1}, {4, 0, false, 0}, {3, 100, false, 3}, {10, 10, true, 1}, {20, 10, true, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := run(t, c.hosts, func(config *Config) {
				config.MaxEjectionPercent, config.AlwaysEjectOneHost = c.percent, c.always
			})
			for _, h := range f.hosts {
				statuses(f.Monitor(h), 500, 500, 500, 500, 500)
				synctest.Wait()
			}
			f.mu.Lock()
			if n := len(f.events); n != c.hosts {
				t.Errorf("%+v: %d events", c, n)
			}
			f.mu.Unlock()
			stats := f.Stats()
			if stats.Active[By5xx] != c.want || stats.Overflow != uint64(c.hosts-c.want) || stats.Detected[By5xx] != uint64(c.hosts) || stats.Enforced[By5xx] != uint64(c.want) {
				t.Errorf("%+v: %+v", c, stats)
			}
			time.Sleep(30 * time.Second)
			synctest.Wait()
			if n := f.Stats().Active[By5xx]; n != 0 {
				t.Errorf("%+v: %d are ejected for ever", c, n)
			}
		})
	}
}

func TestHealthyEndsEjections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 2, func(*Config) {})
		a := f.Monitor(f.hosts[0])
		statuses(a, 500, 500, 500, 500, 500)
		synctest.Wait()
		time.Sleep(3 * time.Second)
		f.Healthy(f.hosts[1])
		f.Healthy(f.hosts[0])
		f.expect(t, "0s a out consecutive_5xx #1 30s: 5 responses 5xx in a row", "3s a back consecutive_5xx #1 3s: an active check has passed")

		off := *f.config.Load()
		off.UnejectOnHealthy = false
		f.Configure(&off)
		statuses(a, 500, 500, 500, 500, 500)
		synctest.Wait()
		f.Healthy(f.hosts[0])
		f.expect(t, "3s a out consecutive_5xx #2 1m0s: 5 responses 5xx in a row")
	})
}

// While an endpoint is ejected rows are not of interest, nor what is left of them afterwards.
func TestAFreshStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 1, func(*Config) {})
		m := f.Monitor(f.hosts[0])
		for range 19 {
			m.Status(500)
			synctest.Wait()
		}
		time.Sleep(30 * time.Second)
		f.expect(t, "0s a out consecutive_5xx #1 30s: 5 responses 5xx in a row", "30s a back consecutive_5xx #1 30s: its time is over")
		statuses(m, 500, 500, 500, 500)
		f.expect(t)
		m.Status(500)
		f.expect(t, "30s a out consecutive_5xx #2 1m0s: 5 responses 5xx in a row")
	})
}

// An endpoint that leaves is not ejected any more, and one that comes back begins anew.
func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := run(t, 3, func(*Config) {})
		m := f.Monitor(f.hosts[0])
		statuses(m, 500, 500, 500, 500, 500)
		synctest.Wait()
		f.Remove(f.hosts[0])
		f.Remove(f.hosts[0])
		if f.hosts[0].Ejected() || f.Stats().Active[By5xx] != 0 || len(f.watches) != 2 {
			t.Errorf("%+v, %d endpoints", f.Stats(), len(f.watches))
		}
		statuses(m, 500, 500, 500, 500, 500)
		if f.Monitor(f.hosts[0]) != nil {
			t.Error("a monitor of an endpoint that is gone")
		}
		f.expect(t, "0s a out consecutive_5xx #1 30s: 5 responses 5xx in a row")
		f.Add(f.hosts[0])
		statuses(f.Monitor(f.hosts[0]), 500, 500, 500, 500)
		f.expect(t)
		for i, w := range f.watches {
			if w.index != i {
				t.Errorf("endpoint %d has the index %d", i, w.index)
			}
		}
		var none *Monitor
		none.Status(500)
		none.Timeout()
		none.Reset()
		none.ConnectFailed(true)
		none.Connected()
		if !none.Of(nil) || none.Of(f.Detector) || !m.Of(f.Detector) {
			t.Error("whose monitor it is")
		}
	})
}
