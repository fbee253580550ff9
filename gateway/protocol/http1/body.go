package http1

import (
	"io"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
)

// bodyRead bounds one read of a body in bytes, and with it what a connection holds when the
// other side takes nothing. What one read brings goes out in one write, and those of 64 KB
// and more cost almost twice as much a byte: the kernel cuts them into a packet of the
// greatest size and a rest.
const bodyRead = 56 << 10

// reader takes a message's body off a connection, for either half.
type reader struct {
	conn    *connection.Conn
	kind    bodyKind
	left    int64 // fixedBody: bytes to come
	chunks  chunks
	given   int // bytes handed out and not yet consumed
	done    bool
	total   int64 // bytes handed out so far
	lim     *Limits
	trailer *stream.Header
}

// start begins a body; trailer is where its trailer section goes.
func (r *reader) start(c *connection.Conn, kind bodyKind, length int64, lim *Limits, trailer *stream.Header) {
	*r = reader{conn: c, kind: kind, left: length, lim: lim, trailer: trailer, done: kind == noBody}
}

// release consumes what was handed out.
func (r *reader) release() {
	if r.given == 0 {
		return
	}
	r.conn.Consume(r.given)
	switch r.kind {
	case fixedBody:
		r.left -= int64(r.given)
		r.done = r.left == 0
	case chunkedBody:
		r.chunks.took(r.given)
	}
	r.given = 0
}

// peek returns the data that is at hand. None at hand and no error means that
// the connection must be filled, or the body is done.
func (r *reader) peek() ([]byte, *Malformed) {
	switch {
	case r.done:
		return nil, nil
	case r.kind == chunkedBody:
		drop, n, m := r.chunks.next(r.conn.Bytes(), r.trailer, r.lim)
		if m != nil {
			return nil, m
		}
		if drop > 0 {
			r.conn.Consume(drop)
		}
		if r.chunks.state == chunkDone {
			r.done = true
			return nil, nil
		}
		return r.conn.Bytes()[:n], nil
	case r.kind == fixedBody:
		p := r.conn.Bytes()
		return p[:min(int64(len(p)), r.left)], nil
	}
	return r.conn.Bytes(), nil
}

// take hands p, which peek returned, out.
func (r *reader) take(p []byte) []byte {
	r.given = len(p)
	r.total += int64(len(p))
	return p
}

// buffered is what Buffered of a Body reports. A chunked body's end is only
// seen when its data is consumed, so it is never reported as last.
func (r *reader) buffered() ([]byte, bool) {
	if r.given > 0 || r.done {
		return nil, r.done || r.kind == fixedBody && r.left == int64(r.given)
	}
	if r.kind == chunkedBody {
		return nil, false
	}
	p, _ := r.peek()
	return p, r.kind == fixedBody && int64(len(p)) == r.left
}

// ended is called when the connection has ended; it is the end of a body that
// is delimited so.
func (r *reader) ended(err error) bool {
	if r.kind == untilClose && err == io.EOF {
		r.done = true
		return true
	}
	return false
}

// received reports whether all of the body has come, used or not.
func (r *reader) received() bool {
	return r.done || r.kind == fixedBody && int64(r.conn.Buffered()) >= r.left
}

// fields is the trailer section, when the body had one.
func (r *reader) fields() *stream.Header {
	if !r.done || r.trailer == nil || r.trailer.Count() == 0 {
		return nil
	}
	return r.trailer
}
