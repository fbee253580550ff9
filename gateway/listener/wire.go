package listener

import (
	"errors"
	"io"
	"net"
	"time"

	"longmen/gateway/connection"
)

// wire is a greeting as the net.Conn of its handshake.
type wire struct{ g *greeting }

// Read waits for bytes.
func (w *wire) Read(p []byte) (int, error) {
	g := w.g
	for {
		if b := g.Bytes(); len(b) > 0 {
			n := copy(p, b)
			g.Consume(n)
			return n, nil
		}
		switch err := g.Fill(handshakeRead); err {
		case nil:
		case connection.ErrWait:
			if g.ended != nil {
				return 0, g.ended
			}
			g.co.Wait()
		default:
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
}

const (
	// handshakeRead bounds one read.
	handshakeRead = 17 << 10
	// handshakeWrite bounds what may wait for a client that takes nothing: more
	// than any flight with a reasonable certificate chain.
	handshakeWrite = 256 << 10
)

var errFlight = errors.New("the client takes nothing of a long flight")

// Write takes p, which is sent at the end of the turn.
func (w *wire) Write(p []byte) (int, error) {
	g := w.g
	if g.ended != nil {
		return 0, g.ended
	}
	if err := g.Err(); err != nil {
		return 0, err
	}
	if g.Pending()+len(p) > handshakeWrite {
		return 0, errFlight
	}
	g.Conn.Write(p)
	return len(p), nil
}

// Close does nothing: the connection is the greeting's.
func (w *wire) Close() error { return nil }

// LocalAddr is the listener's side.
func (w *wire) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(w.g.local) }

// RemoteAddr is the client's.
func (w *wire) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(w.g.remote) }

// Deadlines are the greeting's timer.

// SetDeadline does nothing.
func (w *wire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
