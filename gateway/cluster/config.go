// Package cluster holds the endpoints of the services that requests go to, and
// what is known of their health. It is shared by all workers and read without
// locks; the connections themselves belong to each worker (package upstream).
package cluster

import (
	"net/netip"
	"time"
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
	// PanicThreshold: when less than this percent of the endpoints is healthy,
	// all are used. 0 turns it off. Default 0: no healthy endpoint is a 503.
	PanicThreshold int

	Health []HealthConfig

	ConnectTimeout time.Duration // default 5 s
	// ResponseTimeout bounds the wait for a response head after the request
	// was sent; 0: none (the route's timeout bounds it).
	ResponseTimeout time.Duration

	Limits Limits
	Pool   Pool
	TCP    TCP
}

// Discovery is where endpoints come from.
type Discovery uint8

// The kinds of discovery.
const (
	Static Discovery = iota
	// StrictDNS: every address of every name is an endpoint.
	StrictDNS
	// LogicalDNS: the first address is used for new connections only.
	LogicalDNS
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
}

// DNSConfig bounds re-resolution.
type DNSConfig struct {
	Refresh    time.Duration // when TTLs are not respected or absent; default 5 s
	RespectTTL bool
	MinRefresh time.Duration // lower bound for TTLs; default 1 s
	Family     Family
	Resolvers  []netip.AddrPort // empty: the system's
}

// Family restricts the addresses used.
type Family uint8

// The families.
const (
	AutoFamily Family = iota // IPv6 and IPv4 as the resolver orders them
	V4Only
	V6Only
)

// Balance is a balancing algorithm.
type Balance uint8

// The algorithms of package balance.
const (
	RoundRobin   Balance = iota // smooth weighted
	Random                      // weighted
	LeastRequest                // weighted, best of Choices
)

// HealthConfig is one active health check. Exactly one of HTTP and TCP is set.
type HealthConfig struct {
	HTTP *HTTPHealth
	TCP  *TCPHealth

	Every     time.Duration // default 5 s
	Timeout   time.Duration // default 1 s
	Jitter    time.Duration // random addition to Every
	Healthy   int           // successes in a row until an endpoint is up; default 2
	Unhealthy int           // failures in a row until it is down; default 3
}

// HTTPHealth expects a status from GET (or another method) of a path.
type HTTPHealth struct {
	Path      string
	Host      string // Host header; "" is the endpoint's name or address
	Method    string // default GET
	Low, High int    // accepted statuses: Low <= status < High; default 200..300
	Headers   map[string]string
	Expect    []byte // text that the first 64 KiB of the body must contain; empty: not read
}

// TCPHealth connects, sends Send if any, and expects the answer to contain Receive.
type TCPHealth struct {
	Send    []byte
	Receive []byte
}

// Limits are circuit breakers over all workers; 0 means no limit.
type Limits struct {
	Connections int
	Pending     int // requests that wait for a connection; default 1024
	Requests    int // requests at once
	Retries     int // retries at once; default 3
}

// Pool bounds the keep-alive connections.
type Pool struct {
	Idle        int           // idle connections kept for an endpoint by each worker; default 128
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
