package hpack

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"
	"longmen/gateway/stream"
)

// A peer is x/net's decoder.
type peer struct {
	*xhpack.Decoder
	got strings.Builder
}

func newPeer(max uint32) *peer {
	p := new(peer)
	p.Decoder = xhpack.NewDecoder(4096, func(f xhpack.HeaderField) {
		fmt.Fprintf(&p.got, "%s: %s\n", f.Name, f.Value)
		if f.Sensitive {
			p.got.WriteString("^ sensitive\n")
		}
	})
	p.SetAllowedMaxDynamicTableSize(max)
	return p
}

func (p *peer) decode(t testing.TB, block []byte) string {
	t.Helper()
	p.got.Reset()
	if _, err := p.Write(block); err != nil {
		t.Fatalf("%x: %v", block, err)
	}
	if err := p.Close(); err != nil {
		t.Fatalf("%x: %v", block, err)
	}
	return p.got.String()
}

func headerOf(fields ...string) *stream.Header {
	h := new(stream.Header)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.AddString(name, value)
	}
	return h
}

func TestWhatRepeatsIsIndexed(t *testing.T) {
	var e Encoder
	p := newPeer(4096)
	h := headerOf("server: longmen", "content-type: text/html", "x-own: some value", "etag: \"1\"", "vary: accept")
	var sizes []int
	for range 4 {
		block := e.AppendHeader(e.AppendStatus(nil, 200), h, 0)
		sizes = append(sizes, len(block))
		if got, want := p.decode(t, block), ":status: 200\n"+lines(h); got != want {
			t.Fatalf("%s", got)
		}
	}
	if sizes[0] < 50 || sizes[2] != 6 || sizes[3] != 6 {
		t.Errorf("blocks of %d bytes", sizes)
	}
}

func TestWhatIsNeverIndexed(t *testing.T) {
	var e Encoder
	p := newPeer(4096)
	h := headerOf("authorization: Basic QQ==", "proxy-authorization: Basic QQ==", "cookie: a=1", "set-cookie: a=1", "x-secret: 1",
		"cookie: a=12345678901234567890", "content-length: 7", "x-request-id: 1", "x-long: "+strings.Repeat("v", 600))
	marked := new(stream.Header) // x-secret as its sender marked it
	for i := range h.Len() {
		name, value, _, _ := h.At(i)
		if marked.Add(string(name), value); string(name) == "x-secret" {
			marked.MarkSensitive()
		}
	}
	var want strings.Builder
	for i := range h.Len() {
		name, value, _, _ := h.At(i)
		fmt.Fprintf(&want, "%s: %s\n", name, value)
		if i < 5 {
			want.WriteString("^ sensitive\n")
		}
	}
	for range 3 {
		block := e.AppendPseudo(nil, stream.PseudoPath, []byte("/?q=1"))
		if got := p.decode(t, e.AppendHeader(block, marked, 0)); got != ":path: /?q=1\n"+want.String() {
			t.Fatalf("got\n%swant\n%s", got, want.String())
		}
	}
	if e.table.count() != 0 {
		t.Errorf("the table has\n%s", entries(&e.table))
	}
}

func TestFieldsThatAreLeftOut(t *testing.T) {
	var e Encoder
	h := headerOf("host: a", "accept: b", "x: c")
	h.RemoveAt(2)
	if got := newPeer(4096).decode(t, e.AppendHeader(nil, h, 1<<stream.Host)); got != "accept: b\n" {
		t.Errorf("%q", got)
	}
}

func TestPseudoHeaderFields(t *testing.T) {
	var e Encoder
	p := newPeer(4096)
	for range 3 {
		for _, x := range []struct {
			id          stream.Known
			name, value string
		}{
			{stream.PseudoMethod, ":method", "GET"}, {stream.PseudoMethod, ":method", "POST"}, {stream.PseudoMethod, ":method", "DELETE"},
			{stream.PseudoScheme, ":scheme", "http"}, {stream.PseudoScheme, ":scheme", "https"}, {stream.PseudoScheme, ":scheme", "ftp"},
			{stream.PseudoPath, ":path", "/"}, {stream.PseudoPath, ":path", "/a"}, {stream.PseudoPath, ":path", "/a?b"},
			{stream.PseudoAuthority, ":authority", "a.example:80"}, {stream.PseudoProtocol, ":protocol", "websocket"},
		} {
			if got := p.decode(t, e.AppendPseudo(nil, x.id, []byte(x.value))); got != x.name+": "+x.value+"\n" {
				t.Errorf("%q", got)
			}
		}
		for _, status := range []int{100, 200, 204, 206, 304, 400, 404, 500, 302, 503, 999} {
			if got := p.decode(t, e.AppendStatus(nil, status)); got != fmt.Sprintf(":status: %d\n", status) {
				t.Errorf("%q", got)
			}
		}
	}
}

func TestPeersTableSize(t *testing.T) {
	var e Encoder
	p := newPeer(4096)
	h := headerOf("server: longmen", "x-own: some value")
	send := func() []byte {
		t.Helper()
		block := e.AppendHeader(nil, h, 0)
		if got := p.decode(t, block); got != lines(h) {
			t.Fatalf("%x: %q", block, got)
		}
		return block
	}
	for range 3 {
		send()
	}
	for _, x := range []struct {
		max   uint32
		block string // what the next one begins with
	}{
		{4096, "\xbf\xbe"},         // as before: nothing to say
		{1 << 20, "\xbf\xbe"},      // no more than we use
		{50, "\x3f\x13"},           // room for one
		{0, "\x20\x0f"},            // for none
		{4096, "\x3f\xe1\x1f\x76"}, // all again
	} {
		e.SetMax(x.max)
		p.SetAllowedMaxDynamicTableSize(x.max)
		if block := send(); !bytes.HasPrefix(block, []byte(x.block)) {
			t.Errorf("%d: %x", x.max, block)
		}
		send()
	}
	// Down and up between two blocks: the peer is told of both.
	e.SetMax(0)
	e.SetMax(4096)
	if block := send(); !bytes.HasPrefix(block, []byte("\x20\x3f\xe1\x1f")) {
		t.Errorf("%x", block)
	}
}

func TestShed(t *testing.T) {
	var e Encoder
	p := newPeer(4096)
	h := headerOf("server: longmen", "x-own: some value")
	for i := range 20 {
		if got := p.decode(t, e.AppendHeader(nil, h, 0)); got != lines(h) {
			t.Fatalf("%q", got)
		}
		if i%5 == 4 {
			e.Shed()
			if e.index != nil || e.table.lines != nil || e.table.ring != nil {
				t.Error("memory is held")
			}
		}
	}
	e.Release()
	if got := newPeer(4096).decode(t, e.AppendHeader(nil, h, 0)); got != lines(h) {
		t.Errorf("a new connection: %q", got)
	}
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	var e Encoder
	h := headerOf("server: longmen", "content-type: text/html", "content-length: 1234", "set-cookie: a=b", "x-own: 1")
	churn := make([]*stream.Header, 300)
	for i := range churn {
		churn[i] = headerOf(fmt.Sprintf("x-own: %0*d", 20+i, i))
	}
	dst := make([]byte, 0, 4096)
	i := 0
	step := func() {
		dst = e.AppendHeader(e.AppendStatus(dst[:0], 200), h, 0)
		dst = e.AppendHeader(dst, churn[i/2%len(churn)], 0) // twice each: it goes into the table
		i++
	}
	for range 1000 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
