// Package balance picks an endpoint out of a list, one file an algorithm. A
// Balancer belongs to one worker and one list: it takes no lock, allocates
// nothing when it picks, and is made anew when the list changes.
package balance

import (
	"math/bits"
	"math/rand/v2"
)

// Algorithm is a balancing algorithm.
type Algorithm uint8

// The algorithms.
const (
	RoundRobin   Algorithm = iota // smooth weighted
	Random                        // weighted
	LeastRequest                  // weighted, best of Choices
)

// Balancer picks indexes of the list that it was made for.
type Balancer interface {
	// Pick returns the index to use next, or -1 when there is none. An index
	// for which exclude returns true (an endpoint that was tried already) is
	// passed over; a nil exclude excludes nothing. exclude is called at most
	// 2n + 16 times for a list of n.
	Pick(exclude func(i int) bool) int
}

// Options describe the list.
type Options struct {
	// Weights has one entry an endpoint; 0 counts as 1. The slice is kept.
	Weights []uint32
	// Choices is how many endpoints LeastRequest compares; less than 2 is 2.
	Choices int
	// Load is the number of requests under way at endpoint i. LeastRequest
	// needs it; the others do not call it.
	Load func(i int) int64
	// Seed decides where a worker begins and what is random in it. Workers
	// must have different seeds, or all would begin at the same endpoint.
	Seed uint64
}

// constructors has one entry an Algorithm.
var constructors = [...]func(*Options, *rand.PCG) Balancer{
	RoundRobin:   newRoundRobin,
	Random:       newRandom,
	LeastRequest: newLeastRequest,
}

// New makes a balancer for the list that o describes. An unknown algorithm is
// RoundRobin.
func New(algorithm Algorithm, o Options) Balancer {
	if int(algorithm) >= len(constructors) {
		algorithm = RoundRobin
	}
	if len(o.Weights) == 0 {
		return none{}
	}
	return constructors[algorithm](&o, rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15))
}

// none balances an empty list.
type none struct{}

func (none) Pick(func(int) bool) int { return -1 }

// weight is the effective weight of endpoint i.
func (o *Options) weight(i int) uint64 { return uint64(max(o.Weights[i], 1)) }

// equal tells that all weights are the same.
func (o *Options) equal() bool {
	for i := range o.Weights {
		if o.weight(i) != o.weight(0) {
			return false
		}
	}
	return true
}

// below returns a uniform random number in [0, n) (the bias of 64 bits is less
// than n/2^64).
func below(source *rand.PCG, n uint64) uint64 {
	high, _ := bits.Mul64(source.Uint64(), n)
	return high
}

// scan finds an index that is not excluded, from start on and around. It is
// what is left when an algorithm met excluded endpoints only.
func scan(n, start int, exclude func(int) bool) int {
	for k := range n {
		i := start + k
		if i >= n {
			i -= n
		}
		if !exclude(i) {
			return i
		}
	}
	return -1
}
