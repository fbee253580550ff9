// Package router finds the route of a request: host, then path, then the rest.
package router

import (
	"net/netip"
	"regexp"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
)

// VirtualHost is a group of rules for a set of host names (RouteConfiguration's
// virtual_hosts). Domains are exact names, "*.suffix", "prefix.*" or "*"; the
// most specific wins: exact, longest suffix, longest prefix, "*".
type VirtualHost struct {
	Name    string
	Origin  string // file:line:column, or resource type, name and version
	Domains []string
	Routes  []*Route // first match wins
}

// Route is one compiled rule. It is immutable and shared by all workers.
// Exactly one of Forward, Redirect and Respond is set.
type Route struct {
	Name   string // "public[0].rules[1]"
	Origin string // "gateway.yaml:16:11"
	// Index counts the routes of a table from 0 on, in the order they were written.
	Index int
	Match Match

	Forward  *Forward
	Redirect *Redirect
	Respond  *Respond

	// EarlyData lets requests that change nothing go on before the handshake of
	// their connection is complete: they may come twice (RFC 8470).
	EarlyData bool

	// Request and Response edit the heads; nil when nothing is to be done.
	// They already hold the virtual host's and the route table's edits in
	// Envoy's order (route, virtual host, table).
	Request, Response *HeaderEdits
}

// Forward sends the request to a cluster.
type Forward struct {
	// Exactly one: Clusters has one or more entries, or ClusterHeader names the
	// request header (lower case) that holds the cluster's name.
	Clusters      []WeightedCluster
	TotalWeight   uint32
	ClusterHeader string

	// Timeout bounds the time from the complete request to the complete
	// response, all tries and waits included; 0 means none. Default 15 s.
	Timeout time.Duration
	// GRPCTimeout is for calls with a deadline of their own; nil: none may take
	// longer than Timeout.
	GRPCTimeout *GRPCTimeout
	// IdleTimeout ends a stream on which no byte moves in either direction;
	// 0 means the listener's. It is what bounds tunnels.
	IdleTimeout time.Duration

	Retry *Retry // nil: one try
	Hedge *Hedge // nil: one try at a time

	// Hash says what a cluster that balances by hash hashes of a request, in
	// order; such a cluster picks at random what no policy has anything of.
	Hash []HashPolicy
	// Sticky keeps a client at the cluster and the endpoint that it got first;
	// nil: it is not kept. Not with ClusterHeader.
	Sticky *Sticky
	// Subset is what labels the endpoint must have; nil: any (metadata_match). A
	// WeightedCluster may have its own.
	Subset *cluster.Match
	// HighPriority counts the requests against the cluster's limits of high
	// priority, not against those of default priority (RoutingPriority).
	HighPriority bool

	// At most one of PrefixRewrite (replaces the matched prefix or path) and
	// RegexRewrite (substitution over the whole path).
	PrefixRewrite *string
	RegexRewrite  *RegexRewrite
	// HostRewrite replaces the authority sent upstream; "" keeps it.
	HostRewrite string

	// Upgrades lists the Upgrade protocols that may become tunnels, in lower
	// case ("websocket"); a request for another one goes upstream without its
	// Upgrade field. They add to the listener's; NoUpgrades, in lower case too,
	// takes away from those. Connect allows the CONNECT method on this route.
	Upgrades   []string
	NoUpgrades []string
	Connect    bool

	// MaxBody bounds the request body in bytes (413); 0 means the listener's.
	MaxBody int64
}

// WeightedCluster is one target of a Forward.
type WeightedCluster struct {
	Cluster           ClusterRef
	Weight            uint32
	Request, Response *HeaderEdits // this target's own edits, nil when none
	// Subset is the labels of Forward.Subset and those that this target adds; nil: Forward's
	// alone.
	Subset *cluster.Match
}

// ClusterRef names a cluster. Slot is its place in every worker's table, which
// does not change while the name exists, so a changed cluster does not touch
// the routes that point to it.
type ClusterRef struct {
	Name string
	Slot int
}

// RegexRewrite replaces what a regular expression (RE2) matches in the path.
type RegexRewrite struct {
	Pattern      string
	Substitution string         // \1 … \9 are groups, \0 the whole match, \\ a backslash
	compiled     *regexp.Regexp // set by New
	template     string         // Substitution in the form of package regexp; set by New
}

// Redirect answers with a Location made from the request's URL.
type Redirect struct {
	Status int    // 301, 302, 303, 307, 308; default 301
	Scheme string // "" keeps
	Host   string // "" keeps
	// Port 0 keeps the request's port, unless Host is set or the port is the
	// default of the request's scheme. A scheme's default port is not written.
	Port       int
	Path       string // "" keeps; replaces the whole path, and the query when it holds "?"
	Prefix     *string
	Regex      *RegexRewrite
	StripQuery bool
}

// Respond answers directly.
type Respond struct {
	Status      int
	Body        []byte
	ContentType string // "" means text/plain when there is a body
}

// Match is a rule's condition. Everything set must hold. At most one of Path,
// Prefix, RawPrefix, Regex and Connect is set. None, like the prefix "/", means
// every path, the "*" of OPTIONS too; only Connect matches a CONNECT request,
// which has no path. Literals are in the form that Canonical gives.
type Match struct {
	Path   string // exact, on the canonical path without query
	Prefix string // by whole segments (path_separated_prefix): /a matches /a and /a/b, not /ab
	// RawPrefix is xDS `prefix`: by bytes, /a matches /ab too.
	RawPrefix  string
	Regex      string         // RE2, must match the whole path
	regex      *regexp.Regexp // set by New
	Connect    bool
	IgnoreCase bool // of Path, Prefix and RawPrefix; ASCII only

	// GRPC holds for gRPC calls only: POST, with the content type of gRPC.
	GRPC    bool
	Methods []string
	Headers []ValueMatch // names in lower case
	Query   []ValueMatch // names case-sensitive
	Cookies []ValueMatch
	// Fraction, in millionths, lets only a share of requests match; 0 means all.
	Fraction uint32
	Sources  []netip.Prefix // the client's address; empty means any
}

// ValueMatch tests a header, query parameter or cookie. Several values of one
// header are joined by "," as RFC 9110 section 5.3 says; of a query parameter
// (percent-decoded once) and a cookie the first counts. As in Envoy, an absent
// value satisfies no comparison, not even an inverted one.
type ValueMatch struct {
	Name           string
	Kind           MatchKind
	Value          string
	Low            int64 // Range: Low <= n < High
	High           int64
	Invert         bool
	IgnoreCase     bool
	MissingAsEmpty bool           // compare an absent value as ""
	regex          *regexp.Regexp // set by New; matches whole values
}

// MatchKind is how a value is compared.
type MatchKind uint8

// The kinds.
const (
	Present MatchKind = iota
	Absent
	Exact
	HasPrefix
	HasSuffix
	Contains
	Regex
	Range
)

// HeaderEdits changes a head: removals first, then sets and adds in order.
type HeaderEdits struct {
	Remove []string // lower case
	Fields []HeaderEdit
}

// HeaderEdit is one field to write.
type HeaderEdit struct {
	Name   string // lower case
	Value  *stream.Format
	Action EditAction
}

// EditAction is Envoy's HeaderAppendAction.
type EditAction uint8

// The actions.
const (
	Append    EditAction = iota // add one more field
	SetAlways                   // overwrite, or add
	AddIfAbsent
	SetIfPresent
)
