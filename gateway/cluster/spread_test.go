package cluster

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// shares is what groups get, in percent, rounded: "0:100 1:0" or with localities "0/a:60 0/b:40".
func shares(s *Selection) string {
	text := ""
	for i, g := range s.Groups {
		name := fmt.Sprint(g.Priority)
		if g.Locality != (Locality{}) {
			name += "/" + g.Locality.Zone
		}
		if g.Panic {
			name += "!"
		}
		text += fmt.Sprintf(" %s:%.0f", name, 100*s.Shares[i])
	}
	return text[min(1, len(text)):]
}

func zone(name string) Locality { return Locality{Zone: name} }

// down makes the first n endpoints of config that are so unhealthy, and the others healthy.
func (c *Cluster) down(n int, so func(*EndpointConfig) bool) {
	for _, e := range c.order {
		if so(e.Config()) {
			c.setHealth(e, n <= 0)
			n--
		}
	}
	c.publish()
}

func TestPrioritiesSpillOver(t *testing.T) {
	config := static(numbered(20)...)
	config.PanicThreshold = 50
	for i := range config.Endpoints {
		config.Endpoints[i].Priority = i / 10
	}
	c := made(config)
	first := func(e *EndpointConfig) bool { return e.Priority == 0 }
	second := func(e *EndpointConfig) bool { return e.Priority == 1 }
	expect(t, "all healthy", shares(c.Hosts().All), "0:100 1:0")
	c.down(2, first)
	expect(t, "2 of 10 down", shares(c.Hosts().All), "0:100 1:0")
	kept := c.Hosts().All.Groups[1]
	c.down(5, first)
	expect(t, "5 of 10 down", shares(c.Hosts().All), "0:70 1:30")
	if c.Hosts().All.Groups[1] != kept {
		t.Error("a priority in which nothing changed has another group")
	}
	c.down(10, first)
	expect(t, "10 of 10 down", shares(c.Hosts().All), "0:0 1:100")
	c.down(9, second)
	expect(t, "nearly all down", shares(c.Hosts().All), "0!:50 1!:50")
	if !c.Hosts().Panic || len(c.Hosts().Usable()) != 20 || math.Abs(c.Hosts().Available-0.14) > 1e-9 {
		t.Errorf("%d usable in panic, %v available", len(c.Hosts().Usable()), c.Hosts().Available)
	}
	c.config.Spread.PanicFails = true
	c.down(0, second)
	c.down(9, second)
	expect(t, "panic that fails", shares(c.Hosts().All), "0!:50 1!:50")
	if c.Hosts().Serves() {
		t.Error("requests go to endpoints in panic, which shall fail")
	}
	c.down(0, first)
	expect(t, "recovered", shares(c.Hosts().All), "0:100 1:0")
}

func TestOverprovisioning(t *testing.T) {
	config := static(numbered(20)...)
	config.Spread.Overprovisioning = 100
	config.Spread.WeightedHealth = true
	for i := range config.Endpoints {
		config.Endpoints[i].Priority = i / 10
	}
	config.Endpoints[0].Weight = 11
	c := made(config)
	c.down(1, func(e *EndpointConfig) bool { return e.Priority == 0 })
	expect(t, "11 of 20 by weight are down", shares(c.Hosts().All), "0:45 1:55")
}

func TestLocalityWeights(t *testing.T) {
	config := static(numbered(20)...)
	config.Spread.Localities = LocalityWeighted
	for i := range config.Endpoints {
		e := &config.Endpoints[i]
		e.Locality, e.LocalityWeight = zone("a"), 1
		if i >= 10 {
			e.Locality, e.LocalityWeight = zone("b"), 2
		}
	}
	c := made(config)
	expect(t, "all healthy", shares(c.Hosts().All), "0/a:33 0/b:67")
	c.down(5, func(e *EndpointConfig) bool { return e.Locality.Zone == "a" })
	expect(t, "half of a down", shares(c.Hosts().All), "0/a:26 0/b:74")
	c.down(10, func(e *EndpointConfig) bool { return e.Locality.Zone == "b" })
	expect(t, "and b down", shares(c.Hosts().All), "0/a:100 0/b:0")
	for i := range config.Endpoints {
		config.Endpoints[i].LocalityWeight = 0
	}
	expect(t, "no weights: by endpoints", shares(made(config).Hosts().All), "0/a:50 0/b:50")
}

// The gateways' own cluster decides with the endpoints how many requests stay in the zone, and
// its changes are followed.
func TestZones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.runtime.Locate(zone("a"), "gateways")
		gateways := static("10.9.0.1:80", "10.9.0.2:80", "10.9.0.3:80", "10.9.0.4:80")
		gateways.Name = "gateways"
		for i := range gateways.Endpoints {
			gateways.Endpoints[i].Locality = zone([]string{"a", "b"}[i/2])
		}
		config := static(numbered(10)...)
		config.Spread.Localities = LocalityZoneAware
		for i := range config.Endpoints {
			config.Endpoints[i].Locality = zone([]string{"a", "b"}[min(1, i/4)]) // 4 and 6
		}
		c := made(config)
		expect(t, "before the start", shares(c.Hosts().All), "0/a:40 0/b:60")
		c.Start(w.runtime)
		defer c.Close()
		synctest.Wait()
		expect(t, "no gateways are known", shares(c.Hosts().All), "0/a:40 0/b:60")
		g := made(gateways)
		g.Start(w.runtime)
		time.Sleep(time.Second)
		expect(t, "half of the gateways", shares(c.Hosts().All), "0/a:80 0/b:20")
		less := *gateways
		less.Endpoints = gateways.Endpoints[1:]
		next := made(&less)
		next.Inherit(g)
		next.Start(w.runtime)
		defer next.Close()
		time.Sleep(time.Second)
		expect(t, "a third of them", shares(c.Hosts().All), "0/a:100 0/b:0")
		c.mu.Lock()
		c.config.Spread.ZoneAware.Enabled = 50
		c.down(0, func(*EndpointConfig) bool { return false })
		c.zones.Store(true)
		c.publish()
		c.mu.Unlock()
		expect(t, "for half of the requests", shares(c.Hosts().All), "0/a:70 0/b:30")
		c.mu.Lock()
		c.down(5, func(*EndpointConfig) bool { return true })
		c.mu.Unlock()
		expect(t, "five are too few", shares(c.Hosts().All), "0/a:0 0/b:100")
	})
}

func TestForceLocalZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.runtime.Locate(zone("a"), "")
		config := static(numbered(3)...)
		config.Spread = Spread{Localities: LocalityZoneAware, ZoneAware: ZoneAware{ForceLocal: 2}}
		for i := range config.Endpoints {
			config.Endpoints[i].Locality = zone([]string{"a", "a", "b"}[i])
		}
		c := made(config)
		c.Start(w.runtime)
		defer c.Close()
		synctest.Wait()
		expect(t, "two are enough", shares(c.Hosts().All), "0/a:100 0/b:0")
		c.mu.Lock()
		c.down(1, func(*EndpointConfig) bool { return true })
		c.mu.Unlock()
		expect(t, "one is not", shares(c.Hosts().All), "0/a:50 0/b:50")
	})
}

// What changes leave behind is what would be made from the beginning.
func TestChangesComeToTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 30 {
		config := static(numbered(1 + random.IntN(900))...)
		config.PanicThreshold = 30
		config.Spread.Localities = LocalityMode(round % 2)
		config.Subsets = &Subsets{Selectors: []SubsetSelector{{Keys: []string{"v"}}}, Fallback: FallbackAny}
		for i := range config.Endpoints {
			e := &config.Endpoints[i]
			e.Priority, e.Locality, e.LocalityWeight = random.IntN(2), zone(fmt.Sprint(random.IntN(3))), 1
			e.Labels = []Label{{"v", fmt.Sprint(random.IntN(3))}}
			if round%3 == 0 {
				e.Weight = 1 + random.Uint32N(3)
			}
		}
		c := made(config)
		for range 20 {
			for range 1 + random.IntN(4) {
				e := c.order[random.IntN(len(c.order))]
				c.setHealth(e, random.IntN(3) > 0)
			}
			c.publish()
		}
		fresh := made(config)
		for i, e := range fresh.order {
			fresh.setHealth(e, c.order[i].Healthy())
		}
		fresh.publish()
		for number := range c.Hosts().Subsets() + 1 {
			compare(t, c.Hosts().Selection(number), fresh.Hosts().Selection(number))
		}
	}
}

func compare(t *testing.T, a, b *Selection) {
	t.Helper()
	expect(t, "shares", shares(a), shares(b))
	for i, g := range a.Groups {
		other := b.Groups[i]
		weights := func(g *Group) map[string]uint32 {
			all := map[string]uint32{}
			for i, w := range g.Weights {
				all[g.Usable.At(i).String()] = w
			}
			return all
		}
		if g.Usable.Len() != len(g.Weights) || !maps.Equal(weights(g), weights(other)) {
			t.Fatalf("group %d: %d usable, %d weights, %v, from the beginning %v", i, g.Usable.Len(), len(g.Weights), weights(g), weights(other))
		}
	}
}

// A hash's group changes only as far as shares do, and each group has its share.
func TestHashedGroups(t *testing.T) {
	config := static(numbered(40)...)
	config.Spread.Localities = LocalityWeighted
	config.Balance = Maglev
	for i := range config.Endpoints {
		config.Endpoints[i].Locality, config.Endpoints[i].LocalityWeight = zone(fmt.Sprint(i/10)), uint32(1+i/10)
	}
	c := made(config)
	before := c.Hosts().All
	c.down(6, func(e *EndpointConfig) bool { return e.Locality.Zone == "3" })
	after := c.Hosts().All
	const n = 100_000
	random, moved, got := rand.New(rand.NewPCG(3, 4)), 0, make([]int, 4)
	for range n {
		h := random.Uint64()
		was, is := before.Hashed(h), after.Hashed(h)
		got[is]++
		if was != is {
			moved++
			if was != 3 {
				t.Fatalf("a request moved from %d to %d, whose share grew only for what 3 lost", was, is)
			}
		}
	}
	for i, share := range after.Shares {
		if part := float64(got[i]) / n; math.Abs(part-share) > 0.005 {
			t.Errorf("group %d has %.3f of the hashes, want %.3f", i, part, share)
		}
	}
	if part, want := float64(moved)/n, before.Shares[3]-after.Shares[3]; math.Abs(part-want) > 0.005 {
		t.Errorf("%.3f of the hashes moved, want %.3f", part, want)
	}
}

func TestWithoutPriorities(t *testing.T) {
	config := static(numbered(30)...)
	for i := range config.Endpoints {
		config.Endpoints[i].Priority = i / 10
	}
	c := made(config)
	c.down(5, func(e *EndpointConfig) bool { return e.Priority == 1 })
	s := c.Hosts().All
	for _, test := range []struct {
		without []int
		want    []float64
	}{{nil, []float64{1, 0, 0}}, {[]int{0}, []float64{0, .7, .3}}, {[]int{0, 2}, []float64{0, 1, 0}}, {[]int{0, 1, 2}, nil}} {
		got, ok := s.Without(func(p int) bool { return slices.Contains(test.without, p) }, nil)
		if ok != (test.want != nil) || !slices.EqualFunc(got, test.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("without %v: %v, want %v", test.without, got, test.want)
		}
	}
}
