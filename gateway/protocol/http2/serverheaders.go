package http2

import (
	"longmen/gateway/protocol/http2/hpack"
	"longmen/gateway/stream"
)

// headersCame begins a stream, or takes its trailers.
func (c *serverConn) headersCame(id uint32, flags uint8, _ bool, block []byte) *ConnError {
	c.blockSince = 0
	end := flags&flagEndStream != 0
	if f := c.flows.find(id); f != nil {
		return c.trailers(f, end, block)
	}
	switch {
	case id%2 == 0:
		return broke(CodeProtocol, "a client's stream has an even id")
	case id <= c.lastID:
		if e := c.decodeError(c.decode(&c.worker.spare, block)); e != nil {
			return e
		}
		if c.ignored.has(id) {
			return c.glitch()
		}
		return broke(CodeStreamClosed, "HEADERS on a closed stream")
	}
	c.lastID = id
	c.ignored.advance(id)
	cfg := c.srv.config
	if c.phase >= phaseLast || c.live >= cfg.MaxStreams {
		if e := c.decodeError(c.decode(&c.worker.spare, block)); e != nil {
			return e
		}
		c.sendReset(id, CodeRefusedStream)
		if cfg.Stats != nil {
			cfg.Stats.HTTP2.Refused.Inc()
		}
		if c.phase >= phaseLast {
			return c.glitch() // it may not have heard
		}
		return c.brokeOff()
	}
	return c.newStream(id, end, block)
}

// newStream begins a stream.
func (c *serverConn) newStream(id uint32, end bool, block []byte) *ConnError {
	srv := c.srv
	st := c.worker.stream(srv.loop)
	st.begin(c, id)
	st.flow.gotEnd = end
	err := c.decode(&st.Request.Header, block)
	c.updates = min(c.updates+updatesOfRequest, maxUpdates)
	if c.served++; c.served > 1 {
		srv.loop.Gently()
	}
	if e := c.decodeError(err); e != nil {
		st.abandon()
		return e
	}
	if m := st.request(err); m != nil {
		return st.refuse(m)
	}
	c.begun = append(c.begun, st)
	if cfg := st.cfg; srv.hurry.Close || cfg.MaxRequests > 0 && int(c.served) >= cfg.MaxRequests {
		c.retire()
	}
	return nil
}

// decode decodes a header block.
func (c *conn) decode(h *stream.Header, block []byte) error {
	h.Reset()
	return c.dec.Decode(h, block, c.rules.Header)
}

// decodeError is what a decoding that went wrong means for the connection; nil
// when it concerns the one message alone.
func (c *conn) decodeError(err error) *ConnError {
	if err == nil {
		return nil
	}
	if err == hpack.ErrBomb {
		return broke(CodeEnhanceYourCalm, "a header block expands beyond all measure")
	}
	if e, ok := err.(*hpack.CompressionError); ok {
		return broke(CodeCompression, e.Error())
	}
	return nil
}

// trailers takes the trailer section of a request.
func (c *serverConn) trailers(f *flow, end bool, block []byte) *ConnError {
	err := c.decode(&f.trailer, block)
	if e := c.decodeError(err); e != nil {
		return e
	}
	switch {
	case f.gaveUp:
		return broke(CodeStreamClosed, "HEADERS on a stream that the client reset")
	case f.isReset:
		return nil
	case f.gotEnd:
		f.user.fault(CodeStreamClosed)
		return c.brokeOff()
	case !end || err != nil || !trailerFields(&f.trailer):
		f.trailer.Reset()
		f.user.fault(CodeProtocol)
		return c.brokeOff()
	}
	f.hasTrail = f.trailer.Count() > 0
	f.end()
	return nil
}
