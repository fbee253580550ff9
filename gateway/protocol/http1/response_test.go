package http1

import (
	"fmt"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

func describeResponse(r *stream.Response, minor uint8, kind bodyKind) string {
	s := fmt.Sprintf("1.%d %d %q length=%d %s", minor, r.Status, r.Reason, r.Length, [...]string{"none", "fixed", "chunked", "close"}[kind])
	if r.Protocol != nil {
		s += " protocol=" + string(r.Protocol)
	}
	return s + "\n" + lines(&r.Header)
}

func TestResponseHeads(t *testing.T) {
	for _, c := range []struct{ method, head, want string }{
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "1.1 200 \"OK\" length=5 fixed\ncontent-length: 5\n"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "1.1 200 \"OK\" length=0 none\ncontent-length: 0\n"},
		{"GET", "HTTP/1.1 200\r\n\r\n", "1.1 200 \"\" length=-1 close\n"},
		{"GET", "HTTP/1.1 200 \r\n\r\n", "1.1 200 \"\" length=-1 close\n"},
		{"GET", "HTTP/1.1 404 Not \xe4 there\tis\r\nA: b\r\n\r\n", "1.1 404 \"Not \\xe4 there\\tis\" length=-1 close\na: b\n"},
		{"GET", "HTTP/1.0 200 OK\r\n\r\n", "1.0 200 \"OK\" length=-1 close\n"},
		{"GET", "HTTP/1.9 599 X\r\n\r\n", "1.1 599 \"X\" length=-1 close\n"},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1.1 200 \"OK\" length=-1 chunked\n"},
		// What has no body, whatever its fields say (RFC 9112 section 6.3).
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "1.1 200 \"OK\" length=5 none\ncontent-length: 5\n"},
		{"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1.1 200 \"OK\" length=-1 none\n"},
		{"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", "1.1 204 \"No Content\" length=5 none\ncontent-length: 5\n"},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "1.1 304 \"Not Modified\" length=5 none\ncontent-length: 5\n"},
		{"GET", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", "1.1 103 \"Early Hints\" length=-1 none\nlink: a\n"},
		// Hop-by-hop fields.
		{"GET", "HTTP/1.1 200 OK\r\nConnection: x-y, close\r\nX-Y: 1\r\nKeep-Alive: 5\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 1\r\n\r\n",
			"1.1 200 \"OK\" length=1 fixed\nset-cookie: a\nset-cookie: b\ncontent-length: 1\n"},
		{"GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "1.1 101 \"Switching Protocols\" length=-1 none protocol=websocket\n"},
		{"GET", "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\n", "1.1 200 \"OK\" length=1 fixed\ncontent-length: 1\n"},
	} {
		var r stream.Response
		var f framing
		minor, m := parseResponse(&r, []byte(c.head), &testLimits, &f)
		if m != nil {
			t.Errorf("%q is refused: %v", c.head, m)
			continue
		}
		if got := describeResponse(&r, minor, bodyOf(&r, &f, c.method == "HEAD")); got != c.want {
			t.Errorf("%q:\n got %q\nwant %q", c.head, got, c.want)
		}
	}
}

func TestRefusedResponses(t *testing.T) {
	for _, c := range []struct {
		head string
		want *Malformed
	}{
		{"\r\n\r\n", errStatusLine},
		{"HTTP/1.1\r\n\r\n", errStatusLine},
		{"HTTP/1.1 20\r\n\r\n", errStatusLine},
		{"HTTP/1.1 2000\r\n\r\n", errStatusLine},
		{"HTTP/1.1 099 X\r\n\r\n", errStatusLine},
		{"HTTP/1.1 2x0 X\r\n\r\n", errStatusLine},
		{"HTTP/1.1  200 X\r\n\r\n", errStatusLine},
		{"HTTP/1.1 200X\r\n\r\n", errStatusLine},
		{"HTTP/2.0 200 X\r\n\r\n", errStatusLine},
		{"HTTP/1.x 200 X\r\n\r\n", errStatusLine},
		{"http/1.1 200 X\r\n\r\n", errStatusLine},
		{"HTTP/1.1 200 a\x00b\r\n\r\n", errStatusLine},
		{"HTTP/1.1 200 a\rb\r\n\r\n", errStatusLine},
		{"HTTP/1.1 200 " + strings.Repeat("x", 9000) + "\r\n\r\n", errStatusLine},
		{"HTTP/1.1 200 X\n\r\n", errBareLF},
		{"HTTP/1.1 200 X\r\nA: b\n\r\n", errBareLF},
		{"HTTP/1.1 200 X\r\nA: b\r\n c\r\n\r\n", errFold},
		{"HTTP/1.1 200 X\r\nA : b\r\n\r\n", errFieldName},
		{"HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", errLengthTwice},
		{"HTTP/1.1 200 X\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", errLengthAndTE},
		{"HTTP/1.1 200 X\r\nTransfer-Encoding: gzip\r\n\r\n", errTE},
		{"HTTP/1.0 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", errTEVersion},
		{"HTTP/1.1 200 X\r\n" + strings.Repeat("a: b\r\n", 101) + "\r\n", errFieldsMany},
	} {
		var r stream.Response
		var f framing
		if _, m := parseResponse(&r, []byte(c.head), &testLimits, &f); m != c.want {
			t.Errorf("%.60q: got %v, want %v", c.head, m, c.want)
		}
	}
}
