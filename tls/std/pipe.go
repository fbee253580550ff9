package std

import (
	"io"
	"net"
	"sync"
)

// A pipe is one end of a connection in memory that, unlike net.Pipe's, has a buffer: both sides
// of a TLS handshake write before they read.
type pipe struct {
	net.Conn // nil: no more methods are called
	in, out  *queue
}

type queue struct {
	mu     sync.Mutex
	more   sync.Cond
	b      []byte
	closed bool
}

func newPipe() (near, far *pipe) {
	a, b := new(queue), new(queue)
	a.more.L, b.more.L = &a.mu, &b.mu
	return &pipe{in: a, out: b}, &pipe{in: b, out: a}
}

func (p *pipe) Read(b []byte) (int, error) {
	q := p.in
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.b) == 0 && !q.closed {
		q.more.Wait()
	}
	if len(q.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, q.b)
	q.b = q.b[n:]
	return n, nil
}

func (p *pipe) Write(b []byte) (int, error) {
	q := p.out
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, io.ErrClosedPipe
	}
	q.b = append(q.b, b...)
	q.more.Signal()
	return len(b), nil
}

// Close ends both directions.
func (p *pipe) Close() error {
	for _, q := range []*queue{p.in, p.out} {
		q.mu.Lock()
		q.closed = true
		q.more.Signal()
		q.mu.Unlock()
	}
	return nil
}
