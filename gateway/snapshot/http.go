package snapshot

import (
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"longmen/gateway/resource"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/tls/verify"
)

// defaultHTTP are the settings of a listener that says nothing.
func defaultHTTP() HTTP {
	return HTTP{
		MaxHead:       60 << 10,
		MaxHeaders:    100,
		MaxLine:       8 << 10,
		HeaderTimeout: 10 * time.Second,
		BodyTimeout:   30 * time.Second,
		WriteTimeout:  30 * time.Second,
		IdleTimeout:   60 * time.Second,
		StreamIdle:    5 * time.Minute,
		RateGrace:     10 * time.Second,
		RequestID:     RequestIDGenerate,
		ServerHeader:  ServerKeep,
		ServerName:    "longmen",
		Protocols:     Protocols{HTTP1: true, HTTP2: true},
		HTTP2:         defaultHTTP2(),
	}
}

// http reads an HttpConnectionManager, all but its routes.
func (c *compiler) http(at resource.Path, m *hcm.HttpConnectionManager, out *Listener) {
	out.HTTP = defaultHTTP()
	if m == nil {
		return // reported
	}
	c.only(at, m, "codec_type", "stat_prefix", "rds", "route_config", "http_filters", "common_http_protocol_options", "http_protocol_options", "http2_protocol_options",
		"server_name", "server_header_transformation", "max_request_headers_kb", "stream_idle_timeout", "request_timeout",
		"request_headers_timeout", "access_log", "use_remote_address", "xff_num_trusted_hops", "skip_xff_append", "via",
		"generate_request_id", "preserve_external_request_id", "always_set_request_id_in_response", "upgrade_configs",
		"forward_client_cert_details", "set_current_client_cert_details", "normalize_path", "merge_slashes", "path_with_escaped_slashes_action")
	h := &out.HTTP
	h.Protocols = c.codec(at, m.GetCodecType())
	c.ownFilters[out.Name] = c.listenerFilters(at, m.GetHttpFilters(), &out.Hash)
	c.commonOptions(at, m.GetCommonHttpProtocolOptions(), h)
	c.http1Options(at, m.GetHttpProtocolOptions())

	h.MaxHead = c.number(join(at, "limits.header_bytes"), m.GetMaxRequestHeadersKb(), 1, 8192, h.MaxHead>>10) << 10
	h.StreamIdle = c.positive(join(at, "timeouts.stream"), m.GetStreamIdleTimeout(), h.StreamIdle)
	h.RequestTimeout = c.duration(join(at, "timeouts.request"), m.GetRequestTimeout(), 0)
	h.HeaderTimeout = c.positive(join(at, "timeouts.header"), m.GetRequestHeadersTimeout(), h.HeaderTimeout)

	h.UseRemote = m.GetUseRemoteAddress().GetValue() && !m.GetSkipXffAppend()
	if h.TrustedHops = int(m.GetXffNumTrustedHops()); h.TrustedHops > 32 {
		c.fail(join(at, "forwarded.trusted_hops"), "%d: must be from 0 to 32", h.TrustedHops)
	}
	h.Via = m.GetVia()
	switch {
	case m.GetGenerateRequestId() != nil && !m.GetGenerateRequestId().GetValue():
		h.RequestID = RequestIDOff
	case m.GetPreserveExternalRequestId():
		h.RequestID = RequestIDPreserve
	}
	h.RequestIDInResponse = m.GetAlwaysSetRequestIdInResponse()
	c.clientCert(at, m, h)
	if m.GetServerName() != "" {
		h.ServerName = m.GetServerName()
	}
	if m.GetServerHeaderTransformation() == hcm.HttpConnectionManager_OVERWRITE {
		h.ServerHeader = ServerSet
	}
	for i, upgrade := range m.GetUpgradeConfigs() {
		where := item(join(at, "upgrades"), i)
		c.only(where, upgrade, "upgrade_type", "enabled")
		if upgrade.GetEnabled() != nil && !upgrade.GetEnabled().GetValue() {
			continue
		}
		if name, ok := c.upgrade(where, upgrade.GetUpgradeType()); ok {
			h.Upgrades = append(h.Upgrades, name)
		}
	}
	c.http2Options(at, m.GetHttp2ProtocolOptions(), h)
	c.pathPolicy(at, m, &h.Path)
	for i, log := range m.GetAccessLog() {
		where := join(at, "access_log")
		if len(m.GetAccessLog()) > 1 {
			where = item(where, i)
		}
		if compiled, ok := c.accessLog(where, log); ok {
			h.AccessLog = append(h.AccessLog, compiled)
		}
	}
}

// clientCert reads what becomes of X-Forwarded-Client-Cert.
func (c *compiler) clientCert(at resource.Path, m *hcm.HttpConnectionManager, h *HTTP) {
	at = join(at, "forwarded.client_cert")
	switch details := m.GetForwardClientCertDetails(); details {
	case hcm.HttpConnectionManager_SANITIZE:
		h.ClientCert = verify.Sanitize
	case hcm.HttpConnectionManager_FORWARD_ONLY:
		h.ClientCert = verify.ForwardOnly
	case hcm.HttpConnectionManager_APPEND_FORWARD:
		h.ClientCert = verify.AppendForward
	case hcm.HttpConnectionManager_SANITIZE_SET:
		h.ClientCert = verify.SanitizeSet
	case hcm.HttpConnectionManager_ALWAYS_FORWARD_ONLY:
		h.ClientCert = verify.AlwaysForwardOnly
	default:
		c.fail(at, "%v is not supported by this version yet", details)
	}
	set := m.GetSetCurrentClientCertDetails()
	if set == nil {
		return
	}
	c.only(at, set, "subject", "cert", "chain", "dns", "uri")
	if h.ClientCert != verify.AppendForward && h.ClientCert != verify.SanitizeSet {
		c.fail(join(at, "details"), "HttpConnectionManager.set_current_client_cert_details has an effect with APPEND_FORWARD and SANITIZE_SET only")
	}
	h.ClientCertDetails = verify.Details{
		Subject: set.GetSubject().GetValue(), Cert: set.GetCert(), Chain: set.GetChain(), DNS: set.GetDns(), URI: set.GetUri(),
	}
}

func (c *compiler) commonOptions(at resource.Path, o *core.HttpProtocolOptions, h *HTTP) {
	if o == nil {
		return
	}
	c.only(at, o, "idle_timeout", "max_headers_count", "max_requests_per_connection")
	h.IdleTimeout = c.positive(join(at, "timeouts.idle"), o.GetIdleTimeout(), h.IdleTimeout)
	h.MaxHeaders = c.number(join(at, "limits.headers"), o.GetMaxHeadersCount(), 1, 10_000, h.MaxHeaders)
	h.MaxRequests = c.number(join(at, "limits.requests"), o.GetMaxRequestsPerConnection(), 0, 1<<31-1, 0)
}

// http1Options takes those of Envoy's choices that are the only ones here.
func (c *compiler) http1Options(at resource.Path, o *core.Http1ProtocolOptions) {
	if o == nil {
		return
	}
	c.only(at, o, "allow_absolute_url", "accept_http_10", "enable_trailers")
	if o.GetAllowAbsoluteUrl() != nil && !o.GetAllowAbsoluteUrl().GetValue() {
		c.fail(at, "Http1ProtocolOptions.allow_absolute_url: false is not supported: RFC 9112 section 3.2.2 requires to accept the absolute form")
	}
}

// listenerExtension reads what xDS has no field for. Where it has one, that wins.
func (c *compiler) listenerExtension(at resource.Path, metadata *core.Metadata, manager *hcm.HttpConnectionManager, out *Listener) {
	const most = 1 << 40
	s, h := c.extension(at, metadata, resource.ListenerExtension), &out.HTTP
	s.count("max_connections", 0, most, &h.MaxConnections)
	s.count("accept_rate", 0, most, &h.AcceptRate)
	s.count("max_client_connections", 0, most, &h.MaxClientConnections)
	s.count("max_active_requests", 0, most, &h.MaxActiveRequests)
	switch s.word("dot_segments") {
	case "reject":
		h.Path.DotSegments = router.PathReject
	case "resolve":
		h.Path.DotSegments = router.PathDecode
	case "keep":
		h.Path.DotSegments = router.PathKeep
	}
	switch s.word("double_slash") {
	case "reject":
		h.Path.DoubleSlash = router.PathReject
	case "merge":
		h.Path.DoubleSlash = router.PathDecode
	case "keep":
		h.Path.DoubleSlash = router.PathKeep
	}
	headerTimeout := h.HeaderTimeout
	s.duration("header_timeout", time.Millisecond, &headerTimeout)
	maxRequests := h.MaxRequests
	s.count("max_requests", 0, 1<<31-1, &maxRequests)
	if manager.GetRequestHeadersTimeout() == nil {
		h.HeaderTimeout = headerTimeout
	}
	if manager.GetCommonHttpProtocolOptions().GetMaxRequestsPerConnection() == nil {
		h.MaxRequests = maxRequests
	}
	s.duration("body_timeout", time.Millisecond, &h.BodyTimeout)
	s.duration("write_timeout", time.Millisecond, &h.WriteTimeout)
	s.count("min_request_rate", 0, most, &h.MinRequestRate)
	s.count("min_response_rate", 0, most, &h.MinResponseRate)
	s.duration("rate_grace", 0, &h.RateGrace)
	s.count("max_line", 64, 1<<20, &h.MaxLine)
	s.number("max_body", 0, 1<<50, &h.MaxBody)
	h.AbortOnHalfClose = s.word("half_close") == "abort"
	if via := s.word("via"); via != "off" && h.Via == "" {
		h.Via = via
	}
	h.Forwarded = s.word("forwarded") == "append"
	switch s.word("server_header") {
	case "keep":
		h.ServerHeader = ServerKeep
	case "set":
		h.ServerHeader = ServerSet
	case "remove":
		h.ServerHeader = ServerRemove
	}
	if s.word("access_log") == "" && len(h.AccessLog) == 0 {
		h.AccessLog = c.defaults.AccessLog
	}
	const maxTime, maxProbes = 32767 * time.Second, 127
	s.duration("keepalive_idle", 0, &out.Socket.KeepaliveIdle)
	s.duration("keepalive_interval", 0, &out.Socket.KeepaliveInterval)
	s.count("keepalive_probes", 0, maxProbes, &out.Socket.KeepaliveProbes)
	if out.Socket.KeepaliveIdle > maxTime || out.Socket.KeepaliveInterval > maxTime {
		c.fail(join(at, "tcp.keepalive"), "the kernel takes at most %v", maxTime)
	}
	s.boolean("nodelay", &out.Socket.NoDelay)
	s.http2Extension(&h.HTTP2)
}

// contradictions compares the settings of a listener with each other.
func (c *compiler) contradictions(at resource.Path, h *HTTP) {
	if h.RequestTimeout > 0 && h.RequestTimeout < h.HeaderTimeout {
		c.fail(join(at, "timeouts.request"), "%v for the whole request ends before the time for its head can (timeouts.header: %v)", h.RequestTimeout, h.HeaderTimeout)
	}
	if h.MaxLine > h.MaxHead {
		c.fail(join(at, "limits.line"), "%d bytes for the request line are more than those for the whole head (limits.header_bytes: %d)", h.MaxLine, h.MaxHead)
	}
	if !stream.IsToken(h.Via) && h.Via != "" {
		c.fail(join(at, "forwarded.via"), "%q is no pseudonym: it must be a token (RFC 9110 section 7.6.3)", h.Via)
	}
	if !isFieldText(h.ServerName) {
		c.fail(join(at, "server.name"), "%q cannot stand in a header field", h.ServerName)
	}
}

// pathPolicy reads Envoy's ways to normalise paths. normalize_path false leaves
// dot segments as they are. What is left to the implementation is the safe one:
// encoded slashes are rejected.
func (c *compiler) pathPolicy(at resource.Path, m *hcm.HttpConnectionManager, p *router.PathPolicy) {
	*p = router.PathPolicy{EscapedSlashes: router.PathReject, DotSegments: router.PathDecode, DoubleSlash: router.PathKeep}
	if m.GetNormalizePath() != nil && !m.GetNormalizePath().GetValue() {
		p.DotSegments = router.PathKeep
	}
	if m.GetMergeSlashes() {
		p.DoubleSlash = router.PathDecode
	}
	switch action := m.GetPathWithEscapedSlashesAction(); action {
	case hcm.HttpConnectionManager_IMPLEMENTATION_SPECIFIC_DEFAULT, hcm.HttpConnectionManager_REJECT_REQUEST:
	case hcm.HttpConnectionManager_KEEP_UNCHANGED:
		p.EscapedSlashes = router.PathKeep
	case hcm.HttpConnectionManager_UNESCAPE_AND_FORWARD:
		p.EscapedSlashes = router.PathDecode
	default:
		c.fail(join(at, "path.encoded_slash"), "%v is not supported by this version yet", action)
	}
}
