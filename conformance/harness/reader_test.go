package harness

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestReaderAcceptsOnlyPlainMessages(t *testing.T) {
	const host = "Host: h\r\n"
	for _, c := range []struct {
		raw  string
		body string
		ok   bool
	}{
		{"GET / HTTP/1.1\r\n" + host + "\r\n", "", true},
		{"GET / HTTP/1.0\r\n\r\n", "", true},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\nab", "ab", true},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nB;x=\"y\"\r\n0123456789-\r\n0\r\nX: y\r\n\r\n", "a0123456789-", true},
		{"GET / HTTP/1.1\r\n\r\n", "", false},
		{"GET / HTTP/1.1\r\n" + host + host + "\r\n", "", false},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "", false},
		{"GET / HTTP/1.1\n" + host + "\r\n", "", false},
		{"GET / HTTP/1.1\r\n" + host + "\n", "", false},
		{"GET  / HTTP/1.1\r\n" + host + "\r\n", "", false},
		{"GET / HTTP/1.2\r\n" + host + "\r\n", "", false},
		{"GET / HTTP/1.1\r\n" + host + "X : y\r\n\r\n", "", false},
		{"GET / HTTP/1.1\r\n" + host + "X: y\r\n z\r\n\r\n", "", false},
		{"GET / HTTP/1.1\r\n" + host + "X: a\rb\r\n\r\n", "", false},
		{"GET / HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n", "", false},
		{"GET / HTTP/1.1\r\n" + host + "X: a\x0bb\r\n\r\n", "", false},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: +2\r\n\r\nab", "", false},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 2, 2\r\n\r\nab", "", false},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", "", false},
		{"POST / HTTP/1.1\r\n" + host + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nab", "", false},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "", false},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", false},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", "", false},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", "", false},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", "", false},
		{"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n", "", false},
	} {
		r := NewReader(strings.NewReader(c.raw))
		_, framing, err := r.RequestHead()
		var body bytes.Buffer
		if err == nil {
			_, _, err = r.Body(framing, &body)
		}
		var v *Violation
		if c.ok && (err != nil || body.String() != c.body) {
			t.Errorf("%q: body %q, %v", c.raw, body.String(), err)
		}
		if !c.ok && !errors.As(err, &v) {
			t.Errorf("%q: %v, want a violation", c.raw, err)
		}
		if c.ok {
			cutEverywhere(t, c.raw)
		}
	}
}

// cutEverywhere checks that no part of a message passes for the whole.
func cutEverywhere(t *testing.T, raw string) {
	t.Helper()
	for k := range len(raw) {
		r := NewReader(strings.NewReader(raw[:k]))
		_, framing, err := r.RequestHead()
		if err == nil {
			_, _, err = r.Body(framing, io.Discard)
		}
		want := io.ErrUnexpectedEOF
		if k == 0 {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", raw[:k], err, want)
		}
	}
}

func TestResponseFraming(t *testing.T) {
	for _, c := range []struct {
		raw, method string
		kind        Kind
		ok          bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "GET", Length, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD", None, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", Chunked, true},
		{"HTTP/1.1 200 \r\n\r\n", "GET", UntilClose, true},
		{"HTTP/1.1 204 No Content\r\n\r\n", "GET", None, true},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "GET", None, true},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "GET", None, false},
		{"HTTP/1.1 200\r\n\r\n", "GET", None, false},
		{"HTTP/1.1 20 OK\r\n\r\n", "GET", None, false},
		{"HTTP/2.0 200 OK\r\n\r\n", "GET", None, false},
	} {
		_, f, err := NewReader(strings.NewReader(c.raw)).ResponseHead(c.method)
		var v *Violation
		if c.ok && (err != nil || f.Kind != c.kind) || !c.ok && !errors.As(err, &v) {
			t.Errorf("%s of %q: %v, %v", c.method, c.raw, f, err)
		}
	}
}
