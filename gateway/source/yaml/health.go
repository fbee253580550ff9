package yaml

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// health reads one active health check. What xDS requires is always written.
func (d *decoder) health(v value) *core.HealthCheck {
	f := d.object(v, healthTable)
	out := &core.HealthCheck{
		Interval:           durationpb.New(5 * time.Second),
		Timeout:            durationpb.New(time.Second),
		HealthyThreshold:   wrapperspb.UInt32(2),
		UnhealthyThreshold: wrapperspb.UInt32(3),
		InitialJitter:      f.duration("first_jitter", 0),
		AltPort:            f.uint32("port", 1, 65535),
	}
	d.healthTimes(f, out)
	if every := f.duration("every", 10*time.Millisecond); every != nil {
		out.Interval = every
		out.Timeout = durationpb.New(min(time.Second, every.AsDuration()))
	}
	if timeout := f.duration("timeout", time.Millisecond); timeout != nil {
		out.Timeout = timeout
	}
	if up := f.uint32("up", 1, 1000); up != nil {
		out.HealthyThreshold = up
	}
	if down := f.uint32("down", 1, 1000); down != nil {
		out.UnhealthyThreshold = down
	}
	there := f.exclusive("http", "grpc", "tcp")
	if !f.has("http") {
		for _, name := range []string{"host", "method", "headers", "status", "retriable", "expect", "body", "protocol"} {
			if odd, ok := f.get(name); ok && (name != "host" || !f.has("grpc")) {
				d.at(odd.key, odd.path, "", "is for http checks only")
			}
		}
	}
	if odd, ok := f.get("metadata"); ok && !f.has("grpc") {
		d.at(odd.key, odd.path, "", "is for grpc checks only")
	}
	switch {
	case len(there) == 0:
		f.missing("http", "the path to ask for; grpc: true or tcp: true may stand in its place", "tcp", "grpc", "rpc")
	case there[0] == "http":
		out.HealthChecker = &core.HealthCheck_HttpHealthCheck_{HttpHealthCheck: d.httpCheck(f)}
	case there[0] == "grpc":
		out.HealthChecker = &core.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: d.grpcCheck(f)}
	default:
		out.HealthChecker = &core.HealthCheck_TcpHealthCheck_{TcpHealthCheck: d.tcpCheck(f.written("tcp"))}
	}
	return out
}

func (d *decoder) httpCheck(f fields) *core.HealthCheck_HttpHealthCheck {
	out := &core.HealthCheck_HttpHealthCheck{}
	if s, ok := f.word("http"); ok {
		if !strings.HasPrefix(s, "/") || strings.ContainsAny(s, " #") {
			d.failHint(f.written("http"), `did you mean "/`+clip(strings.TrimLeft(s, "/"))+`"?`, `%q: a path begins with "/" and has no blanks`, clip(s))
		}
		out.Path = s
	}
	if v, ok := f.get("host"); ok {
		out.Host, _ = d.authority(v)
	}
	if v, ok := f.get("method"); ok {
		if s, ok := d.choice(v, checkMethods...); ok {
			out.Method = core.RequestMethod(core.RequestMethod_value[s])
		}
	}
	if v, ok := f.get("headers"); ok {
		out.RequestHeadersToAdd = d.checkHeaders(v)
	}
	out.ExpectedStatuses = d.statusList(f, "status")
	out.RetriableStatuses = d.statusList(f, "retriable")
	out.Receive = d.expected(f)
	if s, ok := f.word("body"); ok {
		out.Send = payload(s)
	}
	if word, _ := f.choice("protocol", "h2"); word != "" {
		out.CodecClientType = types.CodecClientType_HTTP2
	}
	return out
}

// checkHeaders reads the fields that a check sends.
func (d *decoder) checkHeaders(v value) []*core.HeaderValueOption {
	var out []*core.HeaderValueOption
	for _, entry := range d.entries(v) {
		if !d.fieldName(entry.key, entry.path, entry.key.Value) {
			continue
		}
		if text, ok := d.fieldValue(entry); ok {
			out = append(out, headerOption(entry.key.Value, text, core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
		}
	}
	return out
}

// maxExpected bounds the statuses and texts of a check.
const maxExpected = 16

func (d *decoder) statusList(f fields, name string) []*types.Int64Range {
	v, ok := f.get(name)
	if !ok {
		return nil
	}
	var out []*types.Int64Range
	for _, entry := range d.oneOrMore(v) {
		if between := d.statuses(entry); between != nil {
			out = append(out, between)
		}
	}
	if v.isList() && (len(v.node.Content) == 0 || len(v.node.Content) > maxExpected) {
		d.fail(v, "must name 1 to %d statuses or ranges", maxExpected)
	}
	return out
}

// expected reads the texts that an answer must hold.
func (d *decoder) expected(f fields) []*core.HealthCheck_Payload {
	v, ok := f.get("expect")
	if !ok {
		return nil
	}
	var out []*core.HealthCheck_Payload
	for _, entry := range d.oneOrMore(v) {
		if s, ok := d.text(entry); ok && s == "" {
			d.fail(entry, "must not be empty")
		} else if ok {
			out = append(out, payload(s))
		}
	}
	if v.isList() && (len(v.node.Content) == 0 || len(v.node.Content) > maxExpected) {
		d.fail(v, "must name 1 to %d texts", maxExpected)
	}
	return out
}

// healthTimes reads what checks have in common but for what they ask.
func (d *decoder) healthTimes(f fields, out *core.HealthCheck) {
	if v, ok := f.get("jitter"); ok {
		if v.scalar() && strings.HasSuffix(v.node.Value, "%") {
			out.IntervalJitterPercent, _ = d.wholePercent(v, 1, 100)
		} else {
			out.IntervalJitter = f.duration("jitter", 0)
		}
	}
	if v, ok := f.get("intervals"); ok {
		const least = 10 * time.Millisecond
		i := d.object(v, healthIntervalsTable)
		out.UnhealthyInterval = i.duration("down", least)
		out.UnhealthyEdgeInterval = i.duration("going_down", least)
		out.HealthyEdgeInterval = i.duration("coming_up", least)
		out.NoTrafficInterval = i.duration("no_traffic", least)
		out.NoTrafficHealthyInterval = i.duration("no_traffic_up", least)
	}
	if reuse, ok := f.flag("reuse"); ok {
		out.ReuseConnection = wrapperspb.Bool(reuse)
	}
	if v, ok := f.get("alpn"); ok {
		options := &core.HealthCheck_TlsOptions{}
		for _, entry := range d.oneOrMore(v) {
			if s, ok := d.word(entry); ok {
				options.AlpnProtocols = append(options.AlpnProtocols, s)
			}
		}
		if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must name at least one protocol")
		}
		out.TlsOptions = options
	}
	v, ok := f.get("log")
	if !ok {
		return
	}
	path := v
	if v.isMap() {
		l := d.object(v, healthLogTable)
		out.AlwaysLogHealthCheckFailures, _ = l.flag("failures")
		out.AlwaysLogHealthCheckSuccess, _ = l.flag("successes")
		if path, ok = l.get("path"); !ok {
			l.missing("path", "the file")
			return
		}
	}
	//lint:ignore SA1019 a sink of events is longer, and says no more
	out.EventLogPath, _ = d.word(path)
}

// checkMethods are the methods of a check; those that carry content are left
// out, as Envoy does for CONNECT.
var checkMethods = []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"}

// statuses reads 204, or "200-399" with both ends in.
func (d *decoder) statuses(v value) *types.Int64Range {
	s, ok := d.text(v)
	if !ok {
		return nil
	}
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	low, err1 := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	high, err2 := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if err1 != nil || err2 != nil || low < 100 || high > 599 || low > high {
		d.fail(v, `%q: must be a status such as 204 or a range such as "200-399"`, clip(s))
		return nil
	}
	return &types.Int64Range{Start: int64(low), End: int64(high) + 1}
}

// payload writes text as xDS has it: hexadecimal.
func payload(text string) *core.HealthCheck_Payload {
	return &core.HealthCheck_Payload{Payload: &core.HealthCheck_Payload_Text{Text: hex.EncodeToString([]byte(text))}}
}

func (d *decoder) tcpCheck(v value) *core.HealthCheck_TcpHealthCheck {
	out := &core.HealthCheck_TcpHealthCheck{}
	if !v.isMap() {
		if on, ok := d.boolean(v); ok && !on {
			d.fail(v, "tcp: false says nothing")
		}
		return out
	}
	f := d.object(v, tcpCheckTable)
	if v, ok := f.get("send"); ok {
		if s, ok := d.text(v); ok && s != "" {
			out.Send = payload(s)
		}
	}
	out.Receive = d.expected(f)
	return out
}
