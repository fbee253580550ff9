package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

// cutHead finds the head of p, of which the first n bytes come alone.
func cutHead(p []byte, n int) int {
	end, scanned := headEnd(p[:n], 0)
	if end == 0 {
		end, _ = headEnd(p, scanned)
	}
	return end
}

// head returns the head that text begins with, nil when there is none, and
// fails when that depends on how text is cut.
func fuzzedHead(t *testing.T, text []byte, cut uint) []byte {
	end, _ := headEnd(text, 0)
	if got := cutHead(text, int(cut%uint(len(text)+1))); got != end {
		t.Fatalf("the head ends at %d, cut at %d it ends at %d", end, cut, got)
	}
	return text[:end]
}

// without are the lines of h but for those fields.
func without(h *stream.Header, ids ...stream.Known) string {
	var b strings.Builder
	for i := range h.Len() {
		name, value, id, ok := h.At(i)
		for _, other := range ids {
			ok = ok && id != other
		}
		if ok {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return b.String()
}

// framings counts the fields of an encoded head that frame a body.
func framings(head []byte) (n int) {
	for _, line := range strings.Split(string(head), "\r\n")[1:] {
		if strings.HasPrefix(line, "content-length:") || strings.HasPrefix(line, "transfer-encoding:") {
			n++
		}
	}
	return n
}

// What is accepted goes out as one request that means the same.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"), uint(20))
	f.Fuzz(func(t *testing.T, text []byte, cut uint) {
		head := fuzzedHead(t, text, cut)
		var r stream.Request
		var fr framing
		if len(head) == 0 || parseRequest(&r, head, &testLimits, &fr) != nil {
			return
		}
		o := stream.Outgoing{Authority: r.Authority, Upgrade: r.Upgrade, Expect: r.ExpectContinue}
		o.Path = append(o.Path, r.Path...)
		if r.HasQuery {
			o.Path = append(append(o.Path, '?'), r.Query...)
		}
		if string(r.Method) == "CONNECT" {
			o.Path = r.Authority
		}
		out := appendRequest(nil, &r, &o)
		if len(out) > requestSize(&r, &o) {
			t.Fatalf("%d bytes, requestSize said %d", len(out), requestSize(&r, &o))
		}
		if end, _ := headEnd(out, 0); end != len(out) {
			t.Fatalf("%q is more than one head", out)
		}
		var r2 stream.Request
		var f2 framing
		if m := parseRequest(&r2, out, &Limits{1 << 20, 1 << 20, 1 << 10}, &f2); m != nil {
			t.Fatalf("%q is refused: %v", out, m)
		}
		want, got := &r, &r2
		a := fmt.Sprintf("%s %s|%s|%s?%s %v %d %v %q", want.Method, want.Authority, want.Host, want.Path, want.Query, want.HasQuery, want.Length, want.ExpectContinue, want.Upgrade)
		b := fmt.Sprintf("%s %s|%s|%s?%s %v %d %v %q", got.Method, got.Authority, got.Host, got.Path, got.Query, got.HasQuery, got.Length, got.ExpectContinue, got.Upgrade)
		if a != b {
			t.Fatalf("%q went out as %q:\n%s\n%s", head, out, a, b)
		}
		if x, y := without(&want.Header, stream.Host, stream.ContentLength), without(&got.Header, stream.Host, stream.ContentLength); x != y {
			t.Fatalf("%q went out as %q:\n%s\n%s", head, out, x, y)
		}
		n, wanted := framings(out), 0
		if r.Length != 0 || r.Header.HasKnown(stream.ContentLength) {
			wanted = 1
		}
		if n != wanted {
			t.Fatalf("%q has %d framings, want %d", out, n, wanted)
		}
		// An independent parser, where it takes it too, sees the same framing.
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err == nil && theirs.ContentLength != r.Length {
			t.Fatalf("%q: length %d, net/http says %d", head, r.Length, theirs.ContentLength)
		}
	})
}

// What is accepted of an endpoint goes to the client as one response.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), uint(20), false)
	f.Fuzz(func(t *testing.T, text []byte, cut uint, isHead bool) {
		head := fuzzedHead(t, text, cut)
		var r stream.Response
		var fr framing
		if len(head) == 0 {
			return
		}
		if _, m := parseResponse(&r, head, &testLimits, &fr); m != nil {
			return
		}
		kind := bodyOf(&r, &fr, isHead)
		var out []byte
		if r.Status < 200 {
			out = appendInformational(nil, r.Status, &r.Header)
		} else {
			out = appendResponse(nil, &r, responseFraming{length: r.Length, chunked: kind == chunkedBody || kind == untilClose}, []byte("now"))
		}
		if len(out) > responseSize(&r) {
			t.Fatalf("%d bytes, responseSize said %d", len(out), responseSize(&r))
		}
		if end, _ := headEnd(out, 0); end != len(out) {
			t.Fatalf("%q is more than one head", out)
		}
		var r2 stream.Response
		var f2 framing
		if _, m := parseResponse(&r2, out, &Limits{1 << 20, 1 << 20, 1 << 10}, &f2); m != nil {
			t.Fatalf("%q is refused: %v", out, m)
		}
		if r2.Status != r.Status || r.Status >= 200 && len(r.Reason) > 0 && !bytes.Equal(r2.Reason, r.Reason) {
			t.Fatalf("%q went out as %q", head, out)
		}
		if x, y := without(&r.Header, stream.ContentLength, stream.Date), without(&r2.Header, stream.ContentLength, stream.Date); x != y {
			t.Fatalf("%q went out as %q:\n%s\n%s", head, out, x, y)
		}
		kind2 := bodyOf(&r2, &f2, isHead)
		if kind == untilClose {
			kind = chunkedBody
		}
		if kind2 != kind || kind == fixedBody && r2.Length != r.Length || framings(out) > 1 {
			t.Fatalf("%q (body %d) went out as %q (body %d)", head, kind, out, kind2)
		}
	})
}

// A chunked body means the same however it is cut, and after it is encoded anew.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nrest"), uint(3), uint(9))
	f.Fuzz(func(t *testing.T, text []byte, first, second uint) {
		s := string(text)
		a, b := int(first%uint(len(s)+1)), int(second%uint(len(s)+1))
		a, b = min(a, b), max(a, b)
		whole := decoded(s, &testLimits)
		if cut := decoded(s, &testLimits, a, b); cut != whole && !bothRefused(whole, cut) {
			t.Fatalf("%q cut at %d and %d: %s\nwhole: %s", s, a, b, cut, whole)
		}
		data, _, trailer, _, ok := decode(s, &testLimits)
		if !ok {
			return
		}
		var out []byte
		for p := data; len(p) > 0; {
			n := min(len(p), 1+a)
			out = append(append(appendChunkSize(out, n), p[:n]...), '\r', '\n')
			p = p[n:]
		}
		var h stream.Header
		for line := range strings.Lines(trailer) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			h.AddString(name, value)
		}
		out = appendLastChunk(out, &h)
		data2, rest, trailer2, status, ok := decode(string(out), &testLimits)
		if !ok || data2 != data || trailer2 != trailer || rest != "" {
			t.Fatalf("%q went out as %q: %q, %q, rest %q, status %d", s, out, data2, trailer2, rest, status)
		}
	})
}

// bothRefused: which of several faults is found first may depend on the cut.
func bothRefused(a, b string) bool {
	return a[0] == '4' && b[0] == '4'
}
