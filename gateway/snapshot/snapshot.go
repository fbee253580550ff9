// Package snapshot turns resources into the immutable form that workers serve
// from. It checks every reference, fills in defaults and compiles matchers;
// its errors are what `longmen check` prints and what a NACK carries.
package snapshot

import (
	"net/netip"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/filter"
	"longmen/gateway/resource"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/tls/acme"
	"longmen/tls/openssl"
	"longmen/tls/server"
	"longmen/tls/ticket"
	"longmen/tls/verify"
)

// Snapshot is one version of the configuration. Nothing in it changes once it
// is made, and equal parts are shared with the snapshot before it.
type Snapshot struct {
	Version   string // short hash of all resources
	Listeners []*Listener
	// Clusters is indexed by router.ClusterRef.Slot; nil where none is. A name
	// keeps its slot from snapshot to snapshot. When it goes, its slot is nil in
	// the next one, and free for another name in those after that: who looks into
	// the clusters of a later snapshot than that of the route compares names.
	Clusters []*cluster.Cluster
	// ClusterSlots finds the slot of each cluster by its name.
	ClusterSlots map[string]int
	Warnings     resource.Problems
	// Orders are the certificates that ACME is to order and renew. Those that have
	// been issued are among the listeners'.
	Orders []acme.Order

	tables     map[string]*table    // by path: "routes.public", "listeners.http.routes"
	secrets    map[string]*secret   // by name
	files      map[string]fileState // by name: all that resources name
	filters    map[string]compiledFilter
	clusterTLS map[string]clientTLS // by the cluster's name
	policies   map[policyKey]*policy
	tickets    *ticket.Source // of those who name no keys: random, and the same in all snapshots of a chain

	stickyKey *router.StickyKey // of sessions without keys of their own; the same in all snapshots of a chain

	refusedPINs *openssl.RefusedPINs // by tokens; the same in all snapshots of a chain
}

// Listener is one compiled listener.
type Listener struct {
	Name   string
	Origin string
	Hash   uint64 // of the resource without its routes, and of the files that it names
	Binds  []netip.AddrPort
	Socket Socket
	HTTP   HTTP
	TLS    *server.Config // nil: plain
	Routes *router.Table
	// BypassOverload keeps the overload manager from refusing what comes here.
	BypassOverload bool
	// Chains are the filters of each route, by its Index; nil when neither the
	// listener nor any route has one. Unrouted are those of requests that no route
	// matches.
	Chains   []filter.Chain
	Unrouted filter.Chain
	// RoutesHash is of what the routes say, wherever it is written.
	RoutesHash uint64
	// RoutesName is the name of the route table, "" when its routes stand in
	// the listener itself.
	RoutesName string
	// TLSHash is of what TLS is made of, the contents of files too; 0 is plain.
	TLSHash uint64
	// Fingerprints says that a log, or a route's header edits, tell of the
	// fingerprints of clients' ClientHellos.
	Fingerprints bool
}

// Socket are the options that need the listening socket opened anew when they
// change.
type Socket struct {
	Backlog                          int  // default 4096
	FastOpen                         int  // TCP_FASTOPEN queue; 0: off
	Transparent                      bool // IP_TRANSPARENT
	FreeBind                         bool
	V6Only                           bool
	NoDelay                          bool          // of accepted connections; default true
	KeepaliveIdle, KeepaliveInterval time.Duration // 0: off
	KeepaliveProbes                  int
}

// HTTP are the settings of a listener's HTTP connections.
type HTTP struct {
	MaxConnections int // over all workers; 0: no limit
	AcceptRate     int // new connections a second over all workers; 0: no limit

	MaxClientConnections int // of one client (an IPv4 address, a /64 of IPv6), over all workers; 0: no limit
	MaxActiveRequests    int // at once over all workers (503); 0: no limit

	MaxHead    int   // bytes of a request head (431); default 60 KiB
	MaxHeaders int   // fields (431); default 100
	MaxLine    int   // bytes of the request line (414); default 8 KiB
	MaxBody    int64 // bytes (413); 0: no limit

	HeaderTimeout                   time.Duration // 408; default 10 s
	BodyTimeout                     time.Duration // between two pieces; default 30 s
	WriteTimeout                    time.Duration // default 30 s
	IdleTimeout                     time.Duration // between requests; default 60 s
	StreamIdle                      time.Duration // no byte in either direction; default 5 min
	RequestTimeout                  time.Duration // whole request received; 0: none
	MinRequestRate, MinResponseRate int           // bytes/s; 0: off
	RateGrace                       time.Duration
	MaxRequests                     int // on one connection; 0: no limit
	AbortOnHalfClose                bool

	Protocols Protocols // default both
	HTTP2     HTTP2

	Path router.PathPolicy

	// Forwarding headers.
	TrustedHops         int    // X-Forwarded-For entries from the right that are ours
	UseRemote           bool   // append the peer's address to X-Forwarded-For
	Via                 string // pseudonym; "" sends none
	Forwarded           bool   // RFC 7239 too
	RequestID           RequestIDPolicy
	RequestIDInResponse bool
	ClientCert          verify.Forwarding // what happens to X-Forwarded-Client-Cert
	ClientCertDetails   verify.Details    // what ours says, where ours is written
	ServerHeader        ServerHeader
	ServerName          string

	Upgrades  []string // protocols that may become tunnels on every route
	AccessLog []AccessLog
}

// RequestIDPolicy says what happens to X-Request-Id.
type RequestIDPolicy uint8

// The policies.
const (
	RequestIDGenerate RequestIDPolicy = iota // always a new one
	RequestIDPreserve                        // the client's if it sent one, else a new one
	RequestIDOff
)

// ServerHeader says what happens to a response's Server field.
type ServerHeader uint8

// The policies.
const (
	ServerKeep ServerHeader = iota // upstream's; ours on local replies
	ServerSet                      // always ours
	ServerRemove
)

// AccessLog is one log of a listener.
type AccessLog struct {
	Path   string // file, "/dev/stdout" or "/dev/stderr"
	JSON   bool
	Format *stream.Format // the line
}
