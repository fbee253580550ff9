package balance

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"
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
	phase       uint32
}

// fillMaglev deals out the places.
func fillMaglev(o *Options, size uint64) []uint32 {
	table := make([]uint32, size)
	for place := range table {
		table[place] = free
	}
	candidates := newCandidates(o, size)
	if o.equal() {
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
	turns := make([]turn, len(candidates))
	for c := range candidates {
		turns[c] = turn{position: uint64(candidates[c].phase), weight: candidates[c].weight, index: uint32(c)}
	}
	order := orderDeadlines(turns)
	for range size {
		candidates[order.step()].take(table)
	}
	return table
}

const free = ^uint32(0)

// newCandidates are the endpoints in the order of their keys.
func newCandidates(o *Options, size uint64) []candidate {
	keys := make([]string, len(o.Weights))
	order := make([]uint32, len(keys))
	for i := range keys {
		keys[i], order[i] = o.Key(i), uint32(i)
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(keys[a], keys[b]) })
	all := make([]candidate, len(keys))
	for c, i := range order {
		offset, skip := xxhash.Sum64String(keys[i]), hashSeeded(keys[i], 1)
		all[c] = candidate{
			place: offset % size, skip: skip%(size-1) + 1,
			index: i, weight: uint32(o.weight(int(i))), phase: uint32(offset >> 32),
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

// next scatters the cursor (the finaliser of MurmurHash3), so that the requests
// of one endpoint do not all have the same second choice.
func (m *maglev) next(cursor uint64) uint64 {
	cursor += 0x9e3779b97f4a7c15
	cursor = (cursor ^ cursor>>33) * 0xff51afd7ed558ccd
	cursor = (cursor ^ cursor>>33) * 0xc4ceb9fe1a85ec53
	return cursor ^ cursor>>33
}

func (m *maglev) size() int { return 2*len(m.narrow) + 4*len(m.wide) }
