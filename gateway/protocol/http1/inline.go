package http1

import "longmen/gateway/stream"

// This file serves streams on the loop's own stack, as far as they need no
// waiting (see stream.Inline); what does goes on on a coroutine.

// outcome is what a handler returned.
type outcome struct {
	resp *stream.Response
	err  error
}

const (
	// inlineStreams bounds the pipelined streams that one look at a connection
	// serves; a coroutine, which yields, goes on with the others.
	inlineStreams = 64
	// inlineBody bounds the body that is sent without a coroutine.
	inlineBody = 16 << 10
)

// start serves the stream that has begun on c, and those that follow it at
// once. Nothing may be done with c afterwards.
func (c *serverConn) start() {
	defer c.guard()
	for n := 0; ; n++ {
		st := c.st
		in := st.cfg.Inline
		if in == nil || n == inlineStreams {
			st.handOver()
			return
		}
		st.begun, st.Parked = true, st
		if !c.advance(in.Begin) {
			return
		}
	}
}

// advance calls a part of the stream's Inline and does what its outcome asks
// for. It reports whether the connection's next stream has begun.
func (c *serverConn) advance(h stream.Handler) (next bool) {
	st := c.st
	st.inlined = true
	resp, err := st.call(h)
	st.inlined = false
	switch {
	case err == stream.ErrParked:
		if st.Aborted() != nil {
			st.handOver()
		}
		return false
	case err == stream.ErrCoroutine:
		st.handOver()
		return false
	case !st.atOnce(resp):
		st.early, st.handled = outcome{resp, err}, true
		st.handOver()
		return false
	}
	resp, whole := st.answer(nil, resp, err)
	return c.conclude(resp, whole)
}

// atOnce reports whether resp, or a local reply when it is nil, can be sent as
// a whole without waiting.
func (st *serverStream) atOnce(resp *stream.Response) bool {
	if st.conn.Pending() > lowWater {
		return false
	}
	if resp == nil {
		return true
	}
	if resp.Upgraded != nil {
		return false
	}
	if resp.Body == nil {
		return true
	}
	p, last := resp.Body.Buffered()
	return last && len(p) <= inlineBody
}

// handOver lets a coroutine go on with the stream in this turn.
func (st *serverStream) handOver() {
	st.handedOver = true
	st.Loop.GoSoon(st.conn)
}

// Wake goes on with a parked stream: its answer may be there, or it was
// aborted.
func (st *serverStream) Wake() {
	if st.inlined || st.handedOver {
		return
	}
	if st.Aborted() != nil {
		st.handOver()
		return
	}
	c := st.conn
	defer c.guard()
	if c.advance(st.cfg.Inline.Poll) {
		c.start()
	}
}
