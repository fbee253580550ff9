package snapshot

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/cdnloop"
	"longmen/gateway/resource"
	"longmen/gateway/standby"
)

// onward reads what sends a cluster's requests on to other clusters.
func (s *settings) onward(out *cluster.Config) {
	s.standby(out)
	where := join(s.at, "failover")
	if names := s.values.Strings("failover"); names != nil {
		if len(out.Failover) > 0 {
			s.c.fail(where, "both a cluster of clusters and failover")
		}
		out.Failover = names
	}
	if len(out.Failover) > cluster.MostFailover {
		s.c.fail(where, "%d clusters: at most %d", len(out.Failover), cluster.MostFailover)
	}
	for i, name := range out.Failover {
		if name == out.Name || slices.Contains(out.Failover[:i], name) {
			s.c.fail(item(where, i), "%q: must be other clusters, each once", name)
		}
	}
	switch s.word("loop_guard") {
	case "on":
		out.LoopGuard = cluster.LoopGuardOn
	case "off":
		out.LoopGuard = cluster.LoopGuardOff
	}
	if out.Peer = s.word("peer"); out.Peer != "" && !cdnloop.Valid(out.Peer) {
		s.c.fail(join(s.at, "peer"), "%q: must be a name or host[:port] of at most %d bytes", out.Peer, cdnloop.MaxID)
	}
	if out.Discovery == cluster.OriginalDst && (out.Standby != nil || len(out.Failover) > 0) {
		s.c.fail(s.at, "has no endpoints to go by: standby and failover are not for clusters of type ORIGINAL_DST")
	}
}

func (s *settings) standby(out *cluster.Config) {
	at := join(s.at, "standby")
	to, written := s.values.Word("standby_to")
	if !written {
		for _, key := range []string{"standby_local", "standby_state", "standby_warm", "standby_warm_every"} {
			if _, ok := s.values[key]; ok {
				s.c.fail(at, "%s without standby_to", key)
			}
		}
		return
	}
	config := &standby.Config{
		State: standby.Standby, Local: standby.DefaultLocal, To: to, Warm: standby.DefaultWarm, WarmEvery: standby.DefaultWarmEvery,
	}
	s.count("standby_local", 0, 100, &config.Local)
	config.Forward = 100 - config.Local
	if s.word("standby_state") == standby.Active.String() {
		config.State = standby.Active
	}
	s.count("standby_warm", 0, standby.MostWarm, &config.Warm)
	s.duration("standby_warm_every", standby.LeastWarmEvery, &config.WarmEvery)
	if config.WarmEvery > standby.LongestWarmWait {
		s.c.fail(join(at, "warm_every"), "%v: must be at most %v", config.WarmEvery, standby.LongestWarmWait)
	}
	if to == out.Name {
		s.c.fail(join(at, "to"), "a cluster cannot forward to itself")
	}
	out.Standby = config
}

// onwardReferences checks the clusters that clusters send requests on to.
func (c *compiler) onwardReferences(clusters map[string]resource.Path, used map[string]bool) {
	missing := func(name string) bool {
		used[name] = true
		_, ok := clusters[name]
		return !ok && !c.refused(join("clusters", name))
	}
	withStandby := map[string]bool{}
	for _, cl := range c.set.Clusters {
		_, withStandby[cl.GetName()] = onwardOf(cl).Word("standby_to")
	}
	for _, cl := range c.set.Clusters {
		values := onwardOf(cl)
		at := join("clusters", cl.GetName())
		if name, ok := values.Word("standby_to"); ok {
			where := join(at, "standby.to")
			switch {
			case missing(name):
				c.noCluster(where, where, name, clusters, used)
			case withStandby[name]:
				c.warn(where, "", "the standby of %q does not count for what is forwarded to it", name)
			}
		}
		names := append(aggregated(cl), values.Strings("failover")...)
		if len(names) > 0 && neverUnhealthy(cl) {
			c.warn(join(at, "failover"), "health or outlier finds endpoints that fail", "no endpoint is ever found unhealthy: requests go on only when none can be reached")
		}
		for i, name := range names {
			if missing(name) {
				where := item(join(at, "failover"), i)
				c.noCluster(where, where, name, clusters, used)
			}
		}
	}
}

// neverUnhealthy tells whether the cluster has endpoints, and nobody finds out how they are.
func neverUnhealthy(cl *clusterv3.Cluster) bool {
	return cl.GetType() != clusterv3.Cluster_EDS && len(cl.GetHealthChecks()) == 0 && cl.GetOutlierDetection() == nil && len(cl.GetLoadAssignment().GetEndpoints()) > 0
}

// onwardOf is the extension of a cluster, without what is wrong with it.
func onwardOf(cl *clusterv3.Cluster) resource.Values {
	values, err := resource.Extended(cl.GetMetadata(), resource.ClusterExtension)
	if err != nil {
		return nil
	}
	return values
}

// goesOn tells whether requests to the cluster may go on to others.
func (c *compiler) goesOn(name string) bool {
	for _, cl := range c.set.Clusters {
		if cl.GetName() == name {
			values := onwardOf(cl)
			_, forwards := values.Word("standby_to")
			return forwards || len(values.Strings("failover")) > 0
		}
	}
	return false
}
