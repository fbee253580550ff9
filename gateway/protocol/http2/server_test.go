package http2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// client is Go's client to the server.
func (ts *testServer) client() *http.Client {
	t := &http.Transport{Protocols: new(http.Protocols)}
	t.Protocols.SetUnencryptedHTTP2(true)
	ts.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: patience}
}

func TestServesGosClient(t *testing.T) {
	ts := serve(t, nil)
	client := ts.client()
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			n := []int{0, 1, 100, 16383, 16384, 16385, 65535, 65536, 300_000}[i%9]
			resp, err := client.Get(fmt.Sprintf("http://%s/size/%d", ts.addr, n))
			if err != nil {
				t.Error(err)
				return
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(body, text(n)) || resp.StatusCode != 200 {
				t.Errorf("GET of %d: status %d, %d bytes, %v", n, resp.StatusCode, len(body), err)
			}
			req, _ := http.NewRequest("POST", "http://"+ts.addr+"/echo", io.MultiReader(bytes.NewReader(text(n)), strings.NewReader("end")))
			req.Trailer = http.Header{"X-Sum": nil}
			req.Body = struct {
				io.Reader
				io.Closer
			}{req.Body, io.NopCloser(nil)}
			if resp, err = client.Do(req); err != nil {
				t.Error(err)
				return
			}
			if body, err = io.ReadAll(resp.Body); err != nil || string(body) != string(text(n))+"end" {
				t.Errorf("POST of %d: status %d, %d bytes, %v", n, resp.StatusCode, len(body), err)
			}
		})
	}
	group.Wait()
	for _, line := range ts.lines(80) {
		if !strings.HasSuffix(line, " 200") {
			t.Error(line)
		}
	}
}

func TestRequestAsTheHandlerSeesIt(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	rc.request(1, true, "GET", "/head?q=1", "cookie", "a=1", "x-one", "1", "te", "trailers", "cookie", "b=2", "proxy-authorization", "secret")
	_, body, _ := rc.answer(1)
	want := "GET http example.com example.com /head?q=1\ncookie: a=1; b=2\nx-one: 1\n"
	if string(body) != want {
		t.Errorf("got %q, want %q", body, want)
	}
}

func TestAnswers(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	for i, test := range []struct{ method, path, status, body, trailer string }{
		{"GET", "/size/3", "200", string(text(3)), ""},
		{"HEAD", "/size/3", "200", "", ""},
		{"GET", "/nothing", "404", "404\n", ""},
		{"GET", "/hints", "204", "", ""},
		{"GET", "/trailers", "200", "body", "grpc-status: 0\n"},
		{"GET", "/echo", "200", "", ""},
	} {
		id := uint32(2*i + 1)
		rc.request(id, true, test.method, test.path)
		status, body, trailer := rc.answer(id)
		if status != test.status || string(body) != test.body || trailer != test.trailer {
			t.Errorf("%s %s: %s %q %q", test.method, test.path, status, body, trailer)
		}
	}
}

// What a client gets wrong on one stream resets that stream, and the next one is
// served.
func TestMalformedRequests(t *testing.T) {
	ts := serve(t, func(cfg *Config) { cfg.ExtendedConnect = false })
	rc := ts.dial(true)
	id := uint32(1)
	for _, fields := range [][]string{
		{":method", "GET", ":scheme", "http", ":authority", "a"},
		{":method", "GET", ":path", "/", ":authority", "a"},
		{":scheme", "http", ":path", "/", ":authority", "a"},
		{":method", "GET", ":scheme", "http", ":path", "", ":authority", "a"},
		{":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a"},
		{":method", "GET", ":scheme", "http", ":path", "x", ":authority", "a"},
		{":method", "GET", ":scheme", "http", ":path", "/ x", ":authority", "a"},
		{":method", "GET", ":scheme", "http", ":path", "/#x", ":authority", "a"},
		{":method", "GET", ":scheme", "http", ":path", "*", ":authority", "a"},
		{":method", "G ET", ":scheme", "http", ":path", "/", ":authority", "a"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a b"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a@b"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "host", "b"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", ":status", "200"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "connection", "close"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "transfer-encoding", "chunked"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "upgrade", "x"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "te", "gzip"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "content-length", "1"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "content-length", "x"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "Upper", "x"},
		{":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a", "x", "a\r\nb"},
		{":method", "GET", "x", "1", ":scheme", "http", ":path", "/", ":authority", "a"},
		{":method", "GET", ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"},
		{":method", "CONNECT", ":authority", "a"},
		{":method", "CONNECT", ":authority", "a:1", ":path", "/"},
		{":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a"},
		{":method", "GET", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "a"},
	} {
		rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: rc.encode(fields...), EndStream: true, EndHeaders: true})
		if code := rc.reset(id); code != xhttp2.ErrCodeProtocol {
			t.Errorf("%v: %v", fields, code)
		}
		id += 2
	}
	rc.request(id, true, "GET", "/size/1")
	if status, _, _ := rc.answer(id); status != "200" {
		t.Error(status)
	}
}

func TestLimitsAreAnswered(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	rc.request(1, true, "GET", "/"+strings.Repeat("x", 5000))
	if status, _, _ := rc.answer(1); status != "414" {
		t.Error(status)
	}
	var many []string
	for i := range 101 {
		many = append(many, fmt.Sprint("x-", i), "1")
	}
	rc.request(3, true, "GET", "/size/1", many...)
	if status, _, _ := rc.answer(3); status != "431" {
		t.Error(status)
	}
	rc.request(5, true, "GET", "/size/1", "expect", "miracle")
	if status, _, _ := rc.answer(5); status != "417" {
		t.Error(status)
	}
	rc.request(7, true, "GET", "/panic")
	if status, _, _ := rc.answer(7); status != "500" {
		t.Error(status)
	}
	rc.request(9, true, "GET", "/size/1")
	if status, _, _ := rc.answer(9); status != "200" {
		t.Error(status)
	}
}

// A response waits for the windows of its stream and of the connection, and a
// stream without window does not hold up another.
func TestWindows(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(false)
	rc.greet(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 10})
	rc.request(1, true, "GET", "/size/25")
	got := 0
	data := func(id uint32, n int) {
		t.Helper()
		got = 0
		rc.until(func(f xhttp2.Frame) bool {
			if d, ok := f.(*xhttp2.DataFrame); ok && d.StreamID == id {
				got += len(d.Data())
			}
			return got == n
		})
	}
	data(1, 10)
	rc.request(3, true, "GET", "/size/5")
	data(3, 5)
	rc.WriteWindowUpdate(1, 1)
	data(1, 1)
	// A smaller initial window makes the stream's negative.
	rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 0})
	rc.WriteWindowUpdate(1, 12)
	data(1, 2)
	rc.WriteWindowUpdate(1, 100)
	data(1, 12)
	// The connection's window: 65535 in all.
	rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1 << 20})
	rc.request(5, true, "GET", "/size/100000")
	data(5, 65535-30)
	rc.request(7, true, "GET", "/size/1")
	rc.WriteWindowUpdate(0, 1<<20)
	rc.until(func(f xhttp2.Frame) bool {
		d, ok := f.(*xhttp2.DataFrame)
		return ok && d.StreamID == 5 && d.StreamEnded()
	})
}

func TestUploadIsHeldBackByItsReader(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	// Nobody reads the body of /slow: no more than the stream's window may come.
	rc.request(1, false, "POST", "/slow")
	for range 4 {
		rc.WriteData(1, false, text(16384))
	}
	rc.WriteData(1, false, []byte("x"))
	if code := rc.reset(1); code != xhttp2.ErrCodeFlowControl {
		t.Error(code)
	}
}

func TestAnswerBeforeTheBodyEnds(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	rc.request(1, false, "POST", "/early")
	status, body, _ := rc.answer(1)
	if status != "200" || string(body) != "early" {
		t.Error(status, string(body))
	}
	if code := rc.reset(1); code != xhttp2.ErrCodeNo {
		t.Error(code)
	}
	rc.WriteData(1, true, []byte("late")) // it may not know yet
	rc.request(3, true, "GET", "/size/1")
	if status, _, _ := rc.answer(3); status != "200" {
		t.Error(status)
	}
}

func TestClientReset(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	rc.request(1, true, "GET", "/slow")
	rc.WriteRSTStream(1, xhttp2.ErrCodeCancel)
	if got := ts.lines(1); got[0] != "GET /slow 0 DC" {
		t.Error(got)
	}
	rc.request(3, true, "GET", "/size/1")
	rc.answer(3)
}

func TestExtendedConnect(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	connect := func(id uint32, path string) {
		rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, EndHeaders: true,
			BlockFragment: rc.encode(":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", path, ":authority", "example.com")})
	}
	connect(1, "/upgrade")
	rc.WriteData(1, false, []byte("ping"))
	got := ""
	rc.until(func(f xhttp2.Frame) bool {
		switch f := f.(type) {
		case *xhttp2.MetaHeadersFrame:
			got += f.PseudoValue("status") + " "
		case *xhttp2.DataFrame:
			got += string(f.Data())
			return true
		}
		return false
	})
	if got != "200 ping" {
		t.Error(got)
	}
	rc.WriteData(1, true, nil)
	rc.until(func(f xhttp2.Frame) bool { d, ok := f.(*xhttp2.DataFrame); return ok && d.StreamEnded() })
	// What is answered and is no tunnel must not look like one.
	connect(3, "/size/1")
	if status, _, _ := rc.answer(3); status != "502" {
		t.Error(status)
	}
}

func TestDrainIsGraceful(t *testing.T) {
	ts := serve(t, nil)
	rc := ts.dial(true)
	rc.request(1, false, "POST", "/echo")
	ping := func(f xhttp2.Frame) bool { p, ok := f.(*xhttp2.PingFrame); return ok && !p.IsAck() }
	until(t, ts.l, "the request came", func() bool { return ts.srv.connections != nil && ts.srv.connections.live == 1 })
	ts.l.Do(ts.srv.Drain)
	first := rc.until(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.GoAwayFrame); return ok }).(*xhttp2.GoAwayFrame)
	if first.LastStreamID != maxID || first.ErrCode != xhttp2.ErrCodeNo {
		t.Error(first)
	}
	p := rc.until(ping).(*xhttp2.PingFrame)
	// A request that was on its way is served.
	rc.request(3, true, "GET", "/size/1")
	rc.answer(3)
	rc.WritePing(true, p.Data)
	second := rc.until(func(f xhttp2.Frame) bool { _, ok := f.(*xhttp2.GoAwayFrame); return ok }).(*xhttp2.GoAwayFrame)
	if second.LastStreamID != 3 {
		t.Error(second)
	}
	rc.request(5, true, "GET", "/size/1")
	if code := rc.reset(5); code != xhttp2.ErrCodeRefusedStream {
		t.Error(code)
	}
	rc.WriteData(1, true, []byte("end"))
	if _, body, _ := rc.answer(1); string(body) != "end" {
		t.Error(string(body))
	}
	if _, err := rc.ReadFrame(); err != io.EOF {
		t.Error("the connection goes on:", err)
	}
}

// Frames may come in any pieces.
func TestRequestsCutAtEveryByte(t *testing.T) {
	ts := serve(t, nil)
	var sent bytes.Buffer
	sent.WriteString(preface)
	framer := xhttp2.NewFramer(&sent, nil)
	framer.WriteSettings()
	rc := ts.dial(false)
	block := rc.encode(":method", "POST", ":scheme", "http", ":authority", "example.com", ":path", "/echo", "x-long", strings.Repeat("v", 40))
	framer.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:5], PadLength: 3})
	framer.WriteContinuation(1, false, block[5:20])
	framer.WriteContinuation(1, true, block[20:])
	framer.WriteDataPadded(1, false, []byte("hello "), []byte{0, 0, 0})
	framer.WriteData(1, true, []byte("world"))
	whole := sent.Bytes()
	for cut := range whole {
		rc := ts.dial(false)
		rc.Write(whole[:cut])
		ts.l.Do(func() {})
		rc.Write(whole[cut:])
		if status, body, _ := rc.answer(1); status != "200" || string(body) != "hello world" {
			t.Fatalf("cut at %d: %s %q", cut, status, body)
		}
		rc.Close()
	}
}

// A connection that ends anywhere leaves nothing behind.
func TestConnectionsThatEndAnywhere(t *testing.T) {
	ts := serve(t, nil)
	var sent bytes.Buffer
	sent.WriteString(preface)
	framer := xhttp2.NewFramer(&sent, nil)
	framer.WriteSettings()
	rc := ts.dial(false)
	block := rc.encode(":method", "POST", ":scheme", "http", ":authority", "example.com", ":path", "/echo")
	framer.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:5]})
	framer.WriteContinuation(1, true, block[5:])
	framer.WriteData(1, false, text(100))
	framer.WriteData(1, true, text(100))
	whole := sent.Bytes()
	for cut := range whole {
		c, err := net.Dial("tcp4", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Write(whole[:cut])
		if cut%2 == 0 {
			c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
	rc.Close()
	until(t, ts.l, "all are gone", func() bool { return ts.taken == len(whole)+1 && ts.srv.Connections() == 0 })
}
