package cluster

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestDestinations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		config := &Config{Name: "anywhere", Discovery: OriginalDst, OriginalDestination: OriginalDestination{Unused: 3 * time.Second, Most: 2}}
		c := New(config)
		c.Start(w.runtime)
		<-c.Ready()
		if h := c.Hosts(); h.Available != 1 || !h.Serves() {
			t.Error("without endpoints it serves nobody")
		}
		at := netip.MustParseAddrPort
		one := c.Destination(at("10.0.0.1:80"), time.Now())
		if again := c.Destination(at("[::ffff:10.0.0.1]:80"), time.Now()); again != one {
			t.Error("one address, two endpoints")
		}
		two := c.Destination(at("10.0.0.2:80"), time.Now())
		if c.Destination(at("10.0.0.3:80"), time.Now()) != nil {
			t.Error("more endpoints than there may be")
		}
		time.Sleep(time.Second)
		hosts := c.Hosts()
		if len(hosts.Endpoints) != 2 || hosts.Find(at("10.0.0.1:80")) != one || one.ID == two.ID {
			t.Errorf("%v", hosts.Endpoints)
		}
		for range 10 {
			time.Sleep(time.Second)
			one.Use(time.Now())
		}
		if one.Gone() || !two.Gone() || addresses(c.Hosts().Endpoints) != "10.0.0.1:80" {
			t.Errorf("after ten seconds: %s", addresses(c.Hosts().Endpoints))
		}

		// Another version goes on with it; other socket options do not.
		next := New(config)
		next.Inherit(c)
		next.Start(w.runtime)
		if next.Destination(at("10.0.0.1:80"), time.Now()) != one {
			t.Error("another endpoint after a reload")
		}
		other := *config
		other.TCP.KeepaliveIdle, other.OriginalDestination.Port = time.Minute, 8080
		last := New(&other)
		last.Inherit(next)
		last.Start(w.runtime)
		if e := last.Destination(at("10.0.0.1:80"), time.Now()); e == one || !one.Gone() || e.Address() != at("10.0.0.1:8080") {
			t.Errorf("%v", e)
		}
		last.Close()
		if last.Destination(at("10.0.0.9:80"), time.Now()) != nil {
			t.Error("an endpoint of a cluster that has ended")
		}
	})
}
