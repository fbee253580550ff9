package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	aggregate "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// aggregate reads a cluster of clusters: one without endpoints of its own that fails over to
// them, in their order. From gateway.yaml that is "endpoints: []" with "failover".
func (c *compiler) aggregate(at resource.Path, cl *clusterv3.Cluster, own *clusterv3.Cluster_CustomClusterType, out *cluster.Config) {
	c.only(at, own, "name", "typed_config")
	out.Discovery = cluster.Static
	var config aggregate.ClusterConfig
	switch packed := own.GetTypedConfig(); {
	case packed == nil:
		c.fail(at, "CustomClusterType.typed_config is missing")
		return
	case !c.unpack(at, packed, &config):
		return
	}
	c.only(at, &config, "clusters")
	out.Failover = slices.Clone(config.GetClusters())
	if len(out.Failover) == 0 {
		c.fail(join(at, "failover"), "ClusterConfig.clusters is empty")
	}
	if cl.GetLoadAssignment() != nil || cl.GetEdsClusterConfig() != nil || len(cl.GetHealthChecks()) > 0 || cl.GetOutlierDetection() != nil {
		c.fail(at, "a cluster of clusters has no endpoints of its own, and nothing that is about them")
	}
	if cl.GetDnsRefreshRate() != nil || cl.GetRespectDnsTtl() || cl.GetDnsLookupFamily() != clusterv3.Cluster_AUTO || len(cl.GetDnsResolvers()) > 0 ||
		cl.GetOriginalDstLbConfig() != nil || cl.GetCleanupInterval() != nil {
		c.fail(at, "settings of DNS or original destinations in a cluster of clusters")
	}
}

// aggregated are the clusters that a cluster of clusters names.
func aggregated(cl *clusterv3.Cluster) []string {
	var config aggregate.ClusterConfig
	packed := cl.GetClusterType().GetTypedConfig()
	if packed == nil || !packed.MessageIs(&config) || packed.UnmarshalTo(&config) != nil {
		return nil
	}
	return config.GetClusters()
}
