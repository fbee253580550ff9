package balance

import (
	"math/bits"
	"math/rand/v2"
)

// maxWalk is how many places are looked at in the order of a hash before the
// list itself is gone through.
const maxWalk = 64

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
	source  *rand.PCG
	weights []uint32
	sum     uint64
	factor  uint64 // percent; 0: no bound
	load    func(i int) int64
	total   func() int64
}

func newHashed(o *Options, source *rand.PCG) Balancer {
	return &hashed{
		places: o.Table.places, source: source,
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
	first := h.places.at(cursor)
	exclude := r.excluded()
	if exclude == nil && (h.factor == 0 || h.fits(first, h.total())) {
		return first
	}
	return h.walk(hash, cursor, exclude)
}

// walk goes through the places from a cursor on. If everyone that is not
// excluded has too much already, which the bound leaves no room for but by
// counts that change meanwhile, the first of them has to do.
func (h *hashed) walk(hash, cursor uint64, exclude func(int) bool) int {
	total := int64(0)
	if h.factor > 0 {
		total = h.total()
	}
	first, fallback := h.places.at(cursor), -1
	for range maxWalk {
		i := h.places.at(cursor)
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
	other := scan(len(h.weights), first, func(i int) bool {
		return exclude != nil && exclude(i) || h.factor > 0 && !h.fits(i, total)
	})
	switch {
	case other >= 0:
		return other
	case fallback >= 0 || h.factor == 0:
		return fallback
	case exclude == nil:
		return first
	}
	return scan(len(h.weights), first, exclude)
}

// fits reports whether endpoint i may have one more request of total+1: whether
// load < factor/100 × (total+1) × weight/sum.
func (h *hashed) fits(i int, total int64) bool {
	load := uint64(max(h.load(i), 0))
	high, low := bits.Mul64(100*load, h.sum)
	mostHigh, mostLow := bits.Mul64(h.factor*uint64(max(total, 0)+1), uint64(max(h.weights[i], 1)))
	return high < mostHigh || high == mostHigh && low < mostLow
}
