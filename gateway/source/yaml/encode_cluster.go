package yaml

import (
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

func (e *encoder) cluster(c *cluster.Cluster) *mapping {
	out := &mapping{}
	values, err := resource.Extended(c.GetMetadata(), resource.ClusterExtension)
	values = e.extended("cluster", c.GetName(), values, err)
	out.put("endpoints", endpointsNode(c, values))
	e.balance(out, c)
	var checks []*yaml.Node
	for _, check := range c.GetHealthChecks() {
		checks = append(checks, healthMap(check).node())
	}
	if len(checks) > 0 {
		out.put("health", list(checks...))
	}
	timeouts := &mapping{}
	timeouts.duration("connect", c.GetConnectTimeout())
	timeouts.value("response", values, "response_timeout")
	out.sub("timeouts", timeouts)
	breakersNode(out, c.GetCircuitBreakers(), values)
	if o := c.GetOutlierDetection(); o != nil {
		out.put("outlier", outlierMap(o, values).node())
	}
	putOnward(out, values)
	e.pool(out, c, values)
	if t := c.GetCommonLbConfig().GetHealthyPanicThreshold(); t != nil {
		out.put("panic", percentNode(t.GetValue()))
	}
	tcp := &mapping{}
	if k := c.GetUpstreamConnectionOptions().GetTcpKeepalive(); k != nil {
		tcp.put("keepalive", keepaliveNode(k))
	}
	tcp.word("source", c.GetUpstreamBindConfig().GetSourceAddress().GetAddress())
	out.sub("tcp", tcp)
	return out
}

// limit writes a circuit breaker; what is never reached is no limit.
func (m *mapping) limit(key string, n *wrapperspb.UInt32Value) {
	if n.GetValue() == most {
		n = wrapperspb.UInt32(0)
	}
	m.number(key, n)
}

func (e *encoder) pool(out *mapping, c *cluster.Cluster, values resource.Values) {
	options := &upstream.HttpProtocolOptions{}
	packed, ok := c.GetTypedExtensionProtocolOptions()[protocolName]
	if ok {
		if err := packed.UnmarshalTo(options); err != nil {
			e.fail("cluster %q: %w", c.GetName(), err)
		}
	}
	names, common := options.GetUpstreamHttpProtocolOptions(), options.GetCommonHttpProtocolOptions()
	if ok {
		clusterHTTP(out, options, names != nil && proto.Size(common) == 0, values)
	}
	e.clusterTLS(out, c, options)
	pool := &mapping{}
	pool.value("idle", values, "idle_per_worker")
	pool.duration("idle_timeout", common.GetIdleTimeout())
	pool.number("max_requests", common.GetMaxRequestsPerConnection())
	pool.duration("max_age", common.GetMaxConnectionDuration())
	out.sub("pool", pool)
}

func endpointsNode(c *cluster.Cluster, values resource.Values) *yaml.Node {
	if c.GetType() == cluster.Cluster_ORIGINAL_DST {
		return originalDstNode(c, values)
	}
	key := "address"
	if isDNS(c) {
		key = "name"
	}
	var nodes []*yaml.Node
	for _, group := range c.GetLoadAssignment().GetEndpoints() {
		for _, e := range group.GetLbEndpoints() {
			nodes = append(nodes, placedMap(key, group, e))
		}
	}
	if isDNS(c) {
		return dnsMap(c, nodes).node()
	}
	return list(nodes...)
}

func dnsMap(c *cluster.Cluster, names []*yaml.Node) *mapping {
	out := &mapping{}
	if len(names) == 1 {
		out.put("dns", names[0])
	} else {
		out.put("dns", list(names...))
	}
	if c.GetType() == cluster.Cluster_LOGICAL_DNS {
		out.word("mode", "logical")
	}
	//lint:ignore SA1019 see dns
	out.duration("refresh", c.GetDnsRefreshRate())
	//lint:ignore SA1019 see dns
	if !c.GetRespectDnsTtl() {
		out.put("respect_ttl", truth(false))
	}
	switch c.GetDnsLookupFamily() {
	case cluster.Cluster_V4_ONLY:
		out.word("family", "v4")
	case cluster.Cluster_V6_ONLY:
		out.word("family", "v6")
	}
	return out
}
