package exposition

import (
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
)

// upstream is what is told of each cluster.
var upstream = []spec[metrics.ClusterStats]{
	{"longmen_upstream_connections_total", "Connections made to endpoints.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.Connections) }},
	{"longmen_upstream_connections_active", "Connections open now, idle ones included.", GaugeKind, "",
		func(c *metrics.ClusterStats, r *row) { r.gauge(&c.ConnectionsActive) }},
	{"longmen_upstream_connections_idle", "Connections kept alive in the pools now.", GaugeKind, "",
		func(c *metrics.ClusterStats, r *row) { r.gauge(&c.ConnectionsIdle) }},
	{"longmen_upstream_connect_failures_total", "Connections that could not be made, by reason.", CounterKind, "reason",
		func(c *metrics.ClusterStats, r *row) {
			r.count(&c.ConnectFailures, "error")
			r.count(&c.ConnectTimeouts, "timeout")
		}},
	{"longmen_upstream_connect_duration_seconds", "Time that making a connection took.", HistogramKind, "",
		func(c *metrics.ClusterStats, r *row) { r.distribution(&c.ConnectDuration) }},
	{"longmen_upstream_requests_total", "Tries, by the class of the status that the endpoint answered.", CounterKind, "code_class",
		func(c *metrics.ClusterStats, r *row) { r.classes(&c.Requests) }},
	{"longmen_upstream_requests_active", "Requests at endpoints now.", GaugeKind, "",
		func(c *metrics.ClusterStats, r *row) { r.gauge(&c.RequestsActive) }},
	{"longmen_upstream_requests_pending", "Requests that wait for a connection now.", GaugeKind, "",
		func(c *metrics.ClusterStats, r *row) { r.gauge(&c.RequestsPending) }},
	{"longmen_upstream_request_duration_seconds", "Time from sending a try to the last byte of its response.", HistogramKind, "",
		func(c *metrics.ClusterStats, r *row) { r.distribution(&c.Duration) }},
	{"longmen_upstream_retries_total", "Tries after the first.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.Retries) }},
	{"longmen_upstream_hedges_total", "Tries that began beside others of the same request; they are among the retries.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.Hedges) }},
	{"longmen_upstream_retry_ends_total", "Requests that failed and were not tried again although their route asks for it, by why: attempts, overflow, may-have-run, body-sent, too-late, no-endpoint, request-headers.", CounterKind, "reason",
		func(c *metrics.ClusterStats, r *row) {
			for why := stream.RetryWentOn + 1; why < stream.RetryEndCount; why++ {
				r.count(&c.RetryEnds[why], why.String())
			}
		}},
	{"longmen_upstream_timeouts_total", "Time limits that endpoints ran into, by kind.", CounterKind, "kind",
		func(c *metrics.ClusterStats, r *row) {
			for kind := range metrics.UpstreamTimeoutCount {
				r.count(&c.Timeouts[kind], kind.String())
			}
		}},
	{"longmen_upstream_overflows_total", "Requests and tries refused by a limit of the cluster, by limit.", CounterKind, "limit",
		func(c *metrics.ClusterStats, r *row) {
			for limit := range metrics.LimitCount {
				r.count(&c.Overflows[limit], limit.String())
			}
		}},
	{"longmen_upstream_onward_total", "Requests to the cluster that went on to another one, by why: standby, failover, retry (none of its endpoints could be reached).", CounterKind, "reason",
		func(c *metrics.ClusterStats, r *row) {
			for why := range metrics.OnwardCount {
				r.count(&c.Onward[why], why.String())
			}
		}},
	{"longmen_upstream_resets_total", "Connections that the endpoint ended before its response was complete.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.Resets) }},
	{"longmen_upstream_protocol_errors_total", "Responses refused because they break the protocol's rules.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.ProtocolErrors) }},
	{"longmen_upstream_tls_handshakes_total", "TLS handshakes with endpoints that were completed, by version.", CounterKind, "version",
		func(c *metrics.ClusterStats, r *row) {
			for version := range metrics.TLSVersionCount {
				r.count(&c.TLS.Handshakes[version], version.String())
			}
		}},
	{"longmen_upstream_tls_resumed_total", "Completed TLS handshakes with endpoints that took up an earlier session.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.TLS.Resumed) }},
	{"longmen_upstream_tls_failures_total", "TLS handshakes with endpoints that failed, by reason.", CounterKind, "reason",
		func(c *metrics.ClusterStats, r *row) {
			for reason := range metrics.UpstreamTLSFailureCount {
				r.count(&c.TLS.Failures[reason], reason.String())
			}
		}},
	{"longmen_upstream_http2_connections_active", "Connections open now that speak HTTP/2.", GaugeKind, "",
		func(c *metrics.ClusterStats, r *row) { r.gauge(&c.HTTP2.ConnectionsActive) }},
	{"longmen_upstream_http2_streams_total", "Streams opened on connections of HTTP/2.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.HTTP2.Streams) }},
	{"longmen_upstream_http2_streams_active", "Streams open now on connections of HTTP/2.", GaugeKind, "",
		func(c *metrics.ClusterStats, r *row) { r.gauge(&c.HTTP2.StreamsActive) }},
	{"longmen_upstream_http2_resets_total", "Streams of HTTP/2 that were reset, by who did it.", CounterKind, "by",
		func(c *metrics.ClusterStats, r *row) {
			r.count(&c.HTTP2.ResetsReceived, "endpoint")
			r.count(&c.HTTP2.ResetsSent, "gateway")
		}},
	{"longmen_upstream_http2_refused_total", "Streams of HTTP/2 that the endpoint did not process, by its own word.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.HTTP2.Refused) }},
	{"longmen_upstream_http2_goaways_total", "Connections of HTTP/2 on which the endpoint said GOAWAY.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.HTTP2.GoAwaysReceived) }},
	{"longmen_upstream_http2_ping_timeouts_total", "Connections of HTTP/2 that ended because a PING was not answered.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.HTTP2.PingTimeouts) }},
	{"longmen_upstream_bytes_sent_total", "Bytes written to endpoints, heads and framing included.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.BytesSent) }},
	{"longmen_upstream_bytes_received_total", "Bytes read from endpoints, heads and framing included.", CounterKind, "",
		func(c *metrics.ClusterStats, r *row) { r.count(&c.BytesReceived) }},
}

// endpoints is what is told of each cluster's endpoints.
var endpoints = []spec[metrics.Endpoints]{
	{"longmen_cluster_endpoints", "Endpoints, by state.", GaugeKind, "state",
		func(e *metrics.Endpoints, r *row) {
			r.add(float64(e.Healthy), "healthy")
			r.add(float64(e.Unhealthy), "unhealthy")
			r.add(float64(e.Draining), "draining")
			r.add(float64(e.Ejected), "ejected")
		}},
	{"longmen_cluster_health_checks_total", "Active checks of endpoints, by what came of them.", CounterKind, "result",
		func(e *metrics.Endpoints, r *row) {
			if e.Checks != nil {
				r.add(float64(e.Checks.Passed), "passed")
				r.add(float64(e.Checks.Failed), "failed")
				r.add(float64(e.Checks.Unanswered), "unanswered")
			}
		}},
	{"longmen_cluster_outliers_total", "Outliers found among the endpoints, by cause.", CounterKind, "cause",
		func(e *metrics.Endpoints, r *row) {
			for i := range e.Outliers {
				r.add(float64(e.Outliers[i].Detected), e.Outliers[i].Cause)
			}
		}},
	{"longmen_cluster_ejections_total", "Outliers that were ejected, by cause.", CounterKind, "cause",
		func(e *metrics.Endpoints, r *row) {
			for i := range e.Outliers {
				r.add(float64(e.Outliers[i].Ejected), e.Outliers[i].Cause)
			}
		}},
	{"longmen_cluster_ejections_active", "Endpoints ejected now, by cause.", GaugeKind, "cause",
		func(e *metrics.Endpoints, r *row) {
			for i := range e.Outliers {
				r.add(float64(e.Outliers[i].Active), e.Outliers[i].Cause)
			}
		}},
	{"longmen_cluster_ejections_overflow_total", "Outliers that were not ejected because as many are as may be.", CounterKind, "",
		func(e *metrics.Endpoints, r *row) {
			if len(e.Outliers) > 0 {
				r.add(float64(e.OutliersOverflow))
			}
		}},
	{"longmen_cluster_panic", "1 while so few endpoints of some priority are healthy that all of it are used, else 0.", GaugeKind, "",
		func(e *metrics.Endpoints, r *row) {
			if e.Panic {
				r.add(1)
			} else {
				r.add(0)
			}
		}},
	{"longmen_cluster_share", "Part of the cluster's requests that a priority's locality gets, 0 to 1; of clusters with several.", GaugeKind, "priority,locality",
		func(e *metrics.Endpoints, r *row) {
			for _, g := range e.Groups {
				r.add(g.Share, g.Priority, g.Locality)
			}
		}},
	{"longmen_cluster_remaining", "What is left of the cluster's limits, by priority of requests; of clusters that track it.", GaugeKind, "priority,limit",
		func(e *metrics.Endpoints, r *row) {
			for _, l := range e.Remaining {
				r.add(float64(l.Left), l.Priority, l.Limit.String())
			}
		}},
	{"longmen_cluster_capacity", "Part of the cluster's requests that its healthy endpoints can take, 0 to 1; the rest goes to those it fails over to.", GaugeKind, "",
		func(e *metrics.Endpoints, r *row) { r.add(e.Capacity) }},
	{"longmen_cluster_standby", "1 while the cluster is in standby, 0 while it is active; clusters without a standby are left out.", GaugeKind, "",
		func(e *metrics.Endpoints, r *row) {
			switch e.Switch {
			case metrics.SwitchActive:
				r.add(0)
			case metrics.SwitchStandby:
				r.add(1)
			}
		}},
}
