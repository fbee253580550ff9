package cluster

import (
	"math"
	"net/netip"
	"slices"

	"longmen/gateway/cluster/balance"
)

// HostSet is what a cluster consists of at one moment. It never changes; a
// change makes a new one, so that workers notice it by comparing pointers. What a
// change does not concern is the same in the next one: Selections, Groups and their
// slices.
type HostSet struct {
	// Endpoints are all endpoints, in the order of the configuration, those of
	// one name in the order of their addresses.
	Endpoints []*Endpoint
	// All is what requests get that ask for no labels.
	All *Selection
	// Panic tells that too few endpoints are healthy to leave out the others, in
	// some priority of All.
	Panic bool
	// Available is All's: the part of the cluster's requests that its usable endpoints can take, 0 to 1,
	// over all priorities, overprovisioning included. The rest is for those it fails over to.
	Available float64
	// Version counts the host sets of the clusters of one name.
	Version uint64
	// Removed counts the endpoints that have gone from the clusters of one name.
	Removed uint64

	serves     bool        // some group that gets requests has an endpoint
	removed    []*Endpoint // the last of them, the newest last
	found      map[key]*Endpoint
	subsets    *subsets // nil: none
	selections []*Selection
}

// noHosts is that of a cluster that has ended before anybody looked at it.
func noHosts() *HostSet {
	all := &Selection{}
	return &HostSet{All: all, selections: []*Selection{all}}
}

// Selection is the endpoints that requests of one kind may get, in groups.
type Selection struct {
	// Groups are the priorities' in order, and in a priority the localities'. A group
	// without a share is there for tries after the first.
	Groups []*Group
	// Shares has one entry a group: its part of the requests; they sum to 1, or to 0 if no endpoint can
	// be used.
	Shares []float64
	// Available is the part of the requests, 0 to 1, that usable endpoints can take.
	Available float64

	ends   []uint32 // where each group's part of [0, 2^32) ends
	levels []levelShare
}

// levelShare is what is left of a priority's calculation, for tries after the first.
type levelShare struct {
	priority int
	health   float64
	of       []float64 // its groups' shares of it
}

// Group is endpoints that one balancer picks from.
type Group struct {
	Priority int
	Locality Locality // zero: several, or not told apart
	// Usable are those that new requests may go to: healthy, not ejected, not draining;
	// or in panic all that are not draining. A balancer's indexes are its.
	Usable List
	// Weights has one entry for each of Usable, at least 1. With slow start they are
	// hundredfold.
	Weights []uint32
	// Table is what the cluster's algorithm makes of them.
	Table *balance.Table
	// Endpoints is how many there are, usable or not; draining ones are not counted.
	Endpoints int
	Panic     bool

	key  uint64 // for consistent choice
	even uint32 // not 0: what all Weights are
}

// Usable are the usable endpoints of all groups that get requests, in the order of
// Endpoints.
func (h *HostSet) Usable() []*Endpoint {
	usable := map[*Endpoint]bool{}
	for i, g := range h.All.Groups {
		if h.All.Shares[i] > 0 {
			for e := range g.Usable.All() {
				usable[e] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(h.Endpoints), func(e *Endpoint) bool { return !usable[e] })
}

// Find returns the endpoint of that address, or nil.
func (h *HostSet) Find(at netip.AddrPort) *Endpoint {
	if e := h.found[key{address: at}]; e != nil || len(h.Endpoints) > 1 {
		return e
	}
	for _, e := range h.Endpoints { // the name of LogicalDNS, which is the only one
		if e.Address() == at {
			return e
		}
	}
	return nil
}

// Since returns the endpoints that have gone since Removed had that value; ok is
// false when they are not known any more.
func (h *HostSet) Since(removed uint64) (gone []*Endpoint, ok bool) {
	n := h.Removed - removed
	if n > uint64(len(h.removed)) {
		return nil, false
	}
	return h.removed[uint64(len(h.removed))-n:], true
}

// At returns the index of the group that a number, even over [0, 2^32), falls to; -1 when
// there is none.
func (s *Selection) At(n uint32) int {
	for i, end := range s.ends {
		if n < end || end == math.MaxUint32 {
			return i
		}
	}
	return -1
}

// Hashed returns the index of the group that a hash belongs to, or -1. A group that gets another
// share takes or gives only what is more or less of that (rendezvous hashing,
// weighted by Schindelhauer and Schomaker's logarithmic method).
func (s *Selection) Hashed(hash uint64) int { return hashed(s.Groups, s.Shares, hash) }

func hashed(groups []*Group, shares []float64, hash uint64) int {
	best, least := -1, math.Inf(1)
	for i, share := range shares {
		if share <= 0 {
			continue
		}
		u := float64(mix(hash^groups[i].key)>>11|1) / (1 << 53)
		if score := -math.Log(u) / share; score < least {
			best, least = i, score
		}
	}
	return best
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// MostPriorities bounds EndpointConfig.Priority: it is less.
const MostPriorities = 128

// Without returns the groups' shares as they are without the priorities that without tells of,
// in shares' memory; ok is false when no other can take anything.
func (s *Selection) Without(without func(priority int) bool, shares []float64) (_ []float64, ok bool) {
	var health [MostPriorities]float64
	total := 0.0
	for i := range s.levels {
		if l := &s.levels[i]; !without(l.priority) {
			health[i] = l.health
			total += l.health
		}
	}
	if total == 0 {
		return nil, false
	}
	shares, left := shares[:0], 1.0
	for i := range s.levels {
		load := min(left, health[i]/min(total, 1))
		left -= load
		for _, of := range s.levels[i].of {
			shares = append(shares, load*of)
		}
	}
	return shares, true
}

// newSelection closes the shares to a selection.
func newSelection(groups []*Group, shares []float64, available float64, levels []levelShare) *Selection {
	s := &Selection{Groups: groups, Shares: shares, Available: available, levels: levels}
	total := 0.0
	for _, share := range shares {
		total += share
	}
	if total == 0 {
		return s
	}
	s.ends = make([]uint32, len(shares))
	sum, last := 0.0, 0
	for i := range shares {
		shares[i] /= total
		sum += shares[i]
		s.ends[i] = uint32(min(sum*(1<<32), math.MaxUint32-1))
		if shares[i] > 0 {
			last = i
		}
	}
	for i := last; i < len(s.ends); i++ {
		s.ends[i] = math.MaxUint32
	}
	return s
}

// same tells that workers need not learn of the difference, if there is any.
func (s *Selection) same(other *Selection) bool {
	if len(s.Groups) != len(other.Groups) || s.Available != other.Available {
		return false
	}
	for i, g := range s.Groups {
		if s.Shares[i] != other.Shares[i] || !g.same(other.Groups[i]) {
			return false
		}
	}
	return true
}

// Among returns the index of a group by other shares than the selection's, which sum to 1: by the hash
// if hashes is set, else by a number even over [0, 2^32); -1 when there is none.
func (s *Selection) Among(shares []float64, n uint32, hash uint64, hashes bool) int {
	if hashes {
		return hashed(s.Groups, shares, hash)
	}
	left, last := float64(n)/(1<<32), -1
	for i, share := range shares {
		if share <= 0 {
			continue
		}
		if left -= share; left < 0 {
			return i
		}
		last = i
	}
	return last
}

// Picks tells whether the endpoint is one that new requests may go to. It looks at all
// of them.
func (h *HostSet) Picks(e *Endpoint) bool {
	for _, s := range h.selections {
		for _, g := range s.Groups {
			for other := range g.Usable.All() {
				if other == e {
					return true
				}
			}
		}
	}
	return false
}
