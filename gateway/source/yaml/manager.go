package yaml

import (
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// most bounds counts of connections, requests and the like.
const most = 1<<31 - 1

// manager reads what a listener says about HTTP.
func (d *decoder) manager(f fields, protocols []string, extra resource.Values) *hcm.HttpConnectionManager {
	m := &hcm.HttpConnectionManager{
		CodecType:  codecType(protocols),
		StatPrefix: f.self.key.Value,
		HttpFilters: []*hcm.HttpFilter{{
			Name:       routerName,
			ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: d.pack(f.self, &router.Router{})},
		}},
		// Envoy would set the field always; here that is to be asked for.
		ServerHeaderTransformation: hcm.HttpConnectionManager_PASS_THROUGH,
		UseRemoteAddress:           wrapperspb.Bool(true),
	}
	common := &core.HttpProtocolOptions{}
	d.listenerRoutes(f, m)
	d.path(f, m, extra)
	d.listenerLimits(f, m, common, extra)
	d.listenerTimeouts(f, m, common, extra)
	d.minRate(f, extra)
	d.forwarded(f, m, extra)
	d.server(f, m, extra)
	d.listenerUpgrades(f, m)
	m.HttpFilters = append(d.listenerFilters(f), m.HttpFilters...)
	d.listenerHTTP2(f, m, extra)
	if word, ok := f.choice("half_close", "keep", "abort"); ok {
		extra["half_close"] = word
	}
	if v, ok := f.get("access_log"); ok {
		if m.AccessLog, ok = d.accessLogs(v); !ok {
			extra["access_log"] = "off"
		}
	}
	if proto.Size(common) > 0 {
		m.CommonHttpProtocolOptions = common
	}
	return m
}

func (d *decoder) listenerRoutes(f fields, m *hcm.HttpConnectionManager) {
	v, ok := f.get("routes")
	switch {
	case !ok:
		f.missing("routes", "the name of a route table, or a list of hosts")
	case v.isList():
		table := &route.RouteConfiguration{Name: f.self.key.Value}
		table.VirtualHosts = d.hosts(v, table.Name)
		m.RouteSpecifier = &hcm.HttpConnectionManager_RouteConfig{RouteConfig: table}
	case v.isMap():
		d.fail(v, "must be the name of a route table or a list of hosts, not a map")
	default:
		if name, ok := d.word(v); ok {
			m.RouteSpecifier = &hcm.HttpConnectionManager_Rds{Rds: &hcm.Rds{
				RouteConfigName: name,
				ConfigSource: &core.ConfigSource{
					ConfigSourceSpecifier: &core.ConfigSource_Ads{Ads: &core.AggregatedConfigSource{}},
					ResourceApiVersion:    core.ApiVersion_V3,
				},
			}}
		}
	}
}

func (d *decoder) path(f fields, m *hcm.HttpConnectionManager, extra resource.Values) {
	v, ok := f.get("path")
	if !ok {
		return
	}
	p := d.object(v, pathTable)
	if word, ok := p.choice("encoded_slash", "reject", "decode", "keep"); ok {
		m.PathWithEscapedSlashesAction = pathActions[word]
	}
	switch word, _ := p.choice("dot_segments", "reject", "resolve", "keep"); word {
	case "resolve", "keep":
		m.NormalizePath = wrapperspb.Bool(word == "resolve")
	case "reject":
		extra["dot_segments"] = word
	}
	switch word, _ := p.choice("double_slash", "reject", "merge", "keep"); word {
	case "merge":
		m.MergeSlashes = true
	case "reject", "keep":
		extra["double_slash"] = word
	}
}

func (d *decoder) listenerLimits(f fields, m *hcm.HttpConnectionManager, common *core.HttpProtocolOptions, extra resource.Values) {
	v, ok := f.get("limits")
	if !ok {
		return
	}
	l := d.object(v, listenerLimitsTable)
	for name, key := range map[string]string{
		"connections": "max_connections", "accept_rate": "accept_rate",
		"client_connections": "max_client_connections", "active_requests": "max_active_requests",
	} {
		if n, ok := l.number(name, 0, most); ok {
			extra[key] = n
		}
	}
	if n, ok := l.bytes("header_bytes", 1<<10, 8<<20); ok {
		if n%(1<<10) != 0 {
			d.failHint(l.written("header_bytes"), "did you mean "+formatBytes((n+1023)>>10<<10)+"?", "must be whole KiB")
		} else {
			m.MaxRequestHeadersKb = wrapperspb.UInt32(uint32(n >> 10))
		}
	}
	common.MaxHeadersCount = l.uint32("headers", 1, 10_000)
	if n, ok := l.bytes("line", 64, 1<<20); ok {
		extra["max_line"] = n
	}
	if n, ok := l.bytes("body", 0, maxBytes); ok {
		extra["max_body"] = n
	}
	common.MaxRequestsPerConnection = l.uint32("requests", 0, most)
}

func (d *decoder) listenerTimeouts(f fields, m *hcm.HttpConnectionManager, common *core.HttpProtocolOptions, extra resource.Values) {
	v, ok := f.get("timeouts")
	if !ok {
		return
	}
	t := d.object(v, listenerTimeoutsTable)
	m.RequestHeadersTimeout = t.duration("header", time.Millisecond)
	m.StreamIdleTimeout = t.duration("stream", time.Millisecond)
	m.RequestTimeout = t.duration("request", 0)
	common.IdleTimeout = t.duration("idle", time.Millisecond)
	if wait, ok := t.span("body", time.Millisecond); ok {
		extra["body_timeout"] = wait
	}
	if wait, ok := t.span("write", time.Millisecond); ok {
		extra["write_timeout"] = wait
	}
}

func (d *decoder) minRate(f fields, extra resource.Values) {
	v, ok := f.get("min_rate")
	if !ok {
		return
	}
	r := d.object(v, minRateTable)
	if n, ok := r.bytes("request", 0, 1<<40); ok {
		extra["min_request_rate"] = n
	}
	if n, ok := r.bytes("response", 0, 1<<40); ok {
		extra["min_response_rate"] = n
	}
	if wait, ok := r.span("grace", 0); ok {
		extra["rate_grace"] = wait
	}
}

func (d *decoder) forwarded(f fields, m *hcm.HttpConnectionManager, extra resource.Values) {
	v, ok := f.get("forwarded")
	if !ok {
		return
	}
	w := d.object(v, forwardedTable)
	if n, ok := w.number("trusted_hops", 0, 32); ok {
		m.XffNumTrustedHops = uint32(n)
	}
	if word, ok := w.choice("x_forwarded_for", "append", "keep"); ok {
		m.UseRemoteAddress = wrapperspb.Bool(word == "append")
	}
	if v, ok := w.get("via"); ok {
		if name, ok := d.word(v); ok {
			switch {
			case name == "off":
				extra["via"] = name
			case !isToken(name):
				d.fail(v, "%q is no pseudonym (RFC 9110 section 7.6.3)", clip(name))
			default:
				m.Via = name
			}
		}
	}
	if on, ok := w.flag("rfc7239"); ok {
		extra["forwarded"] = "off"
		if on {
			extra["forwarded"] = "append"
		}
	}
	switch word, _ := w.choice("request_id", "generate", "preserve", "off"); word {
	case "generate":
		m.GenerateRequestId = wrapperspb.Bool(true)
	case "preserve":
		m.GenerateRequestId, m.PreserveExternalRequestId = wrapperspb.Bool(true), true
	case "off":
		m.GenerateRequestId = wrapperspb.Bool(false)
	}
	if on, ok := w.flag("request_id_in_response"); ok {
		m.AlwaysSetRequestIdInResponse = on
	}
	d.clientCert(w, m)
}

var clientCertWords = map[string]hcm.HttpConnectionManager_ForwardClientCertDetails{
	"remove": hcm.HttpConnectionManager_SANITIZE, "keep": hcm.HttpConnectionManager_FORWARD_ONLY,
	"append": hcm.HttpConnectionManager_APPEND_FORWARD, "set": hcm.HttpConnectionManager_SANITIZE_SET,
	"always_keep": hcm.HttpConnectionManager_ALWAYS_FORWARD_ONLY,
}

// clientCert reads what becomes of X-Forwarded-Client-Cert.
func (d *decoder) clientCert(f fields, m *hcm.HttpConnectionManager) {
	word, _ := f.choice("client_cert", "remove", "keep", "append", "set", "always_keep")
	m.ForwardClientCertDetails = clientCertWords[word]
	v, ok := f.get("client_cert_details")
	if !ok {
		return
	}
	if word != "append" && word != "set" {
		d.failHint(v, "write client_cert: set", "has an effect with client_cert: append or set only")
	}
	details := &hcm.HttpConnectionManager_SetCurrentClientCertDetails{}
	for _, entry := range d.items(v) {
		switch word, _ := d.choice(entry, "subject", "uri", "dns", "cert", "chain"); word {
		case "subject":
			details.Subject = wrapperspb.Bool(true)
		case "uri":
			details.Uri = true
		case "dns":
			details.Dns = true
		case "cert":
			details.Cert = true
		case "chain":
			details.Chain = true
		}
	}
	m.SetCurrentClientCertDetails = details
}

func (d *decoder) server(f fields, m *hcm.HttpConnectionManager, extra resource.Values) {
	v, ok := f.get("server")
	if !ok {
		return
	}
	word := ""
	if v.isMap() {
		s := d.object(v, serverTable)
		word, _ = s.choice("header", "keep", "set", "remove")
		if name, ok := s.word("name"); ok {
			m.ServerName = name
		}
	} else {
		word, _ = d.choice(v, "keep", "set", "remove")
	}
	if word == "" {
		return
	}
	extra["server_header"] = word
	if word == "set" {
		m.ServerHeaderTransformation = hcm.HttpConnectionManager_OVERWRITE
	}
}

// listenerUpgrades allows WebSocket unless the key says otherwise.
func (d *decoder) listenerUpgrades(f fields, m *hcm.HttpConnectionManager) {
	protocols := []string{"websocket"}
	if v, ok := f.get("upgrades"); ok {
		protocols = nil
		for _, entry := range d.items(v) {
			if name, ok := d.upgrade(entry); ok {
				protocols = append(protocols, name)
			}
		}
	}
	for _, name := range protocols {
		m.UpgradeConfigs = append(m.UpgradeConfigs, &hcm.HttpConnectionManager_UpgradeConfig{UpgradeType: name})
	}
}

// upgrade reads the name of a protocol for the Upgrade field.
func (d *decoder) upgrade(v value) (string, bool) {
	s, ok := d.word(v)
	if !ok {
		return "", false
	}
	name, version, versioned := strings.Cut(s, "/")
	switch {
	case !isToken(name) || versioned && !isToken(version):
		d.fail(v, "%q is no protocol name (RFC 9110 section 7.8)", clip(s))
	case strings.EqualFold(s, "connect"):
		d.failHint(v, "write connect: true on a rule", "CONNECT is no protocol to upgrade to")
	case strings.EqualFold(s, "h2c") || strings.EqualFold(name, "http") && versioned:
		d.failHint(v, "clients that know beforehand need no upgrade: see protocols", "an upgrade to %s is not supported: RFC 9113 has none any more", clip(s))
	default:
		return s, true
	}
	return "", false
}

// isToken tells an RFC 9110 token: a method, a field name, a cookie name.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
