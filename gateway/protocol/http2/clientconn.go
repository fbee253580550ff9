package http2

import "longmen/gateway/stream"

// This is the side of a Client: what the endpoint's frames mean for it.

// settingsCame is told of the endpoint's settings.
func (c *Client) settingsCame(first bool) {
	c.changed = true
	if !first {
		return
	}
	holding := c.holding
	c.holding = nil
	for _, cs := range holding {
		if cs.client == c && cs.held != nil {
			o := cs.held
			cs.held = nil
			cs.begin(o, nil, true)
		}
	}
}

// failHolding fails the streams that wait for the endpoint's settings.
func (c *Client) failHolding() {
	for _, cs := range c.holding {
		if cs.client == c && cs.held != nil {
			cs.held = nil
			cs.fail(cs.failure(stream.UpstreamConnectionEnd, false, c.over))
		}
	}
	c.holding = nil
}

// drained is told that the endpoint has heard of a GOAWAY: a server's affair.
func (c *Client) drained() {}

// wentAway is told of the endpoint's GOAWAY: streams above last were not
// processed, and can be tried elsewhere (RFC 9113 section 6.8).
func (c *Client) wentAway(last uint32, code ErrCode, debug []byte) {
	stats := c.cfg.Stats
	if stats != nil {
		stats.GoAwaysReceived.Inc()
	}
	c.gone, c.changed = true, true
	why := &ConnError{Code: code, Text: string(debug), Remote: true}
	if code != CodeNo {
		c.said = why
	}
	c.flows.each(func(f *flow) {
		if f.id <= last || f.isReset || f.gotEnd {
			return
		}
		f.isReset = true
		c.leave(f)
		if stats != nil {
			stats.Refused.Inc()
		}
		cs := f.user.(*ClientStream)
		cs.fail(cs.failure(stream.UpstreamRemoteReset, cs.answered, why))
	})
	c.finish()
}

// frameOf takes a frame that only an endpoint sends.
func (c *Client) frameOf(h frameHeader, _ []byte) *ConnError {
	switch h.typ {
	case framePushPromise:
		return broke(CodeProtocol, "PUSH_PROMISE, which was not allowed")
	case framePriorityUpdate:
		return broke(CodeProtocol, "PRIORITY_UPDATE from a server")
	}
	return c.glitch()
}

// headersCame takes the head of a response, or its trailers.
func (c *Client) headersCame(id uint32, flags uint8, _ bool, block []byte) *ConnError {
	f := c.flows.find(id)
	if f == nil || f.isReset {
		if e := c.decodeError(c.decode(&c.worker.spare, block)); e != nil {
			return e
		}
		if f == nil && c.idle(id) {
			return broke(CodeProtocol, "HEADERS on an idle stream")
		}
		if f != nil && f.gaveUp {
			return broke(CodeStreamClosed, "HEADERS on a stream that the endpoint reset")
		}
		return c.glitch() // they crossed our RST_STREAM
	}
	cs := f.user.(*ClientStream)
	h := &cs.head
	if cs.headCame {
		h = &f.trailer
	}
	err := c.decode(h, block)
	if e := c.decodeError(err); e != nil {
		return e
	}
	end := flags&flagEndStream != 0
	switch {
	case f.gotEnd:
		cs.fault(CodeStreamClosed)
	case cs.headCame:
		cs.trailers(end, err)
	default:
		cs.headers(end, err)
	}
	return nil
}
