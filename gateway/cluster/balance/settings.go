package balance

import "time"

// Settings are what a cluster's configuration says of its algorithm. What is zero
// has the default that its comment gives.
type Settings struct {
	LeastRequest LeastRequestSettings
	PeakEWMA     PeakEWMASettings
	RingHash     RingHashSettings
	Maglev       MaglevSettings
}

// LeastRequestSettings are those of LeastRequest
// (extensions.load_balancing_policies.least_request.v3).
type LeastRequestSettings struct {
	// FullScan compares all endpoints instead of Choices (selection_method
	// FULL_SCAN): the cost of a pick grows with the list.
	FullScan bool
	// Biased, with unequal weights, takes endpoints in turn by the weight
	// w / (requests under way + 1) ^ Bias, as Envoy does with active_request_bias, instead of
	// comparing some. Bias is at least 0, which is plain weighted round robin.
	Biased bool
	Bias   float64
}

// PeakEWMASettings are those of PeakEWMA.
type PeakEWMASettings struct {
	// Decay is the time in which what is remembered of a response time shrinks to 1/e. 0 is
	// the default, 10 s; not less than 10 ms.
	Decay time.Duration
}

// RingHashSettings are those of RingHash (extensions.load_balancing_policies.ring_hash.v3).
type RingHashSettings struct {
	// MinSize and MaxSize bound the number of points on the ring. Without
	// them each endpoint has about 512 for its weight, and a list of more than 256
	// fewer. MaxSize counts before MinSize; only that every endpoint has one point
	// counts more. 0: no bound but MaxRingSize.
	MinSize, MaxSize uint64
	Hash             HashFunction
}

// HashFunction places points on the ring.
type HashFunction uint8

// The functions.
const (
	XXHash  HashFunction = iota // XXH64
	Murmur2                     // MurmurHash64A, as std::hash of GNU's libstdc++
)

// MaglevSettings are those of Maglev (extensions.load_balancing_policies.maglev.v3).
type MaglevSettings struct {
	// TableSize is a prime, at most MaxMaglevSize, and should be 100 times the number of
	// endpoints or more. 0 is the default, DefaultMaglevSize.
	TableSize uint64
}

// Bounds of table sizes, which are Envoy's.
const (
	DefaultMaglevSize = 65537
	MaxMaglevSize     = 5000011
	MaxRingSize       = 8 << 20
)
