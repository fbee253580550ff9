package connection

import (
	"io"
	"time"

	"longmen/gateway/worker"
	"longmen/tls/record"
)

// secure is the layer of a connection that speaks TLS: in holds what was
// decrypted, out what is encrypted. An idle connection has its session's keys
// and no buffer.
type secure struct {
	session *record.Session
	raw     []byte // lent: read and not decrypted, the beginning of a record
	plain   []byte // lent: written in this turn and not encrypted yet
	sealed  int64  // loop time when something was last encrypted
	err     error  // what the peer broke, or said that we did
	whole   bool   // raw may hold whole records
	closed  bool   // the peer said that it sends no more
	bid     bool   // our close_notify is in out
}

// rest is after how long without writing records begin small again.
const rest = int64(time.Second)

// goodbye is more than a sealed close_notify takes.
const goodbye = 128

// recordRoom is the least room for a read: a record with its header.
const recordRoom = 17 << 10

// Secure puts a TLS session between the socket and c, whose handshake is done:
// what was read and not consumed is its first input. The session is c's from
// then on.
func (c *Conn) Secure(session *record.Session) {
	c.tls = &secure{session: session, sealed: c.loop.Now(), whole: c.Buffered() > 0}
	if c.tls.whole {
		c.tls.keep(c.loop, c.Bytes())
		c.dropIn()
		c.state |= readable
	}
}

// IsSecure reports whether c speaks TLS.
func (c *Conn) IsSecure() bool { return c.tls != nil }

// Early reports whether the TLS handshake is not complete: what was read is early data, which
// somebody may have sent once more (RFC 8446 section 8).
func (c *Conn) Early() bool { return c.tls != nil && c.tls.session.Early() }

// Rest drops what an idle connection can do without: all but the session's keys.
func (c *Conn) Rest() {
	if c.tls != nil {
		c.tls.session.Release()
	}
}

// Take moves the connection of another Conn to c, which is not open: the owner o
// hears of it from then on, and from is closed but for the socket.
func (c *Conn) Take(from *Conn, o Owner) {
	l := from.loop
	l.Move(from.slot, c)
	*c = *from
	c.owner = o
	*from = Conn{loop: l}
	if l.ScratchOwner == from {
		l.ScratchOwner = c
	}
	if c.state&dirty != 0 {
		l.FlushLater(c)
	}
}

// Settle reads on a connection from which nothing is expected, and reports
// whether there was nothing but what the TLS session is told (new tickets, new
// keys): it can go on being used.
func (c *Conn) Settle() bool {
	return c.tls != nil && c.Buffered() == 0 && c.Fill(recordRoom) == ErrWait
}

// Part closes the connection as Close does. Over TLS it says goodbye before, and
// sends that and what else is pending as far as the socket takes it at once.
func (c *Conn) Part() {
	if c.tls != nil && c.state&(opened|writable) == opened|writable && c.Err() == nil {
		c.state |= finishing
		c.seal()
		if c.out != nil {
			c.send(nil)
		}
	}
	c.Close()
}

// keep saves bytes that were not decrypted.
func (s *secure) keep(l *worker.Loop, p []byte) {
	switch {
	case len(p) == 0:
		if s.raw != nil {
			l.Buffers.Put(s.raw)
			s.raw = nil
		}
		return
	case s.raw == nil:
		s.raw = l.Buffers.Get(len(p))
	case cap(s.raw) < len(p):
		l.Buffers.Put(s.raw)
		s.raw = l.Buffers.Get(len(p))
	}
	s.raw = append(s.raw[:0], p...)
}

func (s *secure) release(l *worker.Loop) {
	s.keep(l, nil)
	s.dropPlain(l)
}

func (s *secure) dropPlain(l *worker.Loop) {
	if s.plain != nil {
		l.Buffers.Put(s.plain)
		s.plain = nil
	}
}

// end is what a read says when nothing more comes: an attacker can end the TCP
// connection, but not say that the peer wanted it (RFC 8446 section 6.1).
func (s *secure) end() error {
	switch {
	case s.err != nil:
		return s.err
	case s.closed:
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// fillSecure is Fill: it reads until at least one byte was decrypted.
func (c *Conn) fillSecure(limit int) error {
	s := c.tls
	if c.Buffered() == 0 {
		c.dropIn()
	} else if c.state&ownsIn == 0 {
		c.own(0) // Scratch is needed to decrypt
	}
	for {
		c.claimScratch()
		scratch := c.loop.Scratch
		n := copy(scratch, s.raw)
		if !s.whole {
			got, err := c.receive(scratch[n:min(len(scratch), n+max(limit, recordRoom))])
			if err != nil {
				return err
			}
			n += got
		}
		s.whole = false
		plain, used, err := s.session.Open(scratch[:n])
		s.keep(c.loop, scratch[used:n])
		if s.session.HasReply() {
			c.flushLater()
		}
		if err != nil {
			c.endSecure(err)
		}
		if len(plain) > 0 {
			c.hold(plain)
			return nil
		}
		if err != nil {
			c.state &^= readable
			return c.end()
		}
		if c.state&readable == 0 {
			return ErrWait
		}
	}
}

// hold adds what was decrypted in Scratch to Bytes.
func (c *Conn) hold(plain []byte) {
	if c.Buffered() == 0 {
		c.dropIn()
		c.in, c.inOff = plain, 0
		return
	}
	if cap(c.in)-len(c.in) < len(plain) {
		c.own(len(plain))
	}
	c.in = append(c.in, plain...)
}

// endSecure takes note that the session takes no more input. The end is there to
// be read, behind what was decrypted with it: MayRead says so until it was.
func (c *Conn) endSecure(err error) {
	s := c.tls
	c.state |= ended | readable
	if err == io.EOF {
		s.closed = true
		return
	}
	s.err = err
	c.seal() // the alert
	if c.state&writable != 0 && c.out != nil {
		c.send(nil) // before the owner closes
	}
}

// reserve returns what the turn has written with room for n more bytes.
func (s *secure) reserve(l *worker.Loop, n int) []byte {
	if s.plain == nil {
		return l.Buffers.Get(n)
	}
	return l.Buffers.Grow(s.plain, n)
}

// commitSecure is Commit.
func (c *Conn) commitSecure(plain []byte) {
	s := c.tls
	if !c.mayWrite() || s.err != nil {
		if s.plain == nil {
			c.loop.Buffers.Put(plain)
		} else {
			s.plain = plain[:len(s.plain)]
		}
		return
	}
	s.plain = plain
	c.flushLater()
}

// writeSecure encrypts what the turn has written, and p, and sends it.
func (c *Conn) writeSecure(p []byte) {
	if c.tls.err != nil {
		return
	}
	c.seal()
	c.sealMore(p)
	c.send(nil)
}

// seal encrypts what waits for it, and says goodbye when this side ends.
func (c *Conn) seal() {
	s := c.tls
	if c.errno != 0 {
		s.dropPlain(c.loop)
		return
	}
	// What the session answers by itself waits for a peer that takes nothing: one
	// answer serves for many questions, and must not pile up.
	if len(s.plain) > 0 || s.session.HasReply() && (c.out == nil || s.err != nil) {
		c.sealMore(s.plain)
		s.dropPlain(c.loop)
	}
	if c.state&(finishing|closing) != 0 && !s.bid {
		s.bid = true
		c.out = s.session.AppendClose(c.reserve(s.session.SealedSize(2) + goodbye))
		if len(c.out) == 0 {
			c.releaseOut()
		}
	}
}

// sealMore encrypts p into out.
func (c *Conn) sealMore(p []byte) {
	s := c.tls
	now := c.loop.Now()
	if now-s.sealed > rest {
		s.session.ResetRecordSize()
	}
	s.sealed = now
	c.out = s.session.Seal(c.reserve(s.session.SealedSize(len(p))), p)
	if len(c.out) == 0 {
		c.releaseOut()
	}
}
