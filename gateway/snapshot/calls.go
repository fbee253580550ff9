package snapshot

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	upstreams "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"longmen/gateway/resource"
)

const callsHint = "write protocol: h2 on the cluster"

// onlyHTTP1 are the clusters whose endpoints are spoken to in HTTP/1.1 alone: no
// gRPC call can go there.
func (c *compiler) onlyHTTP1() map[string]bool {
	found := map[string]bool{}
	for _, cl := range c.set.Clusters {
		if speaksHTTP1(cl) {
			found[cl.GetName()] = true
		}
	}
	return found
}

func speaksHTTP1(cl *clusterv3.Cluster) bool {
	//lint:ignore SA1019 it is deprecated, and in use
	if cl.GetHttp2ProtocolOptions() != nil {
		return false
	}
	packed := cl.GetTypedExtensionProtocolOptions()[httpOptions]
	if packed == nil {
		return true
	}
	var options upstreams.HttpProtocolOptions
	if packed.UnmarshalTo(&options) != nil {
		return false // reported where the cluster is compiled
	}
	switch config := options.GetUpstreamProtocolOptions().(type) {
	case nil:
		return true
	case *upstreams.HttpProtocolOptions_ExplicitHttpConfig_:
		_, http1 := config.ExplicitHttpConfig.GetProtocolConfig().(*upstreams.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions)
		return http1
	}
	return false
}

// callsNeedHTTP2 warns of rules for gRPC calls that lead where none can go.
func (c *compiler) callsNeedHTTP2(at resource.Path, table *route.RouteConfiguration, http1 map[string]bool) {
	for i, host := range table.GetVirtualHosts() {
		for j, rule := range host.GetRoutes() {
			if rule.GetMatch().GetGrpc() == nil {
				continue
			}
			action := rule.GetRoute()
			names := []string{action.GetCluster()}
			for _, w := range action.GetWeightedClusters().GetClusters() {
				names = append(names, w.GetName())
			}
			for _, name := range names {
				if http1[name] {
					to := join(item(join(item(at, i), "rules"), j), "to")
					c.warn(to, callsHint, "gRPC calls go over HTTP/2, and cluster %q speaks HTTP/1.1", name)
				}
			}
		}
	}
}
