package yaml

import (
	"slices"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// listenerHTTP2 writes what a listener speaks, and its settings of HTTP/2; alpn is
// what its TLS offers.
func listenerHTTP2(out *mapping, m *hcm.HttpConnectionManager, alpn []string, values resource.Values) {
	names := alpn
	switch {
	case len(alpn) > 0:
	case m.GetCodecType() == hcm.HttpConnectionManager_HTTP1:
		names = []string{"http/1.1"}
	case m.GetCodecType() == hcm.HttpConnectionManager_HTTP2:
		names = []string{"h2"}
	}
	if len(names) > 0 && !slices.Equal(names, protocolNames) {
		out.put("protocols", texts(names))
	}
	o, h := m.GetHttp2ProtocolOptions(), &mapping{}
	http2Options(h, o, values)
	h.size("max_connection_window", values, "http2_max_connection_window")
	resets := &mapping{}
	resets.wide("burst", o.GetStreamResetBurst())
	resets.wide("per_second", o.GetStreamResetRate())
	h.sub("resets", resets)
	control := &mapping{}
	control.value("burst", values, "http2_control_burst")
	control.value("per_second", values, "http2_control_rate")
	h.sub("control", control)
	h.value("continuations", values, "http2_continuations")
	if o != nil && o.GetAllowConnect() != (len(m.GetUpgradeConfigs()) > 0) {
		h.put("connect", truth(o.GetAllowConnect()))
	}
	if o != nil {
		out.put("http2", h.node())
	}
}

// http2Options writes what both sides may say.
func http2Options(out *mapping, o *core.Http2ProtocolOptions, values resource.Values) {
	out.number("max_streams", o.GetMaxConcurrentStreams())
	out.bytes("stream_window", o.GetInitialStreamWindowSize())
	out.size("max_stream_window", values, "http2_max_stream_window")
	out.bytes("connection_window", o.GetInitialConnectionWindowSize())
	out.bytes("header_table", o.GetHpackTableSize())
	if k := o.GetConnectionKeepalive(); k != nil {
		ping := &mapping{}
		ping.duration("interval", k.GetInterval())
		ping.duration("timeout", k.GetTimeout())
		out.put("ping", ping.node())
	}
}

// clusterHTTP writes what is spoken to a cluster. HTTP/1.1 is written where there
// would be no options else.
func clusterHTTP(out *mapping, options *upstream.HttpProtocolOptions, others bool, values resource.Values) {
	var o *core.Http2ProtocolOptions
	switch explicit := options.GetExplicitHttpConfig(); {
	case options.GetAutoConfig() != nil:
		out.word("protocol", "auto")
		o = options.GetAutoConfig().GetHttp2ProtocolOptions()
	case explicit.GetHttp2ProtocolOptions() != nil:
		out.word("protocol", "h2")
		o = explicit.GetHttp2ProtocolOptions()
	case !others:
		out.word("protocol", "http/1.1")
	}
	h := &mapping{}
	http2Options(h, o, values)
	h.value("max_connections", values, "http2_max_connections")
	out.sub("http2", h)
}

func (m *mapping) bytes(key string, n *wrapperspb.UInt32Value) {
	if n != nil {
		m.put(key, bytesNode(int64(n.GetValue())))
	}
}

func (m *mapping) wide(key string, n *wrapperspb.UInt64Value) {
	if n != nil {
		m.put(key, number(int64(n.GetValue())))
	}
}
