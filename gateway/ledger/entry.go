package ledger

import (
	"net/netip"
	"time"
)

// State is what becomes of new requests for an endpoint.
type State string

// The states, the ones in which requests go there first.
const (
	Serving   State = "serving"   // requests go to it
	Ejected   State = "ejected"   // passed over for its errors; it comes back by itself
	Unhealthy State = "unhealthy" // its checks fail; it comes back when they pass, or in a panic
	Draining  State = "draining"  // it is configured to get no new request
	Leaving   State = "leaving"   // no cluster has it, and something is there still
	Departed  State = "departed"  // it was there, and nothing is left
	Unknown   State = "unknown"   // no cluster has it, or had it as far as is remembered
)

// rank orders the states by how much of the endpoint is in use.
func (s State) rank() int {
	for i, other := range [...]State{Unknown, Departed, Leaving, Draining, Unhealthy, Ejected, Serving} {
		if s == other {
			return i
		}
	}
	return 0
}

// Entry is what the ledger says of one endpoint.
type Entry struct {
	Endpoint netip.AddrPort `json:"endpoint"`
	// Gone tells that no worker can pick the endpoint any more, and no stream is on
	// it: it may be stopped.
	Gone bool `json:"gone"`
	// State is the one of all clusters' in which most of it is in use.
	State State `json:"state"`
	// Held says in a line what still holds the endpoint; "" when it is gone.
	Held string `json:"held,omitempty"`
	// Streams, Connections, Idle and Oldest are over all workers and clusters.
	Streams     int     `json:"streams"`
	Connections int     `json:"connections"`
	Idle        int     `json:"idle"`
	Oldest      Seconds `json:"oldest_seconds"`

	Configuration Configuration `json:"configuration"`
	Clusters      []Standing    `json:"clusters"`
	Workers       []Worker      `json:"workers"`
}

// Configuration says which versions of the configuration there are.
type Configuration struct {
	Received string `json:"received"` // the last that was to be applied
	InUse    string `json:"in_use"`   // the last that every worker took; "": none yet
}

// Standing is what the endpoint is to one cluster.
type Standing struct {
	Cluster string `json:"cluster"`
	State   State  `json:"state"`
	// Hosts is the version of the cluster's host set; 0 when the cluster is gone.
	Hosts  uint64 `json:"hosts,omitempty"`
	Origin string `json:"origin,omitempty"` // where the endpoint is written
	// Left is when the cluster let go of the endpoint; zero while it has it.
	Left time.Time `json:"left,omitzero"`
}

// Worker is what one worker says.
type Worker struct {
	ID int `json:"worker"`
	// Silent tells that the worker did not answer in time; nothing else is known then.
	Silent bool `json:"silent,omitempty"`
	// Configuration is the version that streams begin with on the worker, and
	// Current whether that is the one in use everywhere.
	Configuration string `json:"configuration"`
	Current       bool   `json:"current"`
	// Hosts has the versions of host sets that the worker uses, of the clusters
	// that the endpoint stands in, or stood in.
	Hosts    map[string]uint64 `json:"hosts,omitempty"`
	Holdings []Holding         `json:"holdings,omitempty"`
}
