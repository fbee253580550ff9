package connection

import (
	"golang.org/x/sys/unix"

	"longmen/gateway/worker"
)

// Write takes p: it is sent at the end of the turn together with what else the
// turn writes, or, when it is large, at once. What the socket does not take is
// kept; a writer that heeds Pending keeps that bounded. After an error, or
// Finish, p is dropped.
func (c *Conn) Write(p []byte) {
	if len(p) < DirectWrite || c.state&(writable|connecting) != writable {
		c.Commit(append(c.Reserve(len(p)), p...))
		return
	}
	if !c.mayWrite() {
		return
	}
	if c.tls != nil {
		c.writeSecure(p)
		return
	}
	n := c.send(p)
	if n < len(p) && c.errno == 0 {
		c.Commit(append(c.Reserve(len(p)-n), p[n:]...))
	}
}

// maxGather bounds the pieces of one Gather.
const maxGather = 16

// Gather is Write for pieces, at most maxGather of them and none of them empty,
// that lie apart and go out at once with one system call.
func (c *Conn) Gather(pieces [][]byte) {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	if c.tls != nil || c.state&(writable|connecting) != writable {
		c.commitAll(pieces, n)
		return
	}
	if !c.mayWrite() {
		return
	}
	sent := c.sendGathered(pieces)
	for len(pieces) > 0 && sent >= len(pieces[0]) {
		sent -= len(pieces[0])
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if len(pieces) > 0 && c.errno == 0 {
		c.Commit(append(c.Reserve(n-sent), pieces[0][sent:]...))
		c.commitAll(pieces[1:], n-len(pieces[0]))
	}
}

// commitAll copies pieces of n bytes to the output.
func (c *Conn) commitAll(pieces [][]byte, n int) {
	out := c.Reserve(n)
	for _, p := range pieces {
		out = append(out, p...)
	}
	c.Commit(out)
}

// sendGathered writes the pending output and then the pieces. It returns how
// much of the pieces went out.
func (c *Conn) sendGathered(pieces [][]byte) int {
	var iov [1 + maxGather]worker.Iovec
	head := len(c.out) - int(c.outOff)
	total, k := head, 0
	if head > 0 {
		iov[0].Base = &c.out[c.outOff]
		iov[0].SetLen(head)
		k = 1
	}
	for _, p := range pieces {
		iov[k].Base = &p[0]
		iov[k].SetLen(len(p))
		total += len(p)
		k++
	}
	for {
		n, e := worker.Writev(int(c.fd), iov[:k])
		switch {
		case e == unix.EINTR:
			continue
		case e == unix.EAGAIN:
			c.state &^= writable
			return 0
		case e != 0:
			c.errno = uint16(e)
			c.releaseOut()
			return 0
		}
		if c.traffic != nil {
			c.traffic.BytesSent.Add(uint64(n))
		}
		if n < total {
			c.state &^= writable // a short write filled the socket
		}
		if n < head {
			c.outOff += uint32(n)
			return 0
		}
		c.releaseOut()
		return n - head
	}
}

func (c *Conn) mayWrite() bool {
	return c.state&(opened|finishing|finished|closing) == opened && c.errno == 0
}

// Reserve returns the pending output with room for n more bytes, to be appended
// to and given back by Commit at once.
func (c *Conn) Reserve(n int) []byte {
	if c.tls != nil {
		return c.tls.reserve(c.loop, n)
	}
	return c.reserve(n)
}

// reserve is Reserve for what goes out as it is.
func (c *Conn) reserve(n int) []byte {
	if c.out == nil {
		return c.loop.Buffers.Get(n)
	}
	if c.outOff > 0 && cap(c.out)-len(c.out) < n {
		c.out = append(c.out[:0], c.out[c.outOff:]...)
		c.outOff = 0
	}
	return c.loop.Buffers.Grow(c.out, n)
}

// Commit takes the output that Reserve lent, with what was appended to it. The
// append must have stayed within the room asked for.
func (c *Conn) Commit(out []byte) {
	if c.tls != nil {
		c.commitSecure(out)
		return
	}
	if !c.mayWrite() {
		if c.out == nil {
			c.loop.Buffers.Put(out)
		} else {
			c.out = out[:len(c.out)]
		}
		return
	}
	c.out = out
	c.flushLater()
}

func (c *Conn) flushLater() {
	if c.state&dirty == 0 {
		c.state |= dirty
		c.loop.FlushLater(c)
	}
}

// Pending is the number of bytes that wait to be written.
func (c *Conn) Pending() int {
	n := len(c.out) - int(c.outOff)
	if c.tls != nil {
		n += len(c.tls.plain)
	}
	return n
}

// Flush writes what is pending, as far as the socket takes it.
func (c *Conn) Flush() {
	c.state &^= dirty
	if c.state&(opened|writable) != opened|writable {
		return
	}
	failed := c.errno != 0
	c.write()
	if c.errno != 0 && !failed && c.state&opened != 0 {
		c.owner.ConnReady(worker.Failed)
	}
}

// write sends pending output and does what Finish or CloseAfterWrite asked for.
func (c *Conn) write() {
	if c.tls != nil {
		c.seal()
	}
	if c.out != nil && c.errno == 0 {
		c.send(nil)
	}
	if c.out == nil && c.tls != nil && c.tls.session.HasReply() {
		c.seal() // it waited until now
		if c.out != nil {
			c.send(nil)
		}
	}
	if c.out != nil && c.errno == 0 {
		return
	}
	switch {
	case c.state&closing != 0:
		c.Close()
		c.owner.ConnReady(0)
	case c.state&finishing != 0:
		c.state = c.state&^finishing | finished
		unix.Shutdown(int(c.fd), unix.SHUT_WR)
	}
}

// send writes the pending output and then p. It returns how much of p went out.
func (c *Conn) send(p []byte) int {
	for {
		head := c.out[c.outOff:]
		var n int
		var e unix.Errno
		switch {
		case len(head) > 0 && len(p) > 0:
			iov := [2]worker.Iovec{{Base: &head[0]}, {Base: &p[0]}}
			iov[0].SetLen(len(head))
			iov[1].SetLen(len(p))
			n, e = worker.Writev(int(c.fd), iov[:])
		case len(head) > 0:
			n, e = worker.Write(int(c.fd), head)
		default:
			n, e = worker.Write(int(c.fd), p)
		}
		switch {
		case e == unix.EINTR:
			continue
		case e == unix.EAGAIN:
			c.state &^= writable
			return 0
		case e != 0:
			c.errno = uint16(e)
			c.releaseOut()
			return 0
		}
		if c.traffic != nil {
			c.traffic.BytesSent.Add(uint64(n))
		}
		if n < len(head)+len(p) {
			c.state &^= writable // a short write filled the socket
		}
		if n < len(head) {
			c.outOff += uint32(n)
			return 0
		}
		c.releaseOut()
		return n - len(head)
	}
}

func (c *Conn) releaseOut() {
	if c.out != nil {
		c.loop.Buffers.Put(c.out)
		c.out, c.outOff = nil, 0
	}
}

// Finish shuts the connection down for writing (the peer reads an end) once
// everything written is sent.
func (c *Conn) Finish() {
	if c.state&(finishing|finished) == 0 {
		c.state |= finishing
		c.flushLater()
	}
}

// Finished reports whether the end was sent.
func (c *Conn) Finished() bool { return c.state&finished != 0 }

// CloseAfterWrite closes the connection once everything written is sent, and
// tells the owner by ConnReady when that is done. The owner must bound the time
// it takes, and close a connection that fails meanwhile.
func (c *Conn) CloseAfterWrite() {
	c.state |= closing
	c.flushLater()
}
