package http1

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

func TestRequestBodies(t *testing.T) {
	e := listen(t)
	big := strings.Repeat("0123456789", 300000)
	for _, c := range []struct {
		name    string
		prepare func(x *exchange)
		head    string
		body    string
		trailer string
	}{
		{"at hand", func(x *exchange) { x.s.Request.Length, x.send = 5, []byte("hello") }, "content-length: 5\r\n", "hello", ""},
		{"fixed", func(x *exchange) { x.s.Request.Length, x.s.Request.Body = 5, stream.NewBytes([]byte("hello")) }, "content-length: 5\r\n", "hello", ""},
		{"big", func(x *exchange) {
			x.s.Request.Length, x.s.Request.Body = int64(len(big)), &pieces{n: 300, piece: []byte(big[:10000])}
		}, "content-length: 3000000\r\n", big, ""},
		{"chunked", func(x *exchange) {
			b := &pieces{n: 3, piece: []byte("piece"), wait: true}
			b.trailer.AddString("x-sum", "1")
			x.s.Request.Length, x.s.Request.Body = -1, b
		}, "transfer-encoding: chunked\r\n", "piecepiecepiece", "1"},
		{"big chunked", func(x *exchange) {
			x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 300, piece: []byte(big[:10000])}
		}, "transfer-encoding: chunked\r\n", big, ""},
		{"empty pieces", func(x *exchange) {
			x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 3, piece: []byte("piece"), empty: true}
		}, "transfer-encoding: chunked\r\n", "piecepiecepiece", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.TB = t
			o := e.dial()
			x := o.begin("POST", c.prepare)
			e.settle() // a big body has filled the socket by now
			in := bufio.NewReader(o.peer)
			r, err := http.ReadRequest(in)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != c.body || r.Trailer.Get("x-sum") != c.trailer {
				t.Errorf("%d bytes, trailer %q, %v", len(body), r.Trailer.Get("x-sum"), err)
			}
			if chunked := len(r.TransferEncoding) > 0; chunked != strings.Contains(c.head, "chunked") {
				t.Errorf("chunked is %v", chunked)
			}
			io.WriteString(o.peer, ok5)
			if got := x.wait(); got != responses[0].want {
				t.Error(got)
			}
		})
	}
	e.TB = t
}

// The endpoint answers and goes while the request's body is sent.
func TestEndpointGoneWithinTheRequest(t *testing.T) {
	e := listen(t)
	o := e.dial()
	x := o.begin("POST", func(x *exchange) {
		x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 1 << 30, piece: bigPiece}
	})
	o.head()
	o.peer.SetLinger(0)
	o.peer.Close()
	if got := x.wait(); got != "error UC request-body" {
		t.Error(got)
	}
	if err := stream.AsError(x.err); !err.Sent || err.Side != stream.Upstream {
		t.Errorf("%+v", err)
	}
}

// A failing request body is the request's failure, and the connection's end.
func TestRequestBodyFails(t *testing.T) {
	e := listen(t)
	o := e.dial()
	cause := &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestBody, Flag: stream.DownstreamConnectionEnd, Cause: errors.New("x")}
	x := o.begin("POST", func(x *exchange) {
		x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 2, piece: []byte("x"), err: cause}
	})
	if got := x.wait(); got != "error DC request-body" || x.err != error(cause) {
		t.Error(got, x.err)
	}
}

// What waits for the endpoint ends when its stream, or this try, is given up.
func TestGivingUp(t *testing.T) {
	e := listen(t)
	late := &stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamTimeout, Status: 504, Cause: errors.New("late")}
	for name, end := range map[string]func(x *exchange){
		"abort": func(x *exchange) { x.s.Abort(late) },
		"fail":  func(x *exchange) { x.o.Fail(late) },
	} {
		for _, text := range []string{"", "HTTP/1.1 200 OK\r\nConte", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"} {
			o := e.dial()
			x := o.begin("GET", nil)
			o.head()
			io.WriteString(o.peer, text)
			e.settle()
			e.l.Do(func() { end(x) })
			if got := x.wait(); !strings.HasSuffix(got, "error UT response-head") || x.err != error(late) {
				t.Errorf("%s after %q: %s", name, text, got)
			}
			o.close()
		}
		// In the middle of a body that the endpoint does not take.
		o := e.dial()
		x := o.begin("POST", func(x *exchange) {
			x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 1 << 30, piece: bigPiece}
		})
		o.head()
		until(t, e.l, "the socket is full", func() bool { return o.writer != nil })
		e.l.Do(func() { end(x) })
		if got := x.wait(); got != "error UT response-head" {
			t.Errorf("%s: %s", name, got)
		}
		o.close()
	}
}
