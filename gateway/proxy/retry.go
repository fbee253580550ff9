package proxy

import (
	"slices"

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
	if x.freely(co, e) {
		return true
	}
	if x.leg != nil {
		return false // that is for the hedged request to say
	}
	rec, retry := &x.s.Record, x.forward.Retry
	reason := x.reason(retry, resp, e)
	if reason == stream.NotRetried {
		return false
	}
	pause, end := x.mayRetry(retry, resp, e)
	if end == stream.RetryWentOn && !x.takeRetry() {
		end = stream.RetryOverflow
	}
	if end != stream.RetryWentOn {
		if retry != nil {
			x.endRetries(end)
		}
		return false
	}
	if !x.cluster.HasOther(x.want(), x.tried) {
		x.tried = x.tried[:0] // all had their turn: whoever comes next has another one
	}
	status := 0
	if resp != nil {
		status = resp.Status
	}
	x.count(e)
	swallow(resp)
	x.drop(co, status)
	x.cluster.Stats.Retries.Inc()
	x.retries++
	rec.Retried = reason
	return x.rest(co, pause)
}

// swallow takes the body of a response that is not the client's, if all of it is
// here: the connection can carry another request then.
func swallow(resp *stream.Response) {
	if resp == nil || resp.Body == nil {
		return
	}
	if _, whole := atHand(resp.Body); !whole {
		return
	}
	for range 2 { // the piece, and the end: neither is waited for
		if _, err := resp.Body.Next(nil); err != nil {
			return
		}
	}
}

// endRetries notes why there is no other try.
func (x *exchange) endRetries(why stream.RetryEnd) {
	x.s.Record.RetryEnd = why
	x.cluster.Stats.RetryEnds[why].Inc()
}

// freely takes the request to another connection where that is no retry: the
// endpoint surely never saw it, or a kept connection was closed meanwhile.
func (x *exchange) freely(co *worker.Coroutine, e *stream.Error) bool {
	switch {
	case x.stale(e):
		// The endpoint closed the connection while the request was on its way
		// (RFC 9112 section 9.3.1): one more connection, no attempt counted.
		x.drop(co, 0)
		x.fresh = true
		x.tried = x.tried[:0]
		x.s.Record.Retried = stream.RetryStale
	case x.unprocessed(e):
		x.resend(co)
		x.s.Record.Retried = stream.RetryRefused
	default:
		return false
	}
	return true
}

// stale reports whether a kept connection turned out to be closed before the
// endpoint answered anything, and the request may be sent once more.
func (x *exchange) stale(e *stream.Error) bool {
	return e != nil && !x.fresh && x.conn != nil && x.conn.Pooled() && !x.conn.Answered() &&
		e.Flag == stream.UpstreamConnectionEnd && x.idempotent() && !x.spent
}

// reason says why the route asks for a retry of this outcome, NotRetried if it
// does not. It is what Envoy's RetryState asks, but that a request which reached no
// endpoint has a second chance without any policy.
func (x *exchange) reason(r *router.Retry, resp *stream.Response, e *stream.Error) stream.RetryReason {
	switch {
	case e != nil && e.Side != stream.Upstream:
		return stream.NotRetried
	case r == nil && e != nil && !e.Sent && e.Phase != stream.PhasePick:
		return unsentReason(e)
	case r == nil:
		return stream.NotRetried
	case e != nil:
		return failed(r.On, e)
	}
	return x.answeredBadly(r, resp)
}

// failed is the reason to retry a try that ended without a response.
func failed(on router.RetryOn, e *stream.Error) stream.RetryReason {
	const gone = router.On5xx | router.OnGatewayError | router.OnReset
	switch {
	case e.Phase == stream.PhasePick: // there is nobody to try, or no room for it
		return stream.NotRetried
	case e.Phase == stream.PhaseConnect && on&(gone|router.OnResetBeforeRequest|router.OnConnectFailure) != 0,
		e.Phase != stream.PhaseConnect && !e.Sent && on&(gone|router.OnResetBeforeRequest|router.OnRefusedStream) != 0:
		return unsentReason(e)
	case !e.Sent || on&gone == 0:
		return stream.NotRetried
	case e.Cause == errTryIdle:
		return stream.RetryIdle
	case e.Flag == stream.UpstreamTimeout:
		return stream.RetryTimeout
	}
	return stream.RetryReset
}

// unsentReason is why a request that reached no endpoint is tried again.
func unsentReason(e *stream.Error) stream.RetryReason {
	if e.Phase == stream.PhaseConnect {
		return stream.RetryConnect
	}
	return stream.RetryRefused
}

// answeredBadly is the reason to retry a try that ended in a response.
func (x *exchange) answeredBadly(r *router.Retry, resp *stream.Response) stream.RetryReason {
	reason, limited := x.answerReason(r, resp), r.On&router.OnEnvoyRateLimited != 0
	switch {
	case resp.Upgraded != nil || reason == stream.NotRetried && !limited:
		return stream.NotRetried
	case resp.Header.Get("x-envoy-ratelimited") == nil: // another proxy's answer, which has a condition of its own
		return reason
	case limited:
		return stream.RetryRateLimited
	}
	return stream.NotRetried
}

// answerReason is answeredBadly for answers of the endpoint's own.
func (x *exchange) answerReason(r *router.Retry, resp *stream.Response) stream.RetryReason {
	on, h := r.On, &resp.Header
	switch s := resp.Status; {
	case s >= 500 && on&router.On5xx != 0,
		s >= 502 && s <= 504 && on&router.OnGatewayError != 0,
		s == 409 && on&router.OnRetriable4xx != 0,
		on&router.OnRetriableStatusCodes != 0 && slices.Contains(r.Codes, s) && !(s == 425 && x.cameEarly()):
		return stream.RetryStatus
	case on&router.OnRetriableHeaders != 0 && holdsAny(r.Headers, h):
		return stream.RetryHeaders
	case on&router.OnGRPC != 0 && x.refused(on, resp):
		return stream.RetryGRPC
	}
	return stream.NotRetried
}

// cameEarly reports whether the request came as early data: 425 is then the
// client's, who repeats it when its handshake is complete (RFC 8470 section 5.2).
func (x *exchange) cameEarly() bool { return x.s.Request.Header.Get("early-data") != nil }

func holdsAny(any []router.ValueMatch, h *stream.Header) bool {
	for i := range any {
		if any[i].HoldsHeader(h) {
			return true
		}
	}
	return false
}

// mayRetry says whether one more try is allowed after this outcome, RetryWentOn if
// it is, and how long it is to wait.
func (x *exchange) mayRetry(r *router.Retry, resp *stream.Response, e *stream.Error) (pause pause, end stream.RetryEnd) {
	limit := unsentRetries
	if r != nil {
		limit = r.Attempts
		if len(r.RequestHeaders) > 0 && !holdsAny(r.RequestHeaders, &x.s.Request.Header) {
			return pause, stream.RetryNoHeader
		}
	}
	switch {
	case x.spent:
		return pause, stream.RetryBodySent
	case !x.safe(r, resp, e):
		return pause, stream.RetryUnsafe
	case x.retries >= limit:
		return pause, stream.RetryAttempts
	case r == nil && !x.cluster.HasOther(x.want(), x.tried):
		return pause, stream.RetryNobody
	}
	if r != nil {
		var ok bool
		if pause, ok = x.backoff(r, resp); !ok {
			return pause, stream.RetryTooLate
		}
	}
	return pause, stream.RetryWentOn
}

// takeRetry takes a unit of the cluster's limit or budget of retries, which the
// exchange holds until a response is given to the client.
func (x *exchange) takeRetry() bool {
	if x.retrying {
		return true
	}
	if !x.breakers.TryRetry() {
		x.cluster.Stats.Overflows[metrics.LimitRetries].Inc()
		return false
	}
	x.retrying = true
	return true
}

// giveRetry gives back what takeRetry took.
func (x *exchange) giveRetry() {
	if x.retrying {
		x.breakers.ReleaseRetry()
		x.retrying = false
	}
}

// safe reports whether the request may be sent again after this outcome: it surely
// did not run, or running twice is the same, or the route says that it may.
func (x *exchange) safe(r *router.Retry, resp *stream.Response, e *stream.Error) bool {
	return e != nil && !e.Sent || x.idempotent() || r != nil && (r.Unsafe || resp != nil && x.refused(r.On, resp))
}

// idempotent follows RFC 9110 section 9.2.2.
func (x *exchange) idempotent() bool {
	switch string(x.s.Request.Method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
