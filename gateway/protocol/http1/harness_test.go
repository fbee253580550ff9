package http1

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// startLoop runs a loop until the test ends, and then looks whether anything
// is left of what the test did on it.
func startLoop(t testing.TB) *worker.Loop {
	t.Helper()
	goroutines := runtime.NumGoroutine()
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
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
		for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
			if time.Now().After(end) {
				buf := make([]byte, 1<<20)
				t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), goroutines, buf[:runtime.Stack(buf, true)])
			}
		}
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

// testServer is a Server whose connections come from one listening socket.
type testServer struct {
	testing.TB
	l      *worker.Loop
	srv    *Server
	fd     int // listens
	addr   net.TCPAddr
	served int
	closed int
	log    []string // a line for each stream that is over
	panics uint64   // those that the test makes
}

// ConnectionClosed counts.
func (ts *testServer) ConnectionClosed(netip.AddrPort) { ts.closed++ }

// serve starts a server with the handler of handler_test.go; change may adjust
// its configuration.
func serve(t testing.TB, change func(*Config)) *testServer {
	t.Helper()
	ts := &testServer{TB: t, l: startLoop(t)}
	var err error
	if ts.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(ts.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(ts.fd, 128); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(ts.fd)
	if err != nil {
		t.Fatal(err)
	}
	ts.addr = net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*unix.SockaddrInet4).Port}
	cfg := &Config{
		Limits:        testLimits,
		HeaderTimeout: patience, BodyTimeout: patience, WriteTimeout: patience, IdleTimeout: patience,
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
	ts.l.Do(func() { ts.srv = NewServer(ts.l, &Streams{}, cfg, ts) })
	t.Cleanup(func() {
		unix.Close(ts.fd)
		if !t.Failed() {
			until(t, ts.l, "all connections are closed", func() bool { return ts.srv.Connections() == 0 })
		}
		ts.l.Do(func() {
			ts.srv.Close()
			if ts.closed != ts.served && !t.Failed() {
				t.Errorf("%d connections were reported closed, %d were served", ts.closed, ts.served)
			}
		})
		if n := ts.l.Stats().Panics.Load(); n != ts.panics {
			t.Errorf("%d panics on the loop, want %d", n, ts.panics)
		}
	})
	return ts
}

// client is a raw client of a testServer.
type client struct {
	*net.TCPConn
	ts *testServer
}

func (ts *testServer) dial() *client {
	ts.Helper()
	conn, err := net.DialTCP("tcp4", nil, &ts.addr)
	if err != nil {
		ts.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	conn.SetNoDelay(true)
	ts.Cleanup(func() { conn.Close() })
	ts.l.Do(func() {
		fd, _, err := unix.Accept4(ts.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			ts.Error(err)
			return
		}
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 256<<10)
		ts.served++
		if err := ts.srv.Serve(fd, conn.LocalAddr().(*net.TCPAddr).AddrPort(), netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(ts.addr.Port))); err != nil {
			ts.Error(err)
		}
	})
	return &client{conn, ts}
}

// settle waits until the loop has taken what was sent.
func (ts *testServer) settle() {
	ts.l.Do(func() {})
	ts.l.Do(func() {})
}

// logged returns the lines of the streams that are over, and forgets them.
func (ts *testServer) logged() string {
	var s string
	ts.l.Do(func() { s, ts.log = strings.Join(ts.log, "; "), nil })
	return s
}

func (c *client) send(s string) {
	c.ts.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.ts.Error(err)
	}
}

// expect reads exactly what is wanted, dates aside.
func (c *client) expect(want string) {
	c.ts.Helper()
	p := make([]byte, len(want))
	if n, err := io.ReadFull(c, p); err != nil {
		c.ts.Fatalf("read %q, then %v; want %q", p[:n], err, want)
	}
	if got := undated(string(p)); got != want {
		c.ts.Fatalf("read %q, want %q", got, want)
	}
}

// rest reads until the server ends the connection, and closes it.
func (c *client) rest() string {
	c.ts.Helper()
	p, err := io.ReadAll(c)
	if err != nil {
		c.ts.Errorf("read %q, then %v", p, err)
	}
	c.Close()
	return undated(string(p))
}

// ended fails unless the server ends the connection with nothing more said.
func (c *client) ended() {
	c.ts.Helper()
	if s := c.rest(); s != "" {
		c.ts.Errorf("unexpected: %q", s)
	}
}

var dateLine = regexp.MustCompile(`date: \w\w\w, \d\d \w\w\w \d{4} \d\d:\d\d:\d\d GMT\r\n`)

const fixedDate = "date: ddd, dd mmm yyyy hh:mm:ss GMT\r\n"

// undated replaces the values of Date fields, keeping their length.
func undated(s string) string { return dateLine.ReplaceAllString(s, fixedDate) }

// answer is a response as the server writes it.
func answer(status int, fields, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d %s\r\n%s\r\n%s", status, stream.StatusText(status), fields, body)
}

// plain is the answer of Respond.
func plain(status int, body, more string) string {
	return answer(status, fmt.Sprintf("content-type: text/plain; charset=utf-8\r\n%scontent-length: %d\r\n%s", fixedDate, len(body), more), body)
}

// local is the answer of Reply, which also ends the connection when more says so.
func local(status int, more string) string {
	body := fmt.Sprintf("%d\n", status)
	return answer(status, fmt.Sprintf("content-type: text/plain\r\n%scontent-length: %d\r\n%s", fixedDate, len(body), more), body)
}

const connClose = "connection: close\r\n"
