package cluster

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"longmen/gateway/cluster/dns"
)

func TestStrictDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := New(named(StrictDNS, "a.test", "b.test", "a.test"))
		c.Start(w.runtime)
		defer c.Close()
		w.resolve("a.test", nil, "10.0.0.2", "10.0.0.1")
		if isReady(c) {
			t.Error("ready before all names were resolved")
		}
		w.resolve("b.test", nil, "10.0.1.1", "10.0.0.1")
		if !isReady(c) {
			t.Error("not ready after all names were resolved")
		}
		expect(t, "endpoints", addresses(c.Hosts().Usable()), "10.0.0.1:8080 10.0.0.2:8080 10.0.1.1:8080")
		one, two := find(t, c, "10.0.0.1:8080"), find(t, c, "10.0.0.2:8080")

		// A server that rotates its answers changes nothing.
		before := c.Hosts()
		w.resolve("a.test", nil, "10.0.0.1", "10.0.0.2")
		if c.Hosts() != before {
			t.Error("a new host set for the same addresses")
		}

		// What stays keeps its object; what goes is gone, and its ID is used again.
		w.resolve("a.test", nil, "10.0.0.1", "10.0.0.3")
		expect(t, "after a change", addresses(c.Hosts().Usable()), "10.0.0.1:8080 10.0.0.3:8080 10.0.1.1:8080")
		if find(t, c, "10.0.0.1:8080") != one || one.Gone() || !two.Gone() || c.Hosts().Version != before.Version+1 {
			t.Error("the wrong endpoints are gone")
		}
		w.resolve("a.test", nil, "10.0.0.1", "10.0.0.4", "10.0.0.3")
		uniqueIDs(t, c.Hosts().Endpoints, 3)
		if find(t, c, "10.0.0.4:8080").ID != two.ID {
			t.Error("the free ID was not used")
		}

		// Both names have 10.0.0.1: it stays with the other one.
		w.resolve("a.test", nil, "10.0.0.3")
		if one.Gone() {
			t.Error("an address that another name still has is gone")
		}

		// Failures keep what there is; an empty answer removes it.
		before = c.Hosts()
		for _, err := range []error{errors.New("server answered SERVFAIL"), errors.New("timeout"), dns.ErrNotFound} {
			w.resolve("a.test", err)
		}
		if c.Hosts() != before || c.Names()[0].Failure != "no such name" || c.Names()[0].Addresses != 1 {
			t.Errorf("after failures: %s, %+v", addresses(c.Hosts().Usable()), c.Names())
		}
		w.resolve("a.test", nil)
		expect(t, "after an empty answer", addresses(c.Hosts().Usable()), "10.0.0.1:8080 10.0.1.1:8080")

		c.Close()
		want := []string{
			`level=WARN msg="DNS resolution failed; the last good addresses stay" cluster=web name=a.test reason="server answered SERVFAIL" addresses=1`,
			`level=INFO msg="DNS resolution works again" cluster=web name=a.test addresses=0`,
			``,
		}
		expect(t, "log", w.log.String(), strings.Join(want, "\n"))
		if w.changes != 6 {
			t.Errorf("told of %d changes", w.changes)
		}
	})
}

func TestEmptyAnswerIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := New(named(StrictDNS, "a.test"))
		c.Start(w.runtime)
		w.resolve("a.test", nil, "10.0.0.1")
		w.resolve("a.test", nil)
		c.Close()
		expect(t, "log", w.log.String(), "level=WARN msg=\"the name has no addresses any more; its endpoints are removed\" cluster=web name=a.test\n")
	})
}

func TestLogicalDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := New(named(LogicalDNS, "a.test"))
		c.Start(w.runtime)
		defer c.Close()
		if len(c.Hosts().Endpoints) != 0 {
			t.Error("an endpoint without an address")
		}
		w.resolve("a.test", nil, "10.0.0.2", "10.0.0.1")
		expect(t, "endpoints", addresses(c.Hosts().Usable()), "10.0.0.2:8080")
		before, e := c.Hosts(), c.Hosts().Usable()[0]
		w.resolve("a.test", nil, "10.0.0.1", "10.0.0.2")
		if c.Hosts() != before || e.Gone() {
			t.Error("a new first address is not another endpoint")
		}
		expect(t, "new connections go to", e.Address().String(), "10.0.0.1:8080")
		expect(t, "named", e.String(), "a.test")
		w.resolve("a.test", nil)
		if !e.Gone() || len(c.Hosts().Endpoints) != 0 {
			t.Error("an endpoint without an address")
		}
	})
}

func TestReadyAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := New(named(StrictDNS, "a.test"))
		c.Start(w.runtime)
		defer c.Close()
		w.resolve("a.test", errors.New("timeout"))
		if !isReady(c) || len(c.Hosts().Usable()) != 0 {
			t.Error("not ready after the first outcome")
		}
	})
}

func TestReadyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := New(named(StrictDNS, "a.test"))
		start := time.Now()
		c.Start(w.runtime)
		defer c.Close()
		<-c.Ready()
		if waited := time.Since(start); waited != readyLimit {
			t.Errorf("waited %s", waited)
		}
		w.resolve("a.test", nil, "10.0.0.1")
		expect(t, "later", addresses(c.Hosts().Usable()), "10.0.0.1:8080")
	})
}

func TestStaticIsReady(t *testing.T) {
	c := New(static("10.0.0.1:80"))
	c.Start(&Runtime{})
	if !isReady(c) {
		t.Error("not ready")
	}
	c.Close()
}
