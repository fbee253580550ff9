package http2

import (
	"errors"
	"fmt"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
)

// This file is how a client's connection ends: told to go, by its own fault, or at once.

// retire tells the client to open no more streams. It may have opened some
// already, so those are served until it has heard (RFC 9113 section 6.8).
func (c *serverConn) retire() {
	if c.phase != phaseServing {
		return
	}
	c.phase = phaseLeaving
	out := appendGoAway(c.Reserve(2*headerLen+16), maxID, CodeNo, "")
	c.Commit(appendPing(out, false, pingDrain))
	c.draining = true
	c.leftAt = c.Loop().Now()
	c.Loop().ArmBy(&c.timer, leaveAfter)
}

// last refuses the streams that come from now on, and closes after those there
// are: a little after, since a client may have chosen the connection just before
// it heard, and can repeat what is refused, but not what finds no connection.
func (c *serverConn) last() {
	c.phase = phaseLast
	c.Commit(appendGoAway(c.Reserve(headerLen+8), c.lastID, CodeNo, ""))
	if c.live == 0 {
		c.since = c.Loop().Now()
		c.Loop().ArmBy(&c.timer, partAfter)
	}
}

// ended ends the connection: the client is gone, or broke it.
func (c *serverConn) ended(err error) {
	if c.phase >= phaseOut {
		return
	}
	cause := fmt.Errorf("%w: %w", errClientGone, err)
	flag := stream.DownstreamConnectionEnd
	e, ok := err.(*ConnError)
	if ok {
		cause, flag = err, stream.DownstreamProtocolError
		if stats := c.srv.config.Stats; stats != nil {
			stats.HTTP2.Ended(uint32(e.Code))
		}
		c.srv.logEnd(c, e)
	}
	c.abortStreams(&stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestBody, Flag: flag, Cause: cause})
	switch {
	case !ok || c.Err() != nil:
		if errors.Is(err, errPeerClosed) && c.Pending() > 0 && c.Err() == nil {
			c.closeAfterWrite()
			return
		}
		c.closeNow()
	default:
		c.phase = phaseLinger
		c.since = c.Loop().Now()
		c.Finish()
		c.Flush() // before it may be closed for what still comes
		c.linger()
	}
}

var errClientGone = errors.New("the client is gone")

// end ends the connection at once; its streams fail with e.
func (c *serverConn) end(e *stream.Error) {
	if c.phase == phaseClosed {
		return
	}
	c.abortStreams(e)
	if c.phase < phaseOut && c.Err() == nil {
		c.Commit(appendGoAway(c.Reserve(headerLen+8), c.lastID, CodeNo, ""))
		c.Flush()
		c.Part()
	}
	c.closeNow()
}

// abortStreams lets every stream fail with e.
func (c *serverConn) abortStreams(e *stream.Error) {
	if c.failed == nil {
		c.failed = broke(CodeNo, "the connection is over")
	}
	for _, st := range c.begun {
		if st != nil {
			st.Abort(e)
		}
	}
	c.flows.each(func(f *flow) {
		st := f.user.(*serverStream)
		st.Abort(e)
		st.wakeWaiters()
	})
	c.start()
}

// closeAfterWrite closes once all is sent; the client has nothing left to say.
func (c *serverConn) closeAfterWrite() {
	c.phase = phaseOut
	c.Loop().Arm(&c.timer, c.srv.config.WriteTimeout)
	c.CloseAfterWrite()
}

// linger drops what has come, so that the last bytes are not lost to a reset: as
// much as may have been on its way, and no more.
func (c *serverConn) linger() {
	for c.lingered < lingerBytes {
		c.lingered += c.Buffered()
		c.Consume(c.Buffered())
		switch c.Fill(readSize) {
		case nil:
		case connection.ErrWait:
			c.Loop().Arm(&c.timer, lingerIdle)
			return
		default:
			if c.Finished() || c.Err() != nil {
				c.closeNow()
			} else {
				c.closeAfterWrite()
			}
			return
		}
	}
	c.closeNow()
}

// closeNow closes the socket.
func (c *serverConn) closeNow() {
	c.Close()
	c.closed()
}

// closed forgets the connection when its streams are over, too.
func (c *serverConn) closed() {
	if c.phase != phaseClosed {
		c.phase, c.closing = phaseClosed, true
		c.abortStreams(&stream.Error{Side: stream.Downstream, Phase: stream.PhaseResponseBody, Flag: stream.DownstreamConnectionEnd, Cause: errClientGone})
		c.closing = false
		c.release()
		if stats := c.srv.config.Stats; stats != nil {
			stats.HTTP2.ConnectionsActive.Dec()
		}
	}
	if c.live == 0 {
		c.srv.gone(c)
	}
}
