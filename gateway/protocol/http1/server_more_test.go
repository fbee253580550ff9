package http1

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// What is at hand of a body can be looked at before it is taken.
func TestBodyAtHand(t *testing.T) {
	ts := serve(t, func(c *Config) {
		c.Handle = func(s *stream.Stream) (*stream.Response, error) {
			b := s.Request.Body
			p, last := b.Buffered()
			what := fmt.Sprintf("%q %v", p, last)
			next, err := b.Next(s.Co)
			what += fmt.Sprintf(" next %q %v", next, err)
			p, last = b.Buffered() // the piece that Next gave is taken
			what += fmt.Sprintf(" then %q %v", p, last)
			next, err = b.Next(s.Co)
			what += fmt.Sprintf(" end %q %v", next, err)
			p, last = b.Buffered()
			what += fmt.Sprintf(" after %q %v", p, last)
			return s.Respond(200, "", []byte(what)), nil
		}
	})
	const head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	for _, c := range []struct{ send, later, want string }{
		{head + "Content-Length: 5\r\n\r\nhello", "", `"hello" true next "hello" <nil> then "" true end "" EOF after "" true`},
		{head + "Content-Length: 5\r\n\r\nhelloGET /", "", `"hello" true next "hello" <nil> then "" true end "" EOF after "" true`},
		{head + "Content-Length: 5\r\n\r\nhel", "lo", `"hel" false next "hel" <nil> then "" false end "lo" <nil> after "" true`},
		{head + "Content-Length: 5\r\n\r\n", "hello", `"" false next "hello" <nil> then "" true end "" EOF after "" true`},
		{head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "", `"" false next "hello" <nil> then "" false end "" EOF after "" true`},
	} {
		k := ts.dial()
		k.send(c.send)
		ts.settle()
		k.send(c.later)
		if got, want := k.rest(), plain(200, c.want, connClose); got != want {
			t.Errorf("%q:\n got %q\nwant %q", c.send, got, want)
		}
	}
}

type runner func(*worker.Coroutine)

func (f runner) Run(co *worker.Coroutine) { f(co) }

// A handler that answers early stops the coroutine that pulls the body.
func TestBodyIsStopped(t *testing.T) {
	ts := serve(t, func(c *Config) {
		c.Handle = func(s *stream.Stream) (*stream.Response, error) {
			var pulled error
			s.Loop.GoLater(runner(func(co *worker.Coroutine) {
				for pulled == nil {
					_, pulled = s.Request.Body.Next(co)
				}
				s.Co.Wake()
			}))
			s.Co.Yield()
			s.Request.Body.Stop()
			for pulled == nil {
				if err := s.Wait(s.Co); err != nil {
					return nil, err
				}
			}
			if _, err := s.Request.Body.Next(s.Co); !errors.Is(pulled, stream.ErrStopped) || !errors.Is(err, stream.ErrStopped) {
				t.Errorf("%v and %v", pulled, err)
			}
			return s.Respond(413, "", hello), nil
		}
	})
	k := ts.dial()
	k.send(post)
	if got, want := k.rest(), plain(413, "hello", connClose); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// A client that asks for much and takes nothing does not fill the memory.
func TestPipelineWithoutReading(t *testing.T) {
	ts := serve(t, nil)
	k := ts.dial()
	const n = 400
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		k.send(strings.Repeat("GET /big?60000 HTTP/1.1\r\nHost: h\r\n\r\n", n) + getClose)
	}()
	most := 0
	until(t, ts.l, "the server waits for the client", func() bool {
		_, lent := ts.l.Buffers.Lent()
		most = max(most, lent)
		c := ts.srv.connections
		return c != nil && c.st != nil && c.st.writeWaiter != nil
	})
	got := k.rest()
	<-sent
	if c := strings.Count(got, "HTTP/1.1 200 OK"); c != n+1 || len(got) < n*60000 {
		t.Errorf("%d responses, %d bytes", c, len(got))
	}
	if most > 512<<10 {
		t.Errorf("up to %d bytes were held", most)
	}
}

// untilPending is a body that ends when the client's socket is full.
type untilPending struct{ c *serverConn }

func (b untilPending) Next(*worker.Coroutine) ([]byte, error) {
	if b.c.Pending() > 0 {
		return nil, io.EOF
	}
	return bigPiece, nil
}

func (b untilPending) Buffered() ([]byte, bool) { return nil, false }
func (b untilPending) Stop()                    {}
func (b untilPending) Trailer() *stream.Header  { return nil }

// The last bytes of a response do not wait for a client for ever.
func TestLastBytesAreNotTaken(t *testing.T) {
	for name, fields := range map[string]string{"closing": connClose, "kept": ""} {
		t.Run(name, func(t *testing.T) {
			var ts *testServer
			ts = serve(t, func(c *Config) {
				c.WriteTimeout, c.IdleTimeout = soon, soon
				c.Handle = func(s *stream.Stream) (*stream.Response, error) {
					resp := s.Respond(200, "", nil)
					resp.Body, resp.Length = untilFlushed{untilPending{ts.srv.connections}}, -1
					return resp, nil
				}
			})
			k := ts.dial()
			k.send("GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n")
			until(t, ts.l, "answered", func() bool { return len(ts.log) == 1 })
			until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
			if got := ts.logged(); got != "GET / 200" {
				t.Errorf("log %q", got)
			}
		})
	}
}

// untilFlushed looks at what pends behind a flush.
type untilFlushed struct{ untilPending }

func (b untilFlushed) Next(co *worker.Coroutine) ([]byte, error) {
	b.c.Flush()
	return b.untilPending.Next(co)
}

// A panic where no response can be made of it closes the connection.
func TestPanicAtTheEndOfAStream(t *testing.T) {
	l := startLoop(t)
	ts := &testServer{TB: t, l: l}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	cfg := &Config{
		Limits: testLimits, HeaderTimeout: patience, BodyTimeout: patience, WriteTimeout: patience, IdleTimeout: patience, StreamIdle: patience,
		Handle: handle, Finish: func(*stream.Stream, *stream.Response) { panic("finish") },
	}
	l.Do(func() {
		ts.srv = NewServer(l, &Streams{}, cfg, ts)
		if err := ts.srv.Serve(fds[0], netip.AddrPort{}, netip.AddrPort{}); err != nil {
			t.Error(err)
		}
	})
	worker.Write(fds[1], []byte(get))
	until(t, l, "closed", func() bool { return ts.srv.Connections() == 0 && ts.closed == 1 })
	if n := l.Stats().Panics.Load(); n != 1 {
		t.Errorf("%d panics", n)
	}
}

// A loop that is closed ends the connections whose streams wait.
func TestLoopIsClosedWithAStreamUnderWay(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	l, err := worker.New(worker.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	ts := &testServer{TB: t, l: l}
	cfg := &Config{
		Limits: testLimits, HeaderTimeout: patience, BodyTimeout: patience, WriteTimeout: patience, IdleTimeout: patience,
		Handle: handle, Finish: func(*stream.Stream, *stream.Response) { t.Error("the stream was finished") },
	}
	l.Do(func() {
		ts.srv = NewServer(l, &Streams{}, cfg, ts)
		if err := ts.srv.Serve(fds[0], netip.AddrPort{}, netip.AddrPort{}); err != nil {
			t.Error(err)
		}
	})
	worker.Write(fds[1], []byte("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"))
	until(t, l, "served", func() bool { return ts.srv.connections.phase == phaseStream })
	l.Stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	l.Close()
	var p [10]byte
	if n, e := worker.Read(fds[1], p[:]); n != 0 || e != 0 {
		t.Errorf("the client reads %d, %v, want the end", n, e)
	}
	if ts.closed != 1 || l.Stats().Panics.Load() != 0 {
		t.Errorf("closed %d, panics %d", ts.closed, l.Stats().Panics.Load())
	}
	for end := 0; runtime.NumGoroutine() > goroutines; end++ {
		runtime.Gosched()
		if end > 1e7 {
			t.Fatal("a goroutine is left")
		}
	}
}

// One connection's long pipeline lets another one have its turn.
func TestPipelineIsFair(t *testing.T) {
	ts := serve(t, nil)
	greedy, modest := ts.dial(), ts.dial()
	const n = 300 // in one read
	ts.l.Do(func() {
		greedy.send(strings.Repeat(get, n))
		modest.send("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n")
	})
	until(t, ts.l, "all are served", func() bool { return len(ts.log) == n+1 })
	ts.l.Do(func() {
		for i, line := range ts.log {
			if strings.HasPrefix(line, "HEAD") && i > 64 {
				t.Errorf("the modest client was served after %d requests of the greedy one", i)
			}
		}
	})
	greedy.Close()
	modest.Close()
}
