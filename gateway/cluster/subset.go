package cluster

import (
	"slices"
	"strings"
)

// subsets finds the subset of labels. It is made when the endpoints become others, and
// never changes.
type subsets struct {
	config  *Subsets
	numbers []map[string]int // by selector, then values: number of the division
	normal  int              // that of Subsets.Default; 0: none
	left    int              // combinations that found no room
}

const (
	// mostSubsets bounds the subsets of a cluster, mostCombinations those of one endpoint
	// and selector.
	mostSubsets      = 1 << 16
	mostCombinations = 64
)

// noSubset is the number of no division: there is no endpoint.
const noSubset = -1

// Resolve finds what requests get that ask for the labels of m (nil: for none): a number for
// Selection, or -1 for no endpoint at all. It stays right as long as SameSubsets.
func (h *HostSet) Resolve(m *Match) int {
	switch {
	case h.subsets == nil:
		return 0
	case m == nil:
		return h.subsets.fallback()
	}
	return h.subsets.find(m.Labels)
}

// Selection is what Resolve's number stands for.
func (h *HostSet) Selection(number int) *Selection { return h.selections[number] }

// SameSubsets tells whether what Resolve said of other holds for h.
func (h *HostSet) SameSubsets(other *HostSet) bool { return h.subsets == other.subsets }

// Subsets is how many subsets there are.
func (h *HostSet) Subsets() int { return len(h.selections) - 1 }

func (s *subsets) find(labels []Label) int {
	for i := range s.config.Selectors {
		selector := &s.config.Selectors[i]
		if !slices.EqualFunc(selector.Keys, labels, func(key string, l Label) bool { return key == l.Key }) {
			continue
		}
		if number, ok := s.numbers[i][values(labels)]; ok {
			return number
		}
		switch selector.Fallback {
		case FallbackNone:
			return noSubset
		case FallbackAny:
			return 0
		case FallbackDefault:
			return s.standard()
		case FallbackKeys:
			fewer := slices.DeleteFunc(slices.Clone(labels), func(l Label) bool { return !slices.Contains(selector.FallbackKeys, l.Key) })
			if len(fewer) < len(labels) {
				return s.find(fewer)
			}
		}
		break
	}
	return s.fallback()
}

func (s *subsets) fallback() int {
	switch s.config.Fallback {
	case FallbackAny:
		return 0
	case FallbackDefault:
		return s.standard()
	}
	return noSubset
}

func (s *subsets) standard() int {
	if s.normal == 0 && len(s.config.Default) > 0 {
		return noSubset
	}
	return s.normal // of no labels: all
}

// values is the values of labels as one key of a map.
func values(labels []Label) string {
	if len(labels) == 1 {
		return labels[0].Value
	}
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(l.Value)
		b.WriteByte(0)
	}
	return b.String()
}

// subdivide makes the divisions of the subsets, behind that of the cluster.
func (c *Cluster) subdivide() {
	config := c.config.Subsets
	if config == nil {
		c.subsets = nil
		return
	}
	s := &subsets{config: config, numbers: make([]map[string]int, len(config.Selectors))}
	c.subsets = s
	for i := range config.Selectors {
		s.numbers[i] = map[string]int{}
		for _, e := range c.order {
			if e.Config().Draining {
				continue
			}
			for _, tuple := range combinations(e.Config().Labels, config.Selectors[i].Keys) {
				c.joinSubset(e, i, values(tuple))
			}
		}
	}
	if len(config.Default) > 0 {
		for _, e := range c.order {
			if !e.Config().Draining && hasAll(e.Config().Labels, config.Default) {
				if s.normal == 0 {
					s.normal = c.newSubset()
				}
				c.divisions[s.normal].add(e)
			}
		}
	}
	if config.LocalityWeightAware && config.ScaleLocalityWeight {
		c.scaleLocalities()
	}
}

// joinSubset puts the endpoint in the subset of a selector with those values.
func (c *Cluster) joinSubset(e *Endpoint, selector int, key string) {
	s := c.subsets
	number, ok := s.numbers[selector][key]
	switch {
	case ok && s.config.Selectors[selector].SingleEndpoint:
		return
	case !ok && len(c.divisions) > mostSubsets:
		s.left++
		return
	case !ok:
		number = c.newSubset()
		s.numbers[selector][key] = number
	}
	c.divisions[number].add(e)
}

func (c *Cluster) newSubset() (number int) {
	d := &division{}
	if c.config.Subsets.LocalityWeightAware && c.config.Spread.Localities == LocalityWeighted {
		d.localities = LocalityWeighted
	}
	c.divisions = append(c.divisions, d)
	return len(c.divisions) - 1
}

// scaleLocalities tells the parts of subsets how many endpoints their localities
// have in all.
func (c *Cluster) scaleLocalities() {
	for _, d := range c.divisions[1:] {
		for _, l := range d.levels {
			for _, p := range l.parts {
				p.whole = len(c.divisions[0].part(p.members[0].Config()).members)
			}
		}
	}
}

// combinations are the ways to take one value of each key from an endpoint's labels.
func combinations(labels []Label, keys []string) [][]Label {
	all := [][]Label{{}}
	for _, key := range keys {
		var next [][]Label
		for _, so := range all {
			for _, l := range labels {
				if l.Key == key && len(next) < mostCombinations {
					next = append(next, append(slices.Clone(so), l))
				}
			}
		}
		all = next
	}
	return all
}

func hasAll(labels, wanted []Label) bool {
	return !slices.ContainsFunc(wanted, func(l Label) bool { return !slices.Contains(labels, l) })
}
