package cluster

import (
	"net/netip"
	"testing"
	"time"
)

func TestOffline(t *testing.T) {
	config := static("10.0.0.1:80", "10.0.0.2:80", "10.0.0.1:80", "[::ffff:10.0.0.2]:80", "10.0.0.3:80", "10.0.0.4:80")
	config.Endpoints[1].Weight = 5
	config.Endpoints[4].Draining = true
	config.Endpoints[5].Weight = 0
	c := made(config)
	hosts := c.Hosts()
	expect(t, "all, each once", addresses(hosts.Endpoints), "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80")
	expect(t, "not draining", addresses(hosts.Usable()), "10.0.0.1:80 10.0.0.2:80 10.0.0.4:80")
	if w := hosts.All.Groups[0].Weights; len(w) != 3 || w[0] != 1 || w[1] != 5 || w[2] != 1 {
		t.Errorf("weights %v", w)
	}
	uniqueIDs(t, hosts.Endpoints, 3)
	if hosts.Panic || hosts.Version != 1 || c.Config() != config {
		t.Errorf("%+v", hosts)
	}
	if names := made(named(StrictDNS, "web.test", "10.0.0.9")).Hosts(); addresses(names.Usable()) != "10.0.0.9:8080" {
		t.Errorf("before its start a cluster of names has %s", addresses(names.Usable()))
	}
	c.Close()
	c.Close()
	if !hosts.Endpoints[0].Gone() || !isReady(c) {
		t.Error("a closed cluster's endpoints are not gone, or it is waited for")
	}
}

func TestPanic(t *testing.T) {
	c := made(static(numbered(10)...))
	all := c.Hosts().Endpoints
	all[9].config.Store(&EndpointConfig{Draining: true, Weight: 1})
	c.arrange()
	for _, test := range []struct {
		down, threshold, usable int
		panics                  bool
	}{
		// Up to 2 of 9 the others can take all, at 140 %: then the threshold does not matter.
		{0, 50, 9, false}, {4, 50, 5, false}, {5, 50, 9, true}, {9, 50, 9, true},
		{9, 0, 0, false}, {8, 0, 1, false}, {2, 100, 7, false}, {3, 100, 9, true}, {0, 100, 9, false},
	} {
		c.config.PanicThreshold = test.threshold
		for i, e := range all {
			c.setHealth(e, i >= test.down)
		}
		c.publish()
		if hosts := c.Hosts(); len(hosts.Usable()) != test.usable || hosts.Panic != test.panics || len(hosts.All.Groups[0].Weights) != test.usable {
			t.Errorf("%d of 9 down, threshold %d: %d usable, panic %v", test.down, test.threshold, len(hosts.Usable()), hosts.Panic)
		}
	}
	if empty := made(&Config{PanicThreshold: 50}).Hosts(); empty.Panic || empty.Available != 0 || empty.Serves() {
		t.Error("panic without endpoints")
	}
}

func TestConnectFailures(t *testing.T) {
	e := made(static("10.0.0.1:80")).Hosts().Endpoints[0]
	if n, last := e.ConnectFailures(); n != 0 || !last.IsZero() {
		t.Errorf("%d, %s", n, last)
	}
	now := time.Now()
	e.ReportConnectFailure(now)
	e.ReportConnectFailure(now)
	if n, last := e.ConnectFailures(); n != 2 || !last.Equal(now) {
		t.Errorf("%d, %s", n, last)
	}
}

func TestHostname(t *testing.T) {
	for _, test := range []struct {
		config      EndpointConfig
		host, check string
	}{
		{EndpointConfig{Host: "10.0.0.1", Port: 8080}, "", ""},
		{EndpointConfig{Host: "10.0.0.1", Port: 8080, Hostname: "cart"}, "cart", "cart"},
		{EndpointConfig{Host: "web.test", Port: 8080}, "web.test", "web.test:8080"},
		{EndpointConfig{Host: "web.test", Port: 80}, "web.test", "web.test"},
		{EndpointConfig{Host: "web.test", Port: 8080, Hostname: "web.test"}, "web.test", "web.test"},
	} {
		e := newEndpoint(0, key{}, netip.MustParseAddrPort("10.0.0.1:80"), &test.config, 0)
		expect(t, "name", e.Hostname(), test.host)
		expect(t, "Host of checks", checkHost(e), test.check)
	}
}

func TestHostsDoesNotAllocate(t *testing.T) {
	config := static("10.0.0.1:80")
	config.Limits.Requests = 5
	c := made(config)
	if n := testing.AllocsPerRun(100, func() {
		if c.Breakers(false).TryRequest() && c.Hosts().All.Groups[0].Usable.At(0).Address().Port() == 80 {
			c.Breakers(false).ReleaseRequest()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
