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
// clockwise. The points are Envoy's: endpoint "a" has the hashes of "a_0", "a_1" and
// so on; how many, see ringCounts.
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

const (
	// pointsEach makes an endpoint's share differ from its part by 1/sqrt(512) = 4.4 %
	// (standard deviation).
	pointsEach = 512
	usualSize  = 1 << 17
)

func newRing(o *Options) *ring {
	keys := o.keys()
	counts, total := ringCounts(o, keys)
	all := make([]point, 0, total)
	var name []byte
	for i, n := range counts {
		name = append(append(name[:0], keys[i]...), '_')
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

// ringCounts says how many points each endpoint has: so many for each unit of
// weight, a power of two, which is about pointsEach for an endpoint of mean weight;
// fewer if the ring passed usualSize by that, and so many that the ring has
// MinSize, but not more than MaxSize. Were it a number of the list's length, every
// change would give points to all endpoints or take them; so only one that passes a
// power of two does, and hashes move from the others as little as they must.
// Fractions are rounded by the key: no endpoint's number depends on the others'.
func ringCounts(o *Options, keys []string) (counts []uint32, total int) {
	sum := 0.0
	for i := range o.Weights {
		sum += float64(o.weight(i))
	}
	most := float64(min(cmp.Or(o.RingHash.MaxSize, MaxRingSize), MaxRingSize))
	unit := math.Exp2(math.Round(math.Log2(pointsEach * float64(len(keys)) / sum)))
	for unit*sum > usualSize {
		unit /= 2
	}
	for unit*sum < float64(o.RingHash.MinSize) && unit*sum < most {
		unit *= 2
	}
	for unit*sum > most {
		unit /= 2
	}
	counts = make([]uint32, len(keys))
	for i, key := range keys {
		chance := float64(hashSeeded(key, 2)>>11) / (1 << 53)
		counts[i] = uint32(max(unit*float64(o.weight(i))+chance, 1))
		total += int(counts[i])
	}
	return counts, total
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
