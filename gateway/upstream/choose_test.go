package upstream

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
)

// picked counts, in parts of 1, what endpoints' groups get.
func picked(t *testing.T, c *Cluster, n int, pick func() *Pick, group func(*cluster.EndpointConfig) string) map[string]float64 {
	t.Helper()
	got := map[string]float64{}
	s := new(stream.Stream)
	for range n {
		p, err := c.pick(s, pick(), nil)
		if err != nil {
			t.Fatal(err)
		}
		got[group(p.endpoint.Config())] += 1 / float64(n)
	}
	return got
}

func near(t *testing.T, what string, got map[string]float64, want map[string]float64, by float64) {
	t.Helper()
	for name, part := range want {
		if math.Abs(got[name]-part) > by {
			t.Errorf("%s: %s has %.4f, want %.4f", what, name, got[name], part)
		}
	}
	if len(got) > len(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func byZone(e *cluster.EndpointConfig) string { return e.Locality.Zone }

func none() *Pick { return nil }

// Groups get their shares, endpoints in them their part of those, and with hashes every hash always has
// the same endpoint.
func TestSharesOfGroups(t *testing.T) {
	for _, algorithm := range []cluster.Balance{cluster.RoundRobin, cluster.Random, cluster.LeastRequest, cluster.RingHash, cluster.Maglev} {
		config := many(40)
		config.Balance, config.Spread.Localities = algorithm, cluster.LocalityWeighted
		for i := range config.Endpoints {
			config.Endpoints[i].Locality.Zone, config.Endpoints[i].LocalityWeight = fmt.Sprint(i/10), uint32(1+i/10)
		}
		c := benchCluster(t, config)
		random, pick := rand.New(rand.NewPCG(1, 2)), new(Pick)
		next := func() *Pick {
			pick.Hash, pick.HasHash = random.Uint64(), true
			return pick
		}
		want, by := map[string]float64{"0": .1, "1": .2, "2": .3, "3": .4}, 0.01
		if !algorithm.Hashes() {
			next, by = none, 0.0005 // groups are chosen more evenly than at random
		}
		near(t, algorithm.String(), picked(t, c, 50_000, next, byZone), want, by)
		if !algorithm.Hashes() {
			continue
		}
		for range 1000 {
			pick := next()
			first, _ := c.pick(nil, pick, nil)
			if again, _ := c.pick(nil, pick, nil); again != first {
				t.Fatalf("%s: a hash has two endpoints", algorithm)
			}
		}
	}
}

// The shares are exact over many workers, too, whatever each begins with.
func TestSharesOverWorkers(t *testing.T) {
	config := many(9)
	for i := range config.Endpoints {
		config.Endpoints[i].Priority = i / 3
		config.Endpoints[i].Down = i < 2
	}
	sum := map[string]float64{}
	for seed := range 8 {
		c := benchCluster(t, config)
		c.turn += uint64(seed) << 60
		for name, part := range picked(t, c, 1000, none, func(e *cluster.EndpointConfig) string { return fmt.Sprint(e.Priority) }) {
			sum[name] += part / 8
		}
	}
	near(t, "priorities", sum, map[string]float64{"0": 1.4 / 3, "1": 1 - 1.4/3}, 0.001)
}

// A retry goes to an endpoint that was not tried, of its group first, then of others, of those last that get
// no requests otherwise; then there is no other.
func TestTriedEndpoints(t *testing.T) {
	config := many(6)
	for i := range config.Endpoints {
		config.Endpoints[i].Priority = i / 2
	}
	c := benchCluster(t, config)
	s, order := new(stream.Stream), ""
	var tried []*cluster.Endpoint
	for c.HasOther(nil, tried) {
		p, err := c.pick(s, nil, tried)
		if err != nil {
			t.Fatal(err)
		}
		order += fmt.Sprint(p.endpoint.Config().Priority)
		tried = append(tried, p.endpoint)
	}
	if order != "001122" {
		t.Errorf("priorities %s", order)
	}
	var e *stream.Error
	if _, err := c.pick(s, nil, tried); !errors.As(err, &e) || e.Flag != stream.UpstreamRetryLimit {
		t.Errorf("%v", err)
	}
}

// previous_priorities: after every so many tries their priorities are left out.
func TestOtherPriorities(t *testing.T) {
	config := many(30)
	for i := range config.Endpoints {
		config.Endpoints[i].Priority = i / 10
	}
	c := benchCluster(t, config)
	for _, test := range []struct {
		every int
		want  string
	}{{0, "00000"}, {1, "01200"}, {2, "00112"}} {
		s, got := new(stream.Stream), ""
		var tried []*cluster.Endpoint
		for range len(test.want) {
			p, err := c.pick(s, &Pick{OtherPriorities: test.every}, tried)
			if err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprint(p.endpoint.Config().Priority)
			tried = append(tried, p.endpoint)
		}
		if got != test.want {
			t.Errorf("every %d tries: %s, want %s", test.every, got, test.want)
		}
	}
}

// The endpoint of a session is used as long as it can be.
func TestOverride(t *testing.T) {
	config := many(10)
	config.Endpoints[3].Down, config.Endpoints[4].Draining = true, true
	c := benchCluster(t, config)
	s := new(stream.Stream)
	at := func(i int) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80) }
	for range 5 {
		if p, err := c.pick(s, &Pick{Override: at(7), Strict: true}, nil); err != nil || p.endpoint.Address() != at(7) {
			t.Fatalf("%v", err)
		}
	}
	for _, i := range []int{3, 4, 77} {
		if p, err := c.pick(s, &Pick{Override: at(i)}, nil); err != nil || p.endpoint.Address() == at(i) {
			t.Errorf("%d: %v", i, err)
		}
		var e *stream.Error
		if _, err := c.pick(s, &Pick{Override: at(i), Strict: true}, nil); !errors.As(err, &e) || e.Flag != stream.NoHealthyUpstream || e.Status != 503 {
			t.Errorf("%d: %v", i, err)
		}
	}
	seven := c.hosts.Find(at(7))
	if p, err := c.pick(s, &Pick{Override: at(7)}, []*cluster.Endpoint{seven}); err != nil || p.endpoint == seven {
		t.Errorf("a retry goes to the session's endpoint again: %v", err)
	}
}

func TestSubsetsOfRoutes(t *testing.T) {
	config := many(10)
	for i := range config.Endpoints {
		config.Endpoints[i].Labels = []cluster.Label{{Key: "v", Value: fmt.Sprint(i % 2)}}
	}
	config.Endpoints[9].Labels, config.Endpoints[9].Down = []cluster.Label{{Key: "v", Value: "down"}}, true
	config.Subsets = &cluster.Subsets{Selectors: []cluster.SubsetSelector{{Keys: []string{"v"}}}, Fallback: cluster.FallbackAny}
	match := func(v string) *Pick {
		return &Pick{Match: &cluster.Match{Labels: []cluster.Label{{Key: "v", Value: v}}}}
	}
	c := benchCluster(t, config)
	one := match("1")
	for range 20 {
		if p, err := c.pick(nil, one, nil); err != nil || p.endpoint.Config().Labels[0].Value != "1" {
			t.Fatalf("%v", err)
		}
	}
	if part := picked(t, c, 9000, func() *Pick { return match("other") }, func(e *cluster.EndpointConfig) string { return e.Host })["10.0.0.0"]; math.Abs(part-1.0/9) > 0.001 {
		t.Errorf("one of any: %.4f", part)
	}
	if _, err := c.pick(nil, match("down"), nil); err == nil {
		t.Error("an endpoint that is down was picked")
	}
	config.Subsets.PanicAny, config.Subsets.Fallback = true, cluster.FallbackNone
	c = benchCluster(t, config)
	for _, v := range []string{"down", "other"} {
		if _, err := c.pick(nil, match(v), nil); err != nil {
			t.Errorf("%s: %v", v, err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { c.pick(nil, one, nil) }); n != 0 {
		t.Errorf("%v allocations a pick", n)
	}
}

// No pick allocates, whatever is asked.
func TestPicksDoNotAllocate(t *testing.T) {
	config := many(40)
	config.Balance, config.Spread.Localities = cluster.Maglev, cluster.LocalityWeighted
	config.HashBalanceFactor, config.EndpointLimits.Requests = 150, 5
	for i := range config.Endpoints {
		e := &config.Endpoints[i]
		e.Priority, e.Locality.Zone, e.LocalityWeight = i/20, fmt.Sprint(i/10), 1
	}
	c := benchCluster(t, config)
	s, pick := new(stream.Stream), &Pick{Hash: 5, HasHash: true, OtherPriorities: 1}
	tried := []*cluster.Endpoint{c.hosts.Endpoints[0], c.hosts.Endpoints[25]}
	for _, before := range [][]*cluster.Endpoint{nil, tried} {
		c.pick(s, pick, before)
		if n := testing.AllocsPerRun(100, func() { pick.Hash++; c.pick(s, pick, before) }); n > 0 {
			t.Errorf("%v allocations after %d tries", n, len(before))
		}
	}
}

// Endpoints that have as many requests as they may have are passed over.
func TestEndpointsWithoutRoom(t *testing.T) {
	config := many(4)
	config.EndpointLimits.Requests = 1
	c := benchCluster(t, config)
	for _, e := range c.hosts.Endpoints[:3] {
		e.Active.Add(1)
	}
	for range 10 {
		if p, err := c.pick(new(stream.Stream), nil, nil); err != nil || p.endpoint != c.hosts.Endpoints[3] {
			t.Fatalf("%v", err)
		}
	}
}
