package http2

import (
	"io"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// flow is the content of one stream, in both directions.
type flow struct {
	conn  *conn
	user  flowUser
	id    uint32
	chain *flow // in the connection's table

	// Sending: see send.go.
	window      int64 // octets that the peer takes; may be negative
	urgency     uint8 // RFC 9218: 0 comes first
	incremental bool
	queued      bool
	next, prev  *flow // in the connection's queue
	sentEnd     bool

	// Receiving.
	inbox
	recv     recvWindow
	updated  int64 // loop time of the last WINDOW_UPDATE
	given    int   // octets of the piece that was given out last
	total    int64
	gotEnd   bool // END_STREAM came
	isReset  bool // RST_STREAM came or was sent
	gaveUp   bool // it came: the peer sends nothing more
	stopped  bool // nobody pulls any more: what comes is dropped
	spoilt   bool // the content is malformed: nobody gets more of it
	hasTrail bool
	trailer  stream.Header
}

// flowUser is the stream that a flow is of.
type flowUser interface {
	// arrived is told of content, of its end, or of trailers.
	arrived()
	// mayWrite is told that content may be sent.
	mayWrite()
	// peerReset is told of the peer's RST_STREAM.
	peerReset(code ErrCode)
	// fault is told of a mistake of the peer's on this stream alone, for which
	// it must reset it.
	fault(code ErrCode)
	// waitContent waits until arrived was called, or returns why there is none.
	waitContent(co *worker.Coroutine) error
	// waitWrite waits until mayWrite was called, or returns why nothing more can
	// be sent.
	waitWrite(co *worker.Coroutine) error
	// cutShort is the error of a stream whose content does not come to its end.
	cutShort() error
}

// inbox is content that came and was not pulled: pieces in lent buffers.
type inbox struct {
	pieces [][]byte
	first  int // pieces before it are gone
	off    int // of the first piece
	held   int // octets
}

// open makes f the flow of a stream; windows begin with what was announced.
func (f *flow) open(c *conn, u flowUser, id uint32) {
	f.conn, f.user, f.id = c, u, id
	f.window = int64(c.peer.initialWindow)
	f.urgency, f.incremental = defaultUrgency, true // see prioritize
	f.sentEnd, f.gotEnd, f.isReset, f.gaveUp, f.stopped, f.spoilt, f.hasTrail = false, false, false, false, false, false, false
	f.given, f.total, f.updated = 0, 0, 0
	// A peer that has not heard of our settings goes by the defaults.
	f.recv.open(c.rules.StreamWindow)
	if !c.settled && c.rules.StreamWindow < defaultWindow {
		f.recv.left = defaultWindow
	}
	c.promise(f.recv.size)
	c.flows.add(f)
}

// close takes the stream off its connection: no frame is for it any more.
func (f *flow) close() {
	c := f.conn
	if c == nil {
		return
	}
	c.leave(f)
	if c.data.flow == f {
		c.data.flow = nil // the rest of a DATA frame is dropped
		if c.IsOpen() {
			c.credit(c.data.left)
		}
	}
	f.drop()
	c.promise(-f.recv.size)
	c.flows.remove(f)
	f.trailer.Reset()
	f.conn, f.user = nil, nil
}

// beginData takes the header of a DATA frame. It reports what it consumed: 0
// when more must come first.
func (c *conn) beginData(h frameHeader, buf []byte) (int, *ConnError) {
	n, pad := headerLen, 0
	switch {
	case !c.peer.seen:
		return 0, broke(CodeProtocol, "the first frame is not SETTINGS")
	case h.id == 0:
		return 0, broke(CodeProtocol, "DATA on stream 0")
	}
	if h.flags&flagPadded != 0 {
		if h.length == 0 {
			return 0, broke(CodeFrameSize, "a padded frame without its length of padding")
		}
		if len(buf) == n {
			return 0, nil
		}
		pad = int(buf[n])
		n++
		if pad >= h.length {
			return 0, broke(CodeProtocol, "padding is longer than its frame")
		}
	}
	f := c.flows.find(h.id)
	if f == nil || f.isReset || f.gotEnd {
		if e := c.strayData(f, h); e != nil {
			return 0, e
		}
		f = nil
	}
	if h.length > c.recv.left {
		return 0, broke(CodeFlowControl, "DATA beyond the connection's window")
	}
	c.recv.left -= h.length
	if f != nil && h.length > f.recv.left {
		f.user.fault(CodeFlowControl)
		if e := c.brokeOff(); e != nil {
			return 0, e
		}
		f = nil
	}
	end := h.flags&flagEndStream != 0
	body := h.length + headerLen - n - pad
	if body == 0 && !end {
		if e := c.glitch(); e != nil {
			return 0, e
		}
	}
	if f == nil {
		c.credit(h.length)
	} else {
		f.recv.left -= h.length
		if spare := h.length - body; spare > 0 { // padding is never pulled
			c.credit(spare)
			f.credit(spare)
		}
	}
	c.Consume(n)
	c.data = incoming{flow: f, left: body, pad: pad, end: end, open: true}
	if body == 0 && pad == 0 {
		c.endData()
	}
	return n, nil
}

// strayData is DATA on a stream that takes none.
func (c *conn) strayData(f *flow, h frameHeader) *ConnError {
	switch {
	case f != nil && f.gaveUp:
		return broke(CodeStreamClosed, "DATA on a stream that the peer reset")
	case f != nil && f.isReset:
		return c.onItsWay(h)
	case f != nil: // half-closed (remote)
		f.user.fault(CodeStreamClosed)
		return c.brokeOff()
	case c.idle(h.id):
		return broke(CodeProtocol, "DATA on an idle stream")
	case c.client || c.ignored.has(h.id):
		return c.onItsWay(h)
	}
	return broke(CodeStreamClosed, "DATA on a closed stream")
}

// maxStray bounds the content that streams may have on its way when they are reset.
const maxStray = 64 << 20

// onItsWay is DATA of a stream that we reset: it was sent before the peer knew, as much as
// the windows of such streams allowed. What is more than that carries nothing. What an
// endpoint sends is bounded by what it was asked for.
func (c *conn) onItsWay(h frameHeader) *ConnError {
	if c.client {
		return nil
	}
	if c.stray -= h.length + headerLen; c.stray >= 0 {
		return nil
	}
	c.stray = 0
	return c.glitch()
}

// content takes what came of a DATA frame.
func (c *conn) content(buf []byte) {
	d := &c.data
	if n := min(d.left, len(buf)); n > 0 {
		if d.flow != nil {
			d.flow.receive(buf[:n])
		}
		d.left -= n
		c.Consume(n)
		if d.left > 0 {
			return
		}
		buf = c.Bytes()
	}
	n := min(d.pad, len(buf))
	c.Consume(n)
	if d.pad -= n; d.pad == 0 {
		c.endData()
	}
}

// endData ends a DATA frame.
func (c *conn) endData() {
	f, end := c.data.flow, c.data.end
	c.data = incoming{}
	if f != nil && end {
		f.end()
	}
}

// receive adds content to what waits to be pulled.
func (f *flow) receive(p []byte) {
	f.total += int64(len(p))
	if f.stopped {
		f.conn.credit(len(p))
		return
	}
	f.put(f.conn.Loop(), p)
	f.user.arrived()
}

// end notes END_STREAM.
func (f *flow) end() {
	f.gotEnd = true
	f.user.arrived()
}

// put adds p.
func (b *inbox) put(l *worker.Loop, p []byte) {
	b.held += len(p)
	if n := len(b.pieces); n > b.first {
		last := b.pieces[n-1]
		fit := max(0, min(len(p), min(cap(last), pieceSize)-len(last)))
		b.pieces[n-1] = append(last, p[:fit]...)
		p = p[fit:]
	}
	if len(p) > 0 {
		size := len(p)
		if len(b.pieces) > b.first {
			size = pieceSize // a longer body: fewer, larger pieces
		}
		b.pieces = append(b.pieces, append(l.Buffers.Get(size), p...))
	}
}

// peek is the first piece.
func (b *inbox) peek() []byte {
	if b.first == len(b.pieces) {
		return nil
	}
	return b.pieces[b.first][b.off:]
}

// skip drops the first piece up to n octets of what peek gave.
func (b *inbox) skip(l *worker.Loop, n int) {
	if n == 0 {
		return
	}
	b.held -= n
	b.off += n
	if b.off < len(b.pieces[b.first]) {
		return
	}
	l.Buffers.Put(b.pieces[b.first])
	b.pieces[b.first] = nil
	b.off = 0
	if b.first++; b.first == len(b.pieces) {
		b.pieces, b.first = b.pieces[:0], 0
	}
}

// drop gives up what was not pulled.
func (f *flow) drop() {
	held := f.held // with the piece that was given out: it is not skipped yet
	for f.held > 0 {
		f.skip(f.conn.Loop(), len(f.peek()))
	}
	f.given = 0
	if held > 0 && f.conn.IsOpen() {
		f.conn.credit(held)
	}
}

// release takes back the piece that was given out last, and lets the peer send
// as much again.
func (f *flow) release() {
	if n := f.given; n > 0 {
		f.given = 0
		f.skip(f.conn.Loop(), n)
		f.conn.credit(n)
		f.credit(n)
	}
}

// pull is stream.Body's Next.
func (f *flow) pull(co *worker.Coroutine) ([]byte, error) {
	if f.conn == nil {
		return nil, stream.ErrStopped
	}
	f.release()
	for {
		switch p := f.peek(); {
		case f.stopped:
			f.drop()
			return nil, stream.ErrStopped
		case f.spoilt:
			return nil, f.user.cutShort()
		case len(p) > 0:
			f.given = len(p)
			return p, nil
		case f.gotEnd:
			return nil, io.EOF
		case f.isReset:
			return nil, f.user.cutShort()
		}
		if err := f.user.waitContent(co); err != nil {
			return nil, err
		}
		if f.conn == nil {
			return nil, stream.ErrStopped
		}
	}
}

// atHand is stream.Body's Buffered. When the piece is the last, the trailers are
// known, too.
func (f *flow) atHand() (piece []byte, last bool) {
	if f.spoilt {
		return nil, false
	}
	k, off := f.first, f.off+f.given
	if k < len(f.pieces) && off >= len(f.pieces[k]) { // else more was added behind what was given out
		k, off = k+1, 0
	}
	if k < len(f.pieces) {
		piece = f.pieces[k][off:]
	}
	return piece, f.gotEnd && k+1 >= len(f.pieces)
}

// stop ends the pulling: what is there and what comes is dropped.
func (f *flow) stop() {
	if f.conn == nil || f.stopped {
		return
	}
	f.stopped = true
	if f.given == 0 {
		f.drop()
	}
	f.user.arrived()
}

// reset ends the stream with RST_STREAM.
func (f *flow) reset(code ErrCode) {
	c := f.conn
	if c == nil || f.isReset {
		return
	}
	f.isReset = true
	c.leave(f)
	if !f.gotEnd {
		c.stray = min(c.stray+2*max(0, f.recv.left), maxStray)
	}
	c.sendReset(f.id, code)
}
