package http1

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
		if c.phase == phaseIdle {
			idle := time.Duration(srv.loop.Now() - c.began)
			srv.loop.ArmBy(&c.timer, max(srv.hurry.Idle(srv.config.IdleTimeout)-idle, 0))
		}
	}
}

// Release leaves the streams that wait to be used again to the garbage collector.
func (p *Streams) Release() {
	for _, st := range p.free {
		st.Loop.Drop(&st.timer)
	}
	p.free = nil
}

// Release does so with connections.
func (srv *Server) Release() { srv.free, srv.freeCount = nil, 0 }

// countIdle counts a connection that was idle for too long.
func (srv *Server) countIdle(idle time.Duration) {
	cfg := srv.config
	cfg.timedOut(metrics.TimeoutIdle)
	if idle < cfg.IdleTimeout && cfg.Stats != nil {
		cfg.Stats.IdleShortened.Inc()
	}
}
