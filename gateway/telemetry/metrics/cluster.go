package metrics

import "longmen/gateway/stream"

// ClusterStats is what one worker counts for one cluster.
type ClusterStats struct {
	_ cacheLine

	Connections       Counter // made
	ConnectionsActive Gauge   // open, idle ones included
	ConnectionsIdle   Gauge   // kept alive in the pool
	ConnectFailures   Counter // refused, unreachable, out of ports
	ConnectTimeouts   Counter
	ConnectDuration   Histogram

	RequestsActive  Gauge
	RequestsPending Gauge                         // wait for a connection
	Requests        ByClass                       // tries, by what the endpoint answered; "none": it did not
	Duration        Histogram                     // try sent to last byte of its response
	Retries         Counter                       // tries after the first
	Hedges          Counter                       // of those, tries beside others
	RetryEnds       [stream.RetryEndCount]Counter // requests whose last try failed, and that were not tried again although their route asks for it
	Timeouts        [UpstreamTimeoutCount]Counter
	Overflows       [LimitCount]Counter  // requests refused by a limit
	Resets          Counter              // connections that the endpoint ended before the response was complete
	ProtocolErrors  Counter              // responses that break the protocol's rules
	Onward          [OnwardCount]Counter // requests that went on to another cluster
	TLS             UpstreamTLSStats
	HTTP2           UpstreamHTTP2Stats
	Traffic         // with endpoints

	_ cacheLine
}

// UpstreamTimeout is a limit of time that an endpoint ran into.
type UpstreamTimeout uint8

// The kinds.
const (
	UpstreamTimeoutRoute    UpstreamTimeout = iota // the route's timeout, all tries included
	UpstreamTimeoutTry                             // the route's per_try
	UpstreamTimeoutResponse                        // the cluster's response_timeout
	UpstreamTimeoutIdle                            // no byte in either direction
	UpstreamTimeoutCall                            // the deadline that a gRPC client set
	UpstreamTimeoutTryIdle                         // the route's per_try_idle
	UpstreamTimeoutCount                           // how many there are
)

func (t UpstreamTimeout) String() string {
	return [...]string{"route", "try", "response", "idle", "call", "try_idle"}[t]
}

// Limit is a cluster's limit (its circuit breakers).
type Limit uint8

// The limits.
const (
	LimitConnections Limit = iota
	LimitPending
	LimitRequests
	LimitRetries
	LimitCount // how many there are
)

func (l Limit) String() string {
	return [...]string{"connections", "pending", "requests", "retries"}[l]
}

// Onward is why a request went on to another cluster than its route's.
type Onward uint8

// The reasons.
const (
	OnwardStandby  Onward = iota // the cluster is in standby
	OnwardFailover               // its healthy endpoints cannot take all requests
	OnwardRetry                  // none of its endpoints could be reached by the request
	OnwardCount                  // how many there are
)

func (o Onward) String() string { return [...]string{"standby", "failover", "retry"}[o] }
