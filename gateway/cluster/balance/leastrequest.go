package balance

import (
	"math/bits"
	"math/rand/v2"
)

// leastRequest draws some endpoints by weight and takes the one with the fewest
// requests under way for its weight. Two choices already keep the longest queue
// short without every worker running to the one idle endpoint (Mitzenmacher).
// When the list is no longer than the choices, all of it is compared. Equally
// loaded endpoints are taken by weight at random.
type leastRequest struct {
	random  *random
	weights []uint32
	load    func(i int) int64
	choices int
}

func newLeastRequest(o *Options, source *rand.PCG) Balancer {
	return &leastRequest{
		random:  makeRandom(o, source),
		weights: o.Weights,
		load:    o.Load,
		choices: max(o.Choices, 2),
	}
}

func (l *leastRequest) Pick(exclude func(int) bool) int {
	best := l.random.Pick(exclude)
	if best < 0 {
		return -1
	}
	bestLoad := max(l.load(best), 0)
	if len(l.weights) <= l.choices {
		for i := range l.weights {
			best, bestLoad = l.better(i, best, bestLoad, exclude)
		}
		return best
	}
	for range min(l.choices-1, len(l.weights)) {
		best, bestLoad = l.better(l.random.draw(), best, bestLoad, exclude)
	}
	return best
}

// better compares endpoint i with the best so far.
func (l *leastRequest) better(i, best int, bestLoad int64, exclude func(int) bool) (int, int64) {
	if i == best || exclude != nil && exclude(i) {
		return best, bestLoad
	}
	load := max(l.load(i), 0)
	// load/weight < bestLoad/bestWeight, without division.
	high, low := bits.Mul64(uint64(load), uint64(max(l.weights[best], 1)))
	bestHigh, bestLow := bits.Mul64(uint64(bestLoad), uint64(max(l.weights[i], 1)))
	if high < bestHigh || high == bestHigh && low < bestLow {
		return i, load
	}
	return best, bestLoad
}
