package http2

import (
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/telemetry/metrics"
)

// hurryBatch is how many connections are looked at in one turn when their timeouts
// were shortened.
const hurryBatch = 512

// Hurry sets how connections end earlier than configured, until it is set again.
// Those that are idle now are held to a shorter timeout in one of the next turns.
func (srv *Server) Hurry(h connection.Hurry) {
	configured := srv.config.IdleTimeout
	shorter := h.Idle(configured) < srv.hurry.Idle(configured)
	srv.hurry = h
	if shorter {
		begun := srv.hurried != nil
		srv.hurried = srv.connections
		if !begun {
			srv.hurryOn()
		}
	}
}

// hurryOn goes on with the list of connections.
func (srv *Server) hurryOn() {
	for n := 0; srv.hurried != nil; n++ {
		if n == hurryBatch {
			srv.loop.Post(srv.hurryOn)
			return
		}
		c := srv.hurried
		srv.hurried = c.next
		if c.phase == phaseServing && c.live == 0 {
			srv.loop.ArmBy(&c.timer, max(srv.idle()-time.Duration(srv.loop.Now()-c.since), 0))
		}
	}
}

// idle is how long a connection may be without a stream.
func (srv *Server) idle() time.Duration { return srv.hurry.Idle(srv.config.IdleTimeout) }

// Frugal stops windows from growing, or lets them grow again: what waits in them for
// somebody slow is memory.
func (w *Worker) Frugal(on bool) { w.frugal = on }

// Release leaves what waits to be used again to the garbage collector.
func (w *Worker) Release() {
	for _, st := range w.streams {
		st.Loop.Drop(&st.timer)
	}
	w.streams, w.conns, w.clients = nil, nil, nil
}

// countIdle counts a connection that was idle for too long.
func (srv *Server) countIdle(idle time.Duration) {
	cfg := srv.config
	cfg.timedOut(metrics.TimeoutIdle)
	if idle < cfg.IdleTimeout && cfg.Stats != nil {
		cfg.Stats.IdleShortened.Inc()
	}
}
