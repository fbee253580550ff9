package exposition

import (
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
)

// downstream is what is told of each listener.
var downstream = []spec[metrics.ListenerStats]{
	{"longmen_downstream_connections_total", "Connections accepted.", CounterKind, "",
		func(l *metrics.ListenerStats, r *row) { r.count(&l.Connections) }},
	{"longmen_downstream_connections_active", "Connections open now, idle ones included.", GaugeKind, "",
		func(l *metrics.ListenerStats, r *row) { r.gauge(&l.ConnectionsActive) }},
	{"longmen_downstream_connections_refused_total", "Connections closed right after they were accepted, by reason.", CounterKind, "reason",
		func(l *metrics.ListenerStats, r *row) {
			for reason := range metrics.RefusalCount {
				r.count(&l.Refused[reason], reason.String())
			}
		}},
	{"longmen_downstream_bytes_received_total", "Bytes read from clients, heads and framing included.", CounterKind, "",
		func(l *metrics.ListenerStats, r *row) { r.count(&l.BytesReceived) }},
	{"longmen_downstream_bytes_sent_total", "Bytes written to clients, heads and framing included.", CounterKind, "",
		func(l *metrics.ListenerStats, r *row) { r.count(&l.BytesSent) }},
	{"longmen_downstream_protocol_errors_total", "Requests refused because they break the protocol's rules.", CounterKind, "",
		func(l *metrics.ListenerStats, r *row) { r.count(&l.ProtocolErrors) }},
	{"longmen_downstream_timeouts_total", "Time limits that clients ran into, by kind.", CounterKind, "kind",
		func(l *metrics.ListenerStats, r *row) {
			for kind := range metrics.TimeoutCount {
				r.count(&l.Timeouts[kind], kind.String())
			}
		}},
	{"longmen_downstream_tls_handshakes_total", "TLS handshakes completed, by version.", CounterKind, "version",
		func(l *metrics.ListenerStats, r *row) {
			for version := range metrics.TLSVersionCount {
				r.count(&l.TLS.Handshakes[version], version.String())
			}
		}},
	{"longmen_downstream_tls_resumed_total", "Completed TLS handshakes that took up an earlier session.", CounterKind, "",
		func(l *metrics.ListenerStats, r *row) { r.count(&l.TLS.Resumed) }},
	{"longmen_downstream_tls_early_data_total", "Completed TLS handshakes whose client sent early data (0-RTT), by what became of it: accepted, or why not.", CounterKind, "result",
		func(l *metrics.ListenerStats, r *row) {
			for result := metrics.EarlyDataAccepted; result < metrics.EarlyDataCount; result++ {
				r.count(&l.TLS.EarlyData[result], result.String())
			}
		}},
	{"longmen_downstream_tls_failures_total", "Connections that ended before their TLS handshake did, by reason.", CounterKind, "reason",
		func(l *metrics.ListenerStats, r *row) {
			for reason := range metrics.TLSFailureCount {
				r.count(&l.TLS.Failures[reason], reason.String())
			}
		}},
	{"longmen_downstream_tls_handshakes_active", "TLS handshakes under way now.", GaugeKind, "",
		func(l *metrics.ListenerStats, r *row) { r.gauge(&l.TLS.Active) }},
	{"longmen_downstream_tls_handshake_duration_seconds", "Time from the accepted connection to the end of its TLS handshake.", HistogramKind, "",
		func(l *metrics.ListenerStats, r *row) { r.distribution(&l.TLS.Duration) }},
	{"longmen_downstream_http2_connections_total", "Connections that speak HTTP/2.", CounterKind, "",
		func(l *metrics.ListenerStats, r *row) { r.count(&l.HTTP2.Connections) }},
	{"longmen_downstream_http2_connections_active", "Connections open now that speak HTTP/2.", GaugeKind, "",
		func(l *metrics.ListenerStats, r *row) { r.gauge(&l.HTTP2.ConnectionsActive) }},
	{"longmen_downstream_http2_refused_streams_total", "Streams beyond max_streams, refused with REFUSED_STREAM.", CounterKind, "",
		func(l *metrics.ListenerStats, r *row) { r.count(&l.HTTP2.Refused) }},
	{"longmen_downstream_http2_resets_received_total", "RST_STREAM frames of clients, by error code.", CounterKind, "code",
		func(l *metrics.ListenerStats, r *row) { http2Codes(r, &l.HTTP2.ResetsReceived) }},
	{"longmen_downstream_http2_resets_sent_total", "RST_STREAM frames to clients, by error code.", CounterKind, "code",
		func(l *metrics.ListenerStats, r *row) { http2Codes(r, &l.HTTP2.ResetsSent) }},
	{"longmen_downstream_http2_goaways_total", "HTTP/2 connections that ended by their client's fault, by error code.", CounterKind, "code",
		func(l *metrics.ListenerStats, r *row) { http2Codes(r, &l.HTTP2.GoAways) }},
	{"longmen_downstream_tunnels_total", "Streams that became tunnels (Upgrade, CONNECT).", CounterKind, "",
		func(l *metrics.ListenerStats, r *row) { r.count(&l.Tunnels) }},
	{"longmen_downstream_tunnels_active", "Tunnels open now.", GaugeKind, "",
		func(l *metrics.ListenerStats, r *row) { r.gauge(&l.TunnelsActive) }},
	{"longmen_http_requests_total", "Requests, by the class of the status that the client was told.", CounterKind, "code_class",
		func(l *metrics.ListenerStats, r *row) { r.classes(&l.Requests) }},
	{"longmen_http_requests_active", "Requests under way now.", GaugeKind, "",
		func(l *metrics.ListenerStats, r *row) { r.gauge(&l.RequestsActive) }},
	{"longmen_http_request_duration_seconds", "Time from the first byte of a request to the last byte of its response.", HistogramKind, "",
		func(l *metrics.ListenerStats, r *row) { r.distribution(&l.Duration) }},
	{"longmen_http_response_flags_total", "Failed requests, by response flag.", CounterKind, "flag",
		func(l *metrics.ListenerStats, r *row) {
			for _, flag := range stream.Flags() {
				r.add(float64(l.Flag(flag)), flag.String())
			}
		}},
}

// http2Codes tells a counter for each error code of HTTP/2.
func http2Codes(r *row, codes *[metrics.HTTP2CodeCount]metrics.Counter) {
	for code := range codes {
		r.count(&codes[code], metrics.HTTP2CodeName(code))
	}
}
