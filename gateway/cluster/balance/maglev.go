package balance

import (
	"cmp"
	"slices"
	"sort"
)

// maglev is the table of Eisenbud et al. (Maglev: A Fast and Reliable Software
// Network Load Balancer, NSDI 2016, section 3.4): every endpoint prefers the
// table's places in an order of its own, and they take turns at the best place
// that is free, by weight, until all are taken. So shares are equal but for one
// place, and a place seldom changes hands when the list changes. The
// endpoints take turns in the order of their keys, not of the list.
type maglev struct {
	narrow []uint16 // the endpoint of each place; nil: there are too many for it
	wide   []uint32
	count  uint64
}

func newMaglev(o *Options) *maglev {
	size := o.Maglev.TableSize
	if size < 2 || size > MaxMaglevSize {
		size = DefaultMaglevSize
	}
	m := &maglev{count: size}
	table := fillMaglev(o, size)
	if len(o.Weights) > 1<<16 {
		m.wide = table
		return m
	}
	m.narrow = make([]uint16, size)
	for place, i := range table {
		m.narrow[place] = uint16(i)
	}
	return m
}

// A candidate is an endpoint that takes places.
type candidate struct {
	place, skip uint64 // the best one that it has not tried, and how far the next one is
	index       uint32
	weight      uint32
}

// fillMaglev deals out the places.
func fillMaglev(o *Options, size uint64) []uint32 {
	table := make([]uint32, size)
	for place := range table {
		table[place] = free
	}
	candidates := newCandidates(o, size)
	if !o.equal() {
		for _, turn := range maglevTurns(candidates, size) {
			candidates[uint32(turn)].take(table)
		}
		return table
	}
	for left := size; left > 0; {
		for c := range candidates {
			candidates[c].take(table)
			if left--; left == 0 {
				break
			}
		}
	}
	return table
}

// maglevTurns says who takes the places with unequal weights: candidates in the lower
// halves, rounds in the upper. As with Envoy, everyone has a turn in the first
// round, the heaviest in every round, and one of weight w its k-th further turn
// in round k × heaviest / w, rounded up. To find the turns of all rounds by
// sorting keeps the time bounded whatever the weights.
func maglevTurns(candidates []candidate, size uint64) []uint64 {
	heaviest := uint64(0)
	for c := range candidates {
		heaviest = max(heaviest, uint64(candidates[c].weight))
	}
	last := uint64(sort.Search(int(size), func(round int) bool {
		sum := uint64(0)
		for c := range candidates {
			sum += candidates[c].turns(uint64(round), heaviest)
		}
		return sum >= size
	}))
	var turns []uint64
	for c := range candidates {
		weight := uint64(candidates[c].weight)
		for k := range candidates[c].turns(last, heaviest) {
			round := max((k*heaviest+weight-1)/weight, 1)
			if weight == heaviest {
				round = k + 1
			}
			turns = append(turns, round<<32|uint64(c))
		}
	}
	slices.Sort(turns)
	return turns[:size]
}

// turns is how many turns the candidate has up to a round, which counts from 1.
func (c *candidate) turns(round, heaviest uint64) uint64 {
	if uint64(c.weight) == heaviest {
		return round
	}
	return 1 + round*uint64(c.weight)/heaviest
}

const free = ^uint32(0)

// newCandidates are the endpoints in the order of their keys.
func newCandidates(o *Options, size uint64) []candidate {
	keys := o.keys()
	order := make([]uint32, len(keys))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(keys[a], keys[b]) })
	all := make([]candidate, len(keys))
	for c, i := range order {
		offset, skip := HashString(keys[i]), hashSeeded(keys[i], 1)
		all[c] = candidate{
			place: offset % size, skip: skip%(size-1) + 1,
			index: i, weight: uint32(o.weight(int(i))),
		}
	}
	return all
}

// take gives the candidate the best place that is left. size being a prime, it
// comes to every place.
func (c *candidate) take(table []uint32) {
	size := uint64(len(table))
	for table[c.place] != free {
		c.advance(size)
	}
	table[c.place] = c.index
	c.advance(size)
}

func (c *candidate) advance(size uint64) {
	if c.place += c.skip; c.place >= size {
		c.place -= size
	}
}

func (m *maglev) find(hash uint64) uint64 { return hash }

func (m *maglev) at(cursor uint64) int {
	place := cursor % m.count
	if m.narrow != nil {
		return int(m.narrow[place])
	}
	return int(m.wide[place])
}

func (m *maglev) next(cursor uint64) uint64 { return scatter(cursor) }

func (m *maglev) size() int { return 2*len(m.narrow) + 4*len(m.wide) }
