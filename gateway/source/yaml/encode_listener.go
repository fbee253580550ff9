package yaml

import (
	"net"
	"strconv"
	"strings"
	"time"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	file "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	yaml "go.yaml.in/yaml/v4"

	"longmen/gateway/resource"
)

func (e *encoder) listener(l *listener.Listener) *mapping {
	out := &mapping{}
	binds := []string{bindText(l.GetAddress())}
	for _, more := range l.GetAdditionalAddresses() {
		binds = append(binds, bindText(more.GetAddress()))
	}
	if len(binds) == 1 {
		out.word("bind", binds[0])
	} else {
		out.put("bind", texts(binds))
	}
	values, err := resource.Extended(l.GetMetadata(), resource.ListenerExtension)
	values = e.extended("listener", l.GetName(), values, err)
	m := &hcm.HttpConnectionManager{}
	var alpn []string
	if len(l.GetFilterChains()) == 1 {
		alpn = e.listenerTLS(out, l.GetName(), l.GetFilterChains()[0].GetTransportSocket())
	}
	if len(l.GetFilterChains()) == 1 && len(l.GetFilterChains()[0].GetFilters()) == 1 {
		if err := l.GetFilterChains()[0].GetFilters()[0].GetTypedConfig().UnmarshalTo(m); err != nil {
			e.fail("listener %q: %w", l.GetName(), err)
		}
	}
	e.manager(out, m, alpn, values)
	out.number("backlog", l.GetTcpBacklogSize())
	if l.GetBypassOverloadManager() {
		out.put("bypass_overload", truth(true))
	}
	out.number("fast_open", l.GetTcpFastOpenQueueLength())
	tcp := &mapping{}
	tcp.value("nodelay", values, "nodelay")
	if k := l.GetTcpKeepalive(); k != nil {
		tcp.put("keepalive", keepaliveNode(k))
	}
	out.sub("tcp", tcp)
	return out
}

func bindText(a *core.Address) string {
	s := a.GetSocketAddress()
	if s.GetAddress() == "::" && s.GetIpv4Compat() {
		return ":" + strconv.FormatUint(uint64(s.GetPortValue()), 10)
	}
	return hostPortText(a)
}

func hostPortText(a *core.Address) string {
	s := a.GetSocketAddress()
	return net.JoinHostPort(s.GetAddress(), strconv.FormatUint(uint64(s.GetPortValue()), 10))
}

func keepaliveNode(k *core.TcpKeepalive) *yaml.Node {
	out := &mapping{}
	if t := k.GetKeepaliveTime(); t != nil {
		out.word("idle", span(time.Duration(t.GetValue())*time.Second))
	}
	if t := k.GetKeepaliveInterval(); t != nil {
		out.word("interval", span(time.Duration(t.GetValue())*time.Second))
	}
	out.number("probes", k.GetKeepaliveProbes())
	return out.node()
}

func (e *encoder) manager(out *mapping, m *hcm.HttpConnectionManager, alpn []string, values resource.Values) {
	if table := m.GetRouteConfig(); table != nil {
		out.put("routes", e.hosts(table))
	} else {
		out.word("routes", m.GetRds().GetRouteConfigName())
	}
	listenerHTTP2(out, m, alpn, values)
	common := m.GetCommonHttpProtocolOptions()

	path := &mapping{}
	for word, action := range pathActions {
		if m.GetPathWithEscapedSlashesAction() == action {
			path.word("encoded_slash", word)
		}
	}
	if n := m.GetNormalizePath(); n != nil {
		path.word("dot_segments", map[bool]string{true: "resolve", false: "keep"}[n.GetValue()])
	} else {
		path.value("dot_segments", values, "dot_segments")
	}
	if m.GetMergeSlashes() {
		path.word("double_slash", "merge")
	} else {
		path.value("double_slash", values, "double_slash")
	}
	out.sub("path", path)

	limits := &mapping{}
	limits.value("connections", values, "max_connections")
	limits.value("accept_rate", values, "accept_rate")
	limits.value("client_connections", values, "max_client_connections")
	limits.value("active_requests", values, "max_active_requests")
	if kib := m.GetMaxRequestHeadersKb(); kib != nil {
		limits.put("header_bytes", bytesNode(int64(kib.GetValue())<<10))
	}
	limits.number("headers", common.GetMaxHeadersCount())
	limits.size("line", values, "max_line")
	limits.size("body", values, "max_body")
	limits.number("requests", common.GetMaxRequestsPerConnection())
	out.sub("limits", limits)

	timeouts := &mapping{}
	timeouts.duration("header", m.GetRequestHeadersTimeout())
	timeouts.value("body", values, "body_timeout")
	timeouts.duration("idle", common.GetIdleTimeout())
	timeouts.value("write", values, "write_timeout")
	timeouts.duration("stream", m.GetStreamIdleTimeout())
	timeouts.duration("request", m.GetRequestTimeout())
	out.sub("timeouts", timeouts)

	rate := &mapping{}
	rate.size("request", values, "min_request_rate")
	rate.size("response", values, "min_response_rate")
	rate.value("grace", values, "rate_grace")
	out.sub("min_rate", rate)

	e.forwarded(out, m, values)
	server := &mapping{}
	server.value("header", values, "server_header")
	server.word("name", m.GetServerName())
	out.sub("server", server)
	out.value("half_close", values, "half_close")
	e.listenerUpgrades(out, m)
	e.listenerFilters(out, m.GetHttpFilters())
	e.accessLogs(out, m, values)
}

func (e *encoder) forwarded(out *mapping, m *hcm.HttpConnectionManager, values resource.Values) {
	f := &mapping{}
	if hops := m.GetXffNumTrustedHops(); hops != 0 {
		f.put("trusted_hops", number(hops))
	}
	if !m.GetUseRemoteAddress().GetValue() {
		f.word("x_forwarded_for", "keep")
	}
	if m.GetVia() != "" {
		f.word("via", m.GetVia())
	} else {
		f.value("via", values, "via")
	}
	if word, ok := values.Word("forwarded"); ok {
		f.put("rfc7239", truth(word == "append"))
	}
	if generate := m.GetGenerateRequestId(); generate != nil {
		switch {
		case !generate.GetValue():
			f.word("request_id", "off")
		case m.GetPreserveExternalRequestId():
			f.word("request_id", "preserve")
		default:
			f.word("request_id", "generate")
		}
	}
	if m.GetAlwaysSetRequestIdInResponse() {
		f.put("request_id_in_response", truth(true))
	}
	clientCert(f, m)
	out.sub("forwarded", f)
}

func clientCert(f *mapping, m *hcm.HttpConnectionManager) {
	for word, details := range clientCertWords {
		if details == m.GetForwardClientCertDetails() && details != hcm.HttpConnectionManager_SANITIZE {
			f.word("client_cert", word)
		}
	}
	details := m.GetSetCurrentClientCertDetails()
	if details == nil {
		return
	}
	var words []string
	for _, part := range []struct {
		word string
		on   bool
	}{
		{"subject", details.GetSubject().GetValue()}, {"uri", details.GetUri()},
		{"dns", details.GetDns()}, {"cert", details.GetCert()}, {"chain", details.GetChain()},
	} {
		if part.on {
			words = append(words, part.word)
		}
	}
	f.put("client_cert_details", texts(words))
}

func (e *encoder) listenerUpgrades(out *mapping, m *hcm.HttpConnectionManager) {
	var names []string
	for _, u := range m.GetUpgradeConfigs() {
		if u.GetEnabled() == nil || u.GetEnabled().GetValue() {
			names = append(names, u.GetUpgradeType())
		}
	}
	if len(names) != 1 || names[0] != "websocket" {
		out.put("upgrades", texts(names))
	}
}

func (e *encoder) accessLogs(out *mapping, m *hcm.HttpConnectionManager, values resource.Values) {
	if word, ok := values.Word("access_log"); ok {
		out.word("access_log", word)
		return
	}
	var nodes []*yaml.Node
	for _, log := range m.GetAccessLog() {
		nodes = append(nodes, e.accessLog(log))
	}
	if len(nodes) > 0 {
		out.put("access_log", list(nodes...))
	}
}

func (e *encoder) accessLog(log *accesslog.AccessLog) *yaml.Node {
	out, to := &mapping{}, &file.FileAccessLog{}
	if err := log.GetTypedConfig().UnmarshalTo(to); err != nil {
		e.fail("access log %q: %w", log.GetName(), err)
		return out.node()
	}
	out.word("path", to.GetPath())
	switch format := to.GetLogFormat(); {
	case format.GetJsonFormat() != nil:
		out.word("format", "json")
		names, fields := format.GetJsonFormat().GetFields(), &mapping{}
		for _, name := range sortedKeys(names) {
			fields.put(name, text(names[name].GetStringValue()))
		}
		out.sub("fields", fields)
	case format.GetTextFormatSource() != nil:
		out.word("format", strings.TrimSuffix(format.GetTextFormatSource().GetInlineString(), "\n"))
	}
	return out.node()
}
