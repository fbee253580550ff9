package cluster

import (
	"fmt"
	"testing"
)

// What the cluster's goroutine does when one endpoint of many goes down or comes up again.
func BenchmarkChangeOfOne(b *testing.B) {
	zones := func(c *Config) {
		c.Spread.Localities = LocalityWeighted
		for i := range c.Endpoints {
			c.Endpoints[i].Locality.Zone, c.Endpoints[i].LocalityWeight = fmt.Sprint("z", i*10/len(c.Endpoints)), 1
		}
	}
	subsets := func(c *Config) {
		c.Subsets = &Subsets{Selectors: []SubsetSelector{{Keys: []string{"v"}}}, Fallback: FallbackAny}
		for i := range c.Endpoints {
			c.Endpoints[i].Labels = []Label{{"v", fmt.Sprint(i % 100)}}
		}
	}
	for _, test := range []struct {
		name   string
		n      int
		adjust func(*Config)
	}{
		{"10", 10, nil},
		{"10000", 10_000, nil},
		{"10000/least_request", 10_000, func(c *Config) { c.Balance = LeastRequest }},
		{"10000/maglev", 10_000, func(c *Config) { c.Balance = Maglev }},
		{"10000/weights", 10_000, func(c *Config) { c.Endpoints[0].Weight = 2 }},
		{"10000/zones", 10_000, zones},
		{"10000/subsets", 10_000, subsets},
	} {
		b.Run(test.name, func(b *testing.B) {
			config := static(numbered(test.n)...)
			if test.adjust != nil {
				test.adjust(config)
			}
			c := made(config)
			e, healthy := c.order[test.n/2], false
			b.ReportAllocs()
			for b.Loop() {
				c.setHealth(e, healthy)
				healthy = !healthy
				if !c.publish() {
					b.Fatal("nothing new")
				}
			}
		})
	}
}

func BenchmarkHosts(b *testing.B) {
	c := made(static("10.0.0.1:80"))
	var seen *HostSet
	b.ReportAllocs()
	for b.Loop() {
		if hosts := c.Hosts(); hosts != seen {
			seen = hosts
		}
	}
}

// What another configuration costs in which one of many endpoints is another one.
func BenchmarkInherit(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			lists := numbered(n + 1)
			configs := [...]*Config{static(lists[1:]...), static(lists[:n]...)}
			c, i := made(configs[1]), 0
			b.ReportAllocs()
			for b.Loop() {
				next := New(configs[i])
				next.Inherit(c)
				c, i = next, 1-i
			}
		})
	}
}
