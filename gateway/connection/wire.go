package connection

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// Wire is a Conn as the net.Conn of a handshake that runs in a coroutine. Its
// time limits are its user's: the methods for deadlines do nothing.
type Wire struct {
	Conn *Conn
	// Wait parks the coroutine until ConnReady, or returns why the handshake is
	// over.
	Wait          func() error
	Local, Remote netip.AddrPort
}

const (
	// handshakeRead bounds one read.
	handshakeRead = 17 << 10
	// handshakeWrite bounds what may wait for a peer that takes nothing: more
	// than any flight with a reasonable certificate chain.
	handshakeWrite = 256 << 10
)

var errFlight = errors.New("the peer takes nothing of a long flight")

// Read waits for bytes.
func (w *Wire) Read(p []byte) (int, error) {
	c := w.Conn
	for {
		if b := c.Bytes(); len(b) > 0 {
			n := copy(p, b)
			c.Consume(n)
			return n, nil
		}
		switch err := c.Fill(handshakeRead); err {
		case nil:
		case ErrWait:
			if err := w.Wait(); err != nil {
				return 0, err
			}
		case io.EOF:
			return 0, io.ErrUnexpectedEOF
		default:
			return 0, err
		}
	}
}

// Write takes p, which is sent at the end of the turn.
func (w *Wire) Write(p []byte) (int, error) {
	if err := w.Conn.Err(); err != nil {
		return 0, err
	}
	if w.Conn.Pending()+len(p) > handshakeWrite {
		return 0, errFlight
	}
	w.Conn.Write(p)
	return len(p), nil
}

// Close does nothing: the connection is its owner's.
func (w *Wire) Close() error { return nil }

// LocalAddr is this side.
func (w *Wire) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(w.Local) }

// RemoteAddr is the peer's.
func (w *Wire) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(w.Remote) }

// SetDeadline does nothing.
func (w *Wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (w *Wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (w *Wire) SetWriteDeadline(time.Time) error { return nil }
