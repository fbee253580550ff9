package http1

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

const ok5 = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// responses are what an endpoint says, and what becomes of it. close: the
// endpoint then closes. untilClose: the body ends with the connection.
var responses = []struct {
	name, method, text string
	close              bool
	want               string
}{
	{"fixed", "GET", ok5, false, `200 length 5 body "hello" reusable`},
	{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "200 length 0 reusable"},
	{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", false, `200 length -1 body "hello world" reusable`},
	{"trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n", false, `200 length -1 body "x" trailer "x-sum: 1\n" reusable`},
	{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nhello", true, `200 length -1 body "hello"`},
	{"http/1.0 until close", "GET", "HTTP/1.0 200 OK\r\n\r\nhello", true, `200 length -1 body "hello"`},
	{"http/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, `200 length 5 body "hello"`},
	{"http/1.0 keep-alive", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", false, `200 length 5 body "hello" reusable`},
	{"connection close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false, `200 length 5 body "hello"`},
	{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, "200 length 5 reusable"},
	{"head chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "200 length -1 reusable"},
	{"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", false, "204 length 0 reusable"},
	{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, "304 length 5 reusable"},
	{"informational", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok5, false, `103 link: a, 100 , 200 length 5 body "hello" reusable`},
	{"not a response", "GET", "SSH-2.0-x\r\n\r\n", false, "error UPE response-head"},
	{"malformed", "GET", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", false, "error UPE response-head"},
	{"two lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", false, "error UPE response-head"},
	{"unasked switch", "GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", false, "error UPE response-head"},
	{"malformed chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n", false, "200 length -1 error UPE response-body"},
}

func TestResponses(t *testing.T) {
	e := listen(t)
	for _, c := range responses {
		t.Run(c.name, func(t *testing.T) {
			e.TB = t
			for cut := range len(c.text) {
				o := e.dial()
				x := o.begin(c.method, nil)
				if got, want := o.head(), c.method+" /x HTTP/1.1\r\nhost: h\r\n\r\n"; got != want {
					t.Fatalf("the request is %q", got)
				}
				io.WriteString(o.peer, c.text[:cut])
				e.settle()
				io.WriteString(o.peer, c.text[cut:])
				if c.close {
					o.peer.CloseWrite()
				}
				if got := x.wait(); got != c.want {
					t.Fatalf("cut at %d: %s\nwant %s", cut, got, c.want)
				}
				// What is reusable is used again.
				if x.keepAlive {
					x := o.begin("GET", nil)
					o.head()
					io.WriteString(o.peer, ok5)
					if got := x.wait(); got != responses[0].want {
						t.Fatalf("cut at %d: the second response is %s", cut, got)
					}
				}
				e.l.Do(func() {
					if n := o.Served(); n != 1 && !x.keepAlive || n != 2 && x.keepAlive {
						t.Errorf("served %d", n)
					}
				})
				o.close()
			}
		})
	}
	e.TB = t
}

func (e *endpoint) settle() {
	e.l.Do(func() {})
	e.l.Do(func() {})
}

// A response that is cut short is never taken for a whole one.
func TestResponsesThatAreCutShort(t *testing.T) {
	e := listen(t)
	for _, c := range responses {
		if strings.Contains(c.want, "error") {
			continue
		}
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, reset), func(t *testing.T) {
				e.TB = t
				headEnd := strings.Index(c.text, "\r\n\r\n") + 4
				for cut := range len(c.text) {
					o := e.dial()
					x := o.begin(c.method, nil)
					o.head()
					io.WriteString(o.peer, c.text[:cut])
					if reset {
						if cut%2 == 0 {
							e.settle()
						}
						o.peer.SetLinger(0)
					}
					o.peer.Close()
					got := x.wait()
					switch {
					case x.keepAlive:
						t.Errorf("closed at %d: reusable", cut)
					case x.err != nil && strings.Contains(got, "error UC "):
					case c.close && !reset && cut >= headEnd && x.err == nil:
						// Nothing tells that more was to come.
					default:
						t.Errorf("closed at %d: %s", cut, got)
					}
					e.l.Do(func() {
						if o.Answered() != (cut > 0) && !reset {
							t.Errorf("closed at %d: answered is %v", cut, o.Answered())
						}
					})
					o.close()
				}
			})
		}
	}
	e.TB = t
}

func TestSurplusIsNotForTheNextRequest(t *testing.T) {
	e := listen(t)
	// With the response.
	o := e.dial()
	x := o.begin("GET", nil)
	o.head()
	io.WriteString(o.peer, ok5+"HTTP/1.1 200 OK\r\n\r\n")
	if got := x.wait(); got != `200 length 5 body "hello"` {
		t.Error(got)
	}
	// Behind it, while the connection is idle; and its end.
	for _, end := range []func(*owned){
		func(o *owned) { io.WriteString(o.peer, "x") },
		func(o *owned) { o.peer.Close() },
		func(o *owned) { o.peer.SetLinger(0); o.peer.Close() },
	} {
		o := e.dial()
		x := o.begin("GET", nil)
		o.head()
		io.WriteString(o.peer, ok5)
		if got := x.wait(); got != responses[0].want {
			t.Error(got)
		}
		e.settle()
		e.l.Do(func() {
			if o.idle != 0 {
				t.Error("the owner was told of nothing")
			}
		})
		end(o)
		until(t, e.l, "the owner was told", func() bool { return o.idle > 0 })
	}
	// An end that came with the response.
	o = e.dial()
	x = o.begin("GET", nil)
	o.head()
	e.l.Do(func() {
		io.WriteString(o.peer, ok5)
		o.peer.Close()
	})
	if got := x.wait(); got != `200 length 5 body "hello"` {
		t.Error(got)
	}
}

func TestBoundsOfResponses(t *testing.T) {
	e := listen(t)
	e.limits = Limits{Line: 100, Head: 500, Fields: 5}
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 600) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 600),
		"HTTP/1.1 200 " + strings.Repeat("x", 200) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", 6) + "\r\n",
		strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInformational+1) + ok5,
	} {
		o := e.dial()
		x := o.begin("GET", func(x *exchange) { x.s.Informational = nil })
		o.head()
		io.WriteString(o.peer, text)
		if got := x.wait(); got != "error UPE response-head" {
			t.Errorf("%.40q: %s", text, got)
		}
	}
}
