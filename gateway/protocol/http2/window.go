package http2

import (
	"encoding/binary"
	"time"
)

// recvWindow is what the peer may send: on a stream, or on the connection. What
// was pulled is announced anew when it comes to a half of the window.
type recvWindow struct {
	left int // octets that the peer may still send
	owed int // octets that were pulled and not announced
	size int // what left comes to when nothing is unpulled
}

func (w *recvWindow) open(size int) { *w = recvWindow{left: size, size: size} }

// update takes n pulled octets and the size that the window shall have, and
// returns by how much to announce it: 0 for not yet.
func (w *recvWindow) update(n, size int) int {
	w.owed += n
	if size > w.size {
		w.owed += size - w.size
		w.size = size
	}
	if w.owed < w.size/2 {
		return 0
	}
	n = w.owed
	w.owed = 0
	w.left += n
	return n
}

// credit lets the peer send n more octets on the connection, sooner or later.
func (c *conn) credit(n int) {
	if n = c.recv.update(n, c.grow.conn); n > 0 && c.failed == nil {
		c.Commit(appendWindowUpdate(c.Reserve(headerLen+4), 0, n))
	}
}

// credit lets the peer send n more octets on the stream.
func (f *flow) credit(n int) {
	c := f.conn
	if f.gotEnd || f.isReset || c.failed != nil {
		return
	}
	size := f.recv.size
	if grown := c.grow.stream; grown > size && !c.worker.frugal && c.mayGrow(f, grown-size) {
		size = grown
		c.promise(grown - f.recv.size)
	}
	if n = f.recv.update(n, size); n > 0 {
		c.Commit(appendWindowUpdate(c.Reserve(headerLen+4), f.id, n))
		c.widen(&f.updated)
	}
}

// mayGrow reports whether a stream's window may become larger by n. An endpoint's
// content waits in it for a client, who may be slow: those windows grow for clients
// that keep pace, and not beyond what the connection may hold.
func (c *conn) mayGrow(f *flow, n int) bool {
	return !c.client || f.held == 0 && c.promised+n <= c.rules.MaxConn
}

// promise notes that streams may have n octets more, or less, unpulled. The
// connection's window to an endpoint is larger than all of them together, also while a
// half of it is not announced: so clients that do not pull hold up nobody else.
func (c *conn) promise(n int) {
	if c.promised += n; c.client && 2*c.promised > c.recv.size {
		c.grow.conn = max(c.grow.conn, 2*c.promised)
		c.credit(0)
	}
}

// growth finds out how large windows must be for the bandwidth and the delay of
// the way to the peer: a stream that uses up half of its window, and is read as
// fast, within two round trips might go faster if it were larger. Windows are
// doubled then, up to the rules' bounds.
type growth struct {
	stream, conn int   // windows to give
	trip         int64 // ns of the shortest round trip; 0: not known yet
	sent         int64 // loop time of the PING that measures one; 0: none is out
	done         int64 // loop time of the last answer
}

// The payloads of our PINGs tell what they are for.
const (
	pingMeasure   = 0x6c6f6e676d656e01
	pingKeepalive = 0x6c6f6e676d656e02
	pingDrain     = 0x6c6f6e676d656e03
)

// measureEvery bounds how often round trips are measured.
const measureEvery = int64(100 * time.Millisecond)

func (g *growth) open(stream, conn int) { g.stream, g.conn = stream, max(conn, defaultWindow) }

// widen is called when half of a stream's window was used up; last is the loop
// time when it was before.
func (c *conn) widen(last *int64) {
	g, now := &c.grow, c.Loop().Now()
	since := now - *last
	first := *last == 0
	*last = now
	if g.stream >= c.rules.MaxStream || c.worker.frugal {
		return
	}
	if g.sent == 0 && (g.trip == 0 || now-g.done >= measureEvery) {
		g.sent = now
		c.Commit(appendPing(c.Reserve(headerLen+8), false, pingMeasure))
	}
	if first || g.trip == 0 || since > 2*g.trip {
		return
	}
	g.stream = min(2*g.stream, c.rules.MaxStream)
	g.conn = max(g.conn, min(2*g.stream, c.rules.MaxConn))
}

// measured ends a round trip.
func (c *conn) measured() {
	g := &c.grow
	now := c.Loop().Now()
	if trip := max(now-g.sent, 1); g.trip == 0 || trip < g.trip {
		g.trip = trip
	}
	g.sent, g.done = 0, now
}

// pong takes the answer to a PING of ours.
func (c *conn) pong(data uint64) *ConnError {
	switch {
	case data == pingMeasure && c.grow.sent != 0:
		c.measured()
	case data == pingKeepalive && c.pinged != 0:
		c.pinged = 0
	case data == pingDrain && c.draining:
		c.draining = false
		c.side.drained()
	default:
		return c.glitch() // nobody asked
	}
	return nil
}

// accompanies counts a frame that requests and the content that we send bring with them;
// what is more than that carries nothing.
func (c *conn) accompanies() *ConnError {
	if c.updates--; c.updates >= 0 {
		return nil
	}
	c.updates = 0
	return c.glitch()
}

// onWindowUpdate lets us send more.
func (c *conn) onWindowUpdate(h frameHeader, p []byte) *ConnError {
	if len(p) != 4 {
		return broke(CodeFrameSize, "WINDOW_UPDATE of a wrong length")
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	if e := c.accompanies(); e != nil {
		return e
	}
	if h.id == 0 {
		switch c.window += n; {
		case n == 0:
			return broke(CodeProtocol, "WINDOW_UPDATE by 0")
		case c.window > maxWindow:
			return broke(CodeFlowControl, "the connection's window is too large")
		}
		c.pump()
		return nil
	}
	f := c.flows.find(h.id)
	switch {
	case f == nil && c.idle(h.id):
		return broke(CodeProtocol, "WINDOW_UPDATE on an idle stream")
	case f == nil || f.isReset:
		return nil
	case n == 0:
		f.user.fault(CodeProtocol)
		return c.brokeOff()
	case f.window+n > maxWindow:
		f.user.fault(CodeFlowControl)
		return c.brokeOff()
	}
	stalled := f.window <= 0
	f.window += n
	if stalled && f.window > 0 {
		f.user.mayWrite()
	}
	return nil
}

// shiftWindows changes what every stream may send.
func (c *conn) shiftWindows(delta int64) *ConnError {
	var e *ConnError
	c.flows.each(func(f *flow) {
		stalled := f.window <= 0
		if f.window += delta; f.window > maxWindow {
			e = broke(CodeFlowControl, "a stream's window is too large")
		}
		if stalled && f.window > 0 {
			f.user.mayWrite()
		}
	})
	return e
}
