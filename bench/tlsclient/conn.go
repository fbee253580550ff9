package tlsclient

import (
	"errors"
	"fmt"
	"hash"
	"io"
)

// maxHandshake bounds a handshake message: certificates are the longest.
const maxHandshake = 64 << 10

var errMessage = errors.New("malformed handshake message")

// A Conn is one connection. What it wants to send during the handshake is in
// Out; the user sends it and sets Out to nil.
type Conn struct {
	Out []byte

	client  *Client
	suite   *suite
	in, out half
	input   []byte // of the latest Feed, unread
	rest    []byte // the beginning of a record
	partial []byte // the beginning of a handshake message
	done    bool
	resumed bool

	// While the handshake lasts, unless a ticket is to come later.
	step      step
	hash      hash.Hash // of the transcript
	clientID  [32]byte  // session id that was sent
	random    [32]byte
	offered   *ticket
	handshake []byte // TLS 1.3: the handshake secret; TLS 1.2: the master secret
	peer      []byte // the server's random (TLS 1.2), its handshake traffic secret (TLS 1.3)
	own       []byte // our handshake traffic secret (TLS 1.3)
	resume    []byte // the resumption master secret (TLS 1.3)
	pending   [2]half
	premaster []byte
	extended  bool // extended master secret (RFC 7627)
	newTicket []byte
}

// Conn begins a connection; its first flight is in Out.
func (c *Client) Conn(serverName string) *Conn {
	conn := &Conn{client: c, suite: c.suite, hash: c.suite.hash()}
	conn.hello(serverName)
	return conn
}

// Done says that application data can be sent.
func (c *Conn) Done() bool { return c.done }

// Feed gives the connection what came from the socket. p is changed in place
// and must stay as it is until Next has returned nothing.
func (c *Conn) Feed(p []byte) { c.input = p }

// Next works through the input: the next piece of application data, nil when
// more input is needed, io.EOF after the server's close_notify. Application
// data is valid until the next call.
func (c *Conn) Next() ([]byte, error) {
	for {
		rec, err := c.record()
		if rec == nil || err != nil {
			return nil, err
		}
		kind, p, err := c.open(rec)
		if err != nil {
			return nil, err
		}
		switch kind {
		case recordHandshake:
			if err := c.messages(p); err != nil {
				return nil, err
			}
		case recordCCS:
			if c.suite.version != 0x0304 {
				if err := c.changeCipher(); err != nil {
					return nil, err
				}
			}
		case recordAlert:
			if len(p) == 2 && p[1] == 0 {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("alert %x", p[:min(len(p), 2)])
		case recordData:
			if !c.done {
				return nil, errors.New("application data within the handshake")
			}
			if len(p) > 0 {
				return p, nil
			}
		}
	}
}

// Seal appends p as application data.
func (c *Conn) Seal(dst, p []byte) []byte {
	for len(p) > 0 {
		n := min(len(p), maxPlain)
		dst = c.seal(dst, recordData, p[:n])
		p = p[n:]
	}
	return dst
}

// messages takes the handshake messages out of a record's content.
func (c *Conn) messages(p []byte) error {
	if len(c.partial) > 0 {
		p = append(c.partial, p...)
	}
	for len(p) >= 4 {
		n := 4 + (int(p[1])<<16 | int(p[2])<<8 | int(p[3]))
		if n > maxHandshake {
			return errMessage
		}
		if len(p) < n {
			break
		}
		if err := c.message(p[0], p[4:n:n], p[:n:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	c.partial = append(c.partial[:0:0], p...)
	return nil
}

func (c *Conn) message(kind byte, body, whole []byte) error {
	var err error
	switch {
	case c.done && c.suite.version == 0x0304:
		return c.later13(kind, body)
	case c.done:
		return fmt.Errorf("handshake message %d on an established connection", kind)
	case c.suite.version == 0x0304:
		err = c.message13(kind, body, whole)
	default:
		err = c.message12(kind, body, whole)
	}
	if err != nil {
		return err
	}
	return nil
}

// finish ends the handshake and lets go of what it needed.
func (c *Conn) finish() {
	c.done = true
	if c.resumed {
		c.client.Resumed++
	} else {
		c.client.Full++
	}
	c.hash, c.offered, c.handshake, c.peer, c.own, c.premaster, c.newTicket = nil, nil, nil, nil, nil, nil, nil
	c.pending = [2]half{}
}

// Resumed says whether the handshake was by a ticket.
func (c *Conn) Resumed() bool { return c.resumed }

// step is the message that is awaited.
type step uint8

const (
	stepServerHello step = iota
	stepExtensions
	stepCertificate
	stepVerify
	stepKeyExchange
	stepHelloDone
	stepTicket
	stepFinished
)

// take reads n bytes of p.
func take(p *[]byte, n int) ([]byte, bool) {
	if len(*p) < n {
		return nil, false
	}
	v := (*p)[:n]
	*p = (*p)[n:]
	return v, true
}

// vector reads a vector with a length of size bytes.
func vector(p *[]byte, size int) ([]byte, bool) {
	l, ok := take(p, size)
	if !ok {
		return nil, false
	}
	n := 0
	for _, b := range l {
		n = n<<8 | int(b)
	}
	return take(p, n)
}

func number(p []byte) (n int) {
	for _, b := range p {
		n = n<<8 | int(b)
	}
	return n
}
