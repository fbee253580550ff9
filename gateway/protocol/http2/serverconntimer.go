package http2

import (
	"time"

	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// armIdle lets the timer look at what is next due on a connection.
func (c *serverConn) armIdle() {
	cfg := c.srv.config
	wait := c.srv.idle()
	switch {
	case !c.peer.seen:
		wait = cfg.HeaderTimeout
	case c.live == 0:
		wait = min(wait, restAfter)
	}
	if cfg.PingInterval > 0 {
		wait = min(wait, cfg.PingInterval)
	}
	c.Loop().Arm(&c.timer, wait)
}

// connTimer is the connection's timer.
type connTimer serverConn

// Expire does what is due.
func (t *connTimer) Expire(*worker.Timer) {
	c := (*serverConn)(t)
	cfg, now, idle := c.srv.config, c.Loop().Now(), c.srv.idle()
	since := time.Duration(now - c.since)
	switch c.phase {
	case phaseClosed:
		return
	case phaseOut:
		cfg.timedOut(metrics.TimeoutWrite)
		c.closeNow()
		return
	case phaseLinger:
		if since >= lingerTime || !c.MayRead() && (c.Finished() || since >= cfg.WriteTimeout) {
			c.closeNow()
		} else {
			c.linger()
		}
		return
	case phaseLeaving:
		if time.Duration(now-c.leftAt) >= leaveAfter {
			c.last()
		}
	case phaseLast:
		if c.live == 0 && since >= partAfter {
			c.closeAfterWrite()
			return
		}
	}
	switch {
	case !c.peer.seen && since >= cfg.HeaderTimeout:
		cfg.timedOut(metrics.TimeoutHeader)
		c.fail(broke(CodeNo, "no preface in time"))
		return
	case c.blockSince != 0 && time.Duration(now-c.blockSince) >= cfg.HeaderTimeout:
		cfg.timedOut(metrics.TimeoutHeader)
		c.fail(broke(CodeEnhanceYourCalm, errHeaderTimeout.Error()))
		return
	case c.stuckSince != 0 && time.Duration(now-c.stuckSince) >= cfg.WriteTimeout:
		cfg.timedOut(metrics.TimeoutWrite)
		c.ended(errWriteTimeout)
		return
	case c.pinged != 0 && time.Duration(now-c.pinged) >= cfg.PingTimeout:
		c.ended(errPingTimeout)
		return
	case c.phase == phaseServing && c.live == 0 && c.peer.seen:
		if since >= idle {
			c.srv.countIdle(since)
			c.last()
			return
		}
		if !c.rested && since >= restAfter {
			c.rested = true
			c.Rest()
			c.enc.Shed()
		}
	}
	c.keepAlive(cfg, now)
	next := idle
	if c.live == 0 && c.phase == phaseServing {
		if left := idle - since; left > 0 {
			next = left
		}
		if !c.rested {
			next = min(next, restAfter)
		}
	}
	if !c.peer.seen || c.blockSince != 0 {
		next = min(next, cfg.HeaderTimeout)
	}
	switch {
	case c.phase == phaseLeaving:
		next = min(next, leaveAfter)
	case c.phase == phaseLast && c.live == 0:
		next = min(next, partAfter)
	}
	if c.stuckSince != 0 {
		next = min(next, cfg.WriteTimeout)
	}
	if cfg.PingInterval > 0 {
		next = min(next, cfg.PingInterval)
		if c.pinged != 0 {
			next = min(next, cfg.PingTimeout)
		}
	}
	c.Loop().Arm(&c.timer, max(next, 10*time.Millisecond))
}

// keepAlive asks a silent client whether it is there.
func (c *serverConn) keepAlive(cfg *Config, now int64) {
	if cfg.PingInterval <= 0 || c.pinged != 0 || time.Duration(now-c.active) < cfg.PingInterval {
		return
	}
	c.pinged = now
	c.Commit(appendPing(c.Reserve(headerLen+8), false, pingKeepalive))
}
