// Package connection is one TCP connection's bytes, on either side of the
// gateway: what was read and not yet used, and what is to be written. It knows
// no protocol. An idle connection holds no buffer.
package connection

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// Owner is told when something became possible on a connection.
type Owner interface {
	// ConnReady reports events after the connection took note of them: bytes
	// may be there to Fill, pending output may have shrunk, or the connection
	// may have Failed.
	ConnReady(ev worker.Events)
}

// Conn is a connection on a loop. All its methods must be called there. It is
// embedded in what owns it; the zero value is ready for Open.
type Conn struct {
	loop  *worker.Loop
	owner Owner
	slot  worker.Slot
	fd    int32
	state state
	errno uint16 // the error that ended it

	inOff   uint32
	outOff  uint32
	in      []byte           // in[inOff:] was read and not consumed: in Scratch, or owned
	traffic *metrics.Traffic // what is read and written counts here; may be nil
	tls     *secure          // nil: bytes pass as they are
	out     []byte           // out[outOff:] waits to be written; nil when all is
}

type state uint16

const (
	opened     state = 1 << iota
	readable         // a read may give something
	writable         // a write may take something
	peerClosed       // epoll told of the peer's FIN; bytes may still be there
	ended            // a read returned 0
	ownsIn           // in is lent from Buffers, not a view of Scratch
	dirty            // Flush is due at the end of the turn
	connecting       // the connect has not finished
	finishing        // shut down for writing once out is empty
	finished         // shut down for writing
	closing          // close once out is empty
)

// ErrWait is returned by Fill when there is nothing to read yet.
var ErrWait = errors.New("connection: nothing to read yet")

// ErrClosed is the error of a connection that was closed by its owner.
var ErrClosed = errors.New("connection: closed")

// DirectWrite is the size from which Write goes to the socket at once, without
// a copy, instead of waiting for the end of the turn.
const DirectWrite = 8 << 10

// Open starts c on a connected non-blocking socket.
func (c *Conn) Open(l *worker.Loop, fd int, o Owner) error {
	return c.open(l, fd, o, opened|readable|writable)
}

// Dial starts c on a non-blocking socket whose connect is under way. The owner
// hears of the outcome by ConnReady: see Connected.
func (c *Conn) Dial(l *worker.Loop, fd int, o Owner) error {
	return c.open(l, fd, o, opened|connecting)
}

func (c *Conn) open(l *worker.Loop, fd int, o Owner, s state) error {
	slot, err := l.Add(fd, c)
	if err != nil {
		return err
	}
	*c = Conn{loop: l, owner: o, slot: slot, fd: int32(fd), state: s}
	return nil
}

// CountIn lets what c reads and writes from now on count in t.
func (c *Conn) CountIn(t *metrics.Traffic) { c.traffic = t }

// Loop is the loop that c lives on.
func (c *Conn) Loop() *worker.Loop { return c.loop }

// FD is the socket; -1 after Close.
func (c *Conn) FD() int {
	if c.state&opened == 0 {
		return -1
	}
	return int(c.fd)
}

// IsOpen reports whether the socket is open.
func (c *Conn) IsOpen() bool { return c.state&opened != 0 }

// Connected reports whether the connect of Dial has succeeded.
func (c *Conn) Connected() bool { return c.state&(opened|connecting) == opened && c.errno == 0 }

// Ready takes note of epoll's events and tells the owner.
func (c *Conn) Ready(ev worker.Events) {
	if c.state&connecting != 0 {
		if ev&(worker.Writable|worker.Failed|worker.HangUp) == 0 {
			return
		}
		c.connected()
	}
	if ev&(worker.Readable|worker.PeerClosed|worker.HangUp|worker.Failed) != 0 {
		c.state |= readable
	}
	if ev&(worker.PeerClosed|worker.HangUp) != 0 {
		c.state |= peerClosed
	}
	if ev&worker.Failed != 0 && c.errno == 0 {
		c.takeError()
	}
	if ev&worker.Writable != 0 && c.state&writable == 0 {
		c.state |= writable
		c.write()
	}
	if c.state&opened != 0 {
		c.owner.ConnReady(ev)
	}
}

func (c *Conn) connected() {
	c.state &^= connecting
	c.takeError()
}

// takeError fetches the socket's pending error. There can be none: EPOLLERR
// also reports that the peer will take no more bytes.
func (c *Conn) takeError() {
	if e, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && e != 0 {
		c.errno = uint16(e)
	}
}

// Err is why the connection is of no more use: a socket error, ErrClosed, or
// nil. The peer's orderly end is not an error; Fill reports it.
func (c *Conn) Err() error {
	switch {
	case c.errno != 0:
		return unix.Errno(c.errno)
	case c.tls != nil && c.tls.err != nil:
		return c.tls.err
	case c.state&opened == 0:
		return ErrClosed
	}
	return nil
}

// PeerClosed reports whether the peer has finished sending, although bytes may
// still be there to read.
func (c *Conn) PeerClosed() bool { return c.state&(peerClosed|ended) != 0 }

// Bytes are the bytes read and not consumed. They are valid until the next
// Fill or Consume of c, until another connection of the loop is read, and until
// the coroutine waits; what is not consumed by then is kept and can be had by
// Bytes again.
func (c *Conn) Bytes() []byte { return c.in[c.inOff:] }

// Buffered is len(Bytes()).
func (c *Conn) Buffered() int { return len(c.in) - int(c.inOff) }

// Consume drops the first n of Bytes.
func (c *Conn) Consume(n int) {
	c.inOff += uint32(n)
	if int(c.inOff) >= len(c.in) {
		c.dropIn()
	}
}

func (c *Conn) dropIn() {
	if c.state&ownsIn != 0 {
		c.loop.Buffers.Put(c.in)
		c.state &^= ownsIn
	}
	c.in, c.inOff = nil, 0
}

// Evict copies unread bytes out of the loop's Scratch.
func (c *Conn) Evict() {
	if c.state&ownsIn != 0 || c.Buffered() == 0 {
		return
	}
	c.own(0)
}

// own moves the unread bytes into a lent buffer with room for n more.
func (c *Conn) own(n int) {
	rest := c.Bytes()
	p := append(c.loop.Buffers.Get(len(rest)+n), rest...)
	if c.state&ownsIn != 0 {
		c.loop.Buffers.Put(c.in)
	}
	c.in, c.inOff = p, 0
	c.state |= ownsIn
}

// MayRead reports whether a Fill has a chance to give bytes or the end.
func (c *Conn) MayRead() bool { return c.state&readable != 0 }

// Fill reads once, about limit bytes at most, and adds them to Bytes. It returns
// ErrWait when nothing is there yet (ConnReady follows), io.EOF when the peer
// has finished sending, or the connection's error: io.ErrUnexpectedEOF when a
// peer over TLS closed without saying so.
func (c *Conn) Fill(limit int) error {
	if c.state&opened == 0 {
		return c.Err()
	}
	if c.state&ended != 0 {
		c.state &^= readable // it is told now
		return c.end()
	}
	if c.state&readable == 0 {
		if err := c.Err(); err != nil {
			return err
		}
		return ErrWait
	}
	if c.tls != nil {
		return c.fillSecure(limit)
	}
	var room []byte
	if c.Buffered() == 0 {
		c.dropIn()
		c.claimScratch()
		room = c.loop.Scratch[:min(limit, len(c.loop.Scratch))]
	} else {
		const least = 2 << 10
		if c.state&ownsIn == 0 || cap(c.in)-len(c.in) < min(limit, least) {
			c.own(min(limit, 2*least))
		}
		room = c.in[len(c.in):min(cap(c.in), len(c.in)+limit)]
	}
	n, err := c.receive(room)
	if err != nil {
		return err
	}
	if c.state&ownsIn != 0 {
		c.in = c.in[:len(c.in)+n]
	} else {
		c.in, c.inOff = room[:n], 0
	}
	return nil
}

// receive reads once from the socket. Its errors are those of Fill.
func (c *Conn) receive(room []byte) (int, error) {
	for {
		n, e := worker.Recv(int(c.fd), room)
		switch {
		case e == unix.EAGAIN:
			c.state &^= readable
			return 0, ErrWait
		case e == unix.EINTR:
			continue
		case e != 0:
			c.state &^= readable
			c.errno = uint16(e)
			return 0, e
		case n == 0:
			c.state |= ended
			c.state &^= readable
			return 0, c.end()
		}
		if c.traffic != nil {
			c.traffic.BytesReceived.Add(uint64(n))
		}
		if n < len(room) && c.state&peerClosed == 0 {
			// A short read emptied the socket; epoll tells when more comes.
			c.state &^= readable
		}
		return n, nil
	}
}

// end is what Fill says when nothing more comes. After a reset whose error was
// taken already, a read finds an end, which is not the peer's.
func (c *Conn) end() error {
	switch {
	case c.errno != 0:
		return unix.Errno(c.errno)
	case c.tls != nil:
		return c.tls.end()
	}
	return io.EOF
}

func (c *Conn) claimScratch() {
	if o := c.loop.ScratchOwner; o != c {
		if o != nil {
			o.Evict()
		}
		c.loop.ScratchOwner = c
	}
}

// Close closes the socket at once; what was not written is lost, and a peer
// whose bytes were not read sees a reset.
func (c *Conn) Close() {
	if c.state&opened == 0 {
		return
	}
	c.loop.Remove(c.slot)
	unix.Close(int(c.fd))
	c.dropIn()
	c.releaseOut()
	if c.tls != nil {
		c.tls.release(c.loop)
	}
	if c.loop.ScratchOwner == c {
		c.loop.ScratchOwner = nil
	}
	c.state &^= opened | readable | writable | connecting
}

// Reset closes the socket so that the peer sees a reset and not an end.
func (c *Conn) Reset() {
	if c.state&opened != 0 {
		unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		c.Close()
	}
}
