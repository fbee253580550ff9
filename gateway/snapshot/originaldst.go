package snapshot

import (
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/gateway/stream"
)

const (
	maxDestinations = 1 << 20
	// destinationHeader is the field of use_http_header where none is named.
	destinationHeader = "x-envoy-original-dst-host"
)

// originalDestination reads the settings of clusters whose endpoints are where
// connections were going. c.discovery has read the type.
func (c *compiler) originalDestination(at resource.Path, cl *clusterv3.Cluster, out *cluster.Config) {
	settings := cl.GetOriginalDstLbConfig()
	at = join(at, "original_dst")
	if out.Discovery != cluster.OriginalDst {
		if settings != nil || cl.GetCleanupInterval() != nil {
			c.fail(at, "Cluster.original_dst_lb_config and cleanup_interval are for clusters of type ORIGINAL_DST")
		}
		return
	}
	if cl.GetLoadAssignment() != nil || cl.GetEdsClusterConfig() != nil {
		c.fail(at, "an ORIGINAL_DST cluster has no endpoints of its own")
	}
	to := &out.OriginalDestination
	to.Unused = c.positive(join(at, "unused"), cl.GetCleanupInterval(), 0)
	if len(cl.GetHealthChecks()) > 0 {
		c.fail(at, "nobody knows the endpoints beforehand: there can be no health checks")
	}
	if settings == nil {
		return
	}
	c.only(at, settings, "use_http_header", "http_header_name", "upstream_port_override")
	to.Port = uint16(c.number(join(at, "port"), settings.GetUpstreamPortOverride(), 1, 65535, 0))
	switch name := strings.ToLower(settings.GetHttpHeaderName()); {
	case !settings.GetUseHttpHeader():
		if name != "" {
			c.fail(join(at, "header"), "OriginalDstLbConfig.http_header_name without use_http_header")
		}
	case name == "":
		to.Header = destinationHeader
	case !stream.IsToken(name):
		c.fail(join(at, "header"), "%q is no header name", settings.GetHttpHeaderName())
	default:
		to.Header = name
	}
}
