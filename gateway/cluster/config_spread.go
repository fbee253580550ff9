package cluster

import "time"

// Names and semantics here are those of Envoy's load balancing: priority levels,
// localities, subsets, slow start. What is zero is off, or has the default that
// its comment gives.

// Spread says how requests are divided among the groups of a cluster's
// endpoints (priorities, localities), before the algorithm picks one of a group.
type Spread struct {
	Localities LocalityMode
	ZoneAware  ZoneAware // with LocalityZoneAware

	// Overprovisioning, in percent: a priority or locality of which a share h is
	// healthy takes min(100, h × Overprovisioning) percent of what it should
	// (ClusterLoadAssignment.policy.overprovisioning_factor). 0 is the default, 140.
	Overprovisioning int
	// WeightedHealth counts a priority's healthy endpoints by their weights
	// (ClusterLoadAssignment.policy.weighted_priority_health).
	WeightedHealth bool
	// PanicFails answers requests to a priority in panic with 503 instead of sending them
	// to endpoints that are not healthy (fail_traffic_on_panic).
	PanicFails bool
}

// LocalityMode says what localities are for.
type LocalityMode uint8

// The modes.
const (
	// LocalityNone: a priority's endpoints are one group.
	LocalityNone LocalityMode = iota
	// LocalityWeighted divides a priority's requests by its localities' weights and
	// health (locality_weighted_lb_config).
	LocalityWeighted
	// LocalityZoneAware keeps requests in the gateway's own locality as far as that
	// does not overload it (zone_aware_lb_config). Of priority 0 alone.
	LocalityZoneAware
)

// ZoneAware are the settings of LocalityZoneAware. Where the gateways are is said to the Runtime.
type ZoneAware struct {
	// Enabled is the share of requests, in percent, that is routed so; the
	// rest goes to all localities alike. 0 is the default, 100; negative is none.
	Enabled float64
	// MinEndpoints: with fewer endpoints in priority 0 requests go to all of them
	// alike (min_cluster_size). 0 is the default, 6.
	MinEndpoints int
	// ForceLocal, if above 0, keeps all requests in the gateway's own locality as long as it has
	// that many endpoints that may be used (force_local_zone.min_size).
	ForceLocal int
}

// Locality is where an endpoint or a gateway is (core.v3.Locality).
type Locality struct{ Region, Zone, SubZone string }

// String is the parts that are set, with slashes between them; "" is the zero locality.
func (l Locality) String() string {
	name := l.Region
	for _, part := range []string{l.Zone, l.SubZone} {
		if name != "" && part != "" {
			name += "/"
		}
		name += part
	}
	return name
}

// SlowStart lets an endpoint that is new, or healthy again, have a part of its
// weight first, which grows to the whole of it within Window:
//
//	weight × max(MinWeightPercent/100, (age/Window)^(1/Aggression))
type SlowStart struct {
	Window           time.Duration // 0: off
	Aggression       float64       // 0 is the default, 1: linear; above 1 grows faster at first
	MinWeightPercent float64       // 0 is the default, 10
}

// Label is one key of an endpoint's metadata (of "envoy.lb") and its value. An
// endpoint may have several values of one key (list_as_any).
type Label struct{ Key, Value string }

// Subsets divides the endpoints by their labels (LbSubsetConfig), so that a
// route can ask for those with certain ones. nil: routes that ask get any.
type Subsets struct {
	Selectors []SubsetSelector
	// Fallback is what a request gets whose labels no subset has, and one that asks for none;
	// FallbackUnset is FallbackNone.
	Fallback SubsetFallback
	Default  []Label // the subset of FallbackDefault; sorted by key

	// LocalityWeightAware divides a subset's requests by localities' weights as the
	// cluster's are; otherwise a subset's priority is one group.
	LocalityWeightAware bool
	// ScaleLocalityWeight counts a locality's weight by the share of its
	// endpoints that are in the subset. With LocalityWeightAware.
	ScaleLocalityWeight bool
	// PanicAny gives a request any endpoint when its subset, after all fallbacks, is empty.
	PanicAny bool
}

// SubsetSelector makes a subset of every combination of the values of its keys.
type SubsetSelector struct {
	Keys     []string // sorted, at least one
	Fallback SubsetFallback
	// FallbackKeys are the keys of the policy of that name: some of Keys, and not all; sorted.
	FallbackKeys []string
	// SingleEndpoint: each value stands for one endpoint, the first that has it
	// (single_host_per_subset). With one key only.
	SingleEndpoint bool
}

// SubsetFallback is what a request gets whose labels no subset has.
type SubsetFallback uint8

// The policies.
const (
	FallbackUnset   SubsetFallback = iota // of a selector: that of Subsets
	FallbackNone                          // 503
	FallbackAny                           // any endpoint
	FallbackDefault                       // one of Subsets.Default
	FallbackKeys                          // of a selector: by some of its keys
)

// Match is the labels that a route asks for (metadata_match of "envoy.lb"). Workers
// know it by its address: a route keeps one for its life.
type Match struct{ Labels []Label } // sorted by key, each once

// OriginalDestination are the settings of the discovery of that name: a
// request goes where its connection was going before it was redirected to the
// gateway (ORIGINAL_DST).
type OriginalDestination struct {
	// Header, in lower case, is a request field that holds the IP address and port to go to
	// instead; "": none (use_http_header, http_header_name). Whoever may set it reaches any address.
	Header string
	// Port, if not 0, takes the place of the destination's (upstream_port_override).
	Port uint16
	// Unused is after how long without requests an endpoint is forgotten; 0 is the default,
	// 5 s (cleanup_interval).
	Unused time.Duration
	// Most bounds the endpoints at once; 0 is the default, 4096. A request to
	// another one is answered with 503.
	Most int
}

// EndpointLimits bound one endpoint, over all workers; 0 means no limit. When
// an endpoint is at its limit another one is picked, and when all are, requests wait as for
// a connection.
type EndpointLimits struct {
	Connections int // per_host_thresholds.max_connections
	Requests    int // at once: what HAProxy calls a server's maxconn
}

// RetryBudget bounds retries by the requests at once, instead of Limits.Retries.
type RetryBudget struct {
	Percent        float64 // of the requests under way and pending; 0 is the default, 20
	MinConcurrency int     // retries that are always allowed; 0 is the default, 3
}
