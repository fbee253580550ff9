package origin

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func h2Client(t *testing.T) *http.Client {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func TestHTTP2Answers(t *testing.T) {
	addr := start(t)
	client := h2Client(t)
	big := make([]byte, 5<<20)
	for _, c := range []struct {
		method, path, kind string
		body               io.Reader
		status, size       int
	}{
		{"GET", "/1k", "", nil, 200, 1024},
		{"GET", "/b/0", "", nil, 200, 0},
		{"GET", "/b/20000000", "", nil, 200, 20000000}, // past all windows that the client gives at first
		{"HEAD", "/64k", "", nil, 200, 0},
		{"GET", "/held", "", nil, 200, 1},
		{"GET", "/", "", nil, 404, 0},
		{"POST", "/x", "", bytes.NewReader(big), 200, 1024},
		{"POST", "/x", "application/grpc", bytes.NewReader(make([]byte, 1029)), 200, 1029},
	} {
		req, err := http.NewRequest(c.method, "http://"+addr+c.path, c.body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", c.kind)
		res, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", c.method, c.path, err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.ProtoMajor != 2 || res.StatusCode != c.status || len(b) != c.size {
			t.Errorf("%s %s: HTTP/%d, %d, %d bytes, %v; want %d, %d bytes", c.method, c.path, res.ProtoMajor, res.StatusCode, len(b), err, c.status, c.size)
		}
		if c.kind == "application/grpc" && (res.Trailer.Get("grpc-status") != "0" || !bytes.HasPrefix(b, []byte{0, 0, 0, 4, 0})) {
			t.Errorf("a gRPC answer with trailers %v and %q", res.Trailer, b[:min(5, len(b))])
		}
	}
}

func TestHTTP2ManyStreams(t *testing.T) {
	addr := start(t)
	client := h2Client(t)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			res, err := client.Get("http://" + addr + "/64k")
			if err != nil {
				t.Error(err)
				return
			}
			n, err := io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if err != nil || n != 64<<10 {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	wg.Wait()
}

// TestHeld holds streams and counts them until their connection ends.
func TestHeld(t *testing.T) {
	addr := start(t)
	c := dial(t, addr)
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	f.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := range uint32(10) {
		block.Reset()
		for _, h := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "o"}, {":path", "/hold"}} {
			enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
		}
		// In two frames, the field section of one request.
		b := block.Bytes()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1 + 2*i, BlockFragment: b[:1], EndStream: true, PadLength: 3})
		f.WriteContinuation(1+2*i, true, b[1:])
	}
	f.WriteRSTStream(1, http2.ErrCodeCancel)
	f.WritePing(false, [8]byte{1})
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := frame.(*http2.PingFrame); ok && p.IsAck() {
			break
		}
	}
	held := func() string {
		res, err := http.Get("http://" + addr + "/held")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return string(b)
	}
	if n := held(); n != "9" {
		t.Errorf("%s held, want 9", n)
	}
	c.Close()
	for deadline := time.Now().Add(10 * time.Second); held() != "0"; {
		if time.Now().After(deadline) {
			t.Fatal("still held after the connection")
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
