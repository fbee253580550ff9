package http2

import (
	"errors"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// ClientStream is the stream.Exchange of one request on a Client.
type ClientStream struct {
	flow   flow
	client *Client // nil: it is attached to no stream
	s      *stream.Stream

	reader    stream.Waker // who waits for the response
	writer    *worker.Coroutine
	cancelled *stream.Error // set by Fail
	failed    *stream.Error // why there is no response, or no more of it

	held     *stream.Outgoing // a request that waits for the endpoint's settings
	rest     []byte           // lent: content of Send that is to go out; rest[restOff:] is left
	restOff  int
	offering bool

	head       stream.Header // that came last
	length     int64         // content-length, -1 when there is none
	headAt     int64         // loop time when it came
	protocol   []byte        // that was asked for
	statusCode int
	informed   uint8 // informational responses before the final one
	extended   bool  // the request is an extended CONNECT
	tunnel     bool  // and it was accepted
	noBody     bool  // the response has no content, whatever its length
	headCame   bool
	headTaken  bool
	answered   bool
	woken      bool // stands in Client.woken
}

// StreamError is what ended one stream.
type StreamError struct {
	Code   ErrCode
	Remote bool // it was the peer's RST_STREAM
}

func (e *StreamError) Error() string {
	if e.Remote {
		return "the endpoint reset the stream: " + e.Code.String()
	}
	return "the endpoint broke the protocol on this stream: " + e.Code.String()
}

var (
	errNoExtended = errors.New("the endpoint does not take upgrades over HTTP/2 (RFC 8441)")
	errCutOff     = errors.New("the stream is over")
)

// keepClientStreams bounds what the pool keeps.
const keepClientStreams = 1024

// Detach gives the stream's place on the connection back; what is not finished
// is given up. It reports whether the connection takes another stream.
func (cs *ClientStream) Detach() (reusable bool) {
	c := cs.client
	if f := &cs.flow; f.conn != nil {
		if !f.gotEnd || !f.sentEnd {
			cs.reset(CodeCancel)
		}
		f.close()
	}
	cs.dropRest()
	woken, head := cs.woken, cs.head
	head.Reset()
	inbox, trailer := cs.flow.inbox, cs.flow.trailer
	*cs = ClientStream{head: head, woken: woken}
	cs.flow.inbox, cs.flow.trailer = inbox, trailer
	w := c.worker
	if len(w.clients) < keepClientStreams {
		w.clients = append(w.clients, cs)
	}
	if c.live--; c.live == 0 && c.over == nil {
		c.since = c.Loop().Now()
		c.Loop().Arm(&c.timer, restAfter)
	}
	c.finish()
	return c.Room() > 0
}

// reset sends RST_STREAM, if the endpoint may still hear it.
func (cs *ClientStream) reset(code ErrCode) {
	c, f := cs.client, &cs.flow
	if f.conn == nil || f.isReset {
		return
	}
	if c.over != nil {
		f.isReset = true
		return
	}
	f.reset(code)
	if c.cfg.Stats != nil {
		c.cfg.Stats.ResetsSent.Inc()
	}
}

// Fail lets what waits on the stream fail with e: a time limit of this try
// alone, which does not end the stream of the client.
func (cs *ClientStream) Fail(e *stream.Error) {
	cs.cancelled = e
	cs.stir()
}

// Cancelled is the error given to Fail, or nil.
func (cs *ClientStream) Cancelled() *stream.Error { return cs.cancelled }

// Answered reports whether anything of a response came.
func (cs *ClientStream) Answered() bool { return cs.answered }

// Adopt makes the exchange that of another stream.
func (cs *ClientStream) Adopt(s *stream.Stream) { cs.s = s }

// WakeOn lets w be woken when PollHead may have more to tell or the try is
// cancelled; nil ends that.
func (cs *ClientStream) WakeOn(w stream.Waker) {
	cs.reader = w
	if w != nil && (cs.headCame || cs.failed != nil) {
		cs.client.wake(cs)
	}
}

// fail ends the stream with e, unless it failed before.
func (cs *ClientStream) fail(e *stream.Error) {
	if cs.failed == nil {
		cs.failed = e
	}
	cs.client.wake(cs)
	if cs.writer != nil {
		cs.writer.Wake()
	}
}

// stir wakes who waits, in this turn.
func (cs *ClientStream) stir() {
	if cs.reader != nil {
		cs.reader.Wake()
	}
	if cs.writer != nil {
		cs.writer.Wake()
	}
}

// failure is the error of a stream that ends without its response, or within it.
func (cs *ClientStream) failure(flag stream.Flag, sent bool, cause error) *stream.Error {
	return &stream.Error{Side: stream.Upstream, Phase: cs.phase(), Flag: flag, Status: 502, Sent: sent, Cause: cause}
}

func (cs *ClientStream) phase() stream.Phase {
	switch {
	case !cs.headTaken:
		return stream.PhaseResponseHead
	case cs.tunnel:
		return stream.PhaseTunnel
	}
	return stream.PhaseResponseBody
}

// peerReset is told of the endpoint's RST_STREAM.
func (cs *ClientStream) peerReset(code ErrCode) {
	stats := cs.client.cfg.Stats
	if stats != nil {
		stats.ResetsReceived.Inc()
		if code == CodeRefusedStream {
			stats.Refused.Inc()
		}
	}
	if cs.flow.gotEnd {
		// The response is whole: the endpoint does not want the rest of the request
		// (RFC 9113 section 8.1).
		cs.stir()
		return
	}
	cs.fail(cs.failure(stream.UpstreamRemoteReset, cs.answered || code != CodeRefusedStream, &StreamError{code, true}))
}

// cutShort is the error of a stream whose content does not come to its end.
func (cs *ClientStream) cutShort() error {
	switch {
	case cs.cancelled != nil:
		return cs.cancelled
	case cs.failed != nil:
		return cs.failed
	case cs.flow.gotEnd:
		return stream.ErrStopped // the endpoint has answered
	}
	return cs.failure(stream.UpstreamConnectionEnd, true, errCutOff)
}

// wait waits for a wake-up, or returns why there is nothing to wait for.
func (cs *ClientStream) wait(co *worker.Coroutine) error {
	if cs.cancelled != nil {
		return cs.cancelled
	}
	if err := cs.s.Wait(co); err != nil {
		return err
	}
	if cs.cancelled != nil {
		return cs.cancelled
	}
	return nil
}

// waitContent waits until arrived was called.
func (cs *ClientStream) waitContent(co *worker.Coroutine) error {
	if cs.failed != nil {
		return cs.failed
	}
	cs.reader = co
	err := cs.wait(co)
	cs.reader = nil
	return err
}

// waitWrite waits until mayWrite was called.
func (cs *ClientStream) waitWrite(co *worker.Coroutine) error {
	if cs.failed != nil {
		return cs.failed
	}
	cs.writer = co
	err := cs.wait(co)
	cs.writer = nil
	return err
}

// ReadHead waits for the response's head.
func (cs *ClientStream) ReadHead(co *worker.Coroutine, resp *stream.Response, asked bool) error {
	cs.reader = co
	defer func() { cs.reader = nil }()
	for cs.cancelled == nil {
		done, err := cs.PollHead(resp, asked)
		if done || err != nil {
			return err
		}
		if err := cs.wait(co); err != nil {
			return err
		}
	}
	return cs.cancelled
}

// PollHead is ReadHead as far as it goes without waiting.
func (cs *ClientStream) PollHead(resp *stream.Response, _ bool) (done bool, err error) {
	switch {
	case cs.failed != nil:
		return false, cs.failed
	case !cs.headCame:
		return false, nil
	}
	cs.deliver(resp)
	return true, nil
}

// clientBody is a ClientStream as the Body of its response.
type clientBody ClientStream

// Next returns the next piece of the body.
func (b *clientBody) Next(co *worker.Coroutine) ([]byte, error) { return b.flow.pull(co) }

// Buffered returns what is at hand of the body.
func (b *clientBody) Buffered() ([]byte, bool) { return b.flow.atHand() }

// Stop ends the pulling.
func (b *clientBody) Stop() { b.flow.stop() }

// Trailer is the trailer section, nil when there was none.
func (b *clientBody) Trailer() *stream.Header {
	if b.flow.hasTrail {
		return &b.flow.trailer
	}
	return nil
}

// clientTunnel is a ClientStream as a Tunnel.
type clientTunnel ClientStream

// Read waits for bytes.
func (t *clientTunnel) Read(co *worker.Coroutine) ([]byte, error) { return t.flow.pull(co) }

// Write takes all of p, waiting while the endpoint takes no more.
func (t *clientTunnel) Write(co *worker.Coroutine, p []byte) error {
	if t.flow.conn == nil || t.flow.sentEnd {
		return (*ClientStream)(t).cutShort()
	}
	return t.flow.write(co, p, false)
}

// CloseWrite half-closes the stream: everything written is before it in the
// connection's output.
func (t *clientTunnel) CloseWrite(*worker.Coroutine) error {
	if t.flow.conn != nil && t.client.over == nil {
		t.flow.sendEnd()
	}
	return nil
}

// Close ends both directions.
func (t *clientTunnel) Close() {
	cs := (*ClientStream)(t)
	if f := &cs.flow; f.conn != nil && !(f.gotEnd && f.sentEnd) {
		cs.reset(CodeCancel)
		cs.stir()
	}
}
