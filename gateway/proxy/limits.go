package proxy

import (
	"errors"
	"time"

	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// The limits of time of an exchange, and what wakes it while it waits.

// continueWait is how long a request body is held back for the endpoint's 100
// Continue before it is sent all the same (RFC 9110 section 10.1.1).
const continueWait = time.Second

// requestDone notes that the request was received as a whole: the route's
// timeout begins.
func (x *exchange) requestDone() {
	if d := x.forward.Timeout; d > 0 && !x.call.alone {
		x.s.Loop.ArmBy(&x.deadline, d)
	}
}

// awaitHead bounds the wait for the response's head.
func (x *exchange) awaitHead() {
	d, limit := x.cluster.Config().ResponseTimeout, metrics.UpstreamTimeoutResponse
	switch r := x.forward.Retry; {
	case r == nil || r.PerTry <= 0:
	case x.forward.Hedge != nil && x.forward.Hedge.OnPerTryTimeout: // it ends no try
		if x.leg != nil {
			x.leg.await()
		}
	case d == 0 || r.PerTry < d:
		d, limit = r.PerTry, metrics.UpstreamTimeoutTry
	}
	if x.conn == nil {
		return
	}
	x.conn.RequestSent()
	if d > 0 {
		x.conn.AwaitHead(d, limit)
	}
	x.awaitSign()
}

// awaitSign bounds the time in which nothing comes of the try's response, from now
// on.
func (x *exchange) awaitSign() {
	if r := x.forward.Retry; r != nil && r.PerTryIdle > 0 {
		x.s.Loop.Arm(&x.idle, r.PerTryIdle)
	}
}

// headCame ends what awaitHead began.
func (x *exchange) headCame() {
	x.conn.HeadCame()
	x.s.Loop.Disarm(&x.idle)
}

// idleBody is a response's body that must not keep silent for too long while it is
// waited for.
type idleBody struct {
	stream.Body
	x *exchange
}

// Next returns the next piece.
func (b *idleBody) Next(co *worker.Coroutine) ([]byte, error) {
	b.x.awaitSign()
	p, err := b.Body.Next(co)
	b.x.s.Loop.Disarm(&b.x.idle)
	return p, err
}

// errTryIdle ends a try of which nothing comes.
var errTryIdle = errors.New("nothing came of the response for the route's per_try_idle")

// idleTimer ends a try of which nothing comes.
type idleTimer exchange

// Expire ends the try.
func (t *idleTimer) Expire(*worker.Timer) {
	x := (*exchange)(t)
	phase := stream.PhaseResponseHead
	if x.answered {
		phase = stream.PhaseResponseBody
	}
	x.cluster.Stats.Timeouts[metrics.UpstreamTimeoutTryIdle].Inc()
	x.conn.Fail(&stream.Error{Side: stream.Upstream, Phase: phase, Flag: stream.UpstreamTimeout, Status: 504, Sent: true, Cause: errTryIdle})
}

// informs reports whether the exchange looks at informational responses itself:
// 100 Continue lets the request's body go, and all are a sign of life.
func (x *exchange) informs() bool {
	r := x.forward.Retry
	return x.out.Expect && x.s.Informational != nil || r != nil && r.PerTryIdle > 0
}

// Inform passes an informational response on, and lets the request body go when
// it is 100 Continue.
func (x *exchange) Inform(status int, h *stream.Header) {
	if status == 100 {
		x.goOn = true
		x.upload.wake()
	}
	if x.idle.Armed() {
		x.awaitSign()
	}
	if x.informer != nil {
		x.informer.Inform(status, h)
	}
}

// deadlineTimer ends the stream at its route's timeout.
type deadlineTimer exchange

// Expire aborts the stream.
func (t *deadlineTimer) Expire(*worker.Timer) {
	x := (*exchange)(t)
	phase := stream.PhaseResponseHead
	switch {
	case x.answered:
		phase = stream.PhaseResponseBody
	case x.conn == nil && !x.racing:
		phase = stream.PhaseConnect
	}
	limit, cause := metrics.UpstreamTimeoutRoute, errRouteTimeout
	if x.call.over(x.s.Loop.Now()) {
		limit, cause = metrics.UpstreamTimeoutCall, errCallTimeout
	}
	x.cluster.Stats.Timeouts[limit].Inc()
	x.s.Abort(&stream.Error{Side: stream.Upstream, Phase: phase, Flag: stream.UpstreamTimeout, Status: 504, Sent: x.conn != nil || x.racing, Cause: cause})
}

// pauseTimer ends a pause.
type pauseTimer exchange

// Expire lets who pauses go on.
func (t *pauseTimer) Expire(*worker.Timer) {
	x := (*exchange)(t)
	x.paused = false
	if !x.answered {
		x.goOn = true
	}
	x.upload.wake()
	x.s.Co.Wake()
}
