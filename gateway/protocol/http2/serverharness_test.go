package http2

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// startLoop runs a loop until the test ends, and then looks whether anything
// is left of what the test did on it.
func startLoop(t testing.TB) *worker.Loop {
	t.Helper()
	l, err := worker.New(worker.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		until(t, l, "all buffers are given back", func() bool {
			n, _ := l.Buffers.Lent()
			return n == 0
		})
		if n := l.Stats().Panics.Load(); n != 0 {
			t.Errorf("%d panics on the loop", n)
		}
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return l
}

// until runs cond on the loop until it holds.
func until(t testing.TB, l *worker.Loop, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		ok := false
		l.Do(func() { ok = cond() })
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// testServer is a Server whose connections come from a net.Listener.
type testServer struct {
	testing.TB
	l      *worker.Loop
	srv    *Server
	addr   string
	taken  int
	closed int
	log    []string // a line for each stream that is over
}

// ConnectionClosed counts.
func (ts *testServer) ConnectionClosed(netip.AddrPort) { ts.closed++ }

// accepted is a connection until the server takes it.
type accepted struct{ connection.Conn }

func (a *accepted) ConnReady(worker.Events) {}

// serve starts a server with the handler below; change may adjust its
// configuration.
func serve(t testing.TB, change func(*Config)) *testServer {
	t.Helper()
	ts := &testServer{TB: t, l: startLoop(t)}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ts.addr = listener.Addr().String()
	cfg := &Config{
		HeaderTimeout: patience, BodyTimeout: patience, WriteTimeout: patience, IdleTimeout: patience,
		MaxHead: 16 << 10, MaxFields: 100, MaxTarget: 4 << 10, MaxStreams: 100,
		StreamWindow: 1 << 16, ConnWindow: 1 << 20, MaxStreamWindow: 1 << 20, MaxConnWindow: 4 << 20, HeaderTable: 4096,
		Control: Rate{1000, 500}, Resets: Rate{200, 100}, Continuations: 8, ExtendedConnect: true,
		Handle: handle,
		Reply: func(s *stream.Stream, e *stream.Error) *stream.Response {
			return s.Respond(e.Status, "text/plain", fmt.Appendf(nil, "%d\n", e.Status))
		},
		Finish: func(s *stream.Stream, resp *stream.Response) {
			line := fmt.Sprintf("%s %s %d", s.Request.Method, s.Request.Path, s.Record.Status)
			if s.Record.Err != nil {
				line += " " + s.Record.Flag().String()
			}
			ts.log = append(ts.log, line)
		},
	}
	if change != nil {
		change(cfg)
	}
	ts.l.Do(func() { ts.srv = NewServer(ts.l, &Worker{}, cfg, ts) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			ts.take(c.(*net.TCPConn))
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
		ts.l.Do(func() { ts.srv.Close() })
		until(t, ts.l, "all connections are closed", func() bool { return ts.srv.Connections() == 0 && ts.closed == ts.taken })
	})
	return ts
}

// take gives the server a duplicate of the socket.
func (ts *testServer) take(c *net.TCPConn) {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		ts.Error(err)
		return
	}
	fd := -1
	raw.Control(func(p uintptr) {
		if fd, err = unix.Dup(int(p)); err == nil {
			unix.SetNonblock(fd, true)
		}
	})
	remote, local := netip.MustParseAddrPort(c.RemoteAddr().String()), netip.MustParseAddrPort(c.LocalAddr().String())
	ts.l.Do(func() {
		a := &accepted{}
		if err := a.Open(ts.l, fd, a); err != nil {
			ts.Error(err)
			return
		}
		ts.taken++
		ts.srv.Take(&a.Conn, remote, local, nil)
	})
}

// lines waits for n streams to be over, and returns their log.
func (ts *testServer) lines(n int) []string {
	ts.Helper()
	var log []string
	until(ts, ts.l, fmt.Sprintf("%d streams are over", n), func() bool {
		log = slices.Clone(ts.log)
		return len(log) >= n
	})
	return log
}

// handle answers by path: /echo with the request's body and trailers, /size/N
// with N bytes, /head with the request's fields, /slow when the client is gone.
func handle(s *stream.Stream) (*stream.Response, error) {
	r := &s.Request
	path := string(r.Path)
	switch {
	case path == "/echo":
		resp := s.Respond(200, "", nil)
		resp.Header.AddString("content-type", "text/plain")
		resp.Length, resp.Body = r.Length, r.Body
		if r.Body == nil {
			resp.Length = 0
		}
		return resp, nil
	case path == "/early":
		return s.Respond(200, "text/plain", []byte("early")), nil
	case path == "/slow":
		for {
			if err := s.Wait(s.Co); err != nil {
				return nil, err
			}
		}
	case path == "/upgrade" && r.Upgrade != nil:
		resp := s.Respond(101, "", nil)
		resp.Upgraded, resp.Protocol = &loopback{s: s}, r.Upgrade
		return resp, nil
	case path == "/hints":
		var h stream.Header
		h.AddString("link", "</style.css>; rel=preload")
		s.Informational.Inform(103, &h)
		return s.Respond(204, "", nil), nil
	case path == "/trailers":
		resp := s.Respond(200, "", nil)
		resp.Body, resp.Length = &withTrailer{Bytes: stream.NewBytes([]byte("body"))}, -1
		return resp, nil
	case strings.HasPrefix(path, "/size/"):
		var n int
		fmt.Sscan(path[len("/size/"):], &n)
		return s.Respond(200, "text/plain", text(n)), nil
	case path == "/head":
		var b bytes.Buffer
		fmt.Fprintf(&b, "%s %s %s %s %s\n", r.Method, r.Scheme, r.Authority, r.Host, r.Target)
		for i := range r.Header.Len() {
			if name, value, _, ok := r.Header.At(i); ok {
				fmt.Fprintf(&b, "%s: %s\n", name, value)
			}
		}
		return s.Respond(200, "text/plain", b.Bytes()), nil
	case path == "/panic":
		panic("on purpose")
	}
	return nil, &stream.Error{Side: stream.Local, Status: 404, Flag: stream.NoRoute, Cause: io.EOF}
}

// withTrailer is a body with a trailer section.
type withTrailer struct {
	*stream.Bytes
	trailer stream.Header
}

// Trailer makes it.
func (b *withTrailer) Trailer() *stream.Header {
	b.trailer.Reset()
	b.trailer.AddString("grpc-status", "0")
	return &b.trailer
}

// loopback is a tunnel that gives back what it is given.
type loopback struct {
	s      *stream.Stream
	bytes  []byte
	waiter *worker.Coroutine
	ended  bool
}

func (b *loopback) Read(co *worker.Coroutine) ([]byte, error) {
	for len(b.bytes) == 0 {
		if b.ended {
			return nil, io.EOF
		}
		b.waiter = co
		if err := b.s.Wait(co); err != nil {
			return nil, err
		}
	}
	p := b.bytes
	b.bytes = nil
	return p, nil
}

func (b *loopback) Write(_ *worker.Coroutine, p []byte) error {
	b.bytes = append(b.bytes, p...)
	b.wake()
	return nil
}

func (b *loopback) CloseWrite(*worker.Coroutine) error { b.ended = true; b.wake(); return nil }
func (b *loopback) Close()                             { b.ended = true; b.wake() }
func (b *loopback) wake() {
	if b.waiter != nil {
		b.waiter.Wake()
	}
}

// text is n bytes of a pattern that does not repeat soon.
func text(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		k := uint32(i) * 2654435761
		p[i] = 'a' + byte(k>>24)%26
	}
	return p
}

// rawClient speaks frames.
type rawClient struct {
	testing.TB
	net.Conn
	*xhttp2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
}

// dial connects and, if greet, exchanges settings.
func (ts *testServer) dial(greet bool) *rawClient {
	ts.Helper()
	c, err := net.Dial("tcp4", ts.addr)
	if err != nil {
		ts.Fatal(err)
	}
	ts.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	rc := &rawClient{TB: ts, Conn: c, Framer: xhttp2.NewFramer(c, c)}
	rc.AllowIllegalWrites = true
	rc.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	rc.enc = hpack.NewEncoder(&rc.block)
	if greet {
		rc.greet()
	}
	return rc
}

func (rc *rawClient) greet(settings ...xhttp2.Setting) {
	rc.Helper()
	if _, err := io.WriteString(rc.Conn, preface); err != nil {
		rc.Fatal(err)
	}
	rc.WriteSettings(settings...)
	rc.WriteSettingsAck()
}

// request sends HEADERS of a request; fields are names and values.
func (rc *rawClient) request(id uint32, end bool, method, path string, fields ...string) {
	rc.Helper()
	block := rc.encode(append([]string{":method", method, ":scheme", "http", ":authority", "example.com", ":path", path}, fields...)...)
	if err := rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: end, EndHeaders: true}); err != nil {
		rc.Fatal(err)
	}
}

func (rc *rawClient) encode(fields ...string) []byte {
	rc.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		rc.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return slices.Clone(rc.block.Bytes())
}

// until reads frames up to one that want takes; the others are told to it, too.
func (rc *rawClient) until(want func(xhttp2.Frame) bool) xhttp2.Frame {
	rc.Helper()
	for {
		f, err := rc.ReadFrame()
		if err != nil {
			rc.Fatalf("reading frames: %v", err)
		}
		if want(f) {
			return f
		}
	}
}

// goAway reads up to GOAWAY and returns its code.
func (rc *rawClient) goAway() xhttp2.ErrCode {
	rc.Helper()
	return rc.until(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.GoAwayFrame); return ok }).(*xhttp2.GoAwayFrame).ErrCode
}

// reset reads up to RST_STREAM and returns its code.
func (rc *rawClient) reset(id uint32) xhttp2.ErrCode {
	rc.Helper()
	return rc.until(func(f xhttp2.Frame) bool {
		r, ok := f.(*xhttp2.RSTStreamFrame)
		return ok && r.StreamID == id
	}).(*xhttp2.RSTStreamFrame).ErrCode
}

// answer reads a stream's response to its end: its status, body and trailers.
func (rc *rawClient) answer(id uint32) (status string, body []byte, trailer string) {
	rc.Helper()
	for {
		f, err := rc.ReadFrame()
		if err != nil {
			rc.Fatalf("reading the answer: %v", err)
		}
		if f.Header().StreamID != id {
			continue
		}
		ended := false
		switch f := f.(type) {
		case *xhttp2.MetaHeadersFrame:
			if s := f.PseudoValue("status"); s != "" {
				status = s
			} else {
				for _, field := range f.Fields {
					trailer += field.Name + ": " + field.Value + "\n"
				}
			}
			ended = f.StreamEnded()
		case *xhttp2.DataFrame:
			body = append(body, f.Data()...)
			ended = f.StreamEnded()
		case *xhttp2.RSTStreamFrame:
			rc.Fatalf("stream %d was reset: %v", id, f.ErrCode)
		}
		if ended {
			return status, body, trailer
		}
	}
}

// drink lets /drink be answered when the request's body is whole.
func drink(cfg *Config) {
	inner := cfg.Handle
	cfg.Handle = func(s *stream.Stream) (*stream.Response, error) {
		if string(s.Request.Path) != "/drink" {
			return inner(s)
		}
		for s.Request.Body != nil {
			if _, err := s.Request.Body.Next(s.Co); err == io.EOF {
				break
			} else if err != nil {
				return nil, err
			}
		}
		return s.Respond(204, "", nil), nil
	}
}
