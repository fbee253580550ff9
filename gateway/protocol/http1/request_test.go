package http1

import (
	"fmt"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

var testLimits = Limits{Line: 8 << 10, Head: 32 << 10, Fields: 100}

// lines writes a header as "name: value" lines.
func lines(h *stream.Header) string {
	var b strings.Builder
	for i := range h.Len() {
		if name, value, _, ok := h.At(i); ok {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return b.String()
}

// describeRequest tells what a request is, for comparisons.
func describeRequest(r *stream.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s|%s|%s", r.Method, r.Authority, r.Host, r.Path)
	if r.HasQuery {
		fmt.Fprintf(&b, "?%s", r.Query)
	}
	fmt.Fprintf(&b, " length=%d", r.Length)
	if r.Minor == 0 {
		b.WriteString(" minor=0")
	}
	if r.ExpectContinue {
		b.WriteString(" expect")
	}
	if r.Upgrade != nil {
		fmt.Fprintf(&b, " upgrade=%s", r.Upgrade)
	}
	b.WriteByte('\n')
	b.WriteString(lines(&r.Header))
	return b.String()
}

// request parses a head given as text.
func request(head string, lim *Limits) (*stream.Request, framing, *Malformed) {
	var r stream.Request
	var f framing
	m := parseRequest(&r, []byte(head), lim, &f)
	return &r, f, m
}

func TestRequestHeads(t *testing.T) {
	for _, c := range []struct{ head, want string }{
		// Targets (RFC 9112 section 3.2).
		{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET h|h|/ length=0\nhost: h\n"},
		{"GET /a/b?c=d?e HTTP/1.1\r\nHost: h\r\n\r\n", "GET h|h|/a/b?c=d?e length=0\nhost: h\n"},
		{"GET /? HTTP/1.1\r\nHost: h\r\n\r\n", "GET h|h|/? length=0\nhost: h\n"},
		{"GET //x HTTP/1.1\r\nHost: h\r\n\r\n", "GET h|h|//x length=0\nhost: h\n"},
		{"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS h|h|* length=0\nhost: h\n"},
		{"OPTIONS http://H:80 HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS h:80|h|* length=0\nhost: x\n"},
		{"OPTIONS http://h?q HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS h|h|/?q length=0\nhost: x\n"},
		{"GET http://A.b:81/c?d HTTP/1.1\r\nHost: x\r\n\r\n", "GET a.b:81|a.b|/c?d length=0\nhost: x\n"},
		{"GET HTTPS://a HTTP/1.1\r\nHost: x\r\n\r\n", "GET a|a|/ length=0\nhost: x\n"},
		{"GET http://a?b/c HTTP/1.1\r\nHost: x\r\n\r\n", "GET a|a|/?b/c length=0\nhost: x\n"},
		{"CONNECT H:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "CONNECT h:443|h| length=0\nhost: h:443\n"},
		{"CONNECT [::1]:443 HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT [::1]:443|[::1]| length=0\nhost: h\n"},
		// Hosts (RFC 3986 section 3.2.2).
		{"GET / HTTP/1.1\r\nHost: EXAMPLE.com.:8080\r\n\r\n", "GET example.com.:8080|example.com|/ length=0\nhost: example.com.:8080\n"},
		{"GET / HTTP/1.1\r\nHost: [2001:DB8::1]:8080\r\n\r\n", "GET [2001:db8::1]:8080|[2001:db8::1]|/ length=0\nhost: [2001:db8::1]:8080\n"},
		{"GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n", "GET [::ffff:1.2.3.4]|[::ffff:1.2.3.4]|/ length=0\nhost: [::ffff:1.2.3.4]\n"},
		{"GET / HTTP/1.1\r\nHost: h:\r\n\r\n", "GET h:|h|/ length=0\nhost: h:\n"},
		{"GET / HTTP/1.1\r\nHost: h:65535\r\n\r\n", "GET h:65535|h|/ length=0\nhost: h:65535\n"},
		{"GET / HTTP/1.1\r\nHost: \r\n\r\n", "GET ||/ length=0\nhost: \n"},
		{"GET / HTTP/1.1\r\nHost: a_b-c~d\r\n\r\n", "GET a_b-c~d|a_b-c~d|/ length=0\nhost: a_b-c~d\n"},
		// Versions.
		{"GET / HTTP/1.0\r\n\r\n", "GET ||/ length=0 minor=0\n"},
		{"GET / HTTP/1.7\r\nHost: h\r\n\r\n", "GET h|h|/ length=0\nhost: h\n"},
		// Methods are tokens, and case-sensitive.
		{"get / HTTP/1.1\r\nHost: h\r\n\r\n", "get h|h|/ length=0\nhost: h\n"},
		{"M-SEARCH! / HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH! h|h|/ length=0\nhost: h\n"},
		// Fields (RFC 9112 section 5).
		{"GET / HTTP/1.1\r\nHOST: h\r\nX-A:b\r\nx-a: \t c d \t \r\nX-E:\r\nX-B: \xff\xe4\r\n\r\n",
			"GET h|h|/ length=0\nhost: h\nx-a: b\nx-a: c d\nx-e: \nx-b: \xff\xe4\n"},
		{"GET / HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~09aZ: v:w\r\n\r\n", "GET h|h|/ length=0\nhost: h\n!#$%&'*+-.^_`|~09az: v:w\n"},
		// Lengths and codings (RFC 9112 section 6).
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "POST h|h|/ length=0\nhost: h\ncontent-length: 0\n"},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 007\r\n\r\n", "POST h|h|/ length=7\nhost: h\ncontent-length: 007\n"},
		{"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999999999999\r\n\r\n", "POST h|h|/ length=999999999999999999\nhost: h\ncontent-length: 999999999999999999\n"},
		{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n", "POST h|h|/ length=-1\nhost: h\n"},
		// Connection and what it names (RFC 9110 section 7.6.1).
		{"GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nConnection: x-a , ,X-B\r\nX-B: 2\r\nX-C: 3\r\n\r\n", "GET h|h|/ length=0\nhost: h\nx-c: 3\n"},
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-A: 1\r\nConnection: x-a\r\n\r\n", "GET h|h|/ length=0\nhost: h\n"},
		{"POST / HTTP/1.1\r\nConnection: host, content-length, authorization\r\nHost: h\r\nContent-Length: 1\r\nAuthorization: a\r\n\r\n",
			"POST h|h|/ length=1\nhost: h\ncontent-length: 1\nauthorization: a\n"},
		{"GET / HTTP/1.1\r\nHost: h\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nProxy-Authorization: x\r\nTE: trailers\r\nConnection: TE, keep-alive\r\n\r\n",
			"GET h|h|/ length=0\nhost: h\n"},
		// Upgrade counts only when Connection names it, and not in HTTP/1.0.
		{"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET h|h|/ length=0 upgrade=websocket\nhost: h\n"},
		{"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", "GET h|h|/ length=0\nhost: h\n"},
		{"GET / HTTP/1.0\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET h|h|/ length=0 minor=0\nhost: h\n"},
		// Expect.
		{"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", "PUT h|h|/ length=1 expect\nhost: h\ncontent-length: 1\n"},
		{"PUT / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", "PUT h|h|/ length=1 minor=0\nhost: h\ncontent-length: 1\n"},
	} {
		r, _, m := request(c.head, &testLimits)
		if m != nil {
			t.Errorf("%q is refused: %v", c.head, m)
			continue
		}
		if got := describeRequest(r); got != c.want {
			t.Errorf("%q:\n got %q\nwant %q", c.head, got, c.want)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	const g = "GET / HTTP/1.1\r\nHost: h\r\n"
	for _, c := range []struct {
		head string
		want *Malformed
	}{
		// Request lines.
		{"\r\n\r\n", errLine},
		{"GET\r\n\r\n", errLine},
		{"GET /\r\n\r\n", errLine},
		{" GET / HTTP/1.1\r\nHost: h\r\n\r\n", errLine},
		{"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", errLine},
		{"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", errVersion},
		{"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", errVersion},
		{"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", errMethod},
		{"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", errMethod},
		{"G\x00T / HTTP/1.1\r\nHost: h\r\n\r\n", errMethod},
		// Line ends.
		{"GET / HTTP/1.1\nHost: h\r\n\r\n", errBareLF},
		{"GET / HTTP/1.1\r\nHost: h\n\r\n", errBareLF},
		{"GET / HTTP/1.1\r\nHost: h\r\n\n", errBareLF},
		{"GET / HTTP/1.1\r\rHost: h\r\n\r\n", errVersion},
		{g + "X: a\rb\r\n\r\n", errFieldValue},
		{g + "X: a\r\r\n\r\n", errFieldValue},
		{g + "\rX: a\r\n\r\n", errBareLF},
		{"\n\n", errBareLF},
		// Versions.
		{"GET / HTTP/2.0\r\nHost: h\r\n\r\n", errVersionOther},
		{"GET / HTTP/0.9\r\nHost: h\r\n\r\n", errVersionOther},
		{"GET / HTTP/1.10\r\nHost: h\r\n\r\n", errVersion},
		{"GET / HTTP/11\r\nHost: h\r\n\r\n", errVersion},
		{"GET / http/1.1\r\nHost: h\r\n\r\n", errVersion},
		{"GET / HTTP/1.x\r\nHost: h\r\n\r\n", errVersion},
		{"GET / ICE/1.11\r\nHost: h\r\n\r\n", errVersion},
		// Targets.
		{"GET a HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"GET * HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"GET /# HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"GET /\xe4 HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"GET /\t HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"GET http:// HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"GET http:///x HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", errHost},
		{"GET http://u:p@h/ HTTP/1.1\r\nHost: h\r\n\r\n", errHost},
		{"GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n", errTarget},
		{"CONNECT h HTTP/1.1\r\nHost: h\r\n\r\n", errConnectTarget},
		{"CONNECT h: HTTP/1.1\r\nHost: h\r\n\r\n", errConnectTarget},
		{"CONNECT /x HTTP/1.1\r\nHost: h\r\n\r\n", errConnectTarget},
		{"CONNECT http://h:1/ HTTP/1.1\r\nHost: h\r\n\r\n", errConnectTarget},
		// Hosts.
		{"GET / HTTP/1.1\r\n\r\n", errNoHost},
		{"GET http://h/ HTTP/1.1\r\n\r\n", errNoHost},
		{g + "Host: h\r\n\r\n", errHostTwice},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: a%41\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: []\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: h\xe4\r\n\r\n", errHost},
		{"GET / HTTP/1.1\r\nHost: " + strings.Repeat("a", 300) + "\r\n\r\n", errHost},
		{"GET http://h/ HTTP/1.1\r\nHost: a/b\r\n\r\n", errHost},
		{"CONNECT h:1 HTTP/1.1\r\nHost: a b\r\n\r\n", errHost},
		// Fields.
		{g + " X: a\r\n\r\n", errFold},
		{g + "X: a\r\n b\r\n\r\n", errFold},
		{g + "X: a\r\n\tb\r\n\r\n", errFold},
		{"GET / HTTP/1.1\r\n Host: h\r\n\r\n", errFold},
		{g + "X : a\r\n\r\n", errFieldName},
		{g + ": a\r\n\r\n", errFieldName},
		{g + "X\r\n\r\n", errFieldName},
		{g + "X\x00: a\r\n\r\n", errFieldName},
		{g + "X\xe4: a\r\n\r\n", errFieldName},
		{g + "X(: a\r\n\r\n", errFieldName},
		{g + "X: a\x00b\r\n\r\n", errFieldValue},
		{g + "X: long enough for words \x01 and more of them\r\n\r\n", errFieldValue},
		{g + "X: \x7f\r\n\r\n", errFieldValue},
		{g + "X: 12345678\x1f\r\n\r\n", errFieldValue},
		// Lengths and codings.
		{g + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", errLengthTwice},
		{g + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", errLengthTwice},
		{g + "Content-Length: 1, 1\r\n\r\n", errLength},
		{g + "Content-Length: +1\r\n\r\n", errLength},
		{g + "Content-Length: -1\r\n\r\n", errLength},
		{g + "Content-Length: 0x1\r\n\r\n", errLength},
		{g + "Content-Length: 1 2\r\n\r\n", errLength},
		{g + "Content-Length:\r\n\r\n", errLength},
		{g + "Content-Length: 9223372036854775808\r\n\r\n", errLength},
		{g + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", errLengthAndTE},
		{g + "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", errLengthAndTE},
		{g + "Transfer-Encoding: gzip, chunked\r\n\r\n", errTE},
		{g + "Transfer-Encoding: chunked, identity\r\n\r\n", errTE},
		{g + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", errTE},
		{g + "Transfer-Encoding: identity\r\n\r\n", errTE},
		{g + "Transfer-Encoding: \r\n\r\n", errTE},
		{g + "Transfer-Encoding: xchunked\r\n\r\n", errTE},
		{g + "Transfer-Encoding: \x0bchunked\r\n\r\n", errFieldValue},
		{g + "Transfer-Encoding: chunked;q=1\r\n\r\n", errTE},
		{"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", errTEVersion},
		{g + "Expect: something\r\n\r\n", errExpect},
	} {
		_, _, m := request(c.head, &testLimits)
		if m != c.want {
			t.Errorf("%q: got %v, want %v", c.head, m, c.want)
		}
	}
}

func TestRequestLimits(t *testing.T) {
	lim := Limits{Line: 40, Head: 200, Fields: 3}
	line := func(n int) string { // a request line of n bytes with its CR LF
		return "GET /" + strings.Repeat("x", n-len("GET / HTTP/1.1\r\n")) + " HTTP/1.1\r\n"
	}
	for _, c := range []struct {
		head string
		want *Malformed
	}{
		{line(40) + "Host: h\r\n\r\n", nil},
		{line(41) + "Host: h\r\n\r\n", nil}, // 40 bytes and LF
		{line(42) + "Host: h\r\n\r\n", errLineLong},
		{line(20) + "Host: h\r\na: b\r\nc: d\r\n\r\n", nil},
		{line(20) + "Host: h\r\na: b\r\nc: d\r\ne: f\r\n\r\n", errFieldsMany},
		{line(20) + "Host: h\r\nConnection: a\r\nConnection: a\r\nConnection: a\r\n\r\n", errFieldsMany},
	} {
		if _, _, m := request(c.head, &lim); m != c.want {
			t.Errorf("%q: got %v, want %v", c.head, m, c.want)
		}
	}
}

func TestConnectionOptions(t *testing.T) {
	for _, c := range []struct {
		fields string
		want   framing
	}{
		{"", framing{}},
		{"Connection: close\r\n", framing{close: true}},
		{"Connection: Keep-Alive\r\n", framing{keepAlive: true}},
		{"Connection: keep-alive,close\r\n", framing{keepAlive: true, close: true}},
		{"Connection: \t CLOSE \t,\r\n", framing{close: true}},
		{"Connection: upgrade\r\nConnection: x\r\n", framing{upgrade: true, nominated: true}},
		{"Connection: te\r\nTE: trailers;q=1, Trailers\r\n", framing{trailers: true}},
		{"TE: deflate\r\n", framing{}},
		{"Connection: closed\r\n", framing{nominated: true}},
		{"Connection: \r\n", framing{}},
	} {
		_, f, m := request("GET / HTTP/1.1\r\nHost: h\r\n"+c.fields+"\r\n", &testLimits)
		c.want.hosts, c.want.length = 1, -1
		if m != nil || f != c.want {
			t.Errorf("%q: %+v, %v, want %+v", c.fields, f, m, c.want)
		}
	}
}

// The end of a head is found at the same place however it arrives.
func TestHeadEndHoweverItIsCut(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"GET / HTTP/1.1\r\nA: b\r\n\r\nrest", 24},
		{"GET / HTTP/1.1\r\n\r\n", 18},
		{"a\n\nrest", 3}, {"a\r\n\n\n", 4}, {"a\n\r\n", 4},
		{"a\r\n\r", 0}, {"a\r\n", 0}, {"a\r\nb\r\n", 0}, {"a\n\rb\n", 0}, {"", 0}, {"\r", 0},
	} {
		p := []byte(c.text)
		for first := range len(p) + 1 {
			for second := first; second <= len(p); second++ {
				end, scanned := 0, 0
				for _, n := range []int{first, second, len(p)} {
					if end, scanned = headEnd(p[:n], scanned); end > 0 {
						break
					}
				}
				if end != c.want {
					t.Errorf("%q cut at %d and %d: end %d, want %d", c.text, first, second, end, c.want)
				}
			}
		}
	}
}

func TestHasControl(t *testing.T) {
	for at := range 20 {
		for b := range 256 {
			p := []byte("12345678901234567890")
			p[at] = byte(b)
			if got, want := hasControl(p), b < 0x20 && b != '\t' || b == 0x7f; got != want {
				t.Fatalf("%q: %v", p, got)
			}
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	head := []byte("GET /path/to/something?with=a&query=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef\r\nConnection: keep-alive\r\n\r\n")
	var r stream.Request
	var f framing
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	for b.Loop() {
		f = framing{}
		if m := parseRequest(&r, head, &testLimits, &f); m != nil {
			b.Fatal(m)
		}
	}
}
