package tls13

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// patience bounds what waits in a test that fails.
const patience = 20 * time.Second

// A wire is one end of a connection in memory that holds whatever is written until it is
// read, as a network does and net.Pipe does not. Deadlines are not there: a Read that waits for
// longer than patience fails.
type wire struct {
	in, out chan []byte
	rest    []byte        // of what came in
	closed  chan struct{} // this end
	gone    chan struct{} // the other
	once    sync.Once
}

var errPatience = errors.New("nothing came in time: the handshake hangs")

func newWire(t testing.TB) (near, far net.Conn) {
	t.Helper()
	a, b := make(chan []byte, 1024), make(chan []byte, 1024)
	x, y := make(chan struct{}), make(chan struct{})
	near = &wire{in: a, out: b, closed: x, gone: y}
	far = &wire{in: b, out: a, closed: y, gone: x}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		select {
		case w.rest = <-w.in:
		default:
			timer := time.NewTimer(patience)
			defer timer.Stop()
			select {
			case w.rest = <-w.in:
			case <-w.closed:
				return 0, net.ErrClosed
			case <-w.gone:
				select { // what was written before the end comes first
				case w.rest = <-w.in:
				default:
					return 0, io.EOF
				}
			case <-timer.C:
				return 0, errPatience
			}
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *wire) Write(p []byte) (int, error) {
	select {
	case <-w.closed:
		return 0, net.ErrClosed
	default:
	}
	select {
	case w.out <- append([]byte(nil), p...):
		return len(p), nil
	default:
		return 0, errors.New("the wire is full")
	}
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

func (w *wire) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (w *wire) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// A recorder keeps what is written.
type recorder struct {
	net.Conn
	written []byte
}

func (r *recorder) Write(p []byte) (int, error) {
	r.written = append(r.written, p...)
	return r.Conn.Write(p)
}
