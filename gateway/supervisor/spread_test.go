package supervisor

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"longmen/gateway/admin"
	"longmen/gateway/cluster"
	"longmen/gateway/router"
)

// Priorities, subsets and limits of high priority, from a client's request to an origin, over two workers;
// what they come to is shown.
func TestSpread(t *testing.T) {
	var origins []net.Addr
	for i := range 4 {
		origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, i) }))
		t.Cleanup(origin.Close)
		origins = append(origins, origin.Listener.Addr())
	}
	h := newHouse(t, Options{})
	// Priority 0 is 0 and 1, of which 1 is down: 70 % of the requests.
	config := clusterOf("web", origins...)
	config.TrackRemaining, config.HighLimits = true, cluster.Limits{Requests: 3}
	config.Subsets = &cluster.Subsets{Selectors: []cluster.SubsetSelector{{Keys: []string{"v"}}}, Fallback: cluster.FallbackAny}
	for i := range config.Endpoints {
		e := &config.Endpoints[i]
		e.Priority, e.Locality.Zone, e.Down = i/2, fmt.Sprint("z", i/2), i == 1
		e.Labels = []cluster.Label{{Key: "v", Value: fmt.Sprint(i / 3)}}
	}
	to := func(path string, f router.Forward) *router.Route {
		f.Clusters, f.TotalWeight = []router.WeightedCluster{{Cluster: router.ClusterRef{Name: "web"}, Weight: 1}}, 1
		return &router.Route{Name: path, Match: router.Match{Prefix: path}, Forward: &f}
	}
	l := listens(t, "http", "")
	l.Routes = table(t,
		to("/one", router.Forward{Subset: &cluster.Match{Labels: []cluster.Label{{Key: "v", Value: "1"}}}}),
		to("/high", router.Forward{HighPriority: true}),
		to("/", router.Forward{}),
	)
	web := cluster.New(config)
	h.applied(having(snap("1", l), web))
	got := map[string]int{}
	for range 20 {
		c := dial(t, h.address("http"))
		for range 50 {
			c.ask("/")
			_, body := c.answer()
			got[body]++
		}
		c.ask("/one")
		if _, body := c.answer(); body != "3" {
			t.Errorf("a subset's request went to %s", body)
		}
		c.Close()
	}
	// Each worker has a sequence of its own, and no say in which connections it gets.
	if got["1"] != 0 || got["0"] < 690 || got["0"] > 710 || got["2"] < 140 || got["2"] > 160 {
		t.Errorf("of 1000 requests: %v", got)
	}
	for range 3 {
		if !web.Breakers(true).TryRequest() {
			t.Fatal("no requests of high priority")
		}
	}
	c := dial(t, h.address("http"))
	c.ask("/high")
	if resp, _ := c.answer(); resp.StatusCode != 503 {
		t.Errorf("above the limit of high priority: %d", resp.StatusCode)
	}
	c.ask("/")
	if resp, _ := c.answer(); resp.StatusCode != 200 {
		t.Errorf("the other priority: %d", resp.StatusCode)
	}
	all := h.describeClusters()[0]
	if fmt.Sprintf("%+v", all.Groups) != "[{Priority:0 Locality: Share:0.7 Endpoints:2 Usable:1 Panic:false} {Priority:1 Locality: Share:0.3 Endpoints:2 Usable:2 Panic:false}]" ||
		all.Subsets != 2 || *all.Limits[1].Requests != (admin.Limit{InUse: 3, Most: 3}) || all.Endpoints[1].Health != "unhealthy" || all.Endpoints[3].Labels[0] != "v=1" {
		t.Errorf("%+v", all)
	}
	n := h.endpointCounts()[0]
	if len(n.Remaining) != 5 || n.Remaining[4].Left != 0 || n.Remaining[4].Priority != "high" || len(n.Groups) != 2 || n.Panic || n.Unhealthy != 1 {
		t.Errorf("%+v", n)
	}
	for range 3 {
		web.Breakers(true).ReleaseRequest()
	}
}

// A cluster of original destinations does not send requests to the gateway itself, whatever leads there.
func TestDestinationIsNotTheGateway(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "origin") }))
	defer origin.Close()
	h := newHouse(t, Options{})
	config := clusterOf("dst")
	config.Discovery = cluster.OriginalDst
	named := *config
	named.Name, named.OriginalDestination.Header = "named", "x-dst"
	to := func(name string, slot int) router.Forward {
		return router.Forward{Clusters: []router.WeightedCluster{{Cluster: router.ClusterRef{Name: name, Slot: slot}, Weight: 1}}, TotalWeight: 1}
	}
	straight, byField := to("dst", 0), to("named", 1)
	l, all := listens(t, "http", ""), listens(t, "all", "", netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	l.Routes = table(t,
		&router.Route{Name: "named", Match: router.Match{Prefix: "/named"}, Forward: &byField},
		&router.Route{Name: "straight", Forward: &straight},
	)
	all.Routes = l.Routes
	h.applied(having(snap("1", l, all), cluster.New(config), cluster.New(&named)))
	_, port, _ := net.SplitHostPort(h.address("all"))
	for _, test := range []struct {
		at, path, dst string
		status        int
	}{
		{h.address("http"), "/", "", 503},
		{"127.0.0.1:" + port, "/", "", 503},
		{h.address("http"), "/named", h.address("http"), 503},
		{h.address("http"), "/named", "127.0.0.2:" + port, 503},
		{h.address("http"), "/named", origin.Listener.Addr().String(), 200},
	} {
		c := dial(t, test.at)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\nx-dst: %s\r\n\r\n", test.path, test.dst)
		if resp, body := c.answer(); resp.StatusCode != test.status {
			t.Errorf("%s at %s, to %q: %d %s", test.path, test.at, test.dst, resp.StatusCode, body)
		}
	}
}
