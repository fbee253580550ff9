package http2

import (
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// Content is sent in turns: while one stream's is on its way to the socket, or
// the connection's window is used up, the others queue by urgency (RFC 9218
// section 10). A stream that is incremental goes to the end of its urgency's
// list after each turn; one that is not goes on until it is done.

const (
	urgencies      = 8
	defaultUrgency = 3
	// quantum is what a stream may send in one turn.
	quantum = 64 << 10
	// framesAtOnce bounds the DATA frames of one system call.
	framesAtOnce = 8
)

// queue holds the flows that have something to send and wait for their turn.
type queue struct {
	lists [urgencies]struct{ first, last *flow }
	count int
	turn  *flow // was told to go on, and has not yet
}

func (q *queue) push(f *flow, front bool) {
	if f.queued {
		return
	}
	l := &q.lists[f.urgency]
	f.queued = true
	q.count++
	switch {
	case l.first == nil:
		l.first, l.last = f, f
	case front:
		f.next, l.first.prev, l.first = l.first, f, f
	default:
		f.prev, l.last.next, l.last = l.last, f, f
	}
}

func (q *queue) remove(f *flow) {
	if !f.queued {
		return
	}
	l := &q.lists[f.urgency]
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		l.first = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		l.last = f.prev
	}
	f.next, f.prev, f.queued = nil, nil, false
	q.count--
}

// first is the flow whose turn is next.
func (q *queue) head() *flow {
	if q.count == 0 {
		return nil
	}
	for i := range q.lists {
		if f := q.lists[i].first; f != nil {
			return f
		}
	}
	return nil
}

// leave takes a flow out of everything that has to do with sending.
func (c *conn) leave(f *flow) {
	c.queue.remove(f)
	if c.queue.turn == f {
		c.queue.turn = nil
		c.pump()
	}
}

// pump gives the turn to the next flow, when the connection takes something.
func (c *conn) pump() {
	q := &c.queue
	if q.turn != nil || q.count == 0 || c.window <= 0 || c.failed != nil {
		return
	}
	if c.Pending() > lowWater {
		if !c.pumping {
			c.pumping = true
			c.Loop().FlushLater((*pumpLater)(c))
		}
		return
	}
	f := q.head()
	q.remove(f)
	q.turn = f
	f.user.mayWrite()
}

// pumpLater is a conn that gives the turn to the next flow when the output of this turn of
// the loop has gone out. Nobody else would: the socket tells only when it was full.
type pumpLater conn

// Flush is called at the end of the loop's turn.
func (p *pumpLater) Flush() {
	c := (*conn)(p)
	c.Flush()
	if c.Pending() <= lowWater {
		c.pump()
	}
	c.pumping = false
}

// free reports whether n octets of content can go at once: the windows and the
// connection take them, and nobody waits who comes first.
func (f *flow) free(n int) bool {
	c := f.conn
	return int64(n) <= f.window && int64(n) <= c.window && c.queue.count == 0 && c.queue.turn == nil && c.Pending() <= highWater
}

// write sends p as content, as fast as the peer and the other streams let it;
// end is whether it is the last. p may be a piece of a Body, which is good until the
// coroutine waits: what must wait is copied.
func (f *flow) write(co *worker.Coroutine, p []byte, end bool) error {
	if len(p) == 0 {
		if end {
			f.sendEnd()
		}
		return nil
	}
	c := f.conn
	kept := false
	for len(p) > 0 {
		if f.isReset || c.failed != nil || c.Err() != nil {
			return f.user.cutShort()
		}
		q := &c.queue
		switch {
		case f.window <= 0:
			c.leave(f) // its own window is used up: others go first
		case c.window > 0 && (q.turn == f || q.turn == nil && q.count == 0 && c.Pending() <= highWater):
			n := int(min(int64(len(p)), f.window, c.window, quantum))
			f.emit(p[:n], end && n == len(p))
			p = p[n:]
			if q.turn == f {
				q.turn = nil
			}
			if len(p) == 0 {
				c.pump()
				return nil
			}
			if f.window > 0 {
				q.push(f, !f.incremental)
			}
			c.pump()
		default:
			if q.turn == f {
				q.turn = nil
			}
			q.push(f, false)
			c.pump()
		}
		if q.turn != f && c.Pending() > lowWater {
			c.Flush()
			c.pump()
		}
		if q.turn == f {
			continue
		}
		if !kept {
			kept = true
			l := c.Loop()
			p = append(l.Buffers.Get(len(p)), p...)
			defer l.Buffers.Put(p[:0])
		}
		if err := f.user.waitWrite(co); err != nil {
			if f.conn != nil {
				c.leave(f)
			}
			return err
		}
		if f.conn == nil {
			return stream.ErrStopped
		}
	}
	return nil
}

// offer sends of p what can go now and returns how much that was; the flow has a
// place in the queue for the rest, of which mayWrite is told. What nobody takes
// any more counts as sent.
func (f *flow) offer(p []byte, end bool) (n int) {
	c := f.conn
	q := &c.queue
	for n < len(p) {
		if f.isReset || c.failed != nil || c.Err() != nil {
			return len(p)
		}
		turn := q.turn == f
		switch {
		case f.window <= 0:
			c.leave(f) // its own window is used up: others go first
			return n
		case c.window > 0 && (turn || q.turn == nil && q.count == 0 && c.Pending() <= highWater):
			k := int(min(int64(len(p)-n), f.window, c.window, quantum))
			f.emit(p[n:n+k], end && n+k == len(p))
			n += k
			if turn {
				q.turn = nil
			}
			if n < len(p) && f.window > 0 {
				q.push(f, !f.incremental)
			}
		default:
			if turn {
				q.turn = nil
			}
			q.push(f, false)
		}
		c.pump()
		if n < len(p) && q.turn != f && c.Pending() > lowWater {
			c.Flush()
			c.pump()
		}
		if q.turn != f {
			return n
		}
	}
	return n
}

// emit sends DATA frames; the windows were looked at.
func (f *flow) emit(p []byte, end bool) {
	c := f.conn
	f.window -= int64(len(p))
	c.window -= int64(len(p))
	c.sentAt = c.Loop().Now()
	f.sentEnd = end
	most := int(min(c.peer.maxFrame, maxFrame))
	if len(p) < stream8K {
		out := c.Reserve(headerLen + len(p))
		c.Commit(append(appendFrame(out, len(p), frameData, endFlag(end), f.id), p...))
		c.updates = min(c.updates+8, maxUpdates)
		return
	}
	w := c.worker
	for len(p) > 0 {
		w.iov, w.heads = w.iov[:0], w.heads[:0]
		if cap(w.heads) < framesAtOnce*headerLen {
			w.heads = make([]byte, 0, framesAtOnce*headerLen)
		}
		for i := 0; i < framesAtOnce && len(p) > 0; i++ {
			n := min(len(p), most)
			at := len(w.heads)
			w.heads = appendFrame(w.heads, n, frameData, endFlag(end && n == len(p)), f.id)
			w.iov = append(w.iov, w.heads[at:], p[:n])
			p = p[n:]
			c.updates = min(c.updates+8, maxUpdates)
		}
		c.Gather(w.iov)
	}
	clear(w.iov)
}

const (
	// stream8K is the content from which it pays to write without a copy.
	stream8K = 8 << 10
	// maxUpdates bounds the WINDOW_UPDATE frames that a peer may save up.
	maxUpdates = 4096
)

func endFlag(end bool) uint8 {
	if end {
		return flagEndStream
	}
	return 0
}

// sendEnd ends the content with an empty frame.
func (f *flow) sendEnd() {
	c := f.conn
	if f.sentEnd || f.isReset {
		return
	}
	f.sentEnd = true
	c.Commit(appendFrame(c.Reserve(headerLen), 0, frameData, flagEndStream, f.id))
}

// appendHeaders makes HEADERS, and CONTINUATION if need be, of dst[start:],
// where headerLen octets were left free before an encoded header block.
func (c *conn) appendHeaders(dst []byte, start int, id uint32, end bool) []byte {
	n := len(dst) - start - headerLen
	most := int(min(c.peer.maxFrame, maxFrame))
	if n <= most {
		putFrame(dst[start:], n, frameHeaders, flagEndHeaders|endFlag(end), id)
		return dst
	}
	putFrame(dst[start:], most, frameHeaders, endFlag(end), id)
	rest := append([]byte(nil), dst[start+headerLen+most:]...)
	dst = dst[:start+headerLen+most]
	for len(rest) > 0 {
		n := min(len(rest), most)
		var flags uint8
		if n == len(rest) {
			flags = flagEndHeaders
		}
		dst = append(appendFrame(dst, n, frameContinuation, flags, id), rest[:n]...)
		rest = rest[n:]
	}
	return dst
}

// blockRoom is what the frames of a header block of n octets take.
func blockRoom(n int) int { return n + headerLen*(2+n/maxFrame) }
