package yaml

import (
	"encoding/hex"
	"strconv"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	yaml "go.yaml.in/yaml/v4"
)

func healthMap(check *core.HealthCheck) *mapping {
	out := &mapping{}
	switch checker := check.GetHealthChecker().(type) {
	case *core.HealthCheck_HttpHealthCheck_:
		httpCheckMap(out, checker.HttpHealthCheck)
	case *core.HealthCheck_GrpcHealthCheck_:
		out.put("grpc", grpcCheckNode(checker.GrpcHealthCheck))
		out.word("host", checker.GrpcHealthCheck.GetAuthority())
		out.sub("metadata", checkHeadersMap(checker.GrpcHealthCheck.GetInitialMetadata()))
	case *core.HealthCheck_TcpHealthCheck_:
		talk := &mapping{}
		talk.word("send", payloadText(checker.TcpHealthCheck.GetSend()))
		expectedNode(talk, checker.TcpHealthCheck.GetReceive())
		if len(talk.content) == 0 {
			out.put("tcp", truth(true))
		}
		out.sub("tcp", talk)
	}
	out.duration("every", check.GetInterval())
	out.duration("timeout", check.GetTimeout())
	out.number("up", check.GetHealthyThreshold())
	out.number("down", check.GetUnhealthyThreshold())
	out.duration("jitter", check.GetIntervalJitter())
	if n := check.GetIntervalJitterPercent(); n != 0 {
		out.word("jitter", wholePercentText(n))
	}
	out.duration("first_jitter", check.GetInitialJitter())
	intervals := &mapping{}
	intervals.duration("down", check.GetUnhealthyInterval())
	intervals.duration("going_down", check.GetUnhealthyEdgeInterval())
	intervals.duration("coming_up", check.GetHealthyEdgeInterval())
	intervals.duration("no_traffic", check.GetNoTrafficInterval())
	intervals.duration("no_traffic_up", check.GetNoTrafficHealthyInterval())
	out.sub("intervals", intervals)
	out.number("port", check.GetAltPort())
	if on := check.GetReuseConnection(); on != nil {
		out.put("reuse", truth(on.GetValue()))
	}
	if names := check.GetTlsOptions().GetAlpnProtocols(); len(names) > 0 {
		out.put("alpn", texts(names))
	}
	//lint:ignore SA1019 see healthTimes
	path := check.GetEventLogPath()
	if !check.GetAlwaysLogHealthCheckFailures() && !check.GetAlwaysLogHealthCheckSuccess() {
		out.word("log", path)
		return out
	}
	log := &mapping{}
	log.word("path", path)
	if check.GetAlwaysLogHealthCheckFailures() {
		log.put("failures", truth(true))
	}
	if check.GetAlwaysLogHealthCheckSuccess() {
		log.put("successes", truth(true))
	}
	out.sub("log", log)
	return out
}

func httpCheckMap(out *mapping, check *core.HealthCheck_HttpHealthCheck) {
	out.word("http", check.GetPath())
	out.word("host", check.GetHost())
	if check.GetMethod() != core.RequestMethod_METHOD_UNSPECIFIED {
		out.word("method", check.GetMethod().String())
	}
	out.sub("headers", checkHeadersMap(check.GetRequestHeadersToAdd()))
	statusesNode(out, "status", check.GetExpectedStatuses())
	statusesNode(out, "retriable", check.GetRetriableStatuses())
	expectedNode(out, check.GetReceive())
	out.word("body", payloadText(check.GetSend()))
	if check.GetCodecClientType() == types.CodecClientType_HTTP2 {
		out.word("protocol", "h2")
	}
}

func checkHeadersMap(options []*core.HeaderValueOption) *mapping {
	out := &mapping{}
	for _, option := range options {
		out.put(option.GetHeader().GetKey(), text(option.GetHeader().GetValue()))
	}
	return out
}

func statusesNode(out *mapping, key string, ranges []*types.Int64Range) {
	var nodes []*yaml.Node
	for _, r := range ranges {
		nodes = append(nodes, text(strconv.FormatInt(r.GetStart(), 10)+"-"+strconv.FormatInt(r.GetEnd()-1, 10)))
	}
	oneOrList(out, key, nodes)
}

func expectedNode(out *mapping, receive []*core.HealthCheck_Payload) {
	var nodes []*yaml.Node
	for _, one := range receive {
		nodes = append(nodes, text(payloadText(one)))
	}
	oneOrList(out, "expect", nodes)
}

// oneOrList writes a list, a single item in place of a list of one.
func oneOrList(out *mapping, key string, nodes []*yaml.Node) {
	switch len(nodes) {
	case 0:
	case 1:
		out.put(key, nodes[0])
	default:
		out.put(key, list(nodes...))
	}
}

// payloadText reads hexadecimal; what is none is found when the text is read back.
func payloadText(p *core.HealthCheck_Payload) string {
	raw, _ := hex.DecodeString(p.GetText())
	return string(raw)
}
