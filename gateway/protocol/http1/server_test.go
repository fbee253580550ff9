package http1

import (
	"fmt"
	"strings"
	"testing"
)

const (
	get      = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
	getClose = "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
)

// conversations are what a client sends at once, whatever is answered to it,
// and all that the server says until it ends the connection.
var conversations = []struct{ name, send, want, log string }{
	{"one", getClose, plain(200, "hello", connClose), "GET /hello 200"},
	{"keep-alive", get + get + getClose, plain(200, "hello", "") + plain(200, "hello", "") + plain(200, "hello", connClose),
		"GET /hello 200; GET /hello 200; GET /hello 200"},
	{"empty lines before a request", "\r\n\r\n" + get + "\r\n" + getClose, plain(200, "hello", "") + plain(200, "hello", connClose), "GET /hello 200; GET /hello 200"},
	{"nothing after close", getClose + get, plain(200, "hello", connClose), "GET /hello 200"},
	{"http/1.0", "GET /hello HTTP/1.0\r\n\r\n" + get, plain(200, "hello", connClose), "GET /hello 200"},
	{"http/1.0 keep-alive", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /hello HTTP/1.0\r\n\r\n",
		plain(200, "hello", "connection: keep-alive\r\n") + plain(200, "hello", connClose), "GET /hello 200; GET /hello 200"},
	{"head", "HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n" + getClose,
		strings.TrimSuffix(plain(200, "hello", ""), "hello") + plain(200, "hello", connClose), "HEAD /hello 200; GET /hello 200"},
	{"no content", "GET /none HTTP/1.1\r\nHost: h\r\n\r\nGET /unchanged HTTP/1.1\r\nHost: h\r\n\r\n" + getClose,
		answer(204, fixedDate, "") + answer(304, fixedDate+"content-length: 5\r\n", "") + plain(200, "hello", connClose),
		"GET /none 204; GET /unchanged 304; GET /hello 200"},
	{"body", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world" + getClose,
		plain(200, "hello world", "") + plain(200, "hello", connClose), "POST /echo 200; GET /hello 200"},
	{"empty body", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" + getClose,
		answer(200, fixedDate+"content-length: 0\r\n", "") + plain(200, "hello", connClose), "POST /echo 200; GET /hello 200"},
	{"chunked body", "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 7\r\n\r\n" + getClose,
		plain(200, "hello world|7", "") + plain(200, "hello", connClose), "POST /echo 200; GET /hello 200"},
	{"chunked body, refused in its middle", "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nX\r\n\r\n" + getClose,
		local(400, connClose), "POST /echo 400 DPE"},
	{"chunked body, refused in its trailer", "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA b\r\n\r\n" + getClose,
		local(400, connClose), "POST /echo 400 DPE"},
	{"chunked body, refused unread", "POST /hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n" + getClose,
		plain(200, "hello", connClose), "POST /hello 200"},
	{"expect", "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" + getClose,
		plain(200, "hello", "") + plain(200, "hello", connClose), "POST /echo 200; GET /hello 200"},
	{"expect without a body", "GET /hello HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", plain(200, "hello", connClose), "GET /hello 200"},
	{"unknown expectation", "GET /hello HTTP/1.1\r\nHost: h\r\nExpect: magic\r\n\r\n" + get, local(417, connClose), "GET  417 DPE"},
	{"chunked response", "GET /pieces HTTP/1.1\r\nHost: h\r\n\r\n" + getClose,
		answer(200, fixedDate+"transfer-encoding: chunked\r\n", "5\r\npiece\r\n5\r\npiece\r\n5\r\npiece\r\n0\r\n\r\n") + plain(200, "hello", connClose),
		"GET /pieces 200; GET /hello 200"},
	{"empty pieces", "GET /empty-pieces HTTP/1.1\r\nHost: h\r\n\r\n" + getClose,
		answer(200, fixedDate+"transfer-encoding: chunked\r\n", "5\r\npiece\r\n5\r\npiece\r\n5\r\npiece\r\n0\r\n\r\n") + plain(200, "hello", connClose),
		"GET /empty-pieces 200; GET /hello 200"},
	{"response with a trailer", "GET /trailer HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n" + getClose,
		answer(200, fixedDate+"transfer-encoding: chunked\r\n", "5\r\npiece\r\n5\r\npiece\r\n5\r\npiece\r\n0\r\nx-sum: 1\r\n\r\n") + plain(200, "hello", connClose),
		"GET /trailer 200; GET /hello 200"},
	{"response until close", "GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get, answer(200, fixedDate+connClose, "piecepiecepiece"), "GET /pieces 200"},
	{"early hints", "GET /hints HTTP/1.1\r\nHost: h\r\n\r\n" + getClose,
		answer(103, "link: a\r\n", "") + plain(200, "hello", "") + plain(200, "hello", connClose), "GET /hints 200; GET /hello 200"},
	{"no early hints for http/1.0", "GET /hints HTTP/1.0\r\n\r\n", plain(200, "hello", connClose), "GET /hints 200"},
	{"errors", "GET /error HTTP/1.1\r\nHost: h\r\n\r\nGET /panic HTTP/1.1\r\nHost: h\r\n\r\n" + getClose,
		local(500, "") + local(500, "") + plain(200, "hello", connClose), "GET /error 500 LE; GET /panic 500 LE; GET /hello 200"},
	{"not answered", "GET /drop HTTP/1.1\r\nHost: h\r\n\r\n", "", "GET /drop 0 LR"},
	{"malformed", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" + get, local(400, connClose), "GET / 400 DPE"},
	{"malformed head request", "HEAD /hello HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n" + get, strings.TrimSuffix(local(400, connClose), "400\n"), "HEAD  400 DPE"},
	{"bare LF", "GET /hello HTTP/1.1\nHost: h\n\n" + get, local(400, connClose), "  400 DPE"},
	{"no method", "\x16\x03\x01\x02\x00", local(400, connClose), "  400 DPE"},
	{"malformed after a good one", get + "GET /hello HTTP/1.1\r\n\r\n" + get, plain(200, "hello", "") + local(400, connClose), "GET /hello 200; GET  400 DPE"},
	{"length and coding", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get, local(400, connClose), "POST  400 DPE"},
	{"other version", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", local(505, connClose), "PRI  505 DPE"},
}

func TestConversations(t *testing.T) {
	ts := serve(t, nil)
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			ts.TB = t
			k := ts.dial()
			k.send(c.send)
			if got := k.rest(); got != c.want {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
			until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
			if got := ts.logged(); got != c.log {
				t.Errorf("log %q, want %q", got, c.log)
			}
		})
	}
	ts.TB = t
}

// The answers do not depend on how the requests arrive.
func TestConversationsCutAtEveryByte(t *testing.T) {
	const goOn = "HTTP/1.1 100 Continue\r\n\r\n"
	ts := serve(t, nil)
	for _, c := range conversations {
		t.Run(c.name, func(t *testing.T) {
			ts.TB = t
			for cut := 1; cut < len(c.send); cut++ {
				k := ts.dial()
				k.send(c.send[:cut])
				ts.settle()
				// The server may have ended the connection already.
				k.Write([]byte(c.send[cut:]))
				if got := strings.Replace(k.rest(), goOn, "", 1); got != c.want {
					t.Fatalf("cut at %d, behind %q:\n got %q\nwant %q", cut, c.send[:cut], got, c.want)
				}
			}
			until(t, ts.l, "closed", func() bool { return ts.srv.Connections() == 0 })
			want := strings.TrimSuffix(strings.Repeat(c.log+"; ", len(c.send)-1), "; ")
			if got := ts.logged(); got != want && c.name != "not answered" {
				t.Errorf("the log differs with the cut")
			}
		})
	}
	ts.TB = t
}

func TestHeadLimits(t *testing.T) {
	lim := Limits{Line: 60, Head: 200, Fields: 5}
	ts := serve(t, func(c *Config) { c.Limits = lim })
	long := strings.Repeat("x", 300)
	for i, c := range []struct{ send, want string }{
		{"GET /" + long[:100] + " HTTP/1.1\r\nHost: h\r\n\r\n", local(414, connClose)},
		{"GET /" + long + " HTTP/1.1\r\nHost: h\r\n\r\n", local(414, connClose)},
		{"GET /" + long, local(414, connClose)},
		{"GET /hello HTTP/1.1\r\nHost: h\r\nX: " + long + "\r\n\r\n", local(431, connClose)},
		{"GET /hello HTTP/1.1\r\nHost: h\r\nX: " + long, local(431, connClose)},
		{"GET /hello HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a: b\r\n", 5) + "\r\n", local(431, connClose)},
		{"GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + strings.Repeat("a: b\r\n", 3) + "\r\n", plain(200, "hello", connClose)},
	} {
		for cut := 0; cut < len(c.send); cut += 1 + cut/100 {
			k := ts.dial()
			k.send(c.send[:cut])
			ts.settle()
			k.Write([]byte(c.send[cut:] + get))
			if got := k.rest(); got != c.want {
				t.Errorf("%d, cut at %d:\n got %q\nwant %q", i, cut, got, c.want)
			}
		}
	}
}

func TestBodyThatIsNotRead(t *testing.T) {
	ts := serve(t, nil)
	// At hand: dropped, and the connection is kept.
	k := ts.dial()
	k.send("POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345" + "POST /hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + getClose)
	if got, want := k.rest(), plain(200, "hello", "")+plain(200, "hello", "")+plain(200, "hello", connClose); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	// Not at hand: answered at once, and what comes behind is never served.
	for _, head := range []string{
		"POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n123",
		"POST /hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12",
		"POST /hello HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nbad",
		"POST /hello HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n",
	} {
		k := ts.dial()
		k.send(head)
		want := plain(200, "hello", connClose)
		k.expect(want)
		k.Write([]byte(get))
		k.ended()
	}
	// One piece was taken, and it was all.
	k = ts.dial()
	k.send("POST /one-piece HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345" + getClose)
	if got, want := k.rest(), plain(200, "12345", "")+plain(200, "hello", connClose); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	until(t, ts.l, "all are over", func() bool { return ts.srv.Connections() == 0 })
	if got := strings.Count(ts.logged(), "200"); got != 3+4+2 {
		t.Errorf("%d requests were served", got)
	}
}

// A refused request is answered, although the client goes on sending for long.
func TestLingeringClose(t *testing.T) {
	ts := serve(t, nil)
	k := ts.dial()
	k.send("POST /echo HTTP/1.1\r\nHost: h\r\nHost: h\r\nContent-Length: 900000\r\n\r\n")
	for range 30 {
		k.Write(make([]byte, 10000))
	}
	if got, want := k.rest(), local(400, connClose); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// What it sends behind the answer is dropped, too.
	k = ts.dial()
	k.send("GET / HTTP/1.1\r\n\r\n")
	k.expect(local(400, connClose))
	for range 30 {
		k.send(string(make([]byte, 100000)))
	}
	k.ended()
}

func TestExpectContinue(t *testing.T) {
	ts := serve(t, nil)
	for _, framing := range []string{"Content-Length: 5\r\n\r\n*hello", "Transfer-Encoding: chunked\r\n\r\n*5\r\nhello\r\n0\r\n\r\n"} {
		k := ts.dial()
		head, body, _ := strings.Cut("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"+framing, "*")
		k.send(head)
		k.expect("HTTP/1.1 100 Continue\r\n\r\n")
		k.send(body + getClose)
		if got, want := k.rest(), plain(200, "hello", "")+plain(200, "hello", connClose); got != want {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
	}
	// A client that does not wait is not told.
	k := ts.dial()
	k.send("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
	if got, want := k.rest(), plain(200, "hello", connClose); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestMaxRequests(t *testing.T) {
	ts := serve(t, func(c *Config) { c.MaxRequests = 2 })
	k := ts.dial()
	k.send(get + get + get)
	if got, want := k.rest(), plain(200, "hello", "")+plain(200, "hello", connClose); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// More requests in one piece than one turn serves.
func TestLongPipeline(t *testing.T) {
	ts := serve(t, nil)
	const n = 3000
	k := ts.dial()
	sent := make(chan struct{})
	go func() { defer close(sent); k.send(strings.Repeat(get, n) + getClose) }()
	got := k.rest()
	<-sent
	if c := strings.Count(got, "HTTP/1.1 200 OK"); c != n+1 {
		t.Errorf("%d responses", c)
	}
}

func TestEachShowsConnections(t *testing.T) {
	ts := serve(t, nil)
	k := ts.dial()
	k.send(get)
	k.expect(plain(200, "hello", ""))
	ts.l.Do(func() {
		n := 0
		ts.srv.Each(func(c Connection) {
			n++
			if c.Busy || c.Requests != 1 || c.Remote.String() != k.LocalAddr().String() || c.Local.String() != fmt.Sprint(&ts.addr) {
				t.Errorf("%+v", c)
			}
		})
		if n != 1 || ts.srv.Connections() != 1 {
			t.Errorf("%d connections", n)
		}
	})
	k.Close()
}
