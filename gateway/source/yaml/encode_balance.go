package yaml

import (
	"slices"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	lbcommon "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	least "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglev "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	random "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ring "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	robin "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	subset "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/subset/v3"
	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/proto"

	"longmen/gateway/resource"
)

// balance writes the algorithm and what goes with it. What it does not know stays
// out, and is missed when the text is read back.
func (e *encoder) balance(out *mapping, c *cluster.Cluster) {
	policies := c.GetLoadBalancingPolicy().GetPolicies()
	if len(policies) == 0 {
		e.spread(out, c)
		return
	}
	config, subsets := policies[0].GetTypedExtensionConfig(), &subset.Subset{}
	if config.GetTypedConfig().MessageIs(subsets) {
		e.unpack(policies[0].GetTypedExtensionConfig(), subsets)
		config = nil
		if inner := subsets.GetSubsetLbPolicy().GetPolicies(); len(inner) > 0 {
			config = inner[0].GetTypedExtensionConfig()
		}
	}
	weighted, zone := e.algorithm(out, config)
	if common := c.GetCommonLbConfig(); common.GetLocalityWeightedLbConfig() != nil {
		weighted = true
	} else if z := common.GetZoneAwareLbConfig(); z != nil {
		zone = &lbcommon.LocalityLbConfig_ZoneAwareLbConfig{
			RoutingEnabled: z.GetRoutingEnabled(), MinClusterSize: z.GetMinClusterSize(), FailTrafficOnPanic: z.GetFailTrafficOnPanic(),
		}
	}
	localityNode(out, c, weighted, zone)
	if len(subsets.GetSubsetSelectors()) > 0 {
		out.put("subsets", subsetsNode(subsets))
	}
	e.spread(out, c)
}

func (e *encoder) spread(out *mapping, c *cluster.Cluster) {
	p := c.GetLoadAssignment().GetPolicy()
	if n := p.GetOverprovisioningFactor(); n != nil {
		out.word("overprovisioning", wholePercentText(n.GetValue()))
	}
	if p.GetWeightedPriorityHealth() {
		out.put("weighted_health", truth(true))
	}
}

// algorithm writes "lb" and "slow_start", and returns what is said of localities.
func (e *encoder) algorithm(out *mapping, config *core.TypedExtensionConfig) (weighted bool, zone *lbcommon.LocalityLbConfig_ZoneAwareLbConfig) {
	packed := config.GetTypedConfig()
	var (
		r    robin.RoundRobin
		a    random.Random
		l    least.LeastRequest
		h    ring.RingHash
		m    maglev.Maglev
		lb   *lbcommon.LocalityLbConfig
		slow *lbcommon.SlowStartConfig
	)
	name, settings := "", &mapping{}
	switch {
	case packed.MessageIs(&r):
		e.unpack(config, &r)
		name, lb, slow = "round_robin", r.GetLocalityLbConfig(), r.GetSlowStartConfig()
	case packed.MessageIs(&a):
		e.unpack(config, &a)
		name, lb = "random", a.GetLocalityLbConfig()
	case packed.MessageIs(&l):
		e.unpack(config, &l)
		name, lb, slow = "least_request", l.GetLocalityLbConfig(), l.GetSlowStartConfig()
		settings.number("choices", l.GetChoiceCount())
		if l.GetSelectionMethod() == least.LeastRequest_FULL_SCAN {
			settings.put("full_scan", truth(true))
		}
		if bias := l.GetActiveRequestBias(); bias != nil {
			settings.put("bias", decimalNode(bias.GetDefaultValue()))
		}
	case packed.MessageIs(&h):
		e.unpack(config, &h)
		name, weighted = "ring_hash", h.GetLocalityWeightedLbConfig() != nil
		settings.wide("min", h.GetMinimumRingSize())
		settings.wide("max", h.GetMaximumRingSize())
		switch h.GetHashFunction() {
		case ring.RingHash_XX_HASH:
			settings.word("hash", "xxhash")
		case ring.RingHash_MURMUR_HASH_2:
			settings.word("hash", "murmur2")
		}
		consistentMap(settings, h.GetConsistentHashingLbConfig())
	case packed.MessageIs(&m):
		e.unpack(config, &m)
		name, weighted = "maglev", m.GetLocalityWeightedLbConfig() != nil
		settings.wide("table", m.GetTableSize())
		consistentMap(settings, m.GetConsistentHashingLbConfig())
	case resource.IsExtension(packed, resource.PeakEWMAExtension):
		name = "peak_ewma"
		values, err := resource.ExtendedAny(packed, resource.PeakEWMAExtension)
		values = e.extended("policy", config.GetName(), values, err)
		settings.value("decay", values, "decay")
		settings.value("choices", values, "choices")
	}
	if len(settings.content) == 0 {
		out.word("lb", name)
	} else {
		both := &mapping{}
		both.put(name, settings.node())
		out.put("lb", both.node())
	}
	if slow != nil {
		out.put("slow_start", slowStartMap(slow).node())
	}
	return weighted || lb.GetLocalityWeightedLbConfig() != nil, lb.GetZoneAwareLbConfig()
}

func consistentMap(out *mapping, c *lbcommon.ConsistentHashingLbConfig) {
	if len(c.GetHashPolicy()) > 0 {
		out.put("by", hashNode(c.GetHashPolicy()))
	}
	if c.GetUseHostnameForHashing() {
		out.word("key", "hostname")
	}
	if n := c.GetHashBalanceFactor(); n != nil {
		out.word("bounded_load", wholePercentText(n.GetValue()))
	}
}

func slowStartMap(s *lbcommon.SlowStartConfig) *mapping {
	out := &mapping{}
	out.duration("window", s.GetSlowStartWindow())
	if n := s.GetAggression(); n != nil {
		out.put("aggression", decimalNode(n.GetDefaultValue()))
	}
	if n := s.GetMinWeightPercent(); n != nil {
		out.put("min_weight", percentNode(n.GetValue()))
	}
	return out
}

func localityNode(out *mapping, c *cluster.Cluster, weighted bool, zone *lbcommon.LocalityLbConfig_ZoneAwareLbConfig) {
	locality := &mapping{}
	switch {
	case weighted:
		weights, seen := &mapping{}, []string{}
		for _, group := range c.GetLoadAssignment().GetEndpoints() {
			name := placeOf(group).name()
			if group.GetLoadBalancingWeight() != nil && !slices.Contains(seen, name) {
				weights.number(name, group.GetLoadBalancingWeight())
				seen = append(seen, name)
			}
		}
		locality.put("weighted", weights.node())
	case zone != nil:
		settings := &mapping{}
		if n := zone.GetRoutingEnabled(); n != nil {
			settings.put("share", percentNode(n.GetValue()))
		}
		settings.wide("min_endpoints", zone.GetMinClusterSize())
		settings.number("force_local", zone.GetForceLocalZone().GetMinSize())
		if zone.GetFailTrafficOnPanic() {
			settings.put("fail_in_panic", truth(true))
		}
		if len(settings.content) == 0 {
			out.word("locality", "zone_aware")
			return
		}
		locality.put("zone_aware", settings.node())
	}
	out.sub("locality", locality)
}

func subsetsNode(s *subset.Subset) *yaml.Node {
	var nodes []*yaml.Node
	for _, one := range s.GetSubsetSelectors() {
		nodes = append(nodes, selectorNode(one))
	}
	rest := &mapping{}
	if s.GetFallbackPolicy() != subset.Subset_ANY_ENDPOINT {
		for _, fallback := range fallbacks {
			if fallback.policy == s.GetFallbackPolicy() {
				rest.word("fallback", fallback.word)
			}
		}
	}
	rest.sub("default", labelsMap(s.GetDefaultSubset()))
	if s.GetLocalityWeightAware() {
		rest.put("locality_weights", truth(true))
	}
	if s.GetScaleLocalityWeight() {
		rest.put("scale_weights", truth(true))
	}
	if s.GetPanicModeAny() {
		rest.put("panic_any", truth(true))
	}
	if len(rest.content) == 0 {
		return list(nodes...)
	}
	out := &mapping{}
	out.put("by", list(nodes...))
	out.content = append(out.content, rest.content...)
	return out.node()
}

func selectorNode(s *subset.Subset_LbSubsetSelector) *yaml.Node {
	if s.GetFallbackPolicy() == subset.Subset_LbSubsetSelector_NO_FALLBACK && len(s.GetFallbackKeysSubset()) == 0 && !s.GetSingleHostPerSubset() {
		return texts(s.GetKeys())
	}
	out := &mapping{}
	out.put("by", texts(s.GetKeys()))
	if s.GetFallbackPolicy() != subset.Subset_LbSubsetSelector_NO_FALLBACK {
		for _, fallback := range selectorFallbacks {
			if fallback.policy == s.GetFallbackPolicy() {
				out.word("fallback", fallback.word)
			}
		}
	}
	if len(s.GetFallbackKeysSubset()) > 0 {
		out.put("keys", texts(s.GetFallbackKeysSubset()))
	}
	if s.GetSingleHostPerSubset() {
		out.put("single", truth(true))
	}
	return out.node()
}

// unpack decodes what a policy is.
func (e *encoder) unpack(config *core.TypedExtensionConfig, m proto.Message) {
	if err := config.GetTypedConfig().UnmarshalTo(m); err != nil {
		e.fail("%s: %w", config.GetName(), err)
	}
}
