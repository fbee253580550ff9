package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	lbcommon "github.com/envoyproxy/go-control-plane/envoy/extensions/load_balancing_policies/common/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// leastShare stands for a share of nothing where 0 means the default, in percent.
const leastShare = 0.0001

// beside is the path of a key that stands beside that of another, "lb" or
// "endpoints" of a cluster.
func beside(at resource.Path, key string) resource.Path {
	for i := len(at) - 1; i >= 0; i-- {
		if at[i] == '.' {
			return join(at[:i], key)
		}
	}
	return at
}

func (c *compiler) slowStart(at resource.Path, s *lbcommon.SlowStartConfig, out *cluster.Config) {
	if s != nil {
		c.only(at, s, "slow_start_window", "aggression", "min_weight_percent")
		c.starting(beside(at, "slow_start"), s.GetSlowStartWindow(), s.GetAggression(), s.GetMinWeightPercent(), out)
	}
}

func (c *compiler) oldSlowStart(at resource.Path, s *clusterv3.Cluster_SlowStartConfig, out *cluster.Config) {
	if s != nil {
		c.only(at, s, "slow_start_window", "aggression", "min_weight_percent")
		c.starting(beside(at, "slow_start"), s.GetSlowStartWindow(), s.GetAggression(), s.GetMinWeightPercent(), out)
	}
}

func (c *compiler) starting(at resource.Path, window *durationpb.Duration, aggression *core.RuntimeDouble, least *typev3.Percent, out *cluster.Config) {
	s := &out.SlowStart
	if s.Window = c.duration(join(at, "window"), window, 0); s.Window < time.Second {
		c.fail(join(at, "window"), "%v: must be at least 1s", s.Window)
	}
	if aggression != nil {
		c.only(at, aggression, "default_value", "runtime_key")
		if s.Aggression = aggression.GetDefaultValue(); !(s.Aggression > 0 && s.Aggression <= 100) {
			c.fail(join(at, "aggression"), "%v: must be more than 0 and at most 100", s.Aggression)
		}
	}
	if least != nil {
		s.MinWeightPercent = max(c.percentage(join(at, "min_weight"), least), leastShare)
	}
}

// percentage reads a percentage from 0 to 100.
func (c *compiler) percentage(at resource.Path, p *typev3.Percent) float64 {
	if n := p.GetValue(); !(n >= 0 && n <= 100) {
		c.fail(at, "%v %%: must be from 0 to 100", n)
		return 0
	}
	return p.GetValue()
}

// localities reads what a policy says of localities.
func (c *compiler) localities(at resource.Path, l *lbcommon.LocalityLbConfig, out *cluster.Config) {
	if l == nil {
		return
	}
	at = beside(at, "locality")
	c.only(at, l, "zone_aware_lb_config", "locality_weighted_lb_config")
	switch mode := l.GetLocalityConfigSpecifier().(type) {
	case nil:
		c.fail(at, "LocalityLbConfig.locality_config_specifier is missing")
	case *lbcommon.LocalityLbConfig_LocalityWeightedLbConfig_:
		c.weightedLocalities(at, mode.LocalityWeightedLbConfig, out)
	case *lbcommon.LocalityLbConfig_ZoneAwareLbConfig_:
		z := mode.ZoneAwareLbConfig
		c.only(at, z, "routing_enabled", "min_cluster_size", "fail_traffic_on_panic", "force_local_zone")
		c.zoneAware(at, z.GetRoutingEnabled(), z.GetMinClusterSize(), z.GetFailTrafficOnPanic(), out)
		if force := z.GetForceLocalZone(); force != nil {
			c.only(at, force, "min_size")
			out.Spread.ZoneAware.ForceLocal = c.number(join(at, "zone_aware.force_local"), force.GetMinSize(), 1, maxWeight, 1)
		}
	}
}

func (c *compiler) weightedLocalities(at resource.Path, w *lbcommon.LocalityLbConfig_LocalityWeightedLbConfig, out *cluster.Config) {
	if w != nil {
		c.only(at, w)
		out.Spread.Localities = cluster.LocalityWeighted
	}
}

func (c *compiler) zoneAware(at resource.Path, share *typev3.Percent, least *wrapperspb.UInt64Value, fail bool, out *cluster.Config) {
	at = join(at, "zone_aware")
	out.Spread.Localities, out.Spread.PanicFails = cluster.LocalityZoneAware, fail
	z := &out.Spread.ZoneAware
	if share != nil {
		if z.Enabled = c.percentage(join(at, "share"), share); z.Enabled == 0 {
			z.Enabled = -1 // none; 0 would be the default
		}
	}
	z.MinEndpoints = int(c.large(join(at, "min_endpoints"), least, 1, maxWeight))
}

// consistent reads what both hashing algorithms may say.
func (c *compiler) consistent(at resource.Path, h *lbcommon.ConsistentHashingLbConfig, out *cluster.Config) {
	if h == nil {
		return
	}
	at = join(at, out.Balance.String())
	c.only(at, h, "use_hostname_for_hashing", "hash_balance_factor", "hash_policy")
	c.hashedBy(at, h.GetUseHostnameForHashing(), h.GetHashBalanceFactor(), out)
	if len(h.GetHashPolicy()) > 0 {
		c.hashing[out.Name] = hashing{by: c.hashPolicies(join(at, "by"), h.GetHashPolicy()), key: hashOf(h.GetHashPolicy())}
	}
}

func (c *compiler) hashedBy(at resource.Path, hostnames bool, factor *wrapperspb.UInt32Value, out *cluster.Config) {
	out.HashBalanceFactor = c.number(join(at, "bounded_load"), factor, 100, maxBalanceFactor, out.HashBalanceFactor)
	if !hostnames {
		return
	}
	for i := range out.Endpoints {
		if e := &out.Endpoints[i]; e.HashKey == "" {
			e.HashKey = e.Hostname
		}
	}
}

// commonBalance reads what is the same with every algorithm.
func (c *compiler) commonBalance(at resource.Path, cl *clusterv3.Cluster, out *cluster.Config) {
	l := cl.GetCommonLbConfig()
	if l == nil {
		return
	}
	c.only(at, l, "healthy_panic_threshold", "zone_aware_lb_config", "locality_weighted_lb_config", "consistent_hashing_lb_config")
	if p := l.GetHealthyPanicThreshold(); p != nil {
		if p.GetValue() < 0 || p.GetValue() > 100 || p.GetValue() != float64(int(p.GetValue())) {
			c.fail(join(at, "panic"), "%v %%: must be a whole number from 0 to 100", p.GetValue())
			return
		}
		out.PanicThreshold = int(p.GetValue())
	}
	if l.GetLocalityConfigSpecifier() != nil && out.Spread.Localities != cluster.LocalityNone {
		c.fail(join(at, "locality"), "both CommonLbConfig and the policy say what localities are for")
		return
	}
	switch mode := l.GetLocalityConfigSpecifier().(type) {
	case *clusterv3.Cluster_CommonLbConfig_LocalityWeightedLbConfig_:
		c.only(join(at, "locality"), mode.LocalityWeightedLbConfig)
		out.Spread.Localities = cluster.LocalityWeighted
	case *clusterv3.Cluster_CommonLbConfig_ZoneAwareLbConfig_:
		z := mode.ZoneAwareLbConfig
		c.only(join(at, "locality"), z, "routing_enabled", "min_cluster_size", "fail_traffic_on_panic")
		c.zoneAware(join(at, "locality"), z.GetRoutingEnabled(), z.GetMinClusterSize(), z.GetFailTrafficOnPanic(), out)
	}
	if h := l.GetConsistentHashingLbConfig(); h != nil {
		where := join(join(at, "lb"), out.Balance.String())
		c.only(where, h, "use_hostname_for_hashing", "hash_balance_factor")
		if !out.Balance.Hashes() || cl.GetLoadBalancingPolicy() != nil {
			c.fail(where, "CommonLbConfig.consistent_hashing_lb_config is for lb_policy RING_HASH and MAGLEV")
			return
		}
		c.hashedBy(where, h.GetUseHostnameForHashing(), h.GetHashBalanceFactor(), out)
	}
}

// balanceMakesSense warns of settings that contradict each other.
func (c *compiler) balanceMakesSense(at resource.Path, cl *clusterv3.Cluster, out *cluster.Config) {
	weights, places, keys := 0, map[cluster.Locality]bool{}, map[string]int{}
	for i, e := range out.Endpoints {
		if e.LocalityWeight > 0 {
			weights++
		}
		places[e.Locality] = true
		if before, twice := keys[e.HashKey]; twice && e.HashKey != "" && out.Balance.Hashes() {
			where := item(join(at, "endpoints"), i)
			c.warn(where, "", "hashes like another endpoint (%s): one of both gets no requests", c.line(item(join(at, "endpoints"), before), where))
		}
		keys[e.HashKey] = i
	}
	where := join(at, "locality")
	switch out.Spread.Localities {
	case cluster.LocalityNone:
		if weights > 0 {
			c.warn(at, "", "the weights of localities have no effect without locality_weighted_lb_config")
		}
	case cluster.LocalityWeighted:
		if weights < len(out.Endpoints) {
			c.warn(where, "", "%d of %d endpoints are in localities without weight, which get no requests", len(out.Endpoints)-weights, len(out.Endpoints))
		}
	case cluster.LocalityZoneAware:
		if out.Balance.Hashes() {
			c.fail(where, "%v goes by the hash of a request alone, so that none can stay in a zone", out.Balance)
		}
		if !c.defaults.Located {
			c.warn(where, "write locality: {zone: ...} at the top level", "the gateway's own locality is not known: zone_aware has no effect")
		}
		if len(places) == 1 && len(out.Endpoints) > 0 && cl.GetType() != clusterv3.Cluster_EDS {
			c.warn(where, "write zone: on the endpoints", "all endpoints are in one locality: zone_aware has no effect")
		}
	}
	if n := out.Balancing.Maglev.TableSize; out.Balance == cluster.Maglev && n > 0 && n < 10*uint64(len(out.Endpoints)) {
		c.warn(join(at, "lb.maglev.table"), "100 times the number of endpoints is good", "%d is little for %d endpoints: their shares differ much", n, len(out.Endpoints))
	}
}
