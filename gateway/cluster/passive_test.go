package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"longmen/gateway/cluster/eventlog"
	"longmen/gateway/cluster/health"
	"longmen/gateway/cluster/outlier"
)

// passive is a cluster of three endpoints with outlier detection.
func passive() *Config {
	config := static("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
	outliers := outlier.Defaults()
	outliers.MaxEjectionPercent = 50
	config.Outlier = &outliers
	return config
}

const allThree = "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"

// answers reports that an endpoint has answered so.
func answers(c *Cluster, e *Endpoint, statuses ...int) {
	m := c.Outliers().Monitor(e.Outlier())
	for _, status := range statuses {
		m.Status(status)
	}
}

// soon gives a change the time that host sets are apart.
func soon() {
	time.Sleep(2 * settle)
	synctest.Wait()
}

func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := passive()
		config.Outlier.EventLog = filepath.Join(t.TempDir(), "events")
		c := New(config)
		c.Start(w.runtime)
		defer c.Close()
		<-c.Ready()
		one, two := find(t, c, "10.0.0.1:80"), find(t, c, "10.0.0.2:80")
		answers(c, one, 500, 500, 500, 500)
		soon()
		expect(t, "after four", addresses(c.Hosts().Usable()), allThree)
		answers(c, one, 500)
		soon()
		expect(t, "after five", addresses(c.Hosts().Usable()), "10.0.0.2:80 10.0.0.3:80")
		expect(t, "all", addresses(c.Hosts().Endpoints), allThree)
		if !one.Healthy() || one.Usable() || !two.Usable() {
			t.Error("an ejection is not a check's state")
		}
		answers(c, two, 500, 500, 500, 500, 500)
		soon()
		expect(t, "at most half", addresses(c.Hosts().Usable()), "10.0.0.2:80 10.0.0.3:80")
		time.Sleep(30 * time.Second)
		soon()
		expect(t, "later", addresses(c.Hosts().Usable()), allThree)
		if stats := c.Outliers().Stats(); stats.Active != [outlier.CauseCount]int{} || stats.Overflow != 1 || stats.Enforced[outlier.By5xx] != 1 {
			t.Errorf("%+v", stats)
		}
		c.Close()
		w.runtime.events.Close()
		for _, line := range []string{
			`level=WARN msg="endpoint ejected" cluster=web endpoint=10.0.0.1:80 cause=consecutive_5xx reason="5 responses 5xx in a row" ejections=1 for=30s`,
			`level=INFO msg="endpoint is back" cluster=web endpoint=10.0.0.1:80 cause=consecutive_5xx reason="its time is over" ejections=1 for=30s`,
		} {
			if !strings.Contains(w.log.String(), line+"\n") {
				t.Errorf("the log lacks %s\n%s", line, w.log.String())
			}
		}
		events := readEvents(t, config.Outlier.EventLog)
		if len(events) != 3 || events[0].To != "ejected" || events[0].From != "in use" || events[2].To != "in use" || events[1].To != "in use" || *events[1].Enforced ||
			events[1].Reason != "5 responses 5xx in a row; 1 of 3 endpoints are ejected, of at most 50 %" || !*events[0].Enforced ||
			events[0].Seconds != 30 || events[0].Cause != "consecutive_5xx" || events[0].Endpoint != "10.0.0.1:80" || events[0].Cluster != "web" || events[0].Type != "outlier" {
			t.Errorf("%+v", events)
		}
	})
}

func readEvents(t *testing.T, path string) (events []eventlog.Event) {
	t.Helper()
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(all)) {
		var e eventlog.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		events = append(events, e)
	}
	return events
}

// A reload does not end ejections, unless nothing is ejected any more.
func TestEjectionsAreInherited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := New(passive())
		first.Start(w.runtime)
		one := find(t, first, "10.0.0.1:80")
		answers(first, one, 500, 500, 500, 500, 500)
		soon()

		changed := passive()
		changed.Outlier.Consecutive5xx = 2
		second := New(changed)
		second.Inherit(first)
		expect(t, "inherited", addresses(second.Hosts().Usable()), "10.0.0.2:80 10.0.0.3:80")
		second.Start(w.runtime)
		if find(t, second, "10.0.0.1:80") != one || !one.Outlier().Ejected() {
			t.Error("the ejection ended")
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		expect(t, "later", addresses(second.Hosts().Usable()), allThree)
		answers(second, one, 500, 500)
		soon()
		expect(t, "with another threshold", addresses(second.Hosts().Usable()), "10.0.0.2:80 10.0.0.3:80")

		third := New(static("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"))
		third.Inherit(second)
		third.Start(w.runtime)
		expect(t, "without detection", addresses(third.Hosts().Usable()), allThree)
		if third.Outliers() != nil || one.Outlier().Ejected() {
			t.Error("it is detected still")
		}

		fourth := New(passive())
		fourth.Inherit(third)
		fourth.Start(w.runtime)
		answers(fourth, one, 500, 500, 500, 500, 500)
		soon()
		expect(t, "again", addresses(fourth.Hosts().Usable()), "10.0.0.2:80 10.0.0.3:80")
		fourth.Close()
	})
}

// A passing check ends an ejection; one of an endpoint that is down does not.
func TestChecksEndEjections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := passive()
		config.Health = append(checks(), checks()...)
		config.Health[1].TCP, config.Health[1].HTTP = &TCPHealth{}, nil
		w.set(503, "10.0.0.2:80") // its TCP check passes
		config.Outlier.MaxEjectionPercent = 100
		c := New(config)
		c.Start(w.runtime)
		defer c.Close()
		<-c.Ready()
		time.Sleep(20 * time.Second)
		for _, e := range c.Hosts().Endpoints[:2] {
			answers(c, e, 500, 500, 500, 500, 500)
		}
		soon()
		if n := c.Outliers().Stats().Active[outlier.By5xx]; n != 2 {
			t.Errorf("%d are ejected", n)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		expect(t, "after a check", addresses(c.Hosts().Usable()), "10.0.0.1:80 10.0.0.3:80")
		if !find(t, c, "10.0.0.2:80").Outlier().Ejected() {
			t.Error("a check of an endpoint that is down ended its ejection")
		}
	})
}

// When a request can't connect, the endpoint is checked at once, and is down when the check
// can't either.
func TestConnectFailureIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := static("10.0.0.1:80", "10.0.0.2:80")
		config.Health = checks()
		config.Health[0].Every = time.Hour
		c := New(config)
		c.Start(w.runtime)
		defer c.Close()
		<-c.Ready()
		time.Sleep(2 * time.Hour)
		w.set(0, "10.0.0.1:80")
		began := time.Now()
		c.ConnectFailed(find(t, c, "10.0.0.1:80"), began)
		c.ConnectFailed(find(t, c, "10.0.0.2:80"), began)
		soon()
		expect(t, "usable", addresses(c.Hosts().Usable()), "10.0.0.2:80")
		if d := time.Since(began); d > 100*time.Millisecond {
			t.Errorf("after %v", d)
		}
		if n, _ := find(t, c, "10.0.0.1:80").ConnectFailures(); n != 1 {
			t.Errorf("%d connect failures", n)
		}
		for range 10 * maxDoubts { // nobody waits
			c.ConnectFailed(find(t, c, "10.0.0.2:80"), began)
		}
		soon()
		expect(t, "usable", addresses(c.Hosts().Usable()), "10.0.0.2:80")
	})
}

// Checks go where the endpoint says, and to none that says that it is not to be checked.
func TestWhereChecksGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := static("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
		config.Health = checks()
		config.Health[0].EventLog = filepath.Join(t.TempDir(), "events")
		config.Health[0].LogFailures, config.Health[0].Unhealthy = true, 2
		config.Endpoints[0].HealthPort, config.Endpoints[0].HealthHostname = 8080, "health.test"
		config.Endpoints[1].HealthHost = "127.0.0.9"
		config.Endpoints[2].Unchecked = true
		w.set(503, "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "127.0.0.9:80")
		c := New(config)
		c.Start(w.runtime)
		defer c.Close()
		<-c.Ready()
		expect(t, "usable", addresses(c.Hosts().Usable()), "10.0.0.1:80 10.0.0.3:80")
		three := find(t, c, "10.0.0.3:80")
		if state := three.Health().State; state != health.Unchecked {
			t.Errorf("an endpoint without checks is %v", state)
		}
		for _, sent := range w.sent() {
			if sent != "10.0.0.1:8080 health.test" && sent != "127.0.0.9:80 127.0.0.9:80" {
				t.Errorf("a check went to %s", sent)
			}
		}
		time.Sleep(5 * time.Second) // one more of each
		c.Close()
		w.runtime.events.Close()
		var got []string
		for _, e := range readEvents(t, config.Health[0].EventLog) {
			if e.Endpoint == "10.0.0.2:80" {
				got = append(got, e.Type+" "+e.From+" "+e.To+" "+e.Reason)
			}
		}
		for i, want := range []string{"health unchecked down status 503 is not in 200..299", "check down down status 503 is not in 200..299", "check down down status 503 is not in 200..299"} {
			if len(got) <= i || got[i] != want {
				t.Fatalf("events %q", got)
			}
		}

		checked := static("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
		checked.Health = config.Health
		next := New(checked)
		next.Inherit(c)
		next.Start(w.runtime)
		defer next.Close()
		<-next.Ready()
		synctest.Wait()
		if before, now := c.HealthStats(), next.HealthStats(); before.Attempts == 0 || now.Attempts <= before.Attempts || now.Failures <= before.Failures {
			t.Errorf("after a reload %+v, before %+v", now, before)
		}
		if find(t, next, "10.0.0.3:80").Usable() {
			t.Error("it is not checked now either")
		}
	})
}
