package yaml

import (
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	lbcommon "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	least "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/least_request/v3"
	maglev "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/maglev/v3"
	random "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/random/v3"
	ring "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/ring_hash/v3"
	robin "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/round_robin/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// common is where xDS has what all algorithms share.
func common(out *cluster.Cluster) *cluster.Cluster_CommonLbConfig {
	if out.CommonLbConfig == nil {
		out.CommonLbConfig = &cluster.Cluster_CommonLbConfig{}
	}
	return out.CommonLbConfig
}

func assignmentPolicy(out *cluster.Cluster) *endpoint.ClusterLoadAssignment_Policy {
	if out.LoadAssignment.Policy == nil {
		out.LoadAssignment.Policy = &endpoint.ClusterLoadAssignment_Policy{}
	}
	return out.LoadAssignment.Policy
}

// locality reads what localities are for.
func (d *decoder) locality(v value, p *policy, out *cluster.Cluster) {
	if v.scalar() && v.node.Value == "zone_aware" {
		d.zoneAware(v, fields{d: d, self: v}, p, out)
		return
	}
	f := d.object(v, localityTable)
	there := f.exclusive("weighted", "zone_aware")
	switch {
	case len(there) == 0:
		f.missing("weighted", "the weights of the localities, or zone_aware", "zone_aware")
	case there[0] == "weighted":
		d.localityWeights(f.written("weighted"), out.GetLoadAssignment().GetEndpoints())
		p.weighted(out)
	default:
		settings := f.written("zone_aware")
		d.zoneAware(settings, d.object(settings, zoneAwareTable), p, out)
	}
}

// weighted says that localities have weights.
func (p *policy) weighted(out *cluster.Cluster) {
	on := &lbcommon.LocalityLbConfig_LocalityWeightedLbConfig{}
	wrapped := &lbcommon.LocalityLbConfig{LocalityConfigSpecifier: &lbcommon.LocalityLbConfig_LocalityWeightedLbConfig_{LocalityWeightedLbConfig: on}}
	switch m := p.message.(type) {
	case *robin.RoundRobin:
		m.LocalityLbConfig = wrapped
	case *random.Random:
		m.LocalityLbConfig = wrapped
	case *least.LeastRequest:
		m.LocalityLbConfig = wrapped
	case *ring.RingHash:
		m.LocalityWeightedLbConfig = on
	case *maglev.Maglev:
		m.LocalityWeightedLbConfig = on
	default:
		common(out).LocalityConfigSpecifier = &cluster.Cluster_CommonLbConfig_LocalityWeightedLbConfig_{
			LocalityWeightedLbConfig: &cluster.Cluster_CommonLbConfig_LocalityWeightedLbConfig{},
		}
	}
}

// localityWeights gives each group of endpoints the weight of its locality.
func (d *decoder) localityWeights(v value, groups []*endpoint.LocalityLbEndpoints) {
	entries := d.entries(v)
	if v.isMap() && len(entries) == 0 {
		d.fail(v, "must name at least one locality")
	}
	meant := map[string]place{}
	var names []string
	for _, group := range groups {
		at := placeOf(group)
		at.priority = 0
		name := at.name()
		if other, known := meant[name]; known && other != at {
			d.fail(v, "%q could be more than one locality of the endpoints; name its region and zone", clip(name))
		}
		meant[name] = at
		names = append(names, name)
	}
	weights := map[string]uint32{}
	for _, entry := range entries {
		name := strings.Trim(entry.key.Value, "/")
		if n, ok := d.integer(entry, 1, maxWeight); ok {
			weights[name] = uint32(n)
		}
		if _, known := meant[name]; !known || name == "" {
			d.at(entry.key, entry.path, nearest(name, names), "no endpoint is in locality %q", clip(entry.key.Value))
		}
	}
	for _, group := range groups {
		at := placeOf(group)
		n, ok := weights[at.name()]
		if ok {
			group.LoadBalancingWeight = wrapperspb.UInt32(n)
			continue
		}
		if at.name() == "" {
			d.fail(v, "an endpoint has no region or zone; its locality would get no requests")
		} else if _, wrong := meant[at.name()]; wrong {
			d.fail(v, "locality %q has no weight; it would get no requests", clip(at.name()))
		}
		break
	}
}

func (d *decoder) zoneAware(v value, f fields, p *policy, out *cluster.Cluster) {
	z := &lbcommon.LocalityLbConfig_ZoneAwareLbConfig{MinClusterSize: f.uint64("min_endpoints", 1, maxWeight)}
	if v, ok := f.get("share"); ok {
		if n, ok := d.share(v); ok {
			z.RoutingEnabled = &types.Percent{Value: n}
		}
	}
	z.FailTrafficOnPanic, _ = f.flag("fail_in_panic")
	if n := f.uint32("force_local", 1, maxWeight); n != nil {
		z.ForceLocalZone = &lbcommon.LocalityLbConfig_ZoneAwareLbConfig_ForceLocalZone{MinSize: n}
	}
	wrapped := &lbcommon.LocalityLbConfig{LocalityConfigSpecifier: &lbcommon.LocalityLbConfig_ZoneAwareLbConfig_{ZoneAwareLbConfig: z}}
	switch m := p.message.(type) {
	case *robin.RoundRobin:
		m.LocalityLbConfig = wrapped
	case *random.Random:
		m.LocalityLbConfig = wrapped
	case *least.LeastRequest:
		m.LocalityLbConfig = wrapped
	default:
		if p.hashing() {
			d.fail(v, "%s goes by the hash of a request alone, so that none can stay in a zone", p.name)
			return
		}
		if v, ok := f.get("force_local"); ok {
			d.fail(v, "has no place in xDS with peak_ewma")
		}
		common(out).LocalityConfigSpecifier = &cluster.Cluster_CommonLbConfig_ZoneAwareLbConfig_{
			ZoneAwareLbConfig: &cluster.Cluster_CommonLbConfig_ZoneAwareLbConfig{
				RoutingEnabled: z.RoutingEnabled, MinClusterSize: z.MinClusterSize, FailTrafficOnPanic: z.FailTrafficOnPanic,
			},
		}
	}
}
