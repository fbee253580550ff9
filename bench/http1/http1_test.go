package http1

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

type answer struct {
	status int
	size   int64
	close  bool
}

var responses = []struct {
	name string
	wire string
	head bool
	want answer
}{
	{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, answer{200, 5, false}},
	{"empty", "HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", false, answer{200, 0, false}},
	{"no reason", "HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx", false, answer{404, 1, false}},
	{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n", false, answer{200, 13, false}},
	{"no content", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", false, answer{204, 0, true}},
	{"not modified", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, answer{304, 0, false}},
	{"to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, answer{200, 0, false}},
	{"after 100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, answer{200, 2, false}},
	{"old", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, answer{200, 2, true}},
	{"old, kept", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", false, answer{200, 2, false}},
}

// feedResponse feeds wire in two pieces cut at i, followed by a byte that
// belongs to the next message and must not be consumed.
func feedResponse(r *Response, wire string, i int) error {
	n, done, err := r.Feed([]byte(wire[:i]))
	if err != nil || done || n != i {
		return fmt.Errorf("first piece: consumed %d of %d, done %v, %w", n, i, done, err)
	}
	n, done, err = r.Feed([]byte(wire[i:] + "H"))
	if err != nil || !done || n != len(wire)-i {
		return fmt.Errorf("second piece: consumed %d of %d, done %v, %w", n, len(wire)-i, done, err)
	}
	return nil
}

func TestResponsesCutAtEveryByte(t *testing.T) {
	for _, c := range responses {
		var r Response
		for i := range c.wire {
			r.Reset(c.head)
			if err := feedResponse(&r, c.wire, i); err != nil {
				t.Errorf("%s cut at %d: %v", c.name, i, err)
				break
			}
			if got := (answer{r.Status, r.Size(), r.Close}); got != c.want {
				t.Errorf("%s cut at %d: %+v, want %+v", c.name, i, got, c.want)
			}
		}
	}
}

func TestResponseEndedByClose(t *testing.T) {
	var r Response
	r.Reset(false)
	if n, done, err := r.Feed([]byte("HTTP/1.1 200 OK\r\n\r\nabc")); n != 22 || done || err != nil {
		t.Fatal(n, done, err)
	}
	if done, err := r.End(); !done || err != nil || r.Size() != 3 || !r.Close {
		t.Errorf("done %v, %v, size %d, close %v", done, err, r.Size(), r.Close)
	}
}

func TestResponseErrors(t *testing.T) {
	for _, c := range []struct {
		wire string
		want error
	}{
		{"HTTP/1.1 2x0 OK\r\n\r\n", ErrHead},
		{"HTTP/1.1 099 OK\r\n\r\n", ErrHead},
		{"HTTP/1.1 2000\r\n\r\n", ErrHead},
		{"ICY 200 OK\r\n\r\n", ErrHead},
		{"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", ErrHead},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", ErrLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", ErrLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", ErrLength},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ErrLength},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ErrLength},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ErrChunk},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", ErrChunk},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab", ErrChunk},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", ErrChunk},
		{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead), ErrTooLong},
	} {
		var r Response
		r.Reset(false)
		if _, done, err := r.Feed([]byte(c.wire)); done || !errors.Is(err, c.want) {
			t.Errorf("%.60q: done %v, %v, want %v", c.wire, done, err, c.want)
		}
	}
	var r Response
	r.Reset(false)
	if _, _, err := r.Feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")); err != nil {
		t.Fatal(err)
	}
	if done, err := r.End(); done || !errors.Is(err, ErrEarly) {
		t.Errorf("ended inside the body: done %v, %v", done, err)
	}
}

func TestPipelinedRequestsCutAtEveryByte(t *testing.T) {
	const wire = "GET /1k HTTP/1.1\r\nHost: a\r\n\r\n" +
		"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc" +
		"HEAD /h HTTP/1.0\r\n\r\n" +
		"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n"
	const want = "/1k 0 head=false close=false expect=false|/p 3 head=false close=false expect=true|" +
		"/h 0 head=true close=true expect=false|/c 4 head=false close=true expect=false|"
	for i := range wire {
		var got, target strings.Builder
		var r Request
		for _, piece := range []string{wire[:i], wire[i:]} {
			p := []byte(piece)
			for {
				n, ev, err := r.Feed(p)
				if err != nil {
					t.Fatalf("cut at %d: %v", i, err)
				}
				p = p[n:]
				if ev == Head {
					target.Reset()
					target.Write(r.Target)
				}
				if ev == Done {
					fmt.Fprintf(&got, "%s %d head=%v close=%v expect=%v|", target.String(), r.Size(), r.HeadOnly, r.Close, r.Expect)
				}
				if ev == More {
					break
				}
			}
		}
		if got.String() != want {
			t.Fatalf("cut at %d:\n%s\nwant\n%s", i, got.String(), want)
		}
	}
}

func TestRequestErrors(t *testing.T) {
	for _, c := range []struct {
		wire string
		want error
	}{
		{"GET\r\n\r\n", ErrHead},
		{"GET /\r\n\r\n", ErrHead},
		{"GET / HTTP/2.0\r\n\r\n", ErrHead},
		{"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ErrLength},
	} {
		var r Request
		if _, _, err := r.Feed([]byte(c.wire)); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.wire, err, c.want)
		}
	}
}

func TestResponseDoesNotAllocate(t *testing.T) {
	wire := []byte(responses[0].wire)
	var r Response
	if n := testing.AllocsPerRun(100, func() {
		r.Reset(false)
		r.Feed(wire[:20])
		r.Feed(wire[20:])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
