package balance

import (
	"math/bits"
	"math/rand/v2"
)

const (
	// maxWalk is how many endpoints are looked at in the order of a hash before the
	// list itself is gone through, and maxSkip how many may be met before that that are not in
	// the list.
	maxWalk = 64
	maxSkip = 512
)

// hashed takes the endpoint that a request's hash belongs to. A request
// without a hash gets a random one, and so an endpoint by weight.
//
// When the endpoint is excluded, the next one in the order of the hash is taken.
// When it has as many requests as it may have, the one of a hash made of the hash is, and so
// on: a jump, so that not all that is too much for one endpoint comes to its
// neighbour (Chen, Coleman, Shrivastava: Revisiting Consistent Hashing with Bounded
// Loads, AAAI 2021). Either way every worker, and the next try, finds the same.
//
// The bound on an endpoint of share p is ceil(factor/100 × (m+1) × p) with m requests
// under way (Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with Bounded Loads, SODA 2018).
type hashed struct {
	places  places
	where   []int32
	source  *rand.PCG
	weights []uint32
	sum     uint64
	factor  uint64 // percent; 0: no bound
	load    func(i int) int64
	total   func() int64
}

func newHashed(o *Options, source *rand.PCG) Balancer {
	return &hashed{
		places: o.Table.places, where: o.Table.where, source: source,
		weights: o.Weights, sum: o.Table.sum,
		factor: uint64(max(o.HashBalanceFactor, 0)), load: o.Load, total: o.Total,
	}
}

func (h *hashed) Pick(r *Request) int {
	var hash uint64
	if r != nil && r.HasHash {
		hash = r.Hash
	} else {
		hash = h.source.Uint64()
	}
	cursor := h.places.find(hash)
	first := h.at(cursor)
	exclude := r.excluded()
	if exclude == nil && first >= 0 && (h.factor == 0 || h.fits(first, h.total())) {
		return first
	}
	return h.walk(hash, cursor, exclude)
}

// at is the index in the list at a cursor, or -1.
func (h *hashed) at(cursor uint64) int {
	i := h.places.at(cursor)
	if h.where == nil {
		return i
	}
	return int(h.where[i])
}

// walk goes through the places from a cursor on. If everyone that is not
// excluded has too much already, which the bound leaves no room for but by
// counts that change meanwhile, the first of them has to do.
func (h *hashed) walk(hash, cursor uint64, exclude func(int) bool) int {
	total := int64(0)
	if h.factor > 0 {
		total = h.total()
	}
	// Where the list is gone through from: as far from each other for hashes as they are.
	start, _ := bits.Mul64(scatter(hash), uint64(len(h.weights)))
	fallback := -1
	for walked, skipped := 0, 0; walked < maxWalk && skipped < maxSkip; {
		i := h.at(cursor)
		if i < 0 {
			skipped++
			cursor = h.places.next(cursor)
			continue
		}
		walked++
		if exclude != nil && exclude(i) {
			cursor = h.places.next(cursor)
			continue
		}
		if h.factor == 0 || h.fits(i, total) {
			return i
		}
		if fallback < 0 {
			fallback = i
		}
		hash = scatter(hash)
		cursor = h.places.find(hash)
	}
	other := scan(len(h.weights), int(start), func(i int) bool {
		return exclude != nil && exclude(i) || h.factor > 0 && !h.fits(i, total)
	})
	switch {
	case other >= 0:
		return other
	case fallback >= 0 || h.factor == 0:
		return fallback
	case exclude == nil:
		return int(start)
	}
	return scan(len(h.weights), int(start), exclude)
}

// fits reports whether endpoint i may have one more request of total+1: whether
// load < factor/100 × (total+1) × weight/sum.
func (h *hashed) fits(i int, total int64) bool {
	load := uint64(max(h.load(i), 0))
	high, low := bits.Mul64(100*load, h.sum)
	mostHigh, mostLow := bits.Mul64(h.factor*uint64(max(total, 0)+1), uint64(max(h.weights[i], 1)))
	return high < mostHigh || high == mostHigh && low < mostLow
}
