package balance

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// ring is consistent hashing as Karger et al. (STOC 1997) and ketama have it:
// each endpoint has points on a circle of 64-bit numbers, and a hash belongs
// to the first point that is not before it. Its order goes on from point to point,
// clockwise. Sizes, and the points themselves, are Envoy's: endpoint "a" has the
// hashes of "a_0", "a_1" and so on, as many as its weight says, so that both
// find the same endpoint for a hash.
//
// The hashes being even, a point lies near where its uppermost bits say: start
// has, for each of their values, the first point with it or a larger one. That
// makes both sorting and finding take constant time for each point.
type ring struct {
	points []point
	start  []uint32 // by hash >> shift
	shift  uint
}

type point struct {
	hash  uint64
	index uint32
}

func newRing(o *Options) *ring {
	counts, total := ringCounts(o)
	all := make([]point, 0, total)
	var name []byte
	for i, n := range counts {
		name = append(append(name[:0], o.Key(i)...), '_')
		for k := range n {
			text := strconv.AppendUint(name, uint64(k), 10)
			hash := uint64(0)
			if o.RingHash.Hash == Murmur2 {
				hash = murmur2(text, murmurSeed)
			} else {
				hash = Hash(text)
			}
			all = append(all, point{hash, uint32(i)})
			name = text[:len(name)]
		}
	}
	return sortRing(all)
}

// sortRing orders the points by dealing them out by their uppermost bits.
func sortRing(all []point) *ring {
	r := &ring{points: make([]point, len(all))}
	width := bits.Len(uint(len(all))) // 1 to 2 parts for each point
	r.shift = uint(64 - width)
	r.start = make([]uint32, 1<<width+1)
	for _, p := range all {
		r.start[p.hash>>r.shift+1]++
	}
	for b := 1; b < len(r.start); b++ {
		r.start[b] += r.start[b-1]
	}
	next := slices.Clone(r.start)
	for _, p := range all {
		b := p.hash >> r.shift
		r.points[next[b]] = p
		next[b]++
	}
	for b := range len(r.start) - 1 {
		if part := r.points[r.start[b]:r.start[b+1]]; len(part) > 1 {
			slices.SortFunc(part, func(x, y point) int {
				return cmp.Or(cmp.Compare(x.hash, y.hash), cmp.Compare(x.index, y.index))
			})
		}
	}
	return r
}

// ringCounts says how many points each endpoint has: the endpoint with the
// smallest weight as many whole ones as make the ring at least MinSize, the
// others in proportion; or fewer, if that would pass MaxSize. Fractions are
// carried on from endpoint to endpoint.
func ringCounts(o *Options) (counts []uint32, total int) {
	most := o.RingHash.MaxSize
	if most == 0 || most > MaxRingSize {
		most = MaxRingSize
	}
	least := o.RingHash.MinSize
	if least == 0 {
		least = DefaultRingMin
	}
	least = min(least, most)
	sum, smallest := 0.0, math.Inf(1)
	for i := range o.Weights {
		w := float64(o.weight(i))
		sum, smallest = sum+w, min(smallest, w)
	}
	smallest /= sum
	scale := min(math.Ceil(smallest*float64(least))/smallest, float64(most))
	counts = make([]uint32, len(o.Weights))
	current, target := 0, 0.0
	for i := range counts {
		target += scale * (float64(o.weight(i)) / sum)
		before := current
		for float64(current) < target {
			current++
		}
		counts[i] = uint32(current - before)
	}
	return counts, current
}

func (r *ring) find(hash uint64) uint64 {
	i := r.start[hash>>r.shift]
	for int(i) < len(r.points) && r.points[i].hash < hash {
		i++
	}
	if int(i) == len(r.points) {
		return 0
	}
	return uint64(i)
}

func (r *ring) at(cursor uint64) int { return int(r.points[cursor].index) }

func (r *ring) next(cursor uint64) uint64 {
	if cursor++; cursor == uint64(len(r.points)) {
		return 0
	}
	return cursor
}

func (r *ring) size() int { return 16*len(r.points) + 4*len(r.start) }
