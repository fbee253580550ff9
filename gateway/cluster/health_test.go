package cluster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := static("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
		config.Endpoints[2].Hostname = "three.test"
		config.Health = checks()
		w.set(503, "10.0.0.2:80")
		w.set(0, "10.0.0.3:80")
		c := New(config)
		expect(t, "before the first check", addresses(c.Hosts().Usable()), "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80")
		c.Start(w.runtime)
		defer c.Close()
		<-c.Ready()
		expect(t, "after it", addresses(c.Hosts().Usable()), "10.0.0.1:80")
		expect(t, "all", addresses(c.Hosts().Endpoints), "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80")
		two := find(t, c, "10.0.0.2:80")
		if h := two.Health(); h.Healthy || h.State.String() != "down" || h.Since.IsZero() || h.Reason != "status 503 is not in 200..299" {
			t.Errorf("%+v", h)
		}
		if h := find(t, c, "10.0.0.1:80").Health(); !h.Healthy || h.State.String() != "up" {
			t.Errorf("%+v", h)
		}
		w.set(200, "10.0.0.2:80", "10.0.0.3:80")
		time.Sleep(20 * time.Second)
		expect(t, "after recovery", addresses(c.Hosts().Usable()), "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80")
		if find(t, c, "10.0.0.2:80") != two {
			t.Error("health made another endpoint")
		}
		stats := c.HealthStats()
		if stats.Attempts < 12 || stats.NetworkFailures < 1 || stats.Failures <= stats.NetworkFailures {
			t.Errorf("%+v", stats)
		}
		c.Close()
		for _, line := range []string{
			`level=WARN msg="health check" cluster=web endpoint=10.0.0.2:80 check=0 old=unchecked new=down reason="status 503 is not in 200..299" healthy=false`,
			`level=WARN msg="health check" cluster=web endpoint=10.0.0.3:80 check=0 old=unchecked new=down reason="connect: refused" healthy=false`,
			`level=INFO msg="health check" cluster=web endpoint=10.0.0.3:80 check=0 old=down new=up reason="2 checks passed" healthy=true`,
		} {
			if !strings.Contains(w.log.String(), line+"\n") {
				t.Errorf("the log lacks %s\n%s", line, w.log.String())
			}
		}
		if all := strings.Join(w.sent(), "\n") + "\n"; !strings.Contains(all, "10.0.0.3:80 three.test\n") || !strings.Contains(all, "10.0.0.1:80 10.0.0.1:80\n") {
			t.Errorf("checks sent %s", all)
		}
	})
}

// With two checks an endpoint is up only when neither says down.
func TestTwoChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := static("10.0.0.1:80")
		config.Health = append(checks(), checks()...)
		config.Health[1].TCP, config.Health[1].HTTP = &TCPHealth{}, nil
		w.set(500, "10.0.0.1:80")
		c := New(config)
		c.Start(w.runtime)
		defer c.Close()
		<-c.Ready()
		e := c.Hosts().Endpoints[0]
		if e.Healthy() || e.states[1].String() != "up" {
			t.Errorf("%+v, %v", e.Health(), e.states)
		}
		w.set(200, "10.0.0.1:80")
		time.Sleep(20 * time.Second)
		if !e.Healthy() {
			t.Errorf("%+v, %v", e.Health(), e.states)
		}
	})
}

// Checks follow the endpoints of a name.
func TestHealthOfNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := named(StrictDNS, "a.test")
		config.Health = checks()
		config.PanicThreshold = 40
		w.set(500, "10.0.0.2:8080", "10.0.0.3:8080")
		c := New(config)
		c.Start(w.runtime)
		defer c.Close()
		w.resolve("a.test", nil, "10.0.0.1", "10.0.0.2")
		expect(t, "usable", addresses(c.Hosts().Usable()), "10.0.0.1:8080")
		two := find(t, c, "10.0.0.2:8080")
		w.resolve("a.test", nil, "10.0.0.1", "10.0.0.3", "10.0.0.4")
		expect(t, "usable", addresses(c.Hosts().Usable()), "10.0.0.1:8080 10.0.0.4:8080")
		w.set(500, "10.0.0.4:8080")
		time.Sleep(30 * time.Second)
		if !c.Hosts().Panic || len(c.Hosts().Usable()) != 3 {
			t.Errorf("one of three healthy is less than 40 %%: %+v", c.Hosts())
		}
		last := ""
		for _, r := range w.sent() {
			if strings.HasPrefix(r, "10.0.0.2") {
				last = r
			}
		}
		before := len(w.sent())
		time.Sleep(time.Minute)
		for _, r := range w.sent()[before:] {
			if strings.HasPrefix(r, two.Address().String()) {
				t.Errorf("an endpoint that is gone is checked: %s", r)
			}
		}
		expect(t, "Host of checks", last, "10.0.0.2:8080 a.test:8080")
	})
}

// When very many endpoints change at once, host sets are made at a bounded rate.
func TestHostSetsAreNotMadeForEachChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		list := numbered(2000)
		config := static(list...)
		config.Health = checks()
		w.set(500, list...)
		c := New(config)
		c.Start(w.runtime)
		defer c.Close()
		<-c.Ready()
		if n := c.Hosts().Version; len(c.Hosts().Usable()) != 0 || n > 10 {
			t.Errorf("%d host sets, %d usable", n, len(c.Hosts().Usable()))
		}
		w.set(200, list...)
		start, before := time.Now(), c.Hosts().Version
		time.Sleep(15 * time.Second)
		n := c.Hosts().Version - before
		if len(c.Hosts().Usable()) != len(list) || n > uint64(time.Since(start)/settle) {
			t.Errorf("%d more host sets, %d usable", n, len(c.Hosts().Usable()))
		}
	})
}
