package http1

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// What happens to a stream while it is parked.
func TestParked(t *testing.T) {
	park := func(t *testing.T, change func(*Config)) (*inlineApp, *client) {
		a := serveInline(t, change)
		k := a.dial()
		k.send(ask("/park"))
		until(t, a.l, "parked", func() bool { return len(a.parked) == 1 })
		return a, k
	}
	over := func(a *inlineApp, want string) {
		t.Helper()
		until(a, a.l, "closed", func() bool { return a.srv.Connections() == 0 && a.ended == 1 })
		if got := a.logged(); got != "GET /park "+want {
			a.Errorf("log %q, want %q", got, want)
		}
	}
	t.Run("the client resets", func(t *testing.T) {
		a, k := park(t, nil)
		k.SetLinger(0)
		k.Close()
		over(a, "0 DC co")
	})
	t.Run("a half close that counts", func(t *testing.T) {
		a, k := park(t, func(c *Config) { c.AbortOnHalfClose = true })
		k.CloseWrite()
		k.ended()
		over(a, "0 DC co")
	})
	t.Run("a half close that does not", func(t *testing.T) {
		a, k := park(t, nil)
		k.CloseWrite()
		a.settle()
		a.wake(1)
		if got, want := k.rest(), plain(200, "hello", ""); got != want {
			t.Errorf("%q", got)
		}
		over(a, "200")
	})
	t.Run("nothing moves", func(t *testing.T) {
		a, k := park(t, func(c *Config) { c.StreamIdle, c.IdleTimeout = soon, soon })
		k.expect(local(504, ""))
		k.ended()
		over(a, "504 SI co")
	})
	t.Run("woken for nothing", func(t *testing.T) {
		a, k := park(t, nil)
		a.l.Do(func() {
			s := a.parked[0]
			st := s.Parked.(*serverStream)
			st.cfg.Inline.Poll = func(*stream.Stream) (*stream.Response, error) { return nil, stream.ErrParked }
			s.Parked.Wake()
			s.Parked.Wake()
			st.cfg.Inline.Poll = a.poll
		})
		a.wake(1)
		k.expect(plain(200, "hello", ""))
		k.Close()
		over(a, "200")
	})
	t.Run("aborted and woken at once", func(t *testing.T) {
		a, k := park(t, nil)
		a.l.Do(func() {
			s := a.parked[0]
			s.Abort(&stream.Error{Side: stream.Upstream, Flag: stream.UpstreamTimeout, Status: 504, Cause: errCut})
			s.Parked.Wake()
			s.Abort(&stream.Error{Side: stream.Local, Cause: errCut})
		})
		k.expect(local(504, ""))
		k.Close()
		over(a, "504 UT co")
	})
	t.Run("the loop drains", func(t *testing.T) {
		a, k := park(t, nil)
		a.l.Do(a.srv.Drain)
		a.wake(1)
		if got, want := k.rest(), plain(200, "hello", connClose); got != want {
			t.Errorf("%q", got)
		}
		over(a, "200")
	})
	t.Run("the server is closed", func(t *testing.T) {
		a, k := park(t, nil)
		a.l.Do(a.srv.Close)
		k.ended()
		over(a, "0 LR co")
	})
	t.Run("requests behind it", func(t *testing.T) {
		a, k := park(t, nil)
		k.send(get + ask("/park") + get)
		a.wake(1)
		k.expect(plain(200, "hello", "") + plain(200, "hello", ""))
		a.wake(1)
		k.expect(plain(200, "hello", "") + plain(200, "hello", ""))
		k.Close()
	})
	t.Run("a new configuration", func(t *testing.T) {
		a, k := park(t, nil)
		a.l.Do(func() {
			next := *a.srv.config
			next.Inline = &stream.Inline{Begin: func(s *stream.Stream) (*stream.Response, error) { return s.Respond(200, "", []byte("new")), nil }}
			a.srv.Configure(&next)
		})
		k.send(get)
		a.wake(1)
		k.expect(plain(200, "hello", "") + plain(200, "new", ""))
		k.Close()
	})
	t.Run("one that is aborted before it begins", func(t *testing.T) {
		a := serveInline(t, func(c *Config) { c.AbortOnHalfClose = true })
		k := a.dial()
		a.l.Do(func() { // the request and the end come in one event
			k.send(ask("/park"))
			k.CloseWrite()
		})
		k.ended()
		over(a, "0 DC co")
	})
}

// A head as long as an endpoint may send is sent without a coroutine to wait on;
// the connection's next stream waits until the client has taken it.
func TestLongHeadForASlowClient(t *testing.T) {
	a := serveInline(t, nil)
	k := a.dial()
	k.send(ask("/fill"))
	until(t, a.l, "the socket is full", func() bool { return len(a.log) == 1 })
	k.send(ask("/head?60000"))
	until(t, a.l, "answered", func() bool { return len(a.log) == 2 })
	k.send(get + get)
	until(t, a.l, "the next one waits", func() bool {
		c := a.srv.connections
		return c.phase == phaseStream && c.st.writeWaiter != nil && c.Pending() > highWater
	})
	r := bufio.NewReader(k)
	for i, path := range []string{"/fill", "/head", "/hello", "/hello"} {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != 200 || err != nil || i > 1 && n != 5 || i == 1 && len(resp.Header.Get("X-Long")) != 60000 {
			t.Errorf("%s: %d, %d bytes, %v", path, resp.StatusCode, n, err)
		}
	}
	k.Close()
	until(t, a.l, "all are over", func() bool { return len(a.log) == 4 })
	if got, want := a.logged(), "GET /fill 200 co; GET /head 200; GET /hello 200 co; GET /hello 200 co"; got != want {
		t.Errorf("log %q", got)
	}
}

// filler is a body that ends when the client's socket is full and a little more.
type filler struct{ c *serverConn }

func (b filler) Next(*worker.Coroutine) ([]byte, error) {
	if b.c.Flush(); b.c.Pending() > 8<<10 {
		return nil, io.EOF
	}
	return bigPiece[:1000], nil
}

func (b filler) Buffered() ([]byte, bool) { return nil, false }
func (b filler) Stop()                    {}
func (b filler) Trailer() *stream.Header  { return nil }

// A long pipeline without coroutines lets others have their turn, and all of it
// is answered in its order.
func TestInlinePipeline(t *testing.T) {
	a := serveInline(t, nil)
	greedy, modest := a.dial(), a.dial()
	const n = 300
	a.l.Do(func() {
		greedy.send(strings.Repeat(get, n-1) + ask("/none"))
		modest.send("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n")
	})
	until(t, a.l, "all are served", func() bool { return len(a.log) == n+1 })
	a.l.Do(func() {
		for i, line := range a.log {
			if strings.HasPrefix(line, "HEAD") && i > 64 {
				t.Errorf("the modest client was served after %d requests of the greedy one", i)
			}
		}
	})
	for range n - 1 {
		greedy.expect(plain(200, "hello", ""))
	}
	greedy.expect(answer(204, fixedDate, ""))
	greedy.Close()
	modest.Close()
}
