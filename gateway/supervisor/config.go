package supervisor

import (
	"net/netip"

	"longmen/gateway/connection"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/protocol/http2"
	"longmen/gateway/proxy"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/tls/handshake"
)

// configs is how connections of the listener are served with this snapshot, by
// either version of HTTP.
func (w *edgeWorker) configs(a *adoption, l *snapshot.Listener, u *use) (*http1.Config, *http2.Config) {
	h, stats := &l.HTTP, w.metrics.Listener(l.Name)
	edge := proxy.NewEdge(w.proxy, a.snapshot, l)
	d := &door{pressed: w.pressedBy(l), requests: a.requests[l.Name], stats: stats, full: refusal(errRequestsAtOnce), reply: edge.Reply}
	in := inline(edge, stats, u, d)
	finish := finisher(l.Name, stats, w.metrics.GRPC(), u, d)
	one := &http1.Config{
		Limits:           http1.Limits{Line: h.MaxLine, Head: h.MaxHead, Fields: h.MaxHeaders},
		HeaderTimeout:    h.HeaderTimeout,
		BodyTimeout:      h.BodyTimeout,
		WriteTimeout:     h.WriteTimeout,
		IdleTimeout:      h.IdleTimeout,
		StreamIdle:       h.StreamIdle,
		RequestTimeout:   h.RequestTimeout,
		MinRequestRate:   h.MinRequestRate,
		MinResponseRate:  h.MinResponseRate,
		RateGrace:        h.RateGrace,
		MaxRequests:      h.MaxRequests,
		AbortOnHalfClose: h.AbortOnHalfClose,
		OnlyHTTP2:        !h.Protocols.HTTP1,
		Stats:            stats,
		Inline:           in,
		Splice: func(s *stream.Stream, cluster string) (*stream.Response, error) {
			if d.requests != nil && !d.requests.Enter() {
				return nil, d.full
			}
			stats.RequestsActive.Inc()
			u.streams++
			return tunnelled(stats)(edge.Splice(s, cluster))
		},
		Reply:  edge.Reply,
		Finish: finish,
	}
	if h.Protocols.HTTP2 {
		one.HTTP2 = func(c *connection.Conn, remote, local netip.AddrPort, tls *handshake.Result) error {
			return u.port.http2.Take(c, remote, local, tls)
		}
	}
	o := &h.HTTP2
	two := &http2.Config{
		HeaderTimeout:   h.HeaderTimeout,
		BodyTimeout:     h.BodyTimeout,
		WriteTimeout:    h.WriteTimeout,
		IdleTimeout:     h.IdleTimeout,
		StreamIdle:      h.StreamIdle,
		RequestTimeout:  h.RequestTimeout,
		MinRequestRate:  h.MinRequestRate,
		MinResponseRate: h.MinResponseRate,
		RateGrace:       h.RateGrace,
		MaxRequests:     h.MaxRequests,
		MaxHead:         h.MaxHead,
		MaxFields:       h.MaxHeaders,
		MaxTarget:       h.MaxLine,
		MaxStreams:      o.MaxStreams,
		StreamWindow:    o.StreamWindow,
		ConnWindow:      o.ConnWindow,
		MaxStreamWindow: o.MaxStreamWindow,
		MaxConnWindow:   o.MaxConnWindow,
		HeaderTable:     o.HeaderTable,
		PingInterval:    o.PingInterval,
		PingTimeout:     o.PingTimeout,
		Control:         http2.Rate(o.Control),
		Resets:          http2.Rate(o.Resets),
		Continuations:   o.Continuations,
		ExtendedConnect: o.ExtendedConnect,
		Stats:           stats,
		Inline:          in,
		Reply:           edge.Reply,
		Finish:          finish,
	}
	return one, two
}

// finisher counts and logs the listener's streams when they are over.
func finisher(listener string, stats *metrics.ListenerStats, calls *metrics.GRPCStats, u *use, d *door) func(*stream.Stream, *stream.Response) {
	return func(s *stream.Stream, resp *stream.Response) {
		rec := &s.Record
		if rec.Listener != "" {
			stats.RequestsActive.Dec()
			u.streams--
			d.leave()
		} else {
			rec.Listener = listener // refused before it was handled
		}
		count(stats, rec, resp)
		countCall(calls, s, resp)
		for i := range u.outputs {
			u.outputs[i].buffer.Log(rec.End, u.outputs[i].format, s, resp)
		}
	}
}
