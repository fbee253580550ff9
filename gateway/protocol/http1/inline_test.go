package http1

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"longmen/gateway/stream"
)

// inlineApp is an application that is cut in two: the path says where it
// answers, and how. What waits is in parked, until wake.
type inlineApp struct {
	*testServer
	parked []*stream.Stream
	ended  int // streams that gave back what they held
}

// EndStream counts, and fails where a test wants it to.
func (a *inlineApp) EndStream(s *stream.Stream) {
	a.ended++
	if string(s.Request.Path) == "/end-panic" {
		panic("end")
	}
}

func (a *inlineApp) begin(s *stream.Stream) (*stream.Response, error) {
	if s.Co == nil && s.Parked == nil {
		return nil, errors.New("neither a coroutine nor parked")
	}
	s.End = a
	switch path := string(s.Request.Path); path {
	case "/begin-panic":
		panic(path)
	case "/begin-error":
		return nil, errors.New(path)
	case "/coroutine", "/resume-panic":
		return nil, stream.ErrCoroutine
	case "/big", "/big-chunked", "/pieces", "/fail-in-body", "/panic-in-body", "/hello", "/none":
		return handle(s)
	case "/fill":
		resp := s.Respond(200, "", nil)
		resp.Body, resp.Length = filler{a.srv.connections}, -1
		return resp, nil
	case "/head":
		return a.head(s), nil
	default:
		if s.Parked == nil {
			return nil, stream.ErrCoroutine
		}
		a.parked = append(a.parked, s)
		return nil, stream.ErrParked
	}
}

// head answers with a head of as many bytes as the query says.
func (a *inlineApp) head(s *stream.Stream) *stream.Response {
	n, _ := strconv.Atoi(string(s.Request.Query))
	resp := s.Respond(200, "", nil)
	resp.Header.AddString("x-long", strings.Repeat("x", n))
	return resp
}

func (a *inlineApp) poll(s *stream.Stream) (*stream.Response, error) {
	switch path := string(s.Request.Path); path {
	case "/poll-panic":
		panic(path)
	case "/poll-error":
		return nil, &stream.Error{Side: stream.Upstream, Flag: stream.UpstreamOverflow, Status: 503, Cause: errors.New(path)}
	case "/poll-coroutine":
		return nil, stream.ErrCoroutine
	case "/poll-big":
		resp := s.Respond(200, "", nil)
		resp.Body, resp.Length = &pieces{n: 5, piece: bigPiece}, int64(5*len(bigPiece))
		return resp, nil
	}
	return s.Respond(200, "", hello), nil
}

func (a *inlineApp) resume(s *stream.Stream) (*stream.Response, error) {
	if e := s.Aborted(); e != nil {
		return nil, e
	}
	if path := string(s.Request.Path); path == "/resume-panic" {
		panic(path)
	}
	return s.Respond(200, "", []byte("resumed")), nil
}

// wake wakes the streams that are parked, when there are n of them.
func (a *inlineApp) wake(n int) {
	a.Helper()
	var parked []*stream.Stream
	until(a, a.l, fmt.Sprintf("%d streams are parked", n), func() bool {
		if len(a.parked) != n {
			return false
		}
		parked, a.parked = a.parked, nil
		return true
	})
	for _, s := range parked {
		a.l.Do(func() { s.Parked.Wake() })
	}
}

// serveInline starts a server with an inlineApp. A stream that had a coroutine
// has "co" in its log line.
func serveInline(t testing.TB, change func(*Config)) *inlineApp {
	a := &inlineApp{}
	a.testServer = serve(t, func(c *Config) {
		c.Handle = nil
		c.Inline = &stream.Inline{Begin: a.begin, Poll: a.poll, Resume: a.resume}
		finish := c.Finish
		c.Finish = func(s *stream.Stream, resp *stream.Response) {
			finish(s, resp)
			if s.Co != nil {
				a.log[len(a.log)-1] += " co"
			}
		}
		if change != nil {
			change(c)
		}
	})
	return a
}

func ask(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

// Each way through an Inline gives its answer, has a coroutine only where it
// needs one, and leaves the connection in a state in which it goes on.
func TestInline(t *testing.T) {
	big := answer(200, fixedDate+"content-length: 50000\r\n", string(make([]byte, 50000)))
	for _, c := range []struct {
		path   string
		parks  bool
		want   string
		log    string
		closes bool
	}{
		{"/hello", false, plain(200, "hello", ""), "200", false},
		{"/none", false, answer(204, fixedDate, ""), "204", false},
		{"/begin-error", false, local(500, ""), "500 LE", false},
		{"/begin-panic", false, local(500, ""), "500 LE", false},
		{"/coroutine", false, plain(200, "resumed", ""), "200 co", false},
		{"/resume-panic", false, local(500, ""), "500 LE co", false},
		{"/big?50000", false, big, "200 co", false},
		{"/park", true, plain(200, "hello", ""), "200", false},
		{"/poll-error", true, local(503, ""), "503 UO", false},
		{"/poll-panic", true, local(500, ""), "500 LE", false},
		{"/poll-coroutine", true, plain(200, "resumed", ""), "200 co", false},
		{"/poll-big", true, big, "200 co", false},
	} {
		t.Run(c.path, func(t *testing.T) {
			a := serveInline(t, nil)
			k := a.dial()
			path, _, _ := strings.Cut(c.path, "?")
			for range 3 {
				k.send(ask(c.path) + get)
				if c.parks {
					a.wake(1)
				}
				k.expect(c.want + plain(200, "hello", ""))
				until(t, a.l, "both streams are over", func() bool { return len(a.log) == 2 && a.ended == 2 })
				a.l.Do(func() { a.ended = 0 })
				// The one behind shares the coroutine, if there is one.
				want := "GET " + path + " " + c.log + "; GET /hello 200"
				if strings.HasSuffix(c.log, " co") {
					want += " co"
				}
				if got := a.logged(); got != want {
					t.Fatalf("log %q, want %q", got, want)
				}
			}
			k.Close()
		})
	}
}

// A panic where no answer can be made of it closes that connection, gives back
// what its stream holds, and leaves all others as they are.
func TestPanicsThatCloseTheConnection(t *testing.T) {
	panics := func(what string) func(*stream.Stream) {
		return func(s *stream.Stream) {
			if string(s.Request.Path) != "/hello" {
				panic(what)
			}
		}
	}
	reply := func(c *Config) {
		reply, fail := c.Reply, panics("reply")
		c.Reply = func(s *stream.Stream, e *stream.Error) *stream.Response { fail(s); return reply(s, e) }
	}
	finish := func(c *Config) {
		finish, fail := c.Finish, panics("finish")
		c.Finish = func(s *stream.Stream, resp *stream.Response) { finish(s, resp); fail(s) }
	}
	for _, c := range []struct {
		name, path string
		parks      bool
		change     func(*Config)
		log        string // of the stream
	}{
		{"reply to an error of Begin", "/begin-error", false, reply, "/begin-error 0 LE co"},
		{"reply to a panic in Poll", "/poll-panic", true, reply, "/poll-panic 0 LE co"},
		{"reply on a coroutine", "/resume-panic", false, reply, "/resume-panic 0 LE co"},
		{"finish after Begin", "/none", false, finish, "/none 204"},
		{"finish after Poll", "/park", true, finish, "/park 200"},
		{"finish on a coroutine", "/coroutine", false, finish, "/coroutine 200 co"},
		{"finish of a cut response", "/fail-in-body", false, finish, "/fail-in-body 200 UC co"},
		{"end after Poll", "/end-panic", true, nil, "/end-panic 200 LE co"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serveInline(t, c.change)
			a.panics = 1
			other, k := a.dial(), a.dial()
			other.send(ask("/hello"))
			other.expect(plain(200, "hello", ""))
			a.logged()
			k.send(ask(c.path) + get)
			if c.parks {
				a.wake(1)
			}
			if p, err := io.ReadAll(k); err != nil && !errors.Is(err, unix.ECONNRESET) || strings.Contains(string(p), "hello") && !strings.Contains(c.log, " 200") {
				t.Errorf("%q, %v", p, err)
			}
			until(t, a.l, "closed", func() bool { return a.srv.Connections() == 1 })
			a.l.Do(func() {
				if a.ended != 2 {
					t.Errorf("%d streams gave back what they held, of 2", a.ended)
				}
			})
			if got := a.logged(); got != "GET "+c.log {
				t.Errorf("log %q, want %q", got, "GET "+c.log)
			}
			other.send(ask("/hello"))
			other.expect(plain(200, "hello", ""))
			other.Close()
		})
	}
}
