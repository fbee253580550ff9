package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An Origin is a raw server on 127.0.0.1 that keeps every byte it is sent,
// parses it with Reader, and answers as its Script says.
type Origin struct {
	Addr string // host:port

	ln     *net.TCPListener
	script atomic.Pointer[Script]

	mu         sync.Mutex
	conns      map[*originConn]bool // open ones
	opened     int
	requests   []*Request
	violations []string
	raw        map[int][]byte // by connection, since the last Reset
}

// A Script answers one request. It runs when the head has been read; the body
// is read by x.ReadBody, or not at all. After it returns, the next request on
// the connection is read, unless the script closed it.
type Script func(x *Exchange)

// An Exchange is one request at the origin, and the connection to answer it on.
type Exchange struct {
	Request *Request
	conn    *originConn
	reader  *Reader
	framing Framing
	read    bool // ReadBody was called
}

type originConn struct {
	*net.TCPConn
	id      int
	waiting atomic.Bool // blocked in a read, or about to be
	closed  atomic.Bool
	origin  *Origin
}

// StartOrigin listens on a port that the kernel chooses.
func StartOrigin(script Script) (*Origin, error) {
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	o := &Origin{Addr: ln.Addr().String(), ln: ln, conns: map[*originConn]bool{}, raw: map[int][]byte{}}
	o.SetScript(script)
	go o.accept()
	return o, nil
}

// SetScript replaces the script for requests that begin from now on.
func (o *Origin) SetScript(s Script) { o.script.Store(&s) }

// Close stops listening and closes every connection.
func (o *Origin) Close() {
	o.ln.Close()
	o.CloseConns()
}

// CloseConns closes every open connection; new ones are still accepted.
func (o *Origin) CloseConns() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.conns {
		c.Close()
	}
}

func (o *Origin) accept() {
	for {
		tc, err := o.ln.AcceptTCP()
		if err != nil {
			return
		}
		o.mu.Lock()
		o.opened++
		c := &originConn{TCPConn: tc, id: o.opened, origin: o}
		o.conns[c] = true
		o.mu.Unlock()
		go o.serve(c)
	}
}

// Read records what arrives.
func (c *originConn) Read(p []byte) (int, error) {
	c.waiting.Store(true)
	n, err := c.TCPConn.Read(p)
	c.origin.mu.Lock()
	c.waiting.Store(false)
	if raw := c.origin.raw[c.id]; len(raw) < MaxKeep {
		c.origin.raw[c.id] = append(raw, p[:n]...)
	}
	c.origin.mu.Unlock()
	return n, err
}

func (o *Origin) serve(c *originConn) {
	defer func() {
		c.Close()
		o.mu.Lock()
		delete(o.conns, c)
		o.mu.Unlock()
	}()
	r := NewReader(c)
	for !c.closed.Load() {
		head, framing, err := r.RequestHead()
		if err != nil {
			o.note(c, err)
			return
		}
		x := &Exchange{Request: &Request{Head: *head, Conn: c.id}, conn: c, reader: r, framing: framing}
		o.mu.Lock()
		x.Request.Complete = framing.Kind == None || framing.Kind == Length && framing.Length == 0
		o.requests = append(o.requests, x.Request)
		o.mu.Unlock()
		(*o.script.Load())(x)
		if c.closed.Load() || x.ReadBody() != nil {
			return
		}
	}
}

// limited keeps the first MaxKeep bytes written to it.
type limited struct{ b bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := MaxKeep - l.b.Len(); room > 0 {
		l.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// note keeps a violation. A connection that only ended is none, wherever it ended.
func (o *Origin) note(c *originConn, err error) {
	var v *Violation
	if errors.As(err, &v) {
		o.mu.Lock()
		o.violations = append(o.violations, fmt.Sprintf("connection %d, %v", c.id, v))
		o.mu.Unlock()
	}
}

// ReadBody reads the request's body to its end; it is in x.Request then.
func (x *Exchange) ReadBody() error {
	if x.read {
		return nil
	}
	x.read = true
	var kept limited
	size, trailers, err := x.reader.Body(x.framing, &kept)
	o := x.conn.origin
	o.mu.Lock()
	x.Request.Body, x.Request.BodySize, x.Request.Trailers = kept.b.Bytes(), size, trailers
	x.Request.Complete = err == nil
	o.mu.Unlock()
	if err != nil {
		o.note(x.conn, err)
	}
	return err
}

// Write sends raw bytes to the proxy.
func (x *Exchange) Write(b []byte) error {
	_, err := x.conn.Write(b)
	return err
}

// Close ends the connection with FIN.
func (x *Exchange) Close() {
	x.conn.closed.Store(true)
	x.conn.Close()
}

// CloseWrite ends the origin's half of the connection.
func (x *Exchange) CloseWrite() { x.conn.CloseWrite() }

// Reset ends the connection with RST.
func (x *Exchange) Reset() {
	x.conn.closed.Store(true)
	x.conn.SetLinger(0)
	x.conn.Close()
}

// Hold reads and drops what comes until the proxy closes the connection.
func (x *Exchange) Hold() {
	io.Copy(io.Discard, x.conn)
	x.Close()
}

// Conn is the connection itself, for scripts that do as they like with it.
func (x *Exchange) Conn() *net.TCPConn { return x.conn.TCPConn }

// Answer sends a complete 200 response with the given body.
func (x *Exchange) Answer(body string) {
	x.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"))
	if x.Request.Method != "HEAD" {
		x.Write([]byte(body))
	}
}

// Echo is the default script: it reads the request and answers with its target.
func Echo(x *Exchange) {
	if x.ReadBody() == nil {
		x.Answer("origin " + x.Request.Method + " " + x.Request.Target)
	}
}

// A Record is what the origin saw since the last Reset.
type Record struct {
	Requests   []*Request // in the order of their heads
	Violations []string
	Raw        [][]byte // one for each connection that brought bytes
}

// Reset forgets what was recorded.
func (o *Origin) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests, o.violations, o.raw = nil, nil, map[int][]byte{}
}

// Record waits until the origin has taken in all that the kernel holds for it,
// and returns what was received.
func (o *Origin) Record() Record {
	deadline := time.Now().Add(2 * time.Second)
	for !o.settled() && time.Now().Before(deadline) {
		time.Sleep(50 * time.Microsecond)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	rec := Record{Violations: append([]string(nil), o.violations...)}
	for _, r := range o.requests {
		c := *r
		rec.Requests = append(rec.Requests, &c)
	}
	for id := 1; id <= o.opened; id++ {
		if b := o.raw[id]; len(b) > 0 {
			rec.Raw = append(rec.Raw, bytes.Clone(b))
		}
	}
	return rec
}

// settled says that every connection waits for bytes and none are there.
func (o *Origin) settled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if pending(o.ln) {
		return false
	}
	for c := range o.conns {
		if !c.waiting.Load() || pending(c.TCPConn) {
			return false
		}
	}
	return true
}

// pending says whether a read or an accept would return at once.
func pending(c syscall.Conn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	ready := false
	raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		ready = err == nil && n > 0
	})
	return ready
}

// Open is the number of connections the proxy holds to the origin.
func (o *Origin) Open() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.conns)
}

// RefusedAddr returns a loopback address on which nothing listens.
func RefusedAddr() (string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return "", err
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	return "127.0.0.1:" + strconv.Itoa(sa.(*syscall.SockaddrInet4).Port), nil
}
