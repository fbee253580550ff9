// Package balance picks an endpoint out of a list, one file an algorithm. A
// Balancer belongs to one worker and one list: it takes no lock, allocates
// nothing when it picks, and is made anew when the list changes. What depends
// on the list alone is in a Table, which all workers share.
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
	PeakEWMA                      // least expected wait, weighted, best of Choices
	RingHash                      // consistent hashing on a ring of points (ketama)
	Maglev                        // consistent hashing by a table of equal shares
)

func (a Algorithm) String() string {
	return [...]string{"round_robin", "random", "least_request", "peak_ewma", "ring_hash", "maglev"}[a]
}

// Hashes reports whether a request's hash decides.
func (a Algorithm) Hashes() bool { return a == RingHash || a == Maglev }

// CountsLoad reports whether Options.Load is called, so that it must be counted.
func (a Algorithm) CountsLoad(hashBalanceFactor int) bool {
	return a == LeastRequest || a == PeakEWMA || a.Hashes() && hashBalanceFactor > 0
}

// Balancer picks indexes of the list that it was made for.
type Balancer interface {
	// Pick returns the index to use next, or -1 when there is none. r may be nil: no
	// hash, nothing excluded. r.Exclude is called at most 2n + 64 times for a
	// list of n.
	Pick(r *Request) int
}

// Request is what a pick depends on. Picking keeps nothing of it, but through
// the interface it would be allocated each time: callers keep one to fill in.
type Request struct {
	// Hash, if HasHash, decides the endpoint with RingHash and Maglev; a request
	// without one gets an endpoint at random. The other algorithms do not look at it.
	Hash    uint64
	HasHash bool
	// Exclude, if not nil, tells which endpoints must not be picked (those
	// that were tried already).
	Exclude func(i int) bool
}

func (r *Request) excluded() func(i int) bool {
	if r == nil {
		return nil
	}
	return r.Exclude
}

// Options describe the list and the worker.
type Options struct {
	Settings
	// Table is what NewTable made of the list with the same algorithm and
	// options; nil: New makes it.
	Table *Table

	// Weights has one entry an endpoint; 0 counts as 1. The slice is kept.
	Weights []uint32
	// Even, if not 0, is what all weights are known to be: NewTable does not look at them.
	Even uint32
	// Key is what RingHash and Maglev place endpoint i by: its address, or what was
	// configured instead. It must be the same for the endpoint in every list
	// and different for each. Only NewTable calls it.
	Key func(i int) string

	// Whole and Where, if set, say that the list is a part of a longer one: Whole is the
	// Table of that, with the same algorithm and settings, and Where has one entry for each of its
	// endpoints: the index in this list, or -1. RingHash and Maglev need nothing else
	// then: the hashes of who is not there go on to others, and all others stay.
	// Where is kept; nil: all are there, in the same order.
	Whole *Table
	Where []int32

	// Choices is how many endpoints LeastRequest and PeakEWMA compare; less than 2 is 2.
	Choices int
	// HashBalanceFactor, in percent, bounds an endpoint's requests under way to
	// that share of its part by weight, with RingHash and Maglev; 0: no bound.
	HashBalanceFactor int

	// Load is the number of requests under way at endpoint i, and Total that of all
	// endpoints together. See CountsLoad for who needs them; Total is for bounded hashing.
	Load  func(i int) int64
	Total func() int64
	// Latency is what is known of endpoint i's response times; PeakEWMA needs it.
	Latency func(i int) *Latency
	// Now is the time, in nanoseconds, of the clock that latencies are observed by.
	Now func() int64

	// Seed decides where a worker begins and what is random in it. Workers
	// must have different seeds, or all would begin at the same endpoint.
	Seed uint64
}

// New makes a balancer for the list that o describes. An unknown algorithm is
// RoundRobin.
func New(algorithm Algorithm, o Options) Balancer {
	if len(o.Weights) == 0 {
		return none{}
	}
	if o.Table == nil {
		o.Table = NewTable(algorithm, o)
	}
	source := rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15)
	switch algorithm {
	case Random:
		return newRandom(&o, source)
	case LeastRequest:
		return newLeastRequest(&o, source)
	case PeakEWMA:
		return newPeakEWMA(&o, source)
	case RingHash, Maglev:
		return newHashed(&o, source)
	}
	return newRoundRobin(&o, source)
}

// none balances an empty list.
type none struct{}

func (none) Pick(*Request) int { return -1 }

// weight is the effective weight of endpoint i.
func (o *Options) weight(i int) uint64 { return uint64(max(o.Weights[i], 1)) }

// keys are all endpoints' keys.
func (o *Options) keys() []string {
	keys := make([]string, len(o.Weights))
	for i := range keys {
		keys[i] = o.Key(i)
	}
	return keys
}

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
