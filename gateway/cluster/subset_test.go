package cluster

import (
	"fmt"
	"testing"
)

func labels(pairs ...string) []Label {
	var all []Label
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, Label{pairs[i], pairs[i+1]})
	}
	return all
}

// The example of Envoy's documentation (load_balancing/subsets).
func documented() *Config {
	c := static(numbered(7)...)
	for i, l := range [][]Label{
		labels("stage", "prod", "type", "std", "version", "1.0", "xlarge", "true"),
		labels("stage", "prod", "type", "std", "version", "1.0"),
		labels("stage", "prod", "type", "std", "version", "1.1"),
		labels("stage", "prod", "type", "std", "version", "1.1"),
		labels("stage", "prod", "type", "bigmem", "version", "1.0"),
		labels("stage", "prod", "type", "bigmem", "version", "1.1"),
		labels("stage", "dev", "type", "std", "version", "1.2-pre"),
	} {
		c.Endpoints[i].Labels = l
	}
	c.Subsets = &Subsets{
		Selectors: []SubsetSelector{
			{Keys: []string{"stage", "type"}}, {Keys: []string{"stage", "version"}}, {Keys: []string{"version"}}, {Keys: []string{"version", "xlarge"}},
		},
		Fallback: FallbackDefault,
		Default:  labels("stage", "prod", "type", "std", "version", "1.0"),
	}
	return c
}

// found is the endpoints that requests get that ask for labels: their last numbers.
func found(c *Cluster, l []Label) string {
	hosts := c.Hosts()
	number := hosts.Resolve(&Match{l})
	if l == nil {
		number = hosts.Resolve(nil)
	}
	if number < 0 {
		return "none"
	}
	text := ""
	for _, g := range hosts.Selection(number).Groups {
		for e := range g.Usable.All() {
			text += fmt.Sprint(e.Address().Addr().As4()[3])
		}
	}
	return text
}

func TestSubsets(t *testing.T) {
	c := made(documented())
	for _, test := range []struct {
		want   string
		labels []Label
	}{
		{"0123", labels("stage", "prod", "type", "std")},
		{"45", labels("stage", "prod", "type", "bigmem")},
		{"6", labels("stage", "dev", "type", "std")},
		{"014", labels("stage", "prod", "version", "1.0")},
		{"235", labels("stage", "prod", "version", "1.1")},
		{"6", labels("version", "1.2-pre")},
		{"0", labels("version", "1.0", "xlarge", "true")},
		{"01", nil}, // the default
		{"01", labels("stage", "prod")},
		{"01", labels("other", "x")},
		{"01", labels("version", "9")},
	} {
		expect(t, fmt.Sprint(test.labels), found(c, test.labels), test.want)
	}
	if n := c.Hosts().Subsets(); n != 11 {
		t.Errorf("%d subsets", n)
	}
	c.down(1, func(e *EndpointConfig) bool { return e.Host == "10.0.0.4" })
	expect(t, "one down", found(c, labels("stage", "prod", "version", "1.0")), "01")
	expect(t, "one down", found(c, labels("stage", "prod", "type", "bigmem")), "5")
}

func TestSubsetFallbacks(t *testing.T) {
	missing := labels("stage", "prod", "type", "small")
	for _, test := range []struct {
		want     string
		fallback SubsetFallback // of all
		selector SubsetSelector // the first one's policies
	}{
		{"none", FallbackUnset, SubsetSelector{}},
		{"none", FallbackNone, SubsetSelector{}},
		{"0123456", FallbackAny, SubsetSelector{}},
		{"01", FallbackDefault, SubsetSelector{}},
		{"none", FallbackAny, SubsetSelector{Fallback: FallbackNone}},
		{"0123456", FallbackNone, SubsetSelector{Fallback: FallbackAny}},
		{"01", FallbackNone, SubsetSelector{Fallback: FallbackDefault}},
		{"012345", FallbackNone, SubsetSelector{Fallback: FallbackKeys, FallbackKeys: []string{"stage"}}},
		{"0123456", FallbackAny, SubsetSelector{Fallback: FallbackKeys, FallbackKeys: []string{"type"}}}, // nobody selects by it
	} {
		config := documented()
		config.Subsets.Fallback = test.fallback
		test.selector.Keys = config.Subsets.Selectors[0].Keys
		config.Subsets.Selectors[0] = test.selector
		config.Subsets.Selectors = append(config.Subsets.Selectors, SubsetSelector{Keys: []string{"stage"}})
		expect(t, fmt.Sprint(test.fallback, test.selector), found(made(config), missing), test.want)
	}
}

func TestSubsetsOfSeveralValues(t *testing.T) {
	config := static(numbered(3)...)
	config.Endpoints[0].Labels = labels("v", "1", "v", "2")
	config.Endpoints[1].Labels = labels("v", "2")
	config.Endpoints[2].Labels = labels("v", "2", "w", "x")
	config.Subsets = &Subsets{Selectors: []SubsetSelector{{Keys: []string{"v"}}, {Keys: []string{"w"}, SingleEndpoint: true}}}
	config.Endpoints[2].Draining = true
	c := made(config)
	expect(t, "one", found(c, labels("v", "1")), "0")
	expect(t, "two", found(c, labels("v", "2")), "01")
	expect(t, "of one that drains", found(c, labels("w", "x")), "none")
	config.Endpoints[2].Draining, config.Endpoints[0].Labels = false, labels("w", "x")
	expect(t, "the first alone", found(made(config), labels("w", "x")), "0")
}

func TestSubsetLocalities(t *testing.T) {
	config := static(numbered(30)...)
	config.Spread.Localities = LocalityWeighted
	config.Subsets = &Subsets{Selectors: []SubsetSelector{{Keys: []string{"v"}}}}
	for i := range config.Endpoints {
		e := &config.Endpoints[i]
		e.Locality, e.LocalityWeight = zone("a"), 100
		if i >= 10 {
			e.Locality = zone("b")
		}
		if i < 15 { // all of a, a quarter of b
			e.Labels = labels("v", "1")
		}
	}
	of := func() string {
		hosts := made(config).Hosts()
		return shares(hosts.Selection(hosts.Resolve(&Match{labels("v", "1")})))
	}
	expect(t, "a subset's localities are not told apart", of(), "0:100")
	config.Subsets.LocalityWeightAware = true
	expect(t, "by weights", of(), "0/a:50 0/b:50")
	config.Subsets.ScaleLocalityWeight = true
	expect(t, "by weights, scaled", of(), "0/a:80 0/b:20")
}

// The number of subsets is bounded, whatever labels say.
func TestSubsetsAreBounded(t *testing.T) {
	var many []Label
	for i := range 1000 {
		many = append(many, Label{"v", fmt.Sprint(i)})
	}
	config := static(numbered(2000)...)
	for i := range config.Endpoints {
		config.Endpoints[i].Labels = append(labels("a", fmt.Sprint(i)), many...)
	}
	config.Subsets = &Subsets{Selectors: []SubsetSelector{{Keys: []string{"a", "v"}}}}
	c := made(config)
	if n := c.Hosts().Subsets(); n != mostSubsets || c.subsets.left != 2000*mostCombinations-mostSubsets {
		t.Errorf("%d subsets, %d left out", n, c.subsets.left)
	}
}
