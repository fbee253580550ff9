package stream

import (
	"errors"
	"io"

	"longmen/gateway/worker"
)

// Body is the content of a request or a response, pulled piece by piece by the
// coroutine that carries it. Pulling is the flow control: what is not pulled
// stays in the sender's socket.
type Body interface {
	// Next returns the next piece, waiting for it if need be. The piece is
	// valid until the coroutine waits or pulls again. After the last piece it
	// returns io.EOF; any other error is an *Error and final.
	Next(co *worker.Coroutine) ([]byte, error)

	// Buffered returns the next piece if it can be had without waiting or
	// reading, and whether the body ends with it. It does not consume: Next
	// returns the same bytes.
	Buffered() (piece []byte, last bool)

	// Stop ends the pulling: a Next that waits, and every later one, returns
	// ErrStopped. What is left of the body is the codec's business again.
	Stop()

	// Trailer is the trailer section after io.EOF, nil when there is none.
	Trailer() *Header
}

// ErrStopped is returned by a Body that was stopped.
var ErrStopped = errors.New("stream: the body is not wanted any more")

// Tunnel is a raw byte stream in both directions: what a connection becomes
// after 101 Switching Protocols or a successful CONNECT.
type Tunnel interface {
	// Read waits for bytes; io.EOF when the peer has finished sending.
	// The bytes are valid until the coroutine waits or reads again.
	Read(co *worker.Coroutine) ([]byte, error)
	// Write takes all of p, waiting while too much is unsent.
	Write(co *worker.Coroutine, p []byte) error
	// CloseWrite tells the peer that nothing more comes (half close). It waits
	// until everything written is sent.
	CloseWrite(co *worker.Coroutine) error
	// Close ends both directions at once; what is not sent yet is lost.
	Close()
}

// Bytes is a Body that is at hand as a whole.
type Bytes struct {
	rest []byte
}

// NewBytes makes a Body of p.
func NewBytes(p []byte) *Bytes { return &Bytes{p} }

// Next returns all bytes, then io.EOF.
func (b *Bytes) Next(*worker.Coroutine) ([]byte, error) {
	if len(b.rest) == 0 {
		return nil, io.EOF
	}
	p := b.rest
	b.rest = nil
	return p, nil
}

// Buffered returns all that is left.
func (b *Bytes) Buffered() ([]byte, bool) { return b.rest, true }

// Stop drops what is left.
func (b *Bytes) Stop() { b.rest = nil }

// Trailer is nil.
func (b *Bytes) Trailer() *Header { return nil }
