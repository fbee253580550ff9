package http2

import (
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/stream"
)

// What an origin of HTTP/1 might read as another request, or as another host's, does not
// get that far.
func TestNothingToSmuggle(t *testing.T) {
	ts := serve(t, func(c *Config) { c.Resets = Rate{} })
	rc := ts.dial(true)
	base := func(method, path string, fields ...string) []string {
		return append([]string{":method", method, ":scheme", "http", ":authority", "a", ":path", path}, fields...)
	}
	id := uint32(1)
	for _, fields := range [][]string{
		base("GET / HTTP/1.1\r\nx: y", "/"), base("GET\x00", "/"), base("GET ", "/"), base(":GET", "/"), base("", "/"),
		base("GET", "/ HTTP/1.1\r\nhost: b\r\n\r\nGET /"), base("GET", "/\x00"), base("GET", "/\t"), base("GET", "/\x7f"), base("GET", "/\xff"),
		base("GET", "http://b/"), base("GET", "//\n"), base("GET", "/#"), base("OPTIONS", "**"), base("POST", "*"),
		base("GET", "/", "x", "a\nb"), base("GET", "/", "x", "a\x00b"), base("GET", "/", "x", "a\rb"), base("GET", "/", "x", " a"), base("GET", "/", "x", "a\t"),
		base("GET", "/", "x y", "a"), base("GET", "/", "x:", "a"), base("GET", "/", "x\r\ny", "a"), base("GET", "/", "", "a"), base("GET", "/", "x\x00", "a"),
		base("GET", "/", "transfer-encoding", "chunked"), base("GET", "/", "transfer-encoding", ""), base("GET", "/", "te", "trailers, chunked"),
		base("GET", "/", "keep-alive", "1"), base("GET", "/", "proxy-connection", "close"), base("GET", "/", "http2-settings", "x", "upgrade", "h2c"),
		base("HEAD", "/", "content-length", "5"), base("GET", "/", "content-length", "0", "content-length", "1"), base("GET", "/", "content-length", "+0"),
		base("GET", "/", "content-length", "0, 0"), base("GET", "/", "content-length", ""), base("GET", "/", "content-length", "99999999999999999999"),
		base("GET", "/", "host", "b"), base("GET", "/", "host", "a", "host", "b"), base("GET", "/", "host", ""),
		{":method", "GET", ":scheme", "http", ":path", "/", "host", "a", "host", "b"},
		{":method", "GET", ":scheme", "http", ":path", "/"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", ""},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u:p@a"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a/b"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a?b"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a:99999"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a, b c"},
		{":method", "GET", ":scheme", "HTTP", ":path", "/", ":authority", "a"},
		{":method", "GET", ":scheme", "http\r\n", ":path", "/", ":authority", "a"},
		{":method", "CONNECT", ":authority", "a:80", ":scheme", "http"},
		{":method", "CONNECT", ":authority", "a@b:80"},
		{":method", "CONNECT", ":authority", ""},
	} {
		rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: rc.encode(fields...), EndStream: true, EndHeaders: true})
		if code := rc.reset(id); code != xhttp2.ErrCodeProtocol {
			t.Errorf("%q: %v", fields, code)
		}
		id += 2
	}
	rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true,
		BlockFragment: rc.encode(":method", "GET", ":scheme", "http", ":path", "/head", "host", "Example.com", "host", "example.COM", "content-length", "0", "content-length", "0")})
	if _, body, _ := rc.answer(id); !strings.HasPrefix(string(body), "GET http example.com example.com /head\n") || strings.Contains(string(body), "host") {
		t.Errorf("%q", body)
	}
}

// No octet beyond content-length is passed on, at whatever time it comes.
func TestContentBeyondItsLength(t *testing.T) {
	got := 0
	ts := serve(t, func(c *Config) {
		inner := c.Handle
		c.Handle = func(s *stream.Stream) (*stream.Response, error) {
			if string(s.Request.Path) != "/count" {
				return inner(s)
			}
			for {
				p, err := s.Request.Body.Next(s.Co)
				if got += len(p); err != nil {
					return nil, err
				}
				s.Co.Wait() // as an origin that takes its time: something else wakes it
			}
		}
	})
	rc := ts.dial(true)
	rc.request(1, false, "POST", "/count", "content-length", "5")
	rc.WriteData(1, false, []byte("hel"))
	until(t, ts.l, "the first piece is taken", func() bool { return got == 3 })
	rc.WriteData(1, true, []byte("loGET /admin HTTP/1.1\r\n\r\n"))
	if code := rc.reset(1); code != xhttp2.ErrCodeProtocol {
		t.Error(code)
	}
	if line := ts.lines(1)[0]; line != "POST /count 0 DPE" {
		t.Error(line)
	}
	if got != 3 {
		t.Errorf("%d octets of 3 were passed on", got)
	}
	for i, test := range []struct {
		trailers bool
		content  string
	}{{false, "four"}, {true, "four"}, {false, "sixsix"}, {true, "sixsix"}} {
		id := uint32(2*i + 3)
		rc.request(id, false, "POST", "/echo", "content-length", "5")
		rc.WriteData(id, !test.trailers, []byte(test.content))
		if test.trailers {
			rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true, BlockFragment: rc.encode("x", "y")})
		}
		if code := rc.reset(id); code != xhttp2.ErrCodeProtocol {
			t.Error(test, code)
		}
	}
}

// Of trailers, only those that cannot be taken for something else are passed on.
func TestTrailersThatAreNone(t *testing.T) {
	ts := serve(t, drink)
	rc := ts.dial(true)
	for i, fields := range [][]string{
		{":path", "/"}, {":status", "200"}, {"connection", "close"}, {"transfer-encoding", "chunked"}, {"x", "a\r\nb"}, {"X", "y"}, {"te", "trailers"}, {"upgrade", "x"},
	} {
		id := uint32(2*i + 1)
		rc.request(id, false, "POST", "/drink")
		rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, EndStream: true, EndHeaders: true, BlockFragment: rc.encode(fields...)})
		if code := rc.reset(id); code != xhttp2.ErrCodeProtocol {
			t.Error(fields, code)
		}
	}
	// Trailers that do not end the stream.
	rc.request(101, false, "POST", "/slow")
	rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 101, EndHeaders: true, BlockFragment: rc.encode("x", "y")})
	if code := rc.reset(101); code != xhttp2.ErrCodeProtocol {
		t.Error(code)
	}
}
