package balance

import (
	"math/bits"
	"math/rand/v2"
)

// leastRequest draws some endpoints by weight and takes the one with the fewest
// requests under way for its weight. Two choices already keep the longest queue
// short without every worker running to the one idle endpoint (Mitzenmacher);
// with weights, drawing and comparing by them keeps that (Berenbrink et al.:
// Balls into non-uniform bins). Equally loaded endpoints are taken by weight at
// random.
type leastRequest struct {
	draws
	load func(i int) int64
}

func newLeastRequest(o *Options, source *rand.PCG) Balancer {
	switch settings := &o.Settings.LeastRequest; {
	case settings.Biased && !o.Table.equal:
		return newBiased(o, source)
	case settings.FullScan, o.comparesAll():
		return &leastOfAll{ties: ties{source: source}, weights: o.Weights, load: o.Load}
	}
	return &leastRequest{draws: makeDraws(o, source), load: o.Load}
}

func (l *leastRequest) Pick(r *Request) int {
	exclude := r.excluded()
	best := l.random.pick(exclude)
	if best < 0 {
		return -1
	}
	bestLoad := l.load(best)
	for range l.others {
		i := l.other(best)
		if i == best || exclude != nil && exclude(i) {
			continue
		}
		if load := l.load(i); compareLoads(load, l.weights[i], bestLoad, l.weights[best]) < 0 {
			best, bestLoad = i, load
		}
	}
	return best
}

// leastOfAll compares the whole list.
type leastOfAll struct {
	ties    ties
	weights []uint32
	load    func(i int) int64
}

func (l *leastOfAll) Pick(r *Request) int {
	exclude := r.excluded()
	best, bestLoad := -1, int64(0)
	for i := range l.weights {
		if exclude != nil && exclude(i) {
			continue
		}
		load, order := l.load(i), -1
		if best >= 0 {
			order = compareLoads(load, l.weights[i], bestLoad, l.weights[best])
		}
		if order < 0 {
			l.ties.begin()
		}
		if order <= 0 && l.ties.take(l.weights[i]) {
			best, bestLoad = i, load
		}
	}
	return best
}

// compareLoads compares load/weight of two endpoints, without division.
func compareLoads(a int64, weightA uint32, b int64, weightB uint32) int {
	aHigh, aLow := bits.Mul64(uint64(max(a, 0)), uint64(max(weightB, 1)))
	bHigh, bLow := bits.Mul64(uint64(max(b, 0)), uint64(max(weightA, 1)))
	switch {
	case aHigh < bHigh || aHigh == bHigh && aLow < bLow:
		return -1
	case aHigh == bHigh && aLow == bLow:
		return 0
	}
	return 1
}
