// Package ledger answers one question: is an endpoint still used here? It holds
// what is said of an endpoint, and judges it: what each worker has there, what
// the clusters say of it, and whether it is gone.
package ledger

import "time"

// Seconds is a duration as it is told: in seconds.
type Seconds time.Duration

// Holding is what one worker has at an endpoint's address for one cluster.
type Holding struct {
	Cluster string `json:"cluster"`
	// Hosts is the version of the cluster's host set that the worker uses.
	Hosts uint64 `json:"hosts"`
	// Pickable tells that a request may come to be there: the endpoint is one that
	// the worker's balancer chooses from.
	Pickable bool `json:"pickable"`
	// Streams are tries on the endpoint or on their way to it: requests, retries
	// and hedges, tunnels and WebSockets, over any version of HTTP.
	Streams int `json:"streams"`
	// Connections are open or being made; Idle of them carry no stream.
	Connections int `json:"connections"`
	Idle        int `json:"idle"`
	// Oldest is for how long the stream that came first has been there; 0 without streams.
	Oldest Seconds `json:"oldest_seconds"`
}
