package http1

import (
	"fmt"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

// decode gives text to a decoder in pieces: up to each cut, then all of it. It
// returns the data, what follows the body, the trailer, and the status of a
// refusal; whole is false when the body needs more.
func decode(text string, lim *Limits, cuts ...int) (data, rest string, trailer string, status int, whole bool) {
	var c chunks
	var h stream.Header
	var b strings.Builder
	used := 0
	for _, n := range append(cuts, len(text)) {
		for n >= used {
			drop, k, m := c.next([]byte(text[used:n]), &h, lim)
			if m != nil {
				return b.String(), "", "", m.Status, false
			}
			used += drop
			if c.state == chunkDone {
				return b.String(), text[used:], lines(&h), 0, true
			}
			if k == 0 {
				break
			}
			b.WriteString(text[used : used+k])
			used += k
			c.took(k)
		}
	}
	return b.String(), "", "", 0, false
}

// The result, as one string.
func decoded(text string, lim *Limits, cuts ...int) string {
	data, rest, trailer, status, whole := decode(text, lim, cuts...)
	if status != 0 {
		data = "" // how much of it was used up to then depends on the cuts
	}
	return fmt.Sprintf("%d %v data %q rest %q trailer %q", status, whole, data, rest, trailer)
}

func TestChunked(t *testing.T) {
	done := func(data, rest, trailer string) string {
		return fmt.Sprintf("0 true data %q rest %q trailer %q", data, rest, trailer)
	}
	more := func(data string) string { return fmt.Sprintf("0 false data %q rest \"\" trailer \"\"", data) }
	bad := func(status int) string { return fmt.Sprintf("%d false data \"\" rest \"\" trailer \"\"", status) }
	for _, c := range []struct{ text, want string }{
		{"0\r\n\r\n", done("", "", "")},
		{"5\r\nhello\r\n0\r\n\r\n", done("hello", "", "")},
		{"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET /", done("hello world", "GET /", "")},
		{"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", done("01234567890123456789", "", "")},
		{"005\r\nhello\r\n000\r\n\r\n", done("hello", "", "")},
		{"2\r\n\r\n\r\n0\r\n\r\n", done("\r\n", "", "")},
		// Extensions (RFC 9112 section 7.1.1).
		{"5;a=b\r\nhello\r\n0;c\r\n\r\n", done("hello", "", "")},
		{"5 ; a=\"b;c\"\r\nhello\r\n0\r\n\r\n", done("hello", "", "")},
		{"5;\r\nhello\r\n0\r\n\r\n", done("hello", "", "")},
		{"5;a\nb\r\nhello\r\n0\r\n\r\n", bad(400)},
		{"5;\x00\r\nhello\r\n0\r\n\r\n", bad(400)},
		{"5 \r\nhello\r\n0\r\n\r\n", bad(400)},
		{"5 x\r\nhello\r\n0\r\n\r\n", bad(400)},
		{"5;" + strings.Repeat("a", 5000) + "\r\nhello\r\n0\r\n\r\n", bad(400)},
		{strings.Repeat("1;"+strings.Repeat("a", 4000)+"\r\nx\r\n", 17) + "0\r\n\r\n", bad(400)},
		// Sizes.
		{"\r\nhello", bad(400)},
		{"x\r\n", bad(400)},
		{"-1\r\n", bad(400)},
		{"+1\r\nx\r\n", bad(400)},
		{"0x1\r\nx\r\n", bad(400)},
		{" 1\r\nx\r\n", bad(400)},
		{"1 1\r\n", bad(400)},
		{"5\nhello\r\n0\r\n\r\n", bad(400)},
		{"5\rhello\r\n", bad(400)},
		{"fffffffffffffff\r\nab", more("ab")},
		{"1000000000000000\r\n", bad(400)},
		{"10000000000000001\r\n", bad(400)},
		{"ffffffffffffffffffff\r\n", bad(400)},
		// The end of a chunk.
		{"5\r\nhelloX\r\n", bad(400)},
		{"5\r\nhello\n0\r\n\r\n", bad(400)},
		{"5\r\nhello\rX", bad(400)},
		{"5\r\nhello0\r\n\r\n", bad(400)},
		// Trailers.
		{"0\r\nA: b\r\nC:d\r\n\r\nrest", done("", "rest", "a: b\nc: d\n")},
		{"1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n", done("x", "", "x-sum: 1\n")},
		{"0\r\nContent-Length: 5\r\nHost: x\r\nCookie: c\r\nX: y\r\nAuthorization: z\r\n\r\n", done("", "", "x: y\n")},
		{"0\r\nTransfer-Encoding: chunked\r\nConnection: x\r\nX: y\r\nZ: 1\r\n\r\n", done("", "", "z: 1\n")},
		{"0\r\n\n", bad(400)},
		{"0\r\n\rX", bad(400)},
		{"0\r\nA b\r\n\r\n", bad(400)},
		{"0\r\nA: b\n\r\n", bad(400)},
		{"0\r\n A: b\r\n\r\n", bad(400)},
		{"0\r\nA: b\r\n c\r\n\r\n", bad(400)},
		{"0\r\n" + strings.Repeat("a: b\r\n", 101) + "\r\n", bad(431)},
		{"0\r\nA: " + strings.Repeat("x", 600) + "\r\n\r\n", bad(431)},
		// Not whole.
		{"", more("")}, {"5", more("")}, {"5\r\nhel", more("hel")}, {"5\r\nhello\r\n0\r\n", more("hello")}, {"0\r\nA: b\r\n", more("")},
	} {
		lim := Limits{Line: 100, Head: 500, Fields: 100}
		if strings.Count(c.text, "a: b") > 100 {
			lim.Head = 5000
		}
		if got := decoded(c.text, &lim); got != c.want {
			t.Errorf("%.80q:\n got %s\nwant %s", c.text, got, c.want)
		}
		step := 1 + len(c.text)/300
		for first := 0; first <= len(c.text); first += step {
			if got := decoded(c.text, &lim, first); got != c.want {
				t.Errorf("%.80q cut at %d:\n got %s\nwant %s", c.text, first, got, c.want)
			}
			for second := first; second <= len(c.text) && len(c.text) < 60; second++ {
				if got := decoded(c.text, &lim, first, second); got != c.want {
					t.Errorf("%.80q cut at %d and %d:\n got %s\nwant %s", c.text, first, second, got, c.want)
				}
			}
		}
		if len(c.text) < 10000 {
			var all []int
			for i := range c.text {
				all = append(all, i)
			}
			if got := decoded(c.text, &lim, all...); got != c.want {
				t.Errorf("%.80q byte by byte:\n got %s\nwant %s", c.text, got, c.want)
			}
		}
	}
}

// What was refused stays so, whatever the decoder is asked afterwards.
func TestChunkedErrorIsFinal(t *testing.T) {
	for _, text := range []string{"0\r\nA b\r\n\r\n", "x\r\n", "1\r\nxy\r\n", "0\r\n\n", "5;\x00\r\nhello\r\n0\r\n\r\n"} {
		var c chunks
		var h stream.Header
		p := []byte(text)
		var first *Malformed
		for range 4 {
			drop, n, m := c.next(p, &h, &testLimits)
			if first != nil && (m != first || drop != 0 || n != 0) {
				t.Errorf("%q: %v, then %d, %d, %v", text, first, drop, n, m)
			}
			first = m
			c.took(n)
			p = p[drop+n:]
			for range 2 {
				if m != nil {
					break
				}
				drop, n, m = c.next(p, &h, &testLimits)
				first = m
				c.took(n)
				p = p[drop+n:]
			}
		}
		if first == nil {
			t.Errorf("%q is not refused", text)
		}
	}
}

func BenchmarkChunked(b *testing.B) {
	body := []byte(strings.Repeat("400\r\n"+strings.Repeat("x", 1024)+"\r\n", 16) + "0\r\n\r\n")
	var h stream.Header
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var c chunks
		for p := body; ; {
			drop, n, m := c.next(p, &h, &testLimits)
			if m != nil {
				b.Fatal(m)
			}
			p = p[drop+n:]
			c.took(n)
			if c.state == chunkDone {
				break
			}
		}
	}
}
