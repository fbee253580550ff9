package proxy

import (
	"longmen/gateway/stream"
)

// progress is how far the try under way came without a coroutine.
type progress uint8

const (
	notBegun progress = iota
	sent              // the request is on its way
	polled            // the response's head was read, or the try failed: early
)

// begin sends the request without waiting, when all of it is at hand and a
// connection is idle, and reports whether it did: s.Parked is woken then.
func (x *exchange) begin() bool {
	s := x.s
	if s.Parked == nil || x.fresh || x.out.Expect || x.out.Upgrade != nil || x.forward.Hedge != nil {
		return false
	}
	if body := s.Request.Body; body != nil {
		if _, whole := atHand(body); !whole {
			return false
		}
	}
	conn, choice := x.cluster.AcquireIdle(s, x.want(), &x.tried)
	x.choice = choice
	if conn == nil {
		return false
	}
	x.conn = conn
	s.Record.Endpoint, s.Record.UpstreamTLS = conn.Endpoint().Address(), conn.Agreed()
	s.Record.Tries++
	s.Record.UpstreamBegin, s.Record.UpstreamHead = s.Loop.Now(), 0
	x.progress = sent
	if x.sendRequest(nil) != nil {
		return false
	}
	x.awaitHead()
	conn.WakeOn(s.Parked)
	return true
}

// poll looks for the answer to what begin sent. Its errors are those of
// stream.Inline: what is not plain goes on on a coroutine.
func (x *exchange) poll() (*stream.Response, error) {
	s, conn := x.s, x.conn
	if s.Aborted() != nil || conn.Cancelled() != nil {
		conn.WakeOn(nil)
		return nil, stream.ErrCoroutine
	}
	resp := &s.Response
	done, err := conn.PollHead(resp, false)
	if !done && err == nil {
		return nil, stream.ErrParked
	}
	conn.WakeOn(nil)
	x.headCame()
	x.progress, x.early = polled, err
	if err != nil || x.forward.Retry != nil && x.answeredBadly(x.forward.Retry, resp) != stream.NotRetried || x.refusedRound(resp) {
		return nil, stream.ErrCoroutine
	}
	x.tell(resp, nil)
	x.answer(resp)
	return resp, nil
}

// answer notes that the response's head is given to the downstream: there is no
// other try.
func (x *exchange) answer(resp *stream.Response) {
	x.answered, x.body = true, resp.Body
	x.record.give()
	x.giveRetry()
	if r := x.forward.Retry; r != nil && r.PerTryIdle > 0 && resp.Body != nil {
		resp.Body = &idleBody{resp.Body, x}
	}
}
