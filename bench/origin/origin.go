// Package origin is the server behind the measured proxies: a server of
// HTTP/1.1, and of HTTP/2 where the client begins with its preface, that does
// next to nothing, fast, so that it is never the bottleneck.
//
// The last path segments name the answer, whatever stands before them:
//
//	…/1k     1,024 bytes
//	…/64k    65,536 bytes
//	…/b/N    N bytes, at most 64 MiB
//	…/hold   nothing, ever
//	…/held   how many requests are held so
//
// A request with a body is read to its end and answered with 1,024 bytes.
// Everything else is a 404. Connections are kept, pipelining is in order.
package origin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
)

// MaxBody bounds the …/b/N answers, in bytes.
const MaxBody = 64 << 20

// Server is an open set of listening sockets, one for each worker.
type Server struct {
	addr    netip.AddrPort
	workers []*worker
	held    atomic.Int64
}

// Listen opens the sockets and does not answer yet; port 0 lets the kernel
// choose. Each of the workers has its own socket on the same port.
func Listen(addr netip.AddrPort, workers int) (*Server, error) {
	if workers < 1 {
		return nil, fmt.Errorf("%d workers: at least one is needed", workers)
	}
	s := &Server{addr: addr}
	for range workers {
		w, bound, err := newWorker(s.addr, &s.held)
		if err != nil {
			s.close()
			return nil, err
		}
		s.addr = bound
		s.workers = append(s.workers, w)
	}
	return s, nil
}

// Addr is the address bound.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Serve answers until ctx ends or a worker fails, and closes everything.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(s.workers))
	var wg sync.WaitGroup
	for i, w := range s.workers {
		wg.Go(func() {
			errs[i] = w.run(ctx)
			cancel()
		})
	}
	wg.Wait()
	s.close()
	return errors.Join(errs...)
}

func (s *Server) close() {
	for _, w := range s.workers {
		w.close()
	}
}

// answer is a kind of answer.
type answer uint8

const (
	unknown answer = iota
	sized
	holds
	counts
)

// wanted is what the target asks for, and how large it is.
func (w *worker) wanted(target []byte) (size int64, kind answer) {
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	slash := bytes.LastIndexByte(target, '/')
	if slash < 0 {
		return 0, unknown
	}
	last := target[slash+1:]
	switch string(last) {
	case "1k":
		return 1 << 10, sized
	case "64k":
		return 64 << 10, sized
	case "hold":
		return 0, holds
	case "held":
		return 0, counts
	}
	if !bytes.HasSuffix(target[:slash], []byte("/b")) {
		return 0, unknown
	}
	n, err := strconv.ParseInt(string(last), 10, 64)
	if err != nil || n < 0 || n > MaxBody {
		return 0, unknown
	}
	return n, sized
}

// block is what the bodies are made of.
func block() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 16<<10) }
