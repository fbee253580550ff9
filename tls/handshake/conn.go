package handshake

import (
	"bytes"
	"errors"
	"io"
	"net"
)

// The content types of records.
const (
	recordChangeCipherSpec byte = 20
	recordAlert            byte = 21
	recordHandshake        byte = 22
	recordApplicationData  byte = 23
)

// Versions as records and hellos name them.
const (
	VersionTLCP  uint16 = 0x0101
	VersionTLS12 uint16 = 0x0303
	VersionTLS13 uint16 = 0x0304
)

// What one handshake may cost. A peer needs a few of each.
const (
	recordHeader  = 5
	maxPlaintext  = 16384    // bytes in a record (RFC 8446 §5.1)
	maxExpansion  = 2048     // by protection (RFC 5246 §6.2.3)
	maxExpansion3 = 256      // in TLS 1.3 (RFC 8446 §5.2)
	maxMessage    = 64 << 10 // bytes of a message, its header included
	maxMessages   = 32       // messages read in one handshake
	maxRecords    = 8192     // records read: a peer may send a byte in each
	maxIgnored    = 16       // warnings and compatibility records that say nothing
)

// Half protects the records of one direction; *record.Half is one.
type Half interface {
	// Seal appends one record to dst.
	Seal(dst []byte, typ byte, payload []byte) []byte
	// Open decrypts one whole record, its header included, in place.
	Open(record []byte) (typ byte, payload []byte, err error)
}

// Conn carries the handshake messages of one connection over records. It reads one record
// at a time and never a byte beyond it, so that what follows the handshake stays unread in
// the net.Conn. Its methods block as the net.Conn blocks; deadlines are the net.Conn's.
// It is for one goroutine (or coroutine).
type Conn struct {
	conn    net.Conn
	version uint16
	tls13   bool

	read, write Half // nil: plaintext

	record  []byte // the last record read
	pending []byte // handshake bytes of it, and of records before, not yet handed out
	flight  []byte // records to be written

	messages, records, ignored int
	protected                  bool // a protected record was read
	ccs                        bool // TLS 1.3: a change_cipher_spec may come and says nothing
	broken                     bool // reading or writing failed: nobody is there to be told
	alerted                    bool // an alert was sent or received
}

// NewConn is a Conn of one protocol version: VersionTLCP or VersionTLS13. TLS 1.3 names
// itself VersionTLS12 in its records, and hides its content types and alerts once
// protected.
func NewConn(conn net.Conn, version uint16) *Conn {
	c := &Conn{conn: conn, version: version}
	if version == VersionTLS13 {
		c.version, c.tls13 = VersionTLS12, true
	}
	return c
}

// SetRead protects what is read from here on. It fails if the peer has put bytes after the
// last message that the old keys protected (RFC 8446 §5.1).
func (c *Conn) SetRead(h Half) error {
	if len(c.pending) != 0 {
		return Errorf(UnexpectedMessage, "handshake bytes beyond a change of keys")
	}
	c.read = h
	return nil
}

// SetWrite protects what is written from here on.
func (c *Conn) SetWrite(h Half) { c.write = h }

// End reports whether the peer's last flight ended where the handshake did.
func (c *Conn) End() error {
	if len(c.pending) != 0 {
		return Errorf(UnexpectedMessage, "handshake bytes after Finished")
	}
	return nil
}

// Read gives the next message whole, however it is spread over records. It returns a
// received alert as an *Error, what is wrong with the records as an *Error that Fail tells
// the peer, and what the net.Conn says as it is: io.EOF if the peer ended between two
// records.
func (c *Conn) Read() (Message, error) {
	if c.messages++; c.messages > maxMessages {
		return nil, Errorf(UnexpectedMessage, "more than %d handshake messages", maxMessages)
	}
	for {
		if n, err := c.messageLength(); err != nil {
			return nil, err
		} else if n > 0 {
			m := Message(bytes.Clone(c.pending[:n]))
			c.pending = append(c.pending[:0], c.pending[n:]...)
			return m, nil
		}
		typ, payload, err := c.readRecord()
		switch {
		case err != nil:
			return nil, err
		case typ != recordHandshake:
			return nil, Errorf(UnexpectedMessage, "a record of type %d within the handshake", typ)
		case len(payload) == 0:
			return nil, Errorf(UnexpectedMessage, "an empty handshake record")
		}
		c.pending = append(c.pending, payload...)
	}
}

// Expect is Read for a message of one type.
func (c *Conn) Expect(want MessageType) (Message, error) {
	m, err := c.Read()
	if err == nil && m.Type() != want {
		return nil, Unexpected(m, want)
	}
	return m, err
}

// Unexpected is the error for m where a message of type want should stand.
func Unexpected(m Message, want MessageType) error {
	return Errorf(UnexpectedMessage, "a handshake message of type %d in place of %d", m.Type(), want)
}

// messageLength is the length of the first pending message, 0 if it is not whole yet.
func (c *Conn) messageLength() (int, error) {
	p := c.pending
	if len(p) < messageHeader {
		return 0, nil
	}
	n := messageHeader + int(p[1])<<16 + int(p[2])<<8 + int(p[3])
	if n > maxMessage {
		return 0, Errorf(DecodeError, "a handshake message of %d bytes", n)
	}
	if n > len(p) {
		return 0, nil
	}
	return n, nil
}

// ReadChangeCipherSpec reads TLCP's change_cipher_spec (GB/T 38636 §6.4.3); SetRead follows.
func (c *Conn) ReadChangeCipherSpec() error {
	if len(c.pending) != 0 {
		return Errorf(UnexpectedMessage, "a handshake message in place of change_cipher_spec")
	}
	typ, payload, err := c.readRecord()
	switch {
	case err != nil:
		return err
	case typ != recordChangeCipherSpec:
		return Errorf(UnexpectedMessage, "a record of type %d in place of change_cipher_spec", typ)
	case len(payload) != 1 || payload[0] != 1:
		return Errorf(DecodeError, "a malformed change_cipher_spec")
	}
	return nil
}

// IgnoreChangeCipherSpec lets TLS 1.3's meaningless change_cipher_spec records pass, which
// may come between the first ClientHello and Finished (RFC 8446 §5).
func (c *Conn) IgnoreChangeCipherSpec() { c.ccs = true }

// Ignore lets n records pass that say nothing, beside the few that may always come: early data
// that was rejected, which Half.Open gives as change_cipher_spec.
func (c *Conn) Ignore(n int) { c.ignored -= n }

// Write adds whole handshake messages, each to be in records of its own, to the flight.
func (c *Conn) Write(message []byte) {
	for len(message) > 0 {
		n := min(len(message), maxPlaintext)
		c.seal(recordHandshake, message[:n])
		message = message[n:]
	}
}

// WriteChangeCipherSpec adds a change_cipher_spec to the flight. TLS 1.3 never protects it.
func (c *Conn) WriteChangeCipherSpec() {
	if c.tls13 {
		c.flight = c.appendPlain(c.flight, recordChangeCipherSpec, []byte{1})
		return
	}
	c.seal(recordChangeCipherSpec, []byte{1})
}

// Flush writes the flight in one Write.
func (c *Conn) Flush() error {
	if len(c.flight) == 0 {
		return nil
	}
	_, err := c.conn.Write(c.flight)
	c.flight = c.flight[:0]
	if err != nil {
		c.broken = true
	}
	return err
}

func (c *Conn) seal(typ byte, payload []byte) {
	if c.write == nil {
		c.flight = c.appendPlain(c.flight, typ, payload)
		return
	}
	c.flight = c.write.Seal(c.flight, typ, payload)
}

func (c *Conn) appendPlain(dst []byte, typ byte, payload []byte) []byte {
	dst = append(dst, typ, byte(c.version>>8), byte(c.version), byte(len(payload)>>8), byte(len(payload)))
	return append(dst, payload...)
}

// Fail ends the handshake for err and returns what the caller shall return. If err is for
// the peer to know, its alert is written behind what is left of the flight; an error of
// the net.Conn, and an alert of the peer, are returned as they are. An error that is not
// an *Error becomes one with internal_error.
func (c *Conn) Fail(err error) error {
	if c.broken || c.alerted {
		return err
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Alert: InternalError, Cause: err}
	}
	c.alerted = true
	level := byte(2)
	if e.Alert == CloseNotify || e.Alert == UserCanceled {
		level = 1
	}
	c.seal(recordAlert, []byte{level, byte(e.Alert)})
	told := *e
	told.Sent = c.Flush() == nil
	return &told
}

// readFull reads exactly len(p) bytes.
func (c *Conn) readFull(p []byte) error {
	_, err := io.ReadFull(c.conn, p)
	if err != nil {
		c.broken = true
	}
	return err
}
