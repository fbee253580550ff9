package http1

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

func TestAppendRequest(t *testing.T) {
	for _, c := range []struct {
		name   string
		length int64
		fields string
		o      stream.Outgoing
		want   string
	}{
		{"plain", 0, "", stream.Outgoing{}, "GET /x HTTP/1.1\r\nhost: h\r\n\r\n"},
		{"own host and length", 5, "host: other\ncontent-length: 99\na: b\n", stream.Outgoing{}, "GET /x HTTP/1.1\r\nhost: h\r\na: b\r\ncontent-length: 5\r\n\r\n"},
		{"length 0 was said", 0, "content-length: 0\n", stream.Outgoing{}, "GET /x HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"},
		{"chunked", -1, "content-length: 99\n", stream.Outgoing{}, "GET /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"},
		{"upgrade", 0, "", stream.Outgoing{Upgrade: []byte("u")}, "GET /x HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: u\r\n\r\n"},
		{"expect", 1, "", stream.Outgoing{Expect: true}, "GET /x HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\nexpect: 100-continue\r\n\r\n"},
	} {
		var r stream.Request
		r.Method, r.Length = []byte("GET"), c.length
		addLines(&r.Header, c.fields)
		c.o.Path, c.o.Authority = []byte("/x"), []byte("h")
		out := appendRequest(nil, &r, &c.o)
		if string(out) != c.want || len(out) > requestSize(&r, &c.o) {
			t.Errorf("%s:\n got %q\nwant %q (size %d)", c.name, out, c.want, requestSize(&r, &c.o))
		}
	}
}

func addLines(h *stream.Header, text string) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		h.AddString(name, value)
	}
}

func TestAppendResponse(t *testing.T) {
	for _, c := range []struct {
		name           string
		status         int
		reason, fields string
		f              responseFraming
		want           string
	}{
		{"plain", 200, "", "a: b\n", responseFraming{length: 5}, "HTTP/1.1 200 OK\r\na: b\r\ndate: now\r\ncontent-length: 5\r\n\r\n"},
		{"own reason", 200, "Fine", "", responseFraming{length: 0}, "HTTP/1.1 200 Fine\r\ndate: now\r\ncontent-length: 0\r\n\r\n"},
		{"unknown status", 599, "", "", responseFraming{length: -1}, "HTTP/1.1 599 \r\ndate: now\r\n\r\n"},
		{"own date", 404, "", "date: then\n", responseFraming{length: -1, close: true}, "HTTP/1.1 404 Not Found\r\ndate: then\r\nconnection: close\r\n\r\n"},
		{"chunked", 200, "", "content-length: 7\n", responseFraming{length: 7, chunked: true}, "HTTP/1.1 200 OK\r\ndate: now\r\ntransfer-encoding: chunked\r\n\r\n"},
		{"until close", 200, "", "content-length: 7\n", responseFraming{length: -1, close: true, keep: true}, "HTTP/1.1 200 OK\r\ndate: now\r\nconnection: close\r\n\r\n"},
		{"kept", 200, "", "", responseFraming{length: 1, keep: true}, "HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\n"},
	} {
		var r stream.Response
		r.Status, r.Reason = c.status, []byte(c.reason)
		addLines(&r.Header, c.fields)
		out := appendResponse(nil, &r, c.f, []byte("now"))
		if string(out) != c.want || len(out) > responseSize(&r) {
			t.Errorf("%s:\n got %q\nwant %q (size %d)", c.name, out, c.want, responseSize(&r))
		}
	}
	var h stream.Header
	addLines(&h, "link: a\ncontent-length: 3\n")
	if got := string(appendInformational(nil, 103, &h)); got != "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

// What the encoder writes, the parser reads as the same message.
func TestRoundTripOfRandomHeads(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 4))
	text := func(from string, least, most int) string {
		b := make([]byte, least+rnd.IntN(most-least+1))
		for i := range b {
			b[i] = from[rnd.IntN(len(from))]
		}
		return string(b)
	}
	const token = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"
	names := []string{"accept", "cookie", "set-cookie", "te-x", "trailer", "via", "x-forwarded-for", "content-type", "server", "authorization"}
	for range 3000 {
		var r stream.Request
		var resp stream.Response
		for range rnd.IntN(12) {
			name := names[rnd.IntN(len(names))]
			if rnd.IntN(2) == 0 {
				name = "x" + text(token, 1, 20)
			}
			value := strings.TrimSpace(text(token+" \t\xe4\"(),/:;<=>?@[\\]{}", 0, 40))
			r.Header.AddString(name, value)
			resp.Header.AddString(name, value)
		}
		r.Method = []byte(text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1, 8) + "X")
		r.Length = int64(rnd.IntN(3)) - 1
		o := stream.Outgoing{Path: []byte("/" + text(token+"/?:@(),;=%", 0, 60)), Authority: []byte(text("abc.-019", 1, 20))}
		o.Path = bytes.ReplaceAll(o.Path, []byte("#"), []byte("%"))
		out := appendRequest(nil, &r, &o)
		got, _, m := request(string(out), &testLimits)
		if m != nil {
			t.Fatalf("%q is refused: %v", out, m)
		}
		path := string(got.Path)
		if got.HasQuery {
			path += "?" + string(got.Query)
		}
		if string(got.Method) != string(r.Method) || path != string(o.Path) || string(got.Authority) != string(o.Authority) || got.Length != r.Length ||
			without(&got.Header, stream.Host, stream.ContentLength) != lines(&r.Header) {
			t.Fatalf("%q came back as\n%s", out, describeRequest(got))
		}

		resp.Status, resp.Reason = 200+rnd.IntN(400), []byte(text(token+" ", 0, 20))
		f := responseFraming{length: int64(rnd.IntN(5)) - 1, chunked: rnd.IntN(3) == 0, close: rnd.IntN(2) == 0}
		head := appendResponse(nil, &resp, f, []byte("now"))
		var back stream.Response
		var seen framing
		if _, m := parseResponse(&back, head, &testLimits, &seen); m != nil {
			t.Fatalf("%q is refused: %v", head, m)
		}
		wanted := framing{length: f.length, chunked: f.chunked, te: f.chunked, close: f.close}
		if f.chunked {
			wanted.length = -1
		}
		if back.Status != resp.Status || len(resp.Reason) > 0 && string(back.Reason) != string(resp.Reason) || seen != wanted ||
			without(&back.Header, stream.Date, stream.ContentLength) != lines(&resp.Header) {
			t.Fatalf("%q came back as %d %q %+v\n%s", head, back.Status, back.Reason, seen, lines(&back.Header))
		}
	}
}

func TestAppendChunks(t *testing.T) {
	for n, want := range map[int]string{1: "1\r\n", 15: "f\r\n", 16: "10\r\n", 65536: "10000\r\n"} {
		if got := string(appendChunkSize(nil, n)); got != want || len(got) > chunkOverhead {
			t.Errorf("%d: %q", n, got)
		}
	}
	if got := string(appendLastChunk(nil, nil)); got != "0\r\n\r\n" {
		t.Errorf("%q", got)
	}
}
