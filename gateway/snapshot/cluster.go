package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// Defaults of clusters.
const (
	defaultConnectTimeout  = 5 * time.Second
	defaultPending         = 1024
	defaultRetries         = 3
	defaultMinRetries      = 3 // of a budget
	most                   = 1<<31 - 1
	defaultIdle            = 1024
	defaultPoolIdleTimeout = 60 * time.Second
	defaultDNSRefresh      = 5 * time.Second
	defaultDNSMinRefresh   = time.Second
	defaultChoices         = 2
)

// cluster compiles one Cluster and its endpoints.
func (c *compiler) cluster(cl *clusterv3.Cluster) cluster.Config {
	at := join("clusters", cl.GetName())
	c.only(at, cl, "name", "type", "cluster_type", "eds_cluster_config", "connect_timeout", "lb_policy", "load_balancing_policy",
		"round_robin_lb_config", "least_request_lb_config", "ring_hash_lb_config", "maglev_lb_config", "original_dst_lb_config",
		"lb_subset_config", "cleanup_interval", "load_assignment", "health_checks", "circuit_breakers", "typed_extension_protocol_options", "http2_protocol_options",
		"dns_refresh_rate", "respect_dns_ttl", "dns_lookup_family", "dns_resolvers", "common_lb_config",
		"outlier_detection", "upstream_connection_options", "upstream_bind_config", "transport_socket", "metadata")
	assignment := c.assignment(at, cl)
	out := cluster.Config{
		Name:           cl.GetName(),
		Origin:         c.place(at),
		Hash:           hash(cl, assignment),
		Choices:        defaultChoices,
		ConnectTimeout: c.positive(join(at, "timeouts.connect"), cl.GetConnectTimeout(), defaultConnectTimeout),
		Limits:         cluster.Limits{Pending: defaultPending, Retries: defaultRetries},
		HighLimits:     cluster.Limits{Pending: defaultPending, Retries: defaultRetries},
		Pool:           cluster.Pool{Idle: defaultIdle, IdleTimeout: defaultPoolIdleTimeout},
	}
	c.discovery(at, cl, &out)
	c.endpoints(at, assignment, &out)
	c.balance(at, cl, &out)
	for i, check := range cl.GetHealthChecks() {
		where := join(at, "health")
		if len(cl.GetHealthChecks()) > 1 {
			where = item(where, i)
		}
		if check.GetGrpcHealthCheck() != nil && speaksHTTP1(cl) {
			c.warn(join(where, "grpc"), callsHint, "the endpoints are asked over HTTP/2, and requests go to them over HTTP/1.1")
		}
		out.Health = append(out.Health, c.health(where, check))
	}
	c.altPort(join(at, "health"), cl.GetHealthChecks(), &out)
	c.limits(join(at, "limits"), cl.GetCircuitBreakers(), &out)
	c.clusterTLS(at, cl, c.protocolOptions(at, cl, &out), &out)
	c.upstreamTCP(at, cl, &out.TCP)
	c.outlier(join(at, "outlier"), cl.GetOutlierDetection(), &out)
	c.clusterExtension(at, cl.GetMetadata(), &out)
	return out
}

func (c *compiler) discovery(at resource.Path, cl *clusterv3.Cluster, out *cluster.Config) {
	if own := cl.GetClusterType(); own != nil {
		c.aggregate(at, cl, own, out)
		return
	}
	switch cl.GetType() {
	case clusterv3.Cluster_STATIC, clusterv3.Cluster_EDS:
		out.Discovery = cluster.Static
	case clusterv3.Cluster_STRICT_DNS:
		out.Discovery = cluster.StrictDNS
	case clusterv3.Cluster_LOGICAL_DNS:
		out.Discovery = cluster.LogicalDNS
	case clusterv3.Cluster_ORIGINAL_DST:
		out.Discovery = cluster.OriginalDst
	default:
		c.fail(at, "Cluster.type: %v is not supported by this version yet", cl.GetType())
	}
	where := join(at, "endpoints")
	c.originalDestination(where, cl, out)
	dns := &out.DNS
	dns.Refresh = c.positive(join(where, "refresh"), cl.GetDnsRefreshRate(), defaultDNSRefresh)
	dns.MinRefresh = defaultDNSMinRefresh
	dns.RespectTTL = cl.GetRespectDnsTtl()
	switch cl.GetDnsLookupFamily() {
	case clusterv3.Cluster_AUTO, clusterv3.Cluster_ALL:
		dns.Family = cluster.AutoFamily
	case clusterv3.Cluster_V4_ONLY:
		dns.Family = cluster.V4Only
	case clusterv3.Cluster_V6_ONLY:
		dns.Family = cluster.V6Only
	default:
		c.fail(where, "Cluster.dns_lookup_family: %v is not supported by this version yet", cl.GetDnsLookupFamily())
	}
	for _, address := range cl.GetDnsResolvers() {
		if resolver, _, ok := c.address(join(where, "resolvers"), address); ok {
			dns.Resolvers = append(dns.Resolvers, resolver)
		}
	}
	if (out.Discovery == cluster.Static || out.Discovery == cluster.OriginalDst) && (cl.GetDnsRefreshRate() != nil || cl.GetRespectDnsTtl() || cl.GetDnsLookupFamily() != clusterv3.Cluster_AUTO || len(cl.GetDnsResolvers()) > 0) {
		c.fail(where, "DNS settings without DNS")
	}
}

func (c *compiler) upstreamTCP(at resource.Path, cl *clusterv3.Cluster, out *cluster.TCP) {
	if o := cl.GetUpstreamConnectionOptions(); o != nil {
		c.only(at, o, "tcp_keepalive")
		if k := o.GetTcpKeepalive(); k != nil {
			out.KeepaliveIdle, out.KeepaliveInterval, out.KeepaliveProbes = c.keepalive(at, k)
		}
	}
	if b := cl.GetUpstreamBindConfig(); b != nil {
		where := join(at, "tcp.source")
		c.only(where, b, "source_address")
		c.only(where, b.GetSourceAddress(), "address", "port_value")
		if port := b.GetSourceAddress().GetPortValue(); port != 0 {
			c.fail(where, "a port to connect from (%d) is not supported by this version yet", port)
		}
		source, err := netip.ParseAddr(b.GetSourceAddress().GetAddress())
		if err != nil {
			c.fail(where, "%q is no IP address", b.GetSourceAddress().GetAddress())
		}
		out.Source = source.Unmap()
	}
}

func (c *compiler) clusterExtension(at resource.Path, metadata *core.Metadata, out *cluster.Config) {
	s := c.extension(at, metadata, resource.ClusterExtension)
	s.count("idle_per_worker", 0, 1<<20, &out.Pool.Idle)
	maxAge := out.Pool.MaxAge
	s.duration("max_age", 0, &maxAge)
	if out.Pool.MaxAge == 0 {
		out.Pool.MaxAge = maxAge
	}
	s.duration("response_timeout", 0, &out.ResponseTimeout)
	s.clusterHTTP2(out)
	s.duration("pending_timeout", 0, &out.Limits.PendingTimeout)
	s.duration("high_pending_timeout", 0, &out.HighLimits.PendingTimeout)
	s.onward(out)
	s.outlier(out)
	if n := 0; out.Discovery == cluster.OriginalDst {
		s.count("max_endpoints", 1, maxDestinations, &n)
		out.OriginalDestination.Most = n
	} else if _, written := s.values.Number("max_endpoints"); written {
		c.fail(join(at, "endpoints"), "max_endpoints is for clusters of type ORIGINAL_DST")
	}
}
