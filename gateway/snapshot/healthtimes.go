package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	eventsink "github.com/envoyproxy/go-control-plane/envoy/extensions/health_check/event_sinks/file/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
)

const maxExpected = 16 // statuses, and texts, of a check

// healthTimes reads when an endpoint is checked, but for the plain interval.
func (c *compiler) healthTimes(at resource.Path, h *core.HealthCheck, out *cluster.HealthConfig) {
	out.InitialJitter = c.duration(join(at, "first_jitter"), h.GetInitialJitter(), 0)
	if n := h.GetIntervalJitterPercent(); n > 100 {
		c.fail(join(at, "jitter"), "%d %%: must be at most 100", n)
	} else {
		out.JitterPercent = int(n)
	}
	out.Reuse = h.GetReuseConnection().GetValue()
	times := join(at, "intervals")
	for _, one := range []struct {
		part  string
		value *durationpb.Duration
		into  *time.Duration
	}{
		{"down", h.GetUnhealthyInterval(), &out.UnhealthyInterval},
		{"going_down", h.GetUnhealthyEdgeInterval(), &out.UnhealthyEdge},
		{"coming_up", h.GetHealthyEdgeInterval(), &out.HealthyEdge},
		{"no_traffic", h.GetNoTrafficInterval(), &out.NoTraffic},
		{"no_traffic_up", h.GetNoTrafficHealthyInterval(), &out.NoTrafficHealthy},
	} {
		*one.into = c.positive(join(times, one.part), one.value, 0)
	}
}

// healthLog reads where changes of endpoints' states are written.
func (c *compiler) healthLog(at resource.Path, h *core.HealthCheck, out *cluster.HealthConfig) {
	out.EventLog = h.GetEventLogPath()
	for _, logger := range h.GetEventLogger() {
		c.only(at, logger, "name", "typed_config")
		var sink eventsink.HealthCheckEventFileSink
		switch packed := logger.GetTypedConfig(); {
		case packed == nil:
			c.fail(at, "TypedExtensionConfig.typed_config is missing")
		case !c.unpack(at, packed, &sink):
		case out.EventLog != "":
			c.fail(at, "more than one log of health checks is not supported by this version yet")
		default:
			c.only(at, &sink, "event_log_path")
			if out.EventLog = sink.GetEventLogPath(); out.EventLog == "" {
				c.fail(at, "HealthCheckEventFileSink.event_log_path is missing")
			}
		}
	}
	out.LogFailures, out.LogSuccesses = h.GetAlwaysLogHealthCheckFailures(), h.GetAlwaysLogHealthCheckSuccess()
	if out.EventLog == "" && (out.LogFailures || out.LogSuccesses) {
		c.fail(at, "what to log is there, but not where")
	}
}

func (c *compiler) statuses(at resource.Path, ranges []*typev3.Int64Range) (out []cluster.Statuses) {
	if len(ranges) > maxExpected {
		c.fail(at, "%d ranges: at most %d", len(ranges), maxExpected)
		return nil
	}
	for _, r := range ranges {
		c.only(at, r, "start", "end")
		low, high := r.GetStart(), r.GetEnd()
		if low < 100 || high > 600 || low >= high {
			c.fail(at, "statuses from %d to %d (exclusive): must be a range within 100 to 600", low, high)
			continue
		}
		out = append(out, cluster.Statuses{Low: int(low), High: int(high)})
	}
	return out
}

// altPort gives the endpoints that say no port for health checks themselves the one that
// the checks say, which must be one.
func (c *compiler) altPort(at resource.Path, checks []*core.HealthCheck, out *cluster.Config) {
	port := uint32(0)
	for i, check := range checks {
		where := at
		if len(checks) > 1 {
			where = item(at, i)
		}
		n := uint32(c.number(join(where, "port"), check.GetAltPort(), 1, 65535, 0))
		if i > 0 && n != port {
			c.fail(join(where, "port"), "checks of one cluster at different ports are not supported by this version yet")
			return
		}
		port = n
	}
	for i := range out.Endpoints {
		if e := &out.Endpoints[i]; e.HealthPort == 0 {
			e.HealthPort = uint16(port)
		}
	}
}
