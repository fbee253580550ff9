package http2

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
	case !st.conversing() && over(st.bodySince, cfg.BodyTimeout):
		st.timedOut(metrics.TimeoutBody, st.bodyError(408, stream.StreamIdleTimeout, errBodyTimeout))
		return
	case !st.flow.gotEnd && !st.tunneling && !st.conversing() && over(st.Record.Begin, cfg.RequestTimeout):
		st.timedOut(metrics.TimeoutRequest, st.bodyError(408, stream.DurationTimeout, errRequestTime))
		return
	case over(st.stalledSince(), cfg.WriteTimeout):
		st.timedOut(metrics.TimeoutWrite, st.slow(errWriteTimeout))
		return
	case over(st.active, st.idleTimeout()):
		st.timedOut(metrics.TimeoutStreamIdle, &stream.Error{Side: stream.Local, Phase: st.phase(), Flag: stream.StreamIdleTimeout, Status: 504, Sent: true, Cause: errStreamIdle})
		return
	}
	if st.bodySince != 0 && cfg.MinRequestRate > 0 && !st.conversing() {
		if tooSlow(st.flow.total, time.Duration(now-st.bodyBegan), cfg.MinRequestRate, cfg.RateGrace) {
			st.timedOut(metrics.TimeoutRate, st.bodyError(408, stream.DurationTimeout, errSlowBody))
			return
		}
		next = min(next, time.Second)
	}
	if st.writeSince != 0 && cfg.MinResponseRate > 0 {
		taken := st.Record.ResponseBytes
		if tooSlow(taken, time.Duration(now-st.sendBegan), cfg.MinResponseRate, cfg.RateGrace) {
			st.timedOut(metrics.TimeoutRate, st.slow(errSlowRead))
			return
		}
		next = min(next, time.Second)
	}
	if next < 1<<63-1 {
		st.Loop.Arm(&st.timer, next)
	}
}

// conversing reports whether a client may be silent between two pieces of its
// request: what it has to say next may depend on what it is told. Only the time of
// silence on both sides bounds such a stream.
func (st *serverStream) conversing() bool { return st.headSent || st.Request.GRPC() }

// stalledSince is when the client took something last of what waits to be sent; 0 when nothing
// does. A stream that waits for its turn is not stalled while others' content goes out.
func (st *serverStream) stalledSince() int64 {
	if st.writeSince != 0 && st.flow.queued {
		return max(st.writeSince, st.conn.sentAt)
	}
	return st.writeSince
}

// slow is the error of a client that does not take its response. Its stream is
// reset: the connection may carry others that do better.
func (st *serverStream) slow(cause error) *stream.Error {
	return &stream.Error{Side: stream.Downstream, Phase: stream.PhaseResponseBody, Flag: stream.DownstreamConnectionEnd, Cause: cause}
}

// tooSlow reports whether n bytes in elapsed are below rate bytes a second.
func tooSlow(n int64, elapsed time.Duration, rate int, grace time.Duration) bool {
	return rate > 0 && elapsed >= grace && n*int64(time.Second) < int64(rate)*int64(elapsed)
}

// timedOut counts a limit of time that was run into, and ends the stream.
func (st *serverStream) timedOut(t metrics.Timeout, e *stream.Error) {
	st.cfg.timedOut(t)
	st.giveUp(e)
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
