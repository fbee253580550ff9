package proxy

import (
	"errors"
	"io"
	"slices"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// A hedged request is given to several endpoints, at once or when one takes long;
// the first good response is the client's. Each try is an exchange of its own (a
// leg), on a coroutine of its own, with a stream of its own that is a copy of
// the client's: so a try can be cancelled wherever it is, and none sees what becomes of
// the others. The client's exchange waits for the legs, and takes over the
// connection of the one that wins.

// hedge is the tries of one hedged request.
type hedge struct {
	x    *exchange
	legs []*leg // that are under way, or have ended and were not judged
	// coming is why another try begins after the pause; NotRetried: none does.
	coming stream.RetryReason
}

var (
	errLost = &stream.Error{Side: stream.Local, Phase: stream.PhaseResponseHead, Flag: stream.LocalReset, Sent: true, Cause: errors.New("another try of the hedged request was faster")}
)

// hedges reports whether the request is to be hedged: its route says so, and it may
// be sent again although it may have run.
func (x *exchange) hedges() bool {
	h, r := x.forward.Hedge, x.forward.Retry
	if h == nil || x.progress != notBegun || x.out.Upgrade != nil || x.s.Request.WantsTunnel() || !x.safe(r, nil, nil) {
		return false
	}
	if r != nil && len(r.RequestHeaders) > 0 && !holdsAny(r.RequestHeaders, &x.s.Request.Header) {
		return false
	}
	if body := x.s.Request.Body; body != nil {
		if piece, whole := atHand(body); !whole && (x.s.Request.Length < 0 || x.s.Request.Length > maxReplay) || len(piece) > maxReplay {
			return false
		}
	}
	return h.InitialRequests > 1 || h.AdditionalChance > 0 || h.OnPerTryTimeout && r != nil && r.PerTry > 0
}

// gather takes all of the request's body, which is no longer than maxReplay, and
// reports whether that is all that there is to send.
func (x *exchange) gather(co *worker.Coroutine) (whole bool, err error) {
	r := &x.s.Request
	if r.Body == nil {
		return true, nil
	}
	x.out.Expect = false // whoever asked is told to go on when the body is read
	x.copied = x.copied[:0]
	for {
		p, err := r.Body.Next(co)
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
		x.copied = append(x.copied, p...)
	}
	r.Length = int64(len(x.copied))
	x.requestDone()
	if trailer := r.Body.Trailer(); trailer != nil {
		x.record = recorder{Body: r.Body, x: x, given: true} // it is put back at the end
		r.Body = &gathered{stream.NewBytes(x.copied), trailer}
		return false, nil
	}
	x.hasCopy = true
	return true, nil
}

// gathered is a body that was gathered, with trailers: it can be sent once.
type gathered struct {
	*stream.Bytes
	trailer *stream.Header
}

// Trailer is the trailer section.
func (g *gathered) Trailer() *stream.Header { return g.trailer }

// race runs the tries of a hedged request. When it returns no leg runs any more.
func (x *exchange) race(co *worker.Coroutine) (*stream.Response, error) {
	if whole, err := x.gather(co); err != nil {
		return nil, err
	} else if !whole {
		return x.run(co)
	}
	h := hedge{x: x}
	x.racing = true
	defer h.end(co)
	h.begin(true)
	for range x.companions() {
		if !h.begin(false) {
			break
		}
	}
	for {
		for i := 0; i < len(h.legs); {
			switch l := h.legs[i]; {
			case l.ended:
				if resp, err, decided := h.judge(co, l); decided {
					return resp, err
				}
				i = 0 // they are others now
				continue
			case l.late && !l.followed:
				l.followed = true
				h.follow()
			}
			i++
		}
		if h.coming != stream.NotRetried && !x.paused {
			h.begin(false)
			x.s.Record.Retried, h.coming = h.coming, stream.NotRetried
		}
		if err := x.s.Wait(co); err != nil {
			return nil, err
		}
	}
}

// companions is how many tries begin beside the first.
func (x *exchange) companions() int {
	policy := x.forward.Hedge
	n := max(policy.InitialRequests, 1)
	if uint32(x.proxy.random.Uint64()%1e6) < policy.AdditionalChance {
		n++
	}
	return min(n, router.MaxHedges) - 1
}

// begin begins a try. Each but the first takes a unit of the cluster's retries.
func (h *hedge) begin(first bool) bool {
	x := h.x
	if !first {
		if len(h.legs) >= router.MaxHedges || !x.takeRetry() {
			return false
		}
		x.cluster.Stats.Retries.Inc()
		if x.s.Record.Retried = stream.Hedged; len(h.legs) > 0 {
			x.cluster.Stats.Hedges.Inc()
		}
	}
	l := x.proxy.leg(h)
	l.unit, x.retrying = x.retrying, false
	h.legs = append(h.legs, l)
	x.s.Loop.GoLater(l)
	return true
}

// follow begins another try beside one that takes long, if the route has attempts
// left and none is about to begin.
func (h *hedge) follow() {
	x := h.x
	switch {
	case h.coming != stream.NotRetried:
	case x.retries >= x.forward.Retry.Attempts || len(h.legs) >= router.MaxHedges:
		x.endRetries(stream.RetryAttempts)
	case !h.begin(false):
		x.endRetries(stream.RetryOverflow)
	default:
		x.retries++
	}
}

// judge looks at a leg that has ended: it wins, or it is left to the others, or
// another one begins after it, or that was all.
func (h *hedge) judge(co *worker.Coroutine, l *leg) (resp *stream.Response, err error, decided bool) {
	x := h.x
	var e *stream.Error
	if l.err != nil {
		e = stream.AsError(l.err)
	}
	reason := x.reason(x.forward.Retry, l.resp, e)
	switch {
	case e == nil && reason == stream.NotRetried:
		return h.win(l), nil, true
	case l.followed && len(h.legs) > 1 || h.coming != stream.NotRetried || h.hopes(l): // another one stands for it
	case h.next(co, l, e, reason):
		return nil, nil, false
	}
	if len(h.legs) > 1 || h.coming != stream.NotRetried {
		x.count(e)
		h.remove(co, l)
		return nil, nil, false
	}
	if e != nil {
		return nil, e, true
	}
	return h.win(l), nil, true
}

// hopes reports whether another leg than l may still answer in its time.
func (h *hedge) hopes(l *leg) bool {
	return slices.ContainsFunc(h.legs, func(o *leg) bool { return o != l && (o.ended || !o.late) })
}

// next has another try begin after l, which has failed, if one may come.
func (h *hedge) next(co *worker.Coroutine, l *leg, e *stream.Error, reason stream.RetryReason) bool {
	x := h.x
	x.visit(l.x.tried)
	alone := len(h.legs) == 1
	if alone && x.elsewhere(co, l.resp, l.err, false) {
		h.remove(co, l)
		return h.begin(true)
	}
	if reason != stream.NotRetried {
		pause, end := x.mayRetry(x.forward.Retry, l.resp, e)
		if end == stream.RetryWentOn && !x.takeRetry() {
			end = stream.RetryOverflow
		}
		if end == stream.RetryWentOn {
			x.count(e)
			h.remove(co, l)
			x.retries++
			h.coming = reason
			if pause > 0 {
				x.paused = true
				x.s.Loop.Arm(&x.pause, pause)
			}
			return true
		}
		x.endRetries(end)
	}
	if alone && x.elsewhere(co, l.resp, l.err, true) {
		h.remove(co, l)
		return h.begin(true)
	}
	return false
}

// win gives the client's exchange what the leg has.
func (h *hedge) win(l *leg) *stream.Response {
	x, s := h.x, h.x.s
	x.conn, l.x.conn = l.x.conn, nil
	x.conn.Adopt(s)
	s.Response, l.stream.Response = l.stream.Response, s.Response
	l.won = true
	return &s.Response
}

// remove gives back what a leg has that has ended.
func (h *hedge) remove(co *worker.Coroutine, l *leg) {
	i := slices.Index(h.legs, l)
	h.legs = slices.Delete(h.legs, i, i+1)
	status := 0
	if l.resp != nil && !l.won {
		status = l.resp.Status
		swallow(l.resp)
	}
	l.x.drop(co, status)
	h.x.visit(l.x.tried)
	if l.unit {
		l.x.breakers.ReleaseRetry()
	}
	l.report()
	h.x.proxy.endLeg(l)
}

// end ends the legs that are under way, and waits for that.
func (h *hedge) end(co *worker.Coroutine) {
	h.x.racing, h.x.paused = false, false
	h.x.s.Loop.Disarm(&h.x.pause)
	for _, l := range h.legs {
		if !l.ended {
			l.stream.Abort(errLost)
		}
	}
	var winner *leg
	for len(h.legs) > 0 {
		l := h.legs[0]
		for !l.ended {
			co.Wait()
		}
		if l.won {
			winner = l // its endpoint is the one to be told of
			h.legs = h.legs[1:]
			continue
		}
		h.remove(co, l)
	}
	if winner != nil {
		h.legs = append(h.legs, winner)
		h.remove(co, winner)
	}
}

// visit adds endpoints to those that were tried.
func (x *exchange) visit(tried []*cluster.Endpoint) {
	for _, e := range tried {
		if !slices.Contains(x.tried, e) {
			x.tried = append(x.tried, e)
		}
	}
}
