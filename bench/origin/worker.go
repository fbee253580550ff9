package origin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"longmen/bench/epoll"
	"longmen/bench/http1"
)

// backOff is how long a worker waits when it has no descriptor left for a
// connection that the kernel has already accepted.
const backOff = 10 * time.Millisecond

type worker struct {
	listener int
	poller   *epoll.Poller
	conns    []*conn // by descriptor
	buf      []byte  // what every read goes to
	block    []byte  // what every body is written from
	small    []byte  // the whole 1 KB answer
	grpcHead []byte  // a gRPC answer's field sections
	grpcTail []byte
	held     *atomic.Int64 // requests that are never answered, of all workers
	date     []byte
	second   int64
	starved  bool // connections wait that there was no descriptor for
}

type conn struct {
	fd       int
	request  http1.Request
	size     int64 // of the answer's body
	kind     answer
	closing  bool   // close once everything is written
	out      []byte // a head, or the rest of one, to be written before body
	outLeft  int64  // bytes of body still to be written
	leftover []byte // input that waits for the output
	begun    bool   // its first bytes have told the protocol
	h2       *h2    // nil is HTTP/1
	held     bool   // its request is never answered
}

func newWorker(addr netip.AddrPort, held *atomic.Int64) (*worker, netip.AddrPort, error) {
	listener, bound, err := epoll.Listen(addr)
	if err != nil {
		return nil, addr, err
	}
	poller, err := epoll.New(512)
	if err != nil {
		epoll.CloseFD(listener)
		return nil, addr, err
	}
	w := &worker{listener: listener, poller: poller, buf: make([]byte, 256<<10), block: block(), held: held}
	if err := poller.Add(listener, int32(listener)); err != nil {
		w.close()
		return nil, addr, err
	}
	w.tick(time.Now())
	return w, bound, nil
}

// run answers until ctx ends, which it notices within a quarter of a second.
func (w *worker) run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait := time.Second / 4
		if w.starved {
			wait = backOff
		}
		events, err := w.poller.Wait(wait)
		if err != nil {
			return err
		}
		if now := time.Now(); now.Unix() != w.second {
			w.tick(now)
		}
		if w.starved {
			w.starved = false
			if err := w.accept(); err != nil {
				return err
			}
		}
		for _, ev := range events {
			if int(ev.Key) == w.listener {
				if err := w.accept(); err != nil {
					return err
				}
				continue
			}
			c := w.conns[ev.Key]
			if c == nil {
				continue
			}
			if !w.turn(c, ev.End) {
				w.drop(c)
			}
		}
	}
	return nil
}

// drop ends a connection, and what was held on it.
func (w *worker) drop(c *conn) {
	if c.held {
		w.held.Add(-1)
	}
	if c.h2 != nil {
		for _, s := range c.h2.streams {
			if s.held {
				w.held.Add(-1)
			}
		}
	}
	epoll.CloseFD(c.fd)
	w.conns[c.fd] = nil
}

func (w *worker) close() {
	for _, c := range w.conns {
		if c != nil {
			epoll.CloseFD(c.fd)
		}
	}
	w.conns = nil
	if w.listener >= 0 {
		epoll.CloseFD(w.listener)
		w.listener = -1
		w.poller.Close()
	}
}

// tick writes the date anew, once a second.
func (w *worker) tick(now time.Time) {
	w.second = now.Unix()
	w.date = now.UTC().AppendFormat(w.date[:0], http.TimeFormat)
	w.tick2()
	w.small = append(w.head(w.small[:0], 200, 1<<10, false), w.block[:1<<10]...)
}

func (w *worker) accept() error {
	for {
		fd, err := epoll.Accept(w.listener)
		switch {
		case errors.Is(err, epoll.ErrAgain):
			return nil
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
			w.starved = true
			return nil
		case errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			return fmt.Errorf("accept: %w", err)
		}
		for fd >= len(w.conns) {
			w.conns = append(w.conns, make([]*conn, 1024)...)
		}
		w.conns[fd] = &conn{fd: fd}
		if err := w.poller.Add(fd, int32(fd)); err != nil {
			return err
		}
	}
}

// turn does all that a connection can do now, and says whether it lives on.
// end tells that the client has ended its side, so that no new edge will come.
func (w *worker) turn(c *conn, end bool) (alive bool) {
	for {
		if !w.flush(c) {
			return false
		}
		if c.blocked() {
			return true // the next writable edge goes on here
		}
		if c.closing {
			return false
		}
		if c.h2 != nil {
			if w.pump(c); c.blocked() {
				continue
			}
		}
		if len(c.leftover) > 0 {
			in := c.leftover
			c.leftover = nil
			w.consume(c, in)
			continue
		}
		n, err := epoll.Read(c.fd, w.buf)
		if errors.Is(err, epoll.ErrAgain) {
			return true
		}
		if err != nil || n == 0 {
			return false
		}
		if !c.begun {
			c.begun = true
			if bytes.HasPrefix(w.buf[:n], []byte(prefaceStart)) {
				c.h2 = newH2()
			}
		}
		if c.h2 == nil {
			w.consume(c, w.buf[:n])
		} else {
			w.consume2(c, w.buf[:n])
			if !w.flush(c) {
				return false
			}
			if w.pump(c); c.blocked() {
				continue // there is more than one write gathers
			}
		}
		if n < len(w.buf) && !end && !c.blocked() && !c.closing {
			return true // drained: more input makes a new edge
		}
	}
}

// consume takes input up to its end, or up to an answer that does not go out.
func (w *worker) consume(c *conn, in []byte) {
	for {
		n, ev, err := c.request.Feed(in)
		in = in[n:]
		if err != nil {
			c.out = w.head(c.out, 400, 0, true)
			c.closing = true
			return
		}
		switch ev {
		case http1.More:
			return
		case http1.Head:
			c.size, c.kind = w.wanted(c.request.Target)
			if c.request.Expect {
				c.out = append(c.out, "HTTP/1.1 100 Continue\r\n\r\n"...)
			}
		case http1.Done:
			w.answer(c)
		}
		if !w.flush(c) {
			c.closing = true
			c.out, c.outLeft = nil, 0
			return
		}
		if c.closing {
			return
		}
		if c.blocked() {
			c.leftover = append(c.leftover, in...)
			return
		}
	}
}

func (w *worker) answer(c *conn) {
	status := 200
	switch {
	case c.request.Size() > 0:
		c.size = 1 << 10
	case c.kind == holds:
		c.held = true
		w.held.Add(1)
		return
	case c.kind == counts:
		text := strconv.FormatInt(w.held.Load(), 10)
		c.closing = c.request.Close
		c.out = append(w.head(c.out, 200, int64(len(text)), c.closing), text...)
		return
	case c.kind != sized:
		status, c.size = 404, 0
	}
	c.closing = c.request.Close
	if status == 200 && c.size == 1<<10 && !c.closing && !c.request.HeadOnly && !c.blocked() {
		n, err := epoll.Write(c.fd, w.small, nil)
		if n == len(w.small) {
			return
		}
		if err != nil && !errors.Is(err, epoll.ErrAgain) {
			c.closing = true
			return
		}
		c.out = append(c.out, w.small[n:]...)
		return
	}
	c.out = w.head(c.out, status, c.size, c.closing)
	if !c.request.HeadOnly {
		c.outLeft = c.size
	}
}

func (c *conn) blocked() bool { return len(c.out) > 0 || c.outLeft > 0 }

// flush writes what the socket takes; false when the connection is lost.
func (w *worker) flush(c *conn) bool {
	for c.blocked() {
		n, err := epoll.Write(c.fd, c.out, w.block[:min(c.outLeft, int64(len(w.block)))])
		if errors.Is(err, epoll.ErrAgain) {
			return true
		}
		if err != nil {
			return false
		}
		head := min(n, len(c.out))
		c.out = c.out[:copy(c.out, c.out[head:])]
		c.outLeft -= int64(n - head)
	}
	return true
}

func (w *worker) head(b []byte, status int, size int64, closing bool) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(status)...)
	b = append(b, "\r\nDate: "...)
	b = append(b, w.date...)
	b = append(b, "\r\nContent-Type: application/octet-stream\r\nContent-Length: "...)
	b = strconv.AppendInt(b, size, 10)
	if closing {
		b = append(b, "\r\nConnection: close"...)
	}
	return append(b, "\r\n\r\n"...)
}
