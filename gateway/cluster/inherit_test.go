package cluster

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestInherit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := static("10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
		config.Health = checks()
		w.set(500, "10.0.0.2:80")
		old := made(config)
		old.Start(w.runtime)
		<-old.Ready()
		one, two, three := find(t, old, "10.0.0.1:80"), find(t, old, "10.0.0.2:80"), find(t, old, "10.0.0.3:80")
		kept := old.Hosts()

		changed := static("10.0.0.9:80", "10.0.0.2:80", "10.0.0.1:80")
		changed.Health = checks()
		changed.Endpoints[2].Weight = 7
		next := made(changed)
		next.Inherit(old)
		expect(t, "endpoints", addresses(next.Hosts().Endpoints), "10.0.0.9:80 10.0.0.2:80 10.0.0.1:80")
		expect(t, "usable", addresses(next.Hosts().Usable()), "10.0.0.9:80 10.0.0.1:80")
		if find(t, next, "10.0.0.1:80") != one || find(t, next, "10.0.0.2:80") != two || two.Healthy() {
			t.Error("endpoints that stay are others, or lost their health")
		}
		if one.Gone() || two.Gone() || !three.Gone() || next.Hosts().All.Groups[0].Weights[1] != 7 || next.Hosts().Version <= kept.Version {
			t.Errorf("gone: %v %v %v; %+v", one.Gone(), two.Gone(), three.Gone(), next.Hosts())
		}
		uniqueIDs(t, append(next.Hosts().Endpoints, three), 3)
		if old.Hosts() != kept {
			t.Error("streams that began before lost their host set")
		}
		old.Close()
		if one.Gone() {
			t.Error("closing the cluster of before took an inherited endpoint")
		}

		// The new cluster checks on: two needs two successes, as it was down before.
		next.Start(w.runtime)
		defer next.Close()
		<-next.Ready()
		if two.Healthy() {
			t.Error("an inherited endpoint's health began anew")
		}
		w.set(200, "10.0.0.2:80")
		w.set(500, "10.0.0.1:80")
		time.Sleep(30 * time.Second)
		expect(t, "usable", addresses(next.Hosts().Usable()), "10.0.0.9:80 10.0.0.2:80")
		next.Close()
		if !one.Gone() {
			t.Error("not gone after the end")
		}
	})
}

func TestInheritOtherChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := static("10.0.0.1:80", "10.0.0.2:80")
		config.Health = checks()
		w.set(500, "10.0.0.2:80")
		first := made(config)
		first.Start(w.runtime)
		<-first.Ready()
		two := find(t, first, "10.0.0.2:80")

		// Another path: what is down stays down until the new check has spoken, once.
		other := static("10.0.0.1:80", "10.0.0.2:80")
		other.Health = checks()
		other.Health[0].HTTP.Path = "/live"
		second := made(other)
		second.Inherit(first)
		expect(t, "usable", addresses(second.Hosts().Usable()), "10.0.0.1:80")
		w.set(200, "10.0.0.2:80")
		second.Start(w.runtime)
		<-second.Ready()
		expect(t, "usable", addresses(second.Hosts().Usable()), "10.0.0.1:80 10.0.0.2:80")

		// No checks: all may be used.
		w.set(500, "10.0.0.2:80")
		time.Sleep(30 * time.Second)
		if two.Healthy() {
			t.Error("not checked")
		}
		third := made(static("10.0.0.1:80", "10.0.0.2:80"))
		third.Inherit(second)
		third.Start(w.runtime)
		expect(t, "usable", addresses(third.Hosts().Usable()), "10.0.0.1:80 10.0.0.2:80")
		if find(t, third, "10.0.0.2:80") != two {
			t.Error("another endpoint")
		}
		third.Close()
	})
}

func TestInheritOtherSockets(t *testing.T) {
	old := made(static("10.0.0.1:80", "10.0.0.2:80"))
	config := static("10.0.0.1:80", "10.0.0.2:80")
	config.TCP.Source = netip.MustParseAddr("127.0.0.2")
	next := made(config)
	next.Inherit(old)
	for _, e := range old.Hosts().Endpoints {
		if !e.Gone() {
			t.Errorf("%s keeps connections with other socket options", e)
		}
	}
	uniqueIDs(t, next.Hosts().Endpoints, 1)
	d := dialer(&config.TCP).(*net.Dialer)
	expect(t, "checks come from", d.LocalAddr.String(), "127.0.0.2:0")
}

// There is no gap until the names are resolved again, and a failure of the first
// resolution does not make one.
func TestInheritNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		old := made(named(StrictDNS, "a.test", "b.test"))
		old.Start(w.runtime)
		w.resolve("a.test", nil, "10.0.0.1")
		one := find(t, old, "10.0.0.1:8080")
		next := made(named(StrictDNS, "c.test", "a.test"))
		next.Inherit(old)
		expect(t, "at once", addresses(next.Hosts().Usable()), "10.0.0.1:8080")
		next.Start(w.runtime)
		w.resolve("a.test", errors.New("timeout"))
		expect(t, "after a failure", addresses(next.Hosts().Usable()), "10.0.0.1:8080")
		w.resolve("c.test", nil, "10.0.0.3")
		w.resolve("a.test", nil, "10.0.0.2", "10.0.0.1")
		expect(t, "then", addresses(next.Hosts().Usable()), "10.0.0.3:8080 10.0.0.1:8080 10.0.0.2:8080")
		if find(t, next, "10.0.0.1:8080") != one {
			t.Error("another endpoint")
		}

		config := named(StrictDNS, "a.test")
		config.DNS.Family = V6Only
		other := made(config)
		other.Inherit(next)
		if len(other.Hosts().Endpoints) != 0 || !one.Gone() {
			t.Error("addresses of another family were inherited")
		}
		other.Close()
	})
}
