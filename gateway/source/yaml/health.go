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
		IntervalJitter:     f.duration("jitter", 0),
	}
	if every := f.duration("every", 10*time.Millisecond); every != nil {
		out.Interval = every
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
		for _, name := range []string{"host", "method", "headers", "status", "expect"} {
			if odd, ok := f.get(name); ok && (name != "host" || !f.has("grpc")) {
				d.at(odd.key, odd.path, "", "is for http checks only")
			}
		}
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
		for _, entry := range d.entries(v) {
			if !d.fieldName(entry.key, entry.path, entry.key.Value) {
				continue
			}
			if text, ok := d.fieldValue(entry); ok {
				out.RequestHeadersToAdd = append(out.RequestHeadersToAdd,
					headerOption(entry.key.Value, text, core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
			}
		}
	}
	if v, ok := f.get("status"); ok {
		if between := d.statuses(v); between != nil {
			out.ExpectedStatuses = []*types.Int64Range{between}
		}
	}
	if s, ok := f.word("expect"); ok {
		out.Receive = []*core.HealthCheck_Payload{payload(s)}
	}
	return out
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
	if v, ok := f.get("expect"); ok {
		if s, ok := d.text(v); ok && s != "" {
			out.Receive = []*core.HealthCheck_Payload{payload(s)}
		}
	}
	return out
}
