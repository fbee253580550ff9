package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	upstreams "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// httpOptions is where a cluster has its HTTP settings.
const httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// defaultClusterHTTP2 are the settings of a cluster that says nothing about HTTP/2.
func defaultClusterHTTP2() HTTP2 {
	out := defaultHTTP2()
	out.MaxStreamWindow = 4 << 20
	return out
}

// protocolOptions reads the HTTP settings of the connections, and returns those
// about server names.
func (c *compiler) protocolOptions(at resource.Path, cl *clusterv3.Cluster, out *cluster.Config) (names *core.UpstreamHttpProtocolOptions) {
	var o2 *core.Http2ProtocolOptions
	for name, packed := range cl.GetTypedExtensionProtocolOptions() {
		var options upstreams.HttpProtocolOptions
		if name != httpOptions {
			c.fail(at, "Cluster.typed_extension_protocol_options[%q] is not supported by this version yet", name)
			continue
		}
		if !c.unpack(at, packed, &options) {
			continue
		}
		c.only(at, &options, "common_http_protocol_options", "explicit_http_config", "auto_config", "use_downstream_protocol_config", "upstream_http_protocol_options")
		names = options.GetUpstreamHttpProtocolOptions()
		out.Protocol, o2 = c.spoken(at, &options)
		if o := options.GetCommonHttpProtocolOptions(); o != nil {
			where := join(at, "pool")
			c.only(where, o, "idle_timeout", "max_connection_duration", "max_requests_per_connection")
			out.Pool.IdleTimeout = c.positive(join(where, "idle_timeout"), o.GetIdleTimeout(), out.Pool.IdleTimeout)
			out.Pool.MaxAge = c.duration(join(where, "max_age"), o.GetMaxConnectionDuration(), 0)
			out.Pool.MaxRequests = c.number(join(where, "max_requests"), o.GetMaxRequestsPerConnection(), 0, 1<<31-1, 0)
		}
	}
	if old := cl.GetHttp2ProtocolOptions(); old != nil {
		if len(cl.GetTypedExtensionProtocolOptions()) > 0 {
			c.fail(join(at, "http2"), "both Cluster.http2_protocol_options, which is deprecated, and HttpProtocolOptions in its place")
		}
		out.Protocol, o2 = cluster.HTTP2Only, old
	}
	if out.Protocol == cluster.AutoProtocol && cl.GetTransportSocket() == nil {
		c.warn(join(at, "protocol"), "write protocol: h2, or protocol: http/1.1", "without TLS nothing is negotiated: auto is http/1.1 here")
	}
	read := c.http2(join(at, "http2"), o2, defaultClusterHTTP2())
	out.HTTP2 = cluster.HTTP2{
		MaxStreams: read.MaxStreams, StreamWindow: read.StreamWindow, ConnWindow: read.ConnWindow, MaxWindow: read.MaxStreamWindow,
		// 0 means the default there; in one byte is no room for any field (RFC 7541 section 4.1).
		HeaderTable:  max(read.HeaderTable, 1),
		PingInterval: read.PingInterval, PingTimeout: read.PingTimeout,
	}
	return names
}

// spoken reads what is spoken to endpoints, and the settings of HTTP/2 if it is.
func (c *compiler) spoken(at resource.Path, o *upstreams.HttpProtocolOptions) (cluster.Protocol, *core.Http2ProtocolOptions) {
	where := join(at, "protocol")
	switch config := o.GetUpstreamProtocolOptions().(type) {
	case *upstreams.HttpProtocolOptions_ExplicitHttpConfig_:
		switch explicit := config.ExplicitHttpConfig.GetProtocolConfig().(type) {
		case *upstreams.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions:
			return cluster.HTTP2Only, explicit.Http2ProtocolOptions
		case *upstreams.HttpProtocolOptions_ExplicitHttpConfig_Http3ProtocolOptions:
			c.fail(where, "HTTP/3 is not supported by this version yet")
		case *upstreams.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions:
			c.upstreamHTTP1(where, explicit.HttpProtocolOptions)
		}
	case *upstreams.HttpProtocolOptions_AutoConfig:
		auto := config.AutoConfig
		if auto.GetHttp3ProtocolOptions() != nil || auto.GetAlternateProtocolsCacheOptions() != nil {
			c.fail(where, "HTTP/3 is not supported by this version yet")
		}
		c.only(where, auto, "http_protocol_options", "http2_protocol_options", "http3_protocol_options", "alternate_protocols_cache_options")
		c.upstreamHTTP1(where, auto.GetHttpProtocolOptions())
		return cluster.AutoProtocol, auto.GetHttp2ProtocolOptions()
	case *upstreams.HttpProtocolOptions_UseDownstreamProtocolConfig:
		c.failHint(where, "send explicit_http_config or auto_config",
			"HttpProtocolOptions.use_downstream_protocol_config is not supported: what is spoken to endpoints does not follow the client")
	}
	return cluster.HTTP1, nil
}

func (c *compiler) upstreamHTTP1(at resource.Path, o *core.Http1ProtocolOptions) {
	if o != nil {
		c.only(at, o, "enable_trailers")
	}
}

// clusterHTTP2 reads what xDS has no field for.
func (s *settings) clusterHTTP2(out *cluster.Config) {
	h := &out.HTTP2
	h.MaxWindow = s.window("http2_max_stream_window", "stream_window", h.StreamWindow, h.MaxWindow)
	s.count("http2_max_connections", 0, maxAllowance, &h.MaxConnections)
}

// upstreamALPN are the application protocols that endpoints are offered: those
// that are written, which must be spoken, or else those that are spoken, where it
// is not HTTP/1.1 alone.
func (c *compiler) upstreamALPN(at resource.Path, written []string, p cluster.Protocol) []string {
	spoken := Protocols{HTTP1: p != cluster.HTTP2Only, HTTP2: p != cluster.HTTP1}
	if len(written) > 0 {
		c.alpn(at, written, spoken, "leave alpn out: protocol says it")
		return written
	}
	switch p {
	case cluster.HTTP2Only:
		return []string{protocolHTTP2}
	case cluster.AutoProtocol:
		return []string{protocolHTTP2, protocolHTTP1}
	}
	return nil
}
