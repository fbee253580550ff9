package http2

import (
	"io"
	"strconv"

	"longmen/gateway/protocol/http2/hpack"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// Send opens the stream: the request's head goes out, and body as far as the
// endpoint takes it; the rest follows by itself. An upgrade waits until the
// endpoint said whether it takes them.
func (cs *ClientStream) Send(o *stream.Outgoing, body []byte, whole bool) {
	c := cs.client
	if o.Upgrade != nil && !c.peer.seen && c.over == nil && !c.gone {
		cs.held = o
		c.holding = append(c.holding, cs)
		return
	}
	cs.begin(o, body, whole)
}

// begin is Send for a connection of which all is known that has to be.
func (cs *ClientStream) begin(o *stream.Outgoing, body []byte, whole bool) {
	c, f := cs.client, &cs.flow
	var cause error
	flag := stream.UpstreamConnectionEnd
	switch {
	case c.over != nil:
		cause = c.over
	case c.gone:
		cause = errConnectionGone
	case c.flows.next > maxID-2:
		cause = errIDsUsedUp
	case o.Upgrade != nil && (!c.peer.connectProtocol || !stream.IsToken(o.Upgrade)):
		cause, flag = errNoExtended, stream.UpstreamProtocolError
	}
	if cause != nil {
		cs.fail(cs.failure(flag, false, cause))
		return
	}
	id := c.flows.next
	c.flows.next += 2
	f.open(&c.conn, cs, id)
	cs.extended, cs.protocol = o.Upgrade != nil, o.Upgrade
	f.sentEnd = whole && len(body) == 0 && !cs.extended
	cs.sendHead(o, f.sentEnd)
	if len(body) == 0 {
		return
	}
	if n := f.offer(body, whole); n < len(body) && f.conn != nil && !f.isReset {
		cs.rest = append(c.Loop().Buffers.Get(len(body)-n), body[n:]...)
		cs.restOff = 0
	}
}

var (
	httpScheme  = []byte("http")
	httpsScheme = []byte("https")
	connect     = []byte("CONNECT")
	rootPath    = []byte("/")
	nameTE      = []byte("te")
	nameExpect  = []byte("expect")
	trailersTE  = []byte("trailers")
	continue100 = []byte("100-continue")
)

// notForwarded are fields that are about another connection, or said anew.
const notForwarded = 1<<stream.Host | 1<<stream.ContentLength | 1<<stream.Connection | 1<<stream.ProxyConnection | 1<<stream.KeepAlive |
	1<<stream.TransferEncoding | 1<<stream.Upgrade | 1<<stream.TE | 1<<stream.Expect

// sendHead sends HEADERS. The scheme is that of the connection, as it is with an
// endpoint that speaks HTTP/1.
func (cs *ClientStream) sendHead(o *stream.Outgoing, end bool) {
	c, r := cs.client, &cs.s.Request
	h, enc := &r.Header, &c.enc
	out := c.Reserve(blockRoom(hpack.EncodedSize(h) + len(r.Method) + len(o.Path) + len(o.Authority) + len(o.Upgrade) + 256))
	start := len(out)
	out = append(out, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	method, path, scheme := r.Method, o.Path, httpScheme
	if cs.extended {
		method = connect
	}
	if len(path) == 0 {
		path = rootPath
	}
	if c.IsSecure() {
		scheme = httpsScheme
	}
	out = enc.AppendPseudo(out, stream.PseudoMethod, method)
	out = enc.AppendPseudo(out, stream.PseudoScheme, scheme)
	if len(o.Authority) > 0 {
		out = enc.AppendPseudo(out, stream.PseudoAuthority, o.Authority)
	}
	out = enc.AppendPseudo(out, stream.PseudoPath, path)
	if cs.extended {
		out = enc.AppendPseudo(out, stream.PseudoProtocol, o.Upgrade)
		out = cs.appendUpgrade(out, h)
	} else {
		out = enc.AppendHeader(out, h, notForwarded)
		if r.Length > 0 || r.Length == 0 && h.HasKnown(stream.ContentLength) {
			var digits [20]byte
			out = enc.AppendField(out, stream.ContentLength, nameLength, strconv.AppendInt(digits[:0], r.Length, 10))
		}
	}
	if r.Trailers {
		out = enc.AppendField(out, stream.TE, nameTE, trailersTE)
	}
	if o.Expect {
		out = enc.AppendField(out, stream.Expect, nameExpect, continue100)
	}
	c.Commit(c.appendHeaders(out, start, cs.flow.id, end))
}

// appendUpgrade appends the fields of a request for an upgrade, without the
// proof that HTTP/1 asks for (RFC 8441 section 5).
func (cs *ClientStream) appendUpgrade(out []byte, h *stream.Header) []byte {
	for i := range h.Len() {
		name, value, id, ok := h.At(i)
		if !ok || notForwarded&(1<<id) != 0 || string(name) == "sec-websocket-key" {
			continue
		}
		out = cs.client.enc.AppendField(out, id, name, value)
	}
	return out
}

// SendBody carries the request's body as fast as it comes and the endpoint
// takes it. It returns stream.ErrStopped when the body was stopped, or the
// endpoint has answered and wants no more of it.
func (cs *ClientStream) SendBody(co *worker.Coroutine) error {
	f := &cs.flow
	body := cs.s.Request.Body
	for {
		if f.conn == nil || f.isReset || cs.failed != nil {
			return cs.cutShort()
		}
		p, err := body.Next(co)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := f.write(co, p, lastPiece(body)); err != nil {
			return err
		}
	}
	switch trailer := body.Trailer(); {
	case f.conn == nil || f.isReset || cs.failed != nil:
		return cs.cutShort()
	case trailer != nil:
		cs.client.sendTrailer(f, trailer)
	default:
		f.sendEnd()
	}
	return nil
}

// mayWrite is told that content may be sent.
func (cs *ClientStream) mayWrite() {
	switch {
	case cs.offering: // it looks by itself
	case cs.rest != nil:
		cs.offering = true
		n := cs.flow.offer(cs.rest[cs.restOff:], true)
		cs.offering = false
		if cs.restOff += n; cs.restOff == len(cs.rest) {
			cs.dropRest()
		}
	case cs.writer != nil:
		cs.writer.Wake()
	}
}

func (cs *ClientStream) dropRest() {
	if cs.rest != nil {
		cs.client.Loop().Buffers.Put(cs.rest)
		cs.rest = nil
	}
}
