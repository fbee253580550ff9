package snapshot

import (
	"encoding/hex"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

// Defaults of health checks.
const (
	defaultHealthEvery   = 5 * time.Second
	defaultHealthTimeout = time.Second
	defaultHealthy       = 2
	defaultUnhealthy     = 3
	maxThreshold         = 1000
	maxPayload           = 4096 // bytes to send or to expect
)

// health compiles one active health check.
func (c *compiler) health(at resource.Path, h *core.HealthCheck) cluster.HealthConfig {
	c.only(at, h, "timeout", "interval", "interval_jitter", "unhealthy_threshold", "healthy_threshold",
		"http_health_check", "grpc_health_check", "tcp_health_check", "initial_jitter", "interval_jitter_percent", "alt_port", "reuse_connection",
		"no_traffic_interval", "no_traffic_healthy_interval", "unhealthy_interval", "unhealthy_edge_interval", "healthy_edge_interval",
		"event_log_path", "event_logger", "always_log_health_check_failures", "always_log_health_check_success", "tls_options")
	out := cluster.HealthConfig{
		Every:     c.positive(join(at, "every"), h.GetInterval(), defaultHealthEvery),
		Timeout:   c.positive(join(at, "timeout"), h.GetTimeout(), defaultHealthTimeout),
		Jitter:    c.duration(join(at, "jitter"), h.GetIntervalJitter(), 0),
		Healthy:   c.number(join(at, "up"), h.GetHealthyThreshold(), 1, maxThreshold, defaultHealthy),
		Unhealthy: c.number(join(at, "down"), h.GetUnhealthyThreshold(), 1, maxThreshold, defaultUnhealthy),
	}
	c.healthTimes(at, h, &out)
	c.healthLog(join(at, "log"), h, &out)
	if options := h.GetTlsOptions(); options != nil {
		c.only(join(at, "alpn"), options, "alpn_protocols")
		out.ALPN = options.GetAlpnProtocols()
	}
	switch {
	case h.GetTimeout() == nil:
		out.Timeout = min(out.Timeout, out.Every)
	case out.Timeout > out.Every:
		c.fail(join(at, "timeout"), "%v is longer than the pause between two checks (every: %v)", out.Timeout, out.Every)
	}
	switch check := h.GetHealthChecker().(type) {
	case *core.HealthCheck_HttpHealthCheck_:
		out.HTTP = c.httpHealth(at, check.HttpHealthCheck)
	case *core.HealthCheck_GrpcHealthCheck_:
		out.GRPC = c.grpcHealth(at, check.GrpcHealthCheck)
	case *core.HealthCheck_TcpHealthCheck_:
		out.TCP = c.tcpHealth(at, check.TcpHealthCheck)
	case nil:
		c.fail(at, "what to check is missing: one of http, grpc and tcp")
	}
	return out
}

func (c *compiler) httpHealth(at resource.Path, h *core.HealthCheck_HttpHealthCheck) *cluster.HTTPHealth {
	c.only(at, h, "host", "path", "receive", "request_headers_to_add", "expected_statuses", "method", "retriable_statuses", "send", "codec_client_type")
	out := &cluster.HTTPHealth{Path: h.GetPath(), Host: h.GetHost(), Method: "GET"}
	if path, _, _ := strings.Cut(out.Path, "?"); !isRedirectPath(path+"/") || path == "" {
		c.failHint(join(at, "http"), `write "/`+strings.TrimLeft(out.Path, "/")+`"`, "%q: the path of a health check begins with \"/\" and has no blanks", out.Path)
	}
	if out.Host != "" && !isAuthority(out.Host) {
		c.fail(join(at, "host"), "%q is no host name", out.Host)
	}
	switch h.GetMethod() {
	case core.RequestMethod_METHOD_UNSPECIFIED:
	case core.RequestMethod_CONNECT:
		c.fail(join(at, "method"), "CONNECT is no method for a health check")
	default:
		out.Method = h.GetMethod().String()
	}
	out.Expected = c.statuses(join(at, "status"), h.GetExpectedStatuses())
	out.Retriable = c.statuses(join(at, "retriable"), h.GetRetriableStatuses())
	if h.GetSend() != nil {
		out.Body = c.payload(join(at, "body"), h.GetSend())
	}
	switch h.GetCodecClientType() {
	case typev3.CodecClientType_HTTP1: // the default: what the cluster speaks
	case typev3.CodecClientType_HTTP2:
		out.Codec = cluster.HTTP2Codec
	default:
		c.fail(join(at, "protocol"), "HttpHealthCheck.codec_client_type: %v is not supported by this version yet", h.GetCodecClientType())
	}
	out.Headers = c.checkHeaders(join(at, "headers"), h.GetRequestHeadersToAdd())
	out.Expect = c.receive(join(at, "expect"), h.GetReceive())
	return out
}

// checkHeaders reads the fields that a check sends.
func (c *compiler) checkHeaders(at resource.Path, options []*core.HeaderValueOption) (out map[string]string) {
	for _, option := range options {
		name, value := option.GetHeader().GetKey(), option.GetHeader().GetValue()
		where := join(at, name)
		c.only(where, option, "header", "append_action", "keep_empty_value")
		c.only(where, option.GetHeader(), "key", "value")
		switch {
		case option.GetAppendAction() != core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD && option.GetAppendAction() != core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD:
			c.fail(where, "HeaderValueOption.append_action: %v is not supported by this version yet", option.GetAppendAction())
		case !c.editable(where, name):
		case !isFieldText(value) || strings.Contains(value, "%"):
			c.fail(where, "%q: the header of a health check is a plain text without variables", value)
		case out == nil:
			out = map[string]string{name: value}
		default:
			out[name] = value
		}
	}
	return out
}

func (c *compiler) tcpHealth(at resource.Path, h *core.HealthCheck_TcpHealthCheck) *cluster.TCPHealth {
	c.only(at, h, "send", "receive")
	out := &cluster.TCPHealth{Receive: c.receive(join(at, "receive"), h.GetReceive())}
	if h.GetSend() != nil {
		out.Send = c.payload(join(at, "send"), h.GetSend())
	}
	return out
}

func (c *compiler) receive(at resource.Path, list []*core.HealthCheck_Payload) (out [][]byte) {
	for _, text := range list {
		out = append(out, c.payload(at, text))
	}
	return out
}

// payload reads bytes: binary as it is, or text, which is hexadecimal.
func (c *compiler) payload(at resource.Path, p *core.HealthCheck_Payload) []byte {
	c.only(at, p, "text", "binary")
	out := p.GetBinary()
	if text, ok := p.GetPayload().(*core.HealthCheck_Payload_Text); ok {
		var err error
		if out, err = hex.DecodeString(text.Text); err != nil {
			c.fail(at, "HealthCheck.Payload.text is not hexadecimal: %v", err)
			return nil
		}
	}
	if len(out) == 0 || len(out) > maxPayload {
		c.fail(at, "%d bytes: must be from 1 to %d", len(out), maxPayload)
	}
	return out
}
