package http1

import (
	"time"

	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// streamTimer is the one timer of a stream: it looks at everything that may
// last too long, and comes back at the earliest moment that anything can.
type streamTimer serverStream

// Expire ends the stream if it is due.
func (t *streamTimer) Expire(*worker.Timer) {
	st := (*serverStream)(t)
	if st.conn == nil {
		return
	}
	cfg, now := st.cfg, st.Loop.Now()
	next := time.Duration(1<<63 - 1)
	// over tells whether what began at since has lasted limit, and else lets
	// the timer come back when it will have.
	over := func(since int64, limit time.Duration) bool {
		if since == 0 || limit <= 0 {
			return false
		}
		left := limit - time.Duration(now-since)
		if left > 0 {
			next = min(next, left)
		}
		return left <= 0
	}
	switch {
	case !st.headSent && over(st.bodySince, cfg.BodyTimeout): // else it may wait for more of the response
		st.timedOut(metrics.TimeoutBody, st.bodyError(408, stream.StreamIdleTimeout, errBodyTimeout))
		return
	case !st.body.received() && over(st.Record.Begin, cfg.RequestTimeout):
		st.timedOut(metrics.TimeoutRequest, st.bodyError(408, stream.DurationTimeout, errRequestTime))
		return
	case over(st.writeSince, cfg.WriteTimeout):
		st.timedOut(metrics.TimeoutWrite, st.clientGone(stream.PhaseResponseBody, errWriteTimeout))
		return
	case over(st.active, st.idleTimeout()):
		st.timedOut(metrics.TimeoutStreamIdle, &stream.Error{Side: stream.Local, Phase: st.phase(), Flag: stream.StreamIdleTimeout, Status: 504, Sent: true, Cause: errStreamIdle})
		return
	}
	if st.bodySince != 0 && cfg.MinRequestRate > 0 {
		if tooSlow(st.body.total, time.Duration(now-st.bodyBegan), cfg.MinRequestRate, cfg.RateGrace) {
			st.timedOut(metrics.TimeoutRate, st.bodyError(408, stream.DurationTimeout, errSlowBody))
			return
		}
		next = min(next, time.Second)
	}
	if st.writeSince != 0 && cfg.MinResponseRate > 0 {
		taken := st.Record.ResponseBytes - int64(st.conn.Pending())
		if tooSlow(taken, time.Duration(now-st.sendBegan), cfg.MinResponseRate, cfg.RateGrace) {
			st.timedOut(metrics.TimeoutRate, st.clientGone(stream.PhaseResponseBody, errSlowRead))
			return
		}
		next = min(next, time.Second)
	}
	if next < 1<<63-1 {
		st.Loop.Arm(&st.timer, next)
	}
}

// timedOut counts a limit of time that was run into, and ends the stream.
func (st *serverStream) timedOut(t metrics.Timeout, e *stream.Error) {
	st.cfg.timedOut(t)
	st.Abort(e)
}

func (st *serverStream) idleTimeout() time.Duration {
	if st.IdleTimeout > 0 {
		return st.IdleTimeout
	}
	return st.cfg.StreamIdle
}

// armBody lets the timer look when a wait for the request body can be too long.
func (st *serverStream) armBody() {
	wait := st.cfg.BodyTimeout
	if st.cfg.MinRequestRate > 0 {
		wait = min(wait, time.Second)
	}
	if st.cfg.RequestTimeout > 0 {
		wait = min(wait, max(st.cfg.RequestTimeout-time.Duration(st.Loop.Now()-st.Record.Begin), time.Millisecond))
	}
	st.Loop.ArmBy(&st.timer, wait)
}

// armWrite does the same for a wait for the client to take bytes.
func (st *serverStream) armWrite() {
	wait := st.cfg.WriteTimeout
	if st.cfg.MinResponseRate > 0 {
		wait = min(wait, time.Second)
	}
	st.Loop.ArmBy(&st.timer, wait)
}
