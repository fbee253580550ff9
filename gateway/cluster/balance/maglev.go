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
	put := m.putNarrow
	if len(o.Weights) > 1<<16 {
		m.wide = make([]uint32, size)
		put = m.putWide
	} else {
		m.narrow = make([]uint16, size)
	}
	dealMaglev(o, size, put)
	return m
}

func (m *maglev) putNarrow(place uint64, i uint32) { m.narrow[place] = uint16(i) }
func (m *maglev) putWide(place uint64, i uint32)   { m.wide[place] = i }

// A candidate is an endpoint that takes places.
type candidate struct {
	place, skip uint64 // the best one that it has not tried, and how far the next one is
	index       uint32
	weight      uint32
}

// dealMaglev deals out the places.
func dealMaglev(o *Options, size uint64, put func(place uint64, i uint32)) {
	candidates := newCandidates(o, size)
	taken := make(marks, size/64+1)
	if !o.equal() {
		for _, c := range maglevTurns(candidates, size) {
			put(candidates[c].take(taken, size), candidates[c].index)
		}
		return
	}
	for left := size; left > 0; {
		for c := range candidates {
			put(candidates[c].take(taken, size), candidates[c].index)
			if left--; left == 0 {
				break
			}
		}
	}
}

// marks has a bit for each place. It stays in the processor's cache where the
// table does not.
type marks []uint64

// maglevTurns says which candidates take the places with unequal weights. As with
// Envoy, everyone has a turn in the first round, the heaviest in every
// round, and one of weight w its k-th further turn in round k × heaviest / w, rounded up.
// To find all turns and sort them by rounds keeps the time bounded whatever the weights.
func maglevTurns(candidates []candidate, size uint64) []uint32 {
	heaviest := uint64(0)
	for c := range candidates {
		heaviest = max(heaviest, uint64(candidates[c].weight))
	}
	last := 1 + uint64(sort.Search(int(size), func(round int) bool {
		sum := uint64(0)
		for c := range candidates {
			sum += candidates[c].turns(uint64(round)+1, heaviest)
		}
		return sum >= size
	}))
	ends := make([]uint32, last+2) // where a round's turns end, once all are there
	each := func(do func(c uint32, round uint64)) {
		for c := range candidates {
			for k := range candidates[c].turns(last, heaviest) {
				do(uint32(c), candidates[c].round(k, heaviest))
			}
		}
	}
	each(func(_ uint32, round uint64) { ends[round+1]++ })
	for round := range last {
		ends[round+1] += ends[round]
	}
	turns := make([]uint32, ends[last]+ends[last+1])
	each(func(c uint32, round uint64) {
		turns[ends[round]] = c
		ends[round]++
	})
	return turns[:size]
}

// round is when the candidate has turn k, which counts from 0.
func (c *candidate) round(k, heaviest uint64) uint64 {
	weight := uint64(c.weight)
	if weight == heaviest {
		return k + 1
	}
	return max((k*heaviest+weight-1)/weight, 1)
}

// turns is how many turns the candidate has up to a round, which counts from 1.
func (c *candidate) turns(round, heaviest uint64) uint64 {
	if uint64(c.weight) == heaviest {
		return round
	}
	return 1 + round*uint64(c.weight)/heaviest
}

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
func (c *candidate) take(taken marks, size uint64) uint64 {
	place := c.place
	for taken[place/64]&(1<<(place%64)) != 0 {
		if place += c.skip; place >= size {
			place -= size
		}
	}
	taken[place/64] |= 1 << (place % 64)
	if c.place = place + c.skip; c.place >= size {
		c.place -= size
	}
	return place
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
