package proxy

import (
	"slices"
	"time"

	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// unsentRetries is how often a request that reached no endpoint is given to
// another one although its route asks for no retries.
const unsentRetries = 1

// again decides whether another endpoint is to be tried after a try ended in
// resp or err, and waits until it may be.
func (x *exchange) again(co *worker.Coroutine, resp *stream.Response, err error) bool {
	var e *stream.Error
	if err != nil {
		e = stream.AsError(err)
	}
	if e != nil && e.Side == stream.Downstream {
		return false
	}
	if x.stale(e) {
		// The endpoint closed the connection while the request was on its way
		// (RFC 9112 section 9.3.1): one more connection, no attempt counted.
		x.drop(co, 0)
		x.fresh = true
		x.tried = x.tried[:0]
		return true
	}
	if x.unprocessed(e) {
		x.resend(co)
		return true
	}
	retry := x.forward.Retry
	limit := unsentRetries
	if retry != nil {
		limit = retry.Attempts
	}
	if x.retries >= limit || !x.wanted(retry, resp, e) || !x.safe(retry, resp, e) {
		return false
	}
	if e != nil && e.Phase == stream.PhasePick {
		return false // there is nobody to try
	}
	if !x.cluster.HasOther(x.tried) {
		if retry == nil {
			return false
		}
		x.tried = x.tried[:0] // all had their turn: whoever comes next has another one
	}
	if !x.retrying {
		if !x.shared.TryRetry() {
			x.cluster.Stats.Overflows[metrics.LimitRetries].Inc()
			return false
		}
		x.retrying = true
	}
	status := 0
	if resp != nil {
		status = resp.Status
	}
	x.count(e)
	x.drop(co, status)
	x.cluster.Stats.Retries.Inc()
	x.retries++
	return retry == nil || x.backoff(co, retry)
}

// stale reports whether a kept connection turned out to be closed before the
// endpoint answered anything, and the request may be sent once more.
func (x *exchange) stale(e *stream.Error) bool {
	return e != nil && !x.fresh && x.conn != nil && x.conn.Pooled() && !x.conn.Answered() &&
		e.Flag == stream.UpstreamConnectionEnd && x.idempotent() && !x.spent
}

// wanted reports whether the route asks for a retry of this outcome.
func (x *exchange) wanted(r *router.Retry, resp *stream.Response, e *stream.Error) bool {
	if r == nil {
		return e != nil && !e.Sent
	}
	on := r.On
	if e != nil {
		switch {
		case e.Phase == stream.PhaseConnect:
			return on&(router.OnConnectFailure|router.On5xx|router.OnGatewayError|router.OnReset|router.OnResetBeforeRequest) != 0
		case !e.Sent:
			return on&(router.OnRefusedStream|router.OnResetBeforeRequest|router.OnReset|router.On5xx) != 0
		case e.Flag == stream.UpstreamTimeout:
			return on&(router.On5xx|router.OnGatewayError|router.OnReset) != 0
		}
		return on&(router.On5xx|router.OnReset) != 0
	}
	switch s := resp.Status; {
	case resp.Upgraded != nil:
		return false
	case s >= 500 && on&router.On5xx != 0,
		s >= 502 && s <= 504 && on&router.OnGatewayError != 0,
		s == 409 && on&router.OnRetriable4xx != 0,
		on&router.OnRetriableStatusCodes != 0 && slices.Contains(r.Codes, s),
		on&router.OnGRPC != 0 && x.refused(on, resp):
		return true
	}
	return false
}

// safe reports whether the request can and may be sent again.
func (x *exchange) safe(r *router.Retry, resp *stream.Response, e *stream.Error) bool {
	switch {
	case x.spent:
		return false
	case e != nil && !e.Sent, x.idempotent():
		return true
	}
	return r != nil && (r.Unsafe || resp != nil && x.refused(r.On, resp))
}

// idempotent follows RFC 9110 section 9.2.2.
func (x *exchange) idempotent() bool {
	switch string(x.s.Request.Method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// backoff waits a random time before the next try.
func (x *exchange) backoff(co *worker.Coroutine, r *router.Retry) bool {
	if r.BackoffBase <= 0 {
		return true
	}
	most := r.BackoffBase << min(x.retries-1, 16)
	if r.BackoffMax > 0 {
		most = min(most, r.BackoffMax)
	}
	d := time.Duration(x.proxy.random.Uint64() % uint64(most+1))
	x.paused = true
	x.s.Loop.Arm(&x.pause, d)
	for x.paused {
		if x.s.Wait(co) != nil {
			return false
		}
	}
	return true
}
