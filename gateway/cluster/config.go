// Package cluster holds the endpoints of the services that requests go to, and
// what is known of their health. It is shared by all workers and read without
// locks; the connections themselves belong to each worker (package upstream).
package cluster

import (
	"net/netip"
	"time"

	"longmen/gateway/cluster/balance"
	"longmen/gateway/cluster/dns"
	"longmen/gateway/cluster/health"
	"longmen/gateway/cluster/outlier"
	"longmen/gateway/standby"
	"longmen/tls/client"
)

// Config is a Cluster resource and its ClusterLoadAssignment, compiled.
type Config struct {
	Name   string
	Origin string // file:line:column, or resource type, name and version
	// Hash identifies the content of the resources: a cluster with an equal
	// hash is kept, with its endpoints' health and its connections.
	Hash uint64

	Discovery Discovery
	Endpoints []EndpointConfig
	DNS       DNSConfig

	Balance Balance
	// Choices is how many endpoints LeastRequest compares; at least 2.
	Choices int
	// Balancing are the settings of the algorithms.
	Balancing balance.Settings
	// PanicThreshold: when less than this percent of the endpoints is healthy,
	// all are used: of a priority, when all priorities together cannot take all requests.
	// 0 turns it off. Default 0: no healthy endpoint is a 503.
	PanicThreshold int
	// HashBalanceFactor, in percent, bounds what an endpoint gets of hashed requests to that
	// many hundredths of the mean; others that the hash decides take what is above
	// (consistent_hashing_lb_config.hash_balance_factor). At least 100; 0: no bound.
	HashBalanceFactor int

	Spread              Spread
	SlowStart           SlowStart
	Subsets             *Subsets            // nil: none
	OriginalDestination OriginalDestination // with that Discovery

	Health  []HealthConfig
	Outlier *outlier.Config // nil: none

	ConnectTimeout time.Duration // default 5 s
	// ResponseTimeout bounds the wait for a response head after the request
	// was sent; 0: none (the route's timeout bounds it).
	ResponseTimeout time.Duration

	Limits         Limits // of requests of default priority
	HighLimits     Limits // of those of high priority (core.v3.RoutingPriority)
	EndpointLimits EndpointLimits
	// TrackRemaining shows in metrics what is left of Limits and HighLimits (track_remaining).
	TrackRemaining bool

	// Standby, if not nil, lets the cluster keep a share of its requests and forward
	// the rest to another cluster, switched live.
	Standby *standby.Config
	// Failover names the clusters, in their order, that take what this one's healthy
	// endpoints cannot: as if their endpoints were of lower priorities (Envoy's aggregate
	// cluster). Other gateways, mostly. At most MostFailover, each once, and not the cluster
	// itself; theirs are not followed.
	Failover []string
	// LoopGuard says whether requests to the cluster carry the gateway's token in CDN-Loop.
	LoopGuard LoopGuard
	// Peer is the token of the gateway that the cluster leads to (its loop_guard id): a request
	// that has been there already is not sent there again by failover. "": not known.
	Peer string

	Pool Pool
	TCP  TCP
	TLS  *client.Config // nil: plain

	Protocol Protocol
	HTTP2    HTTP2
}

// CountsActive tells whether Endpoint.Active is to be counted.
func (c *Config) CountsActive() bool {
	return c.Balance.CountsLoad(c.HashBalanceFactor) || c.EndpointLimits.Requests > 0
}

// Protocol is what is spoken to the endpoints.
type Protocol uint8

// The protocols.
const (
	HTTP1 Protocol = iota
	// HTTP2 alone: over TLS the server must choose "h2" (RFC 7301), and without TLS
	// it must know HTTP/2 beforehand (RFC 9113 section 3.3).
	HTTP2Only
	// AutoProtocol takes what the server chooses over TLS, for each connection; without TLS
	// it is HTTP/1.
	AutoProtocol
)

func (p Protocol) String() string { return [...]string{"http/1.1", "h2", "auto"}[p] }

// HTTP2 bounds connections of HTTP/2. Zero means the default.
type HTTP2 struct {
	// MaxStreams is how many streams one connection carries at once, if the server
	// allows as many; default 100.
	MaxStreams int
	// MaxConnections is how many connections each worker has to one endpoint; a
	// stream that finds no room on them waits. Default 0: as many as the cluster's limit allows.
	MaxConnections int

	// StreamWindow and ConnWindow are how many bytes a server may send before
	// they are read (RFC 9113 section 5.2), in the beginning; MaxWindow is what a stream's
	// window may grow to. Defaults 64 KB, 1 MB and 4 MB.
	StreamWindow, ConnWindow, MaxWindow int
	// HeaderTable bounds each HPACK table, in bytes (RFC 7541 section 4.2); default 4096.
	HeaderTable int

	// PingInterval is after how long without a sign of life the server is asked for
	// one, while streams are open, and PingTimeout how long it may take to
	// answer; 0: it is not asked. Default timeout 15 s.
	PingInterval, PingTimeout time.Duration
}

// Discovery is where endpoints come from.
type Discovery uint8

// The kinds of discovery.
const (
	Static Discovery = iota
	// StrictDNS: every address of every name is an endpoint.
	StrictDNS
	// LogicalDNS: every name is one endpoint; new connections go to its first
	// address, and connections to addresses before stay in use.
	LogicalDNS
	// OriginalDst: the endpoint is where the request's connection was going.
	OriginalDst
)

// EndpointConfig is one address as configured.
type EndpointConfig struct {
	Host   string // IP address, or name with DNS discovery
	Port   uint16
	Weight uint32 // at least 1
	// Hostname is what health checks and (if asked for) requests send as Host.
	Hostname string
	Draining bool // gets no new requests
	Origin   string

	// Priority 0 is used first; of the next ones as much as those before cannot take. At most 127.
	Priority int
	Locality Locality
	// LocalityWeight is the weight of the endpoint's locality within its priority, the
	// same for all of it; 0: it gets no requests with LocalityWeighted.
	LocalityWeight uint32
	Labels         []Label // for Subsets; sorted by key
	// HashKey takes the place of the address in ring hash and Maglev ("envoy.lb" hash_key, or
	// the host name with use_hostname_for_hashing).
	HashKey string
	// HealthHost and HealthPort are where health checks go instead (health_check_config);
	// "" and 0: the endpoint's own.
	HealthHost string
	HealthPort uint16
	// HealthHostname is the Host field of checks, before what Config.Health says
	// (health_check_config.hostname); "": that, or Hostname.
	HealthHostname string
	// Unchecked endpoints are not checked by Config.Health
	// (health_check_config.disable_active_health_check).
	Unchecked bool
	// Down marks what the source says is not healthy (health_status UNHEALTHY or TIMEOUT): it gets
	// requests in panic only.
	Down bool
}

// DNSConfig bounds re-resolution.
type DNSConfig = dns.Config

// Family restricts the addresses used.
type Family = dns.Family

// The families.
const (
	AutoFamily = dns.AutoFamily // IPv6 and IPv4, as far as the machine has routes
	V4Only     = dns.V4Only
	V6Only     = dns.V6Only
)

// Balance is a balancing algorithm.
type Balance = balance.Algorithm

// The algorithms of package balance.
const (
	RoundRobin   = balance.RoundRobin   // smooth weighted
	Random       = balance.Random       // weighted
	LeastRequest = balance.LeastRequest // weighted, best of Choices
	PeakEWMA     = balance.PeakEWMA     // least expected wait, weighted, best of Choices
	RingHash     = balance.RingHash
	Maglev       = balance.Maglev
)

// HealthConfig is one active health check. Exactly one of HTTP, GRPC and TCP is set.
// An endpoint with several checks is up when none of them says down.
type HealthConfig = health.Config

// HTTPHealth expects a status from GET (or another method) of a path.
type HTTPHealth = health.HTTP

// Statuses is a range of HTTP statuses: Low <= status < High.
type Statuses = health.Statuses

// The protocols of HTTPHealth.
const (
	ClusterCodec = health.ClusterCodec // HTTP/2 to a cluster of HTTP/2 alone, else HTTP/1.1
	HTTP1Codec   = health.HTTP1Codec
	HTTP2Codec   = health.HTTP2Codec
)

// GRPCHealth asks grpc.health.v1.Health whether a service is SERVING.
type GRPCHealth = health.GRPC

// TCPHealth connects, sends Send if any, and expects the answer to contain Receive.
type TCPHealth = health.TCP

// Limits are circuit breakers over all workers; 0 means no limit.
type Limits struct {
	Connections int
	Pending     int // requests that wait for a connection; default 1024
	Requests    int // requests at once
	Retries     int // retries at once; default 3
	// RetryBudget, if not nil, stands in place of Retries.
	RetryBudget *RetryBudget
	// PendingTimeout is how long a request waits for a connection, or for a place at an
	// endpoint, before it is answered with 503; 0: as long as its own timeouts let it.
	PendingTimeout time.Duration
}

// Pool bounds the keep-alive connections.
type Pool struct {
	Idle        int           // idle connections kept for an endpoint by each worker; default 1024
	IdleTimeout time.Duration // default 60 s
	MaxRequests int           // requests on one connection; 0: no limit
	MaxAge      time.Duration // 0: none
}

// TCP are socket options of upstream connections.
type TCP struct {
	KeepaliveIdle, KeepaliveInterval time.Duration // 0: off
	KeepaliveProbes                  int
	Source                           netip.Addr // local address to bind; zero: the kernel's choice
}
