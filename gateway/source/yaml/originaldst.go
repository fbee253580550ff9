package yaml

import (
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	yaml "go.yaml.in/yaml/v4"

	"longmen/gateway/resource"
)

// originalDestination reads the settings of a cluster whose endpoints are where
// connections were going.
func (d *decoder) originalDestination(v value, f fields, out *cluster.Cluster, extra resource.Values) {
	out.ClusterDiscoveryType = &cluster.Cluster_Type{Type: cluster.Cluster_ORIGINAL_DST}
	out.LbPolicy = cluster.Cluster_CLUSTER_PROVIDED
	out.CleanupInterval = f.duration("unused", time.Millisecond)
	settings := &cluster.Cluster_OriginalDstLbConfig{UpstreamPortOverride: f.uint32("port", 1, 65535)}
	if header, ok := f.get("header"); ok {
		if name, ok := d.word(header); ok && d.fieldName(header.node, header.path, name) {
			settings.UseHttpHeader, settings.HttpHeaderName = true, name
		}
	}
	if settings.UseHttpHeader || settings.UpstreamPortOverride != nil {
		out.LbConfig = &cluster.Cluster_OriginalDstLbConfig_{OriginalDstLbConfig: settings}
	}
	if n, ok := f.number("max_endpoints", 1, 1<<20); ok {
		extra["max_endpoints"] = n
	}
	if v.isMap() && len(v.node.Content) == 0 {
		d.failHint(v, "write endpoints: original_dst", "says nothing")
	}
}

func originalDstNode(c *cluster.Cluster, values resource.Values) *yaml.Node {
	settings, out := &mapping{}, &mapping{}
	settings.word("header", c.GetOriginalDstLbConfig().GetHttpHeaderName())
	settings.number("port", c.GetOriginalDstLbConfig().GetUpstreamPortOverride())
	settings.duration("unused", c.GetCleanupInterval())
	settings.value("max_endpoints", values, "max_endpoints")
	if len(settings.content) == 0 {
		return text("original_dst")
	}
	out.put("original_dst", settings.node())
	return out.node()
}

// hasKey reports whether a map has a key, before its keys are read.
func hasKey(n *yaml.Node, name string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return true
		}
	}
	return false
}
