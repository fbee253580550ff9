package upstream

import (
	"net/netip"

	"longmen/gateway/cluster"
)

// Pick is what a request asks of the endpoint that it goes to; the zero value asks for
// nothing.
type Pick struct {
	// Hash, if HasHash, decides among endpoints where the algorithm goes by hashes (ring hash,
	// Maglev), and among groups of endpoints with those.
	Hash    uint64
	HasHash bool
	// High is the priority that the request counts against the cluster's limits with.
	High bool
	// Match are labels that the endpoint must have; nil: none. See cluster.Subsets.
	Match *cluster.Match
	// Override is the address of the endpoint to use, if it is one of the cluster's and may be used (a
	// sticky session, override_host); the zero value is none. The first try goes there, others elsewhere.
	Override netip.AddrPort
	// Strict: when Override cannot be used, no other endpoint is.
	Strict bool
	// Destination is where the connection was going, for cluster.OriginalDst.
	Destination netip.AddrPort
	// OtherPriorities, if above 0, leaves out the priorities of the endpoints that were tried, as far as
	// others are there; they are looked at anew after as many tries
	// (previous_priorities.update_frequency).
	OtherPriorities int
}
