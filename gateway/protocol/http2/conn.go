package http2

import (
	"encoding/binary"
	"io"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/protocol/http2/hpack"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// conn is what both halves share of a connection. Its zero value is not open.
type conn struct {
	connection.Conn
	side   side
	worker *Worker
	client bool // we are the client

	dec   hpack.Decoder
	enc   hpack.Encoder
	peer  peerSettings
	rules rules

	flows    table
	block    block
	data     incoming
	lastID   uint32     // the highest id of a stream that the peer opened
	ignored  ignoredIDs // of those, the streams that we reset
	window   int64      // octets of DATA that the peer takes on the connection
	queue    queue      // flows that have something to send, and wait for their turn
	updates  int32      // frames that the peer may send to go with its requests and with what it got
	recv     recvWindow // of the connection
	promised int        // octets that the windows of all streams come to
	grow     growth     // of the windows that we give
	control  bucket     // of frames that carry nothing
	resets   bucket     // of streams that the peer broke off
	pinged   int64      // loop time when a PING went out that has no answer yet
	active   int64      // loop time when something came last
	failed   *ConnError // why it ends
	settled  bool       // the peer acknowledged our settings
	draining bool       // a PING went out behind our GOAWAY
	greeted  bool       // the peer's preface came
	reading  bool       // read is under way, further up on the stack
	again    bool       // and shall look once more
	look     int64      // Loop.Clock when it began
	fills    int        // reads since then
	work     int        // of the frames taken since the clock was read
	tired    bool       // it took long
	greedy   bool       // the last look did not take all there was
	resting  bool       // goOn will be called
	resume   func()     // does that
	pumping  bool       // pumpLater is to be called
	sentAt   int64      // loop time when content was sent last
	stray    int        // octets of DATA that may be on their way for streams that we reset
}

// side is one of the halves.
type side interface {
	// headersCame takes a whole header block. It must decode it, whatever it is
	// for.
	headersCame(id uint32, flags uint8, priority bool, block []byte) *ConnError
	// frameOf takes a frame of a type that only this half understands.
	frameOf(h frameHeader, p []byte) *ConnError
	// settingsCame is told of the peer's settings.
	settingsCame(first bool)
	// drained is told that the peer has heard of our GOAWAY.
	drained()
	// wentAway is told of the peer's GOAWAY.
	wentAway(last uint32, code ErrCode, debug []byte)
	// started is called when all that was read is taken: streams that have begun
	// are served.
	started()
	// goOn takes what was left.
	goOn()
	// ended is called once when the connection is of no more use: c.failed says
	// why, when it is not the peer's orderly end. More is written before it
	// closes.
	ended(err error)
}

// rules bound what the peer may do; they are the same for all connections of a
// configuration.
type rules struct {
	Control       Rate
	Resets        Rate
	Continuations int // CONTINUATION frames of one header block
	Header        hpack.Limit
	StreamWindow  int // initial, of a stream
	ConnWindow    int
	MaxStream     int // that a stream's window may grow to
	MaxConn       int
}

// incoming is a DATA frame of which only the beginning has come.
type incoming struct {
	flow *flow // nil: what comes is dropped
	left int   // octets of content
	pad  int   // octets of padding behind it
	end  bool  // END_STREAM
	open bool
}

// block is a header block whose end has not come.
type block struct {
	id       uint32
	flags    uint8
	priority bool
	frames   int
	bytes    []byte // lent
}

// Worker is what all connections of one worker share.
type Worker struct {
	iov     [][]byte      // of one gathered write
	heads   []byte        // the frame headers in it
	spare   stream.Header // what is decoded and not wanted
	streams []*serverStream
	conns   []*serverConn
	clients []*ClientStream
	dateAt  int64  // the second that dated is for
	dated   []byte // the Date field's value
	frugal  bool   // memory is short: windows do not grow
}

const (
	// readSize bounds one read. What is to be passed on lies in pieces of pieceSize,
	// as much as the kernel takes in one write at a good price.
	readSize  = 112 << 10
	pieceSize = 56 << 10
	// A look at a connection ends after fillsAtOnce reads, or after lookTime, for
	// which the clock is read when frames of so much work were taken: each counts as
	// its octets and frameWork.
	fillsAtOnce = 4
	lookTime    = int64(100 * time.Microsecond)
	workPerLook = 2 << 10
	frameWork   = 128
	resetWork   = 1 << 10 // a stream that is broken off takes a system call, or two
	// A connection whose last look was cut short goes on at the end of the turn when the
	// turn's events have taken that long: those who ask for little come first.
	turnTime = int64(100 * time.Microsecond)
	// What the output of a connection may hold before streams wait with their
	// content, and down to what it shrinks before they go on.
	highWater = 64 << 10
	lowWater  = 16 << 10
	// stopReading is what the output may hold before nothing more is read: a
	// peer that asks and does not listen.
	stopReading = 256 << 10
)

// open readies c, whose socket is open.
func (c *conn) open(w *Worker, s side, r rules, client bool) {
	c.worker, c.side, c.rules, c.client = w, s, r, client
	c.dec.Init(defaultHeaderTable)
	c.peer.reset()
	c.enc.SetMax(defaultHeaderTable)
	c.window = defaultWindow
	c.updates = 64
	c.active = c.Loop().Now()
	// Until our settings are known, the peer goes by the protocol's defaults.
	c.recv.open(max(r.ConnWindow, defaultWindow))
	c.grow.open(r.StreamWindow, r.ConnWindow)
}

// read takes what there is, as far as the peer listens.
func (c *conn) read() {
	if c.reading {
		c.again = true
		return
	}
	c.reading = true
	defer func() { c.reading = false }()
	c.look, c.fills, c.tired = c.Loop().Clock(), 0, false
	for {
		c.again = false
		e := c.frames()
		c.side.started()
		if e != nil {
			c.fail(e)
		}
		if c.failed != nil || !c.IsOpen() || c.Pending() > stopReading {
			return
		}
		if c.fills++; c.tired || c.fills >= fillsAtOnce {
			c.greedy = true
			c.rest()
			return
		}
		switch err := c.Fill(readSize); err {
		case nil:
			c.active = c.Loop().Now()
		case connection.ErrWait:
			if !c.again {
				c.greedy = false
				return
			}
		default:
			if err == io.EOF {
				err = errPeerClosed
			}
			c.reading = false // nothing is looked at any more: it may go back to the pool
			c.side.ended(err)
			return
		}
	}
}

// rest leaves the connection for now: what there is more of it is taken when the
// others had their turn. A peer that sends without end, or what takes long, does
// not keep them waiting.
func (c *conn) rest() {
	if c.resting {
		return
	}
	c.resting = true
	if c.resume == nil {
		c.resume = func() {
			if c.resting { // it may be over, and another one in its place
				c.resting = false
				c.side.goOn()
			}
		}
	}
	c.Loop().Burn(c.resume)
}

// isTired looks at the clock now and then.
func (c *conn) isTired() bool {
	if c.work > workPerLook {
		c.work = 0
		c.tired = c.tired || c.Loop().Clock()-c.look > lookTime
	}
	return c.tired
}

// frames takes the frames that were read.
func (c *conn) frames() *ConnError {
	for c.failed == nil && c.IsOpen() && !c.isTired() {
		buf := c.Bytes()
		if c.data.open {
			if len(buf) == 0 {
				return nil
			}
			c.content(buf)
			continue
		}
		if !c.greeted && !c.client {
			if done, e := c.greet(buf); !done {
				return e
			}
			continue
		}
		if len(buf) < headerLen {
			return nil
		}
		h := parseFrame(buf)
		if h.length > maxFrame {
			return broke(CodeFrameSize, "a frame is longer than allowed")
		}
		if c.block.id != 0 && (h.typ != frameContinuation || h.id != c.block.id) {
			return broke(CodeProtocol, "a header block was interrupted")
		}
		if h.typ == frameData {
			if n, e := c.beginData(h, buf); n == 0 || e != nil {
				return e
			}
			continue
		}
		n := headerLen + h.length
		if len(buf) < n {
			return nil
		}
		// The payload is done with before it is consumed.
		if e := c.frame(h, buf[headerLen:n]); e != nil {
			return e
		}
		c.Consume(n)
	}
	return nil
}

// greet takes the client's connection preface.
func (c *conn) greet(buf []byte) (done bool, e *ConnError) {
	n := min(len(buf), len(preface))
	if string(buf[:n]) != preface[:n] {
		return false, broke(CodeProtocol, "no connection preface")
	}
	if n < len(preface) {
		return false, nil
	}
	c.greeted = true
	c.Consume(n)
	return true, nil
}

// frame takes a whole frame other than DATA.
func (c *conn) frame(h frameHeader, p []byte) *ConnError {
	c.work += frameWork + len(p)
	if !c.peer.seen && h.typ != frameSettings {
		return broke(CodeProtocol, "the first frame is not SETTINGS")
	}
	switch h.typ {
	case frameHeaders:
		return c.onHeaders(h, p)
	case frameContinuation:
		return c.onContinuation(h, p)
	case frameReset:
		return c.onReset(h, p)
	case frameSettings:
		return c.onSettings(h, p)
	case framePing:
		return c.onPing(h, p)
	case frameGoAway:
		return c.onGoAway(h, p)
	case frameWindowUpdate:
		return c.onWindowUpdate(h, p)
	case framePriority:
		return c.onPriority(h, p)
	}
	return c.side.frameOf(h, p) // of an unknown type: ignored (RFC 9113 section 4.1)
}

// glitch counts a frame that carries nothing, and tells when there are too many.
func (c *conn) glitch() *ConnError {
	if c.control.take(c.Loop().Now(), c.rules.Control) {
		return nil
	}
	return broke(CodeEnhanceYourCalm, "too many control frames")
}

// brokeOff counts a stream that the peer gave up or made us give up.
func (c *conn) brokeOff() *ConnError {
	if c.resets.take(c.Loop().Now(), c.rules.Resets) {
		return nil
	}
	return broke(CodeEnhanceYourCalm, "too many streams were broken off")
}

func (c *conn) onHeaders(h frameHeader, p []byte) *ConnError {
	if h.id == 0 {
		return broke(CodeProtocol, "HEADERS on stream 0")
	}
	if h.flags&flagPadded != 0 {
		if len(p) == 0 || int(p[0]) >= len(p) {
			return broke(CodeProtocol, "padding is longer than its frame")
		}
		p = p[1 : len(p)-int(p[0])]
	}
	priority := h.flags&flagPriority != 0
	if priority {
		if len(p) < 5 {
			return broke(CodeFrameSize, "HEADERS are too short for their priority")
		}
		if binary.BigEndian.Uint32(p)&maxID == h.id {
			return broke(CodeProtocol, "a stream depends on itself")
		}
		p = p[5:]
	}
	if h.flags&flagEndHeaders != 0 {
		return c.side.headersCame(h.id, h.flags, priority, p)
	}
	c.block = block{id: h.id, flags: h.flags, priority: priority, bytes: append(c.Loop().Buffers.Get(len(p)), p...)}
	return nil
}

func (c *conn) onContinuation(h frameHeader, p []byte) *ConnError {
	b := &c.block
	if b.id == 0 {
		return broke(CodeProtocol, "CONTINUATION without a header block")
	}
	if b.frames++; b.frames > c.rules.Continuations || len(b.bytes)+len(p) > c.rules.Header.Size+maxFrame {
		return broke(CodeEnhanceYourCalm, "a header block is too long")
	}
	if len(p) == 0 {
		if e := c.glitch(); e != nil {
			return e
		}
	}
	b.bytes = append(c.Loop().Buffers.Grow(b.bytes, len(p)), p...)
	if h.flags&flagEndHeaders == 0 {
		return nil
	}
	whole := *b
	c.block = block{}
	e := c.side.headersCame(whole.id, whole.flags, whole.priority, whole.bytes)
	c.Loop().Buffers.Put(whole.bytes)
	return e
}

func (c *conn) onPriority(h frameHeader, p []byte) *ConnError {
	switch {
	case h.id == 0:
		return broke(CodeProtocol, "PRIORITY on stream 0")
	case len(p) != 5:
		return c.streamFault(h.id, CodeFrameSize)
	case binary.BigEndian.Uint32(p)&maxID == h.id:
		return c.streamFault(h.id, CodeProtocol)
	}
	return c.accompanies() // the scheme is deprecated (RFC 9113 section 5.3.2)
}

// streamFault resets a stream for something that the peer did to it.
func (c *conn) streamFault(id uint32, code ErrCode) *ConnError {
	if f := c.flows.find(id); f != nil {
		f.user.fault(code)
	} else if id <= c.lastID || c.client {
		c.sendReset(id, code)
	} else {
		return broke(code, "a frame on an idle stream")
	}
	return c.brokeOff()
}

func (c *conn) onReset(h frameHeader, p []byte) *ConnError {
	switch {
	case h.id == 0 || c.idle(h.id):
		return broke(CodeProtocol, "RST_STREAM on an idle stream")
	case len(p) != 4:
		return broke(CodeFrameSize, "RST_STREAM of a wrong length")
	}
	f := c.flows.find(h.id)
	if f == nil {
		if c.ignored.forgive(h.id) {
			return nil
		}
		return c.glitch()
	}
	code := ErrCode(binary.BigEndian.Uint32(p))
	f.isReset, f.gaveUp = true, true
	c.work += resetWork
	c.leave(f)
	f.user.peerReset(code)
	if c.client && code == CodeNo {
		return nil
	}
	return c.brokeOff()
}

// idle reports whether a stream of that id was never opened.
func (c *conn) idle(id uint32) bool {
	if ours := (id%2 == 1) == c.client; ours {
		return id >= c.flows.next
	}
	return id > c.lastID
}

func (c *conn) onPing(h frameHeader, p []byte) *ConnError {
	switch {
	case h.id != 0:
		return broke(CodeProtocol, "PING on a stream")
	case len(p) != 8:
		return broke(CodeFrameSize, "PING of a wrong length")
	}
	data := binary.BigEndian.Uint64(p)
	if h.flags&flagAck != 0 {
		return c.pong(data)
	}
	c.Commit(appendPing(c.Reserve(headerLen+8), true, data))
	return c.accompanies() // clients measure round trips while content comes: those of gRPC all the time
}

func (c *conn) onGoAway(h frameHeader, p []byte) *ConnError {
	switch {
	case h.id != 0:
		return broke(CodeProtocol, "GOAWAY on a stream")
	case len(p) < 8:
		return broke(CodeFrameSize, "GOAWAY of a wrong length")
	}
	c.side.wentAway(binary.BigEndian.Uint32(p)&maxID, ErrCode(binary.BigEndian.Uint32(p[4:])), p[8:min(len(p), 8+128)])
	return c.glitch()
}

// sendReset sends RST_STREAM.
func (c *conn) sendReset(id uint32, code ErrCode) {
	c.ignored.add(id)
	c.Commit(appendReset(c.Reserve(headerLen+4), id, code))
}

// fail ends the connection for what the peer did.
func (c *conn) fail(e *ConnError) {
	if c.failed != nil || !c.IsOpen() {
		return
	}
	c.failed = e
	c.dropBlock()
	c.data = incoming{}
	c.Commit(appendGoAway(c.Reserve(headerLen+8+len(e.Text)), c.lastID, e.Code, e.Text))
	c.side.ended(e)
}

func (c *conn) dropBlock() {
	if c.block.bytes != nil {
		c.Loop().Buffers.Put(c.block.bytes)
	}
	c.block = block{}
}

// release gives up what a connection that is over holds.
func (c *conn) release() {
	c.dropBlock()
	c.data = incoming{}
	c.dec.Release()
	c.enc.Release()
}

// ready is what both halves do when the connection has something to tell.
func (c *conn) ready(ev worker.Events) {
	if err := c.Err(); err != nil {
		if c.failed == nil {
			c.side.ended(err)
		}
		return
	}
	if c.Pending() <= lowWater {
		c.pump()
	}
	if c.failed != nil || c.resting || !c.MayRead() && c.Buffered() == 0 || c.Pending() > stopReading {
		return
	}
	if l := c.Loop(); ev != 0 && c.greedy && l.Clock()-l.Now() > turnTime {
		c.rest()
		return
	}
	c.read()
}
