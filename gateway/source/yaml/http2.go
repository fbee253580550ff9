package yaml

import (
	"slices"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// The bounds of settings of HTTP/2.
const (
	minWindow    = 1<<16 - 1 // what every peer begins with (RFC 9113 section 6.9.2)
	maxAllowance = 1_000_000
)

// protocols reads what a listener speaks, in the order of preference.
func (d *decoder) protocols(f fields) []string {
	v, ok := f.get("protocols")
	if !ok {
		return slices.Clone(protocolNames)
	}
	names := d.protocolList(v)
	if len(names) == 0 {
		return slices.Clone(protocolNames) // reported
	}
	return names
}

// protocolList reads names of application protocols, at least one.
func (d *decoder) protocolList(v value) []string {
	var names []string
	entries := d.oneOrMore(v)
	for _, entry := range entries {
		name, ok := d.protocol(entry)
		switch {
		case !ok:
		case slices.Contains(names, name):
			d.fail(entry, "%s stands here twice", name)
		default:
			names = append(names, name)
		}
	}
	if v.isList() && len(entries) == 0 {
		d.fail(v, "must name at least one protocol")
	}
	return names
}

// protocol reads the name of an application protocol, or one of the other words that
// may stand there.
func (d *decoder) protocol(v value, others ...string) (string, bool) {
	s, ok := d.text(v)
	switch {
	case !ok:
	case slices.Contains(protocolNames, s), slices.Contains(others, s):
		return s, true
	case s == "h2c":
		d.failHint(v, "write h2", "without TLS HTTP/2 has the same name here")
	case s == "http1" || s == "http/1" || s == "http1.1" || s == "1.1":
		d.failHint(v, `did you mean "http/1.1"?`, "%q is no protocol", s)
	case s == "http2" || s == "http/2" || s == "2" || s == "http/2.0":
		d.failHint(v, `did you mean "h2"?`, "%q is no protocol", s)
	case s == "h3" || s == "http3" || s == "http/3":
		d.fail(v, "protocol %s is not supported by this version yet", s)
	default:
		d.failHint(v, nearest(s, append(others, protocolNames...)), "%q is no protocol", clip(s))
	}
	return "", false
}

// codecType is how xDS says which protocols are spoken.
func codecType(protocols []string) hcm.HttpConnectionManager_CodecType {
	switch {
	case len(protocols) > 1:
		return hcm.HttpConnectionManager_AUTO
	case protocols[0] == "h2":
		return hcm.HttpConnectionManager_HTTP2
	}
	return hcm.HttpConnectionManager_HTTP1
}

// listenerHTTP2 reads what a listener says about HTTP/2; m has its upgrades.
func (d *decoder) listenerHTTP2(f fields, m *hcm.HttpConnectionManager, extra resource.Values) {
	v, ok := f.get("http2")
	if !ok {
		return
	}
	h := d.object(v, listenerHTTP2Table)
	options := d.http2(h)
	options.AllowConnect = len(m.UpgradeConfigs) > 0
	if on, ok := h.flag("connect"); ok {
		options.AllowConnect = on
	}
	if burst, rate := d.allowance(h, "resets"); burst > 0 || rate > 0 {
		options.StreamResetBurst, options.StreamResetRate = wide(burst), wide(rate)
	}
	burst, rate := d.allowance(h, "control")
	if burst > 0 {
		extra["http2_control_burst"] = burst
	}
	if rate > 0 {
		extra["http2_control_rate"] = rate
	}
	if n, ok := h.number("continuations", 0, 10_000); ok {
		extra["http2_continuations"] = n
	}
	h.window("max_stream_window", extra)
	h.window("max_connection_window", extra)
	m.Http2ProtocolOptions = options
}

// http2 reads what both sides may say.
func (d *decoder) http2(h fields) *core.Http2ProtocolOptions {
	out := &core.Http2ProtocolOptions{MaxConcurrentStreams: h.uint32("max_streams", 1, most)}
	if n, ok := h.bytes("stream_window", minWindow, most); ok {
		out.InitialStreamWindowSize = wrapperspb.UInt32(uint32(n))
	}
	if n, ok := h.bytes("connection_window", minWindow, most); ok {
		out.InitialConnectionWindowSize = wrapperspb.UInt32(uint32(n))
	}
	if n, ok := h.bytes("header_table", 0, 1<<20); ok {
		out.HpackTableSize = wrapperspb.UInt32(uint32(n))
	}
	if v, ok := h.get("ping"); ok {
		p := d.object(v, pingTable)
		keepalive := &core.KeepaliveSettings{Timeout: p.duration("timeout", time.Millisecond)}
		if wait, ok := p.span("interval", 0); ok && wait > 0 && wait < 100*time.Millisecond {
			d.fail(p.written("interval"), "%v: must be at least 100ms, or 0s for never", wait)
		} else {
			keepalive.Interval = p.duration("interval", 0)
		}
		out.ConnectionKeepalive = keepalive
	}
	return out
}

// allowance reads how often something may happen; 0 is what is not written.
func (d *decoder) allowance(f fields, name string) (burst, perSecond int64) {
	v, ok := f.get(name)
	if !ok {
		return 0, 0
	}
	a := d.object(v, allowanceTable)
	burst, _ = a.number("burst", 1, maxAllowance)
	perSecond, _ = a.number("per_second", 1, maxAllowance)
	return burst, perSecond
}

func wide(n int64) *wrapperspb.UInt64Value {
	if n == 0 {
		return nil
	}
	return wrapperspb.UInt64(uint64(n))
}

// window reads what a window may grow to.
func (f fields) window(name string, extra resource.Values) {
	if n, ok := f.bytes(name, minWindow, most); ok {
		extra["http2_"+name] = n
	}
}

// clusterHTTP reads "protocol" and "http2" into the HTTP options of a cluster, and
// reports whether there is one of them.
func (d *decoder) clusterHTTP(f fields, out *upstream.HttpProtocolOptions, extra resource.Values) bool {
	name := "http/1.1"
	spoken, written := f.get("protocol")
	if written {
		name = d.clusterProtocol(spoken)
	}
	options := &core.Http2ProtocolOptions{}
	if v, ok := f.get("http2"); ok {
		h := d.object(v, clusterHTTP2Table)
		options = d.http2(h)
		h.window("max_stream_window", extra)
		if n, ok := h.number("max_connections", 0, maxAllowance); ok {
			extra["http2_max_connections"] = n
		}
		if name == "http/1.1" {
			d.at(v.key, v.path, "write protocol: h2 or protocol: auto", "has no effect: only http/1.1 is spoken to this cluster")
		}
	}
	switch name {
	case "h2":
		out.UpstreamProtocolOptions = explicit(&upstream.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: options},
		})
	case "auto":
		out.UpstreamProtocolOptions = &upstream.HttpProtocolOptions_AutoConfig{
			AutoConfig: &upstream.HttpProtocolOptions_AutoHttpConfig{Http2ProtocolOptions: options},
		}
	default:
		out.UpstreamProtocolOptions = explicit(&upstream.HttpProtocolOptions_ExplicitHttpConfig{
			ProtocolConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &core.Http1ProtocolOptions{}},
		})
	}
	return written
}

func explicit(config *upstream.HttpProtocolOptions_ExplicitHttpConfig) *upstream.HttpProtocolOptions_ExplicitHttpConfig_ {
	return &upstream.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: config}
}

// clusterProtocol reads what is spoken to endpoints; "" is reported.
func (d *decoder) clusterProtocol(v value) string {
	switch s, ok := d.text(v); {
	case !ok:
	case s == "grpc":
		d.failHint(v, "write h2", "gRPC goes over HTTP/2")
	case s == "tcp":
		d.fail(v, "protocol %s is not supported by this version yet", s)
	default:
		name, _ := d.protocol(v, "auto")
		return name
	}
	return ""
}
