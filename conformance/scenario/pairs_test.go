package scenario

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// pairs is one port for both versions of HTTP, and one origin that is spoken to
// in either.
const pairs = `listeners:
  http: {bind: "@http@", routes: main, limits: {body: 100MiB}, half_close: abort}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /1}, to: one}
        - {match: {prefix: /2}, to: two}
clusters:
  one: {endpoints: ["@o@"]}
  two: {endpoints: ["@o@"], protocol: h2}
`

// A pair is the version that the client speaks and the one that the origin is
// spoken to in.
type pair struct{ client, origin int }

func (p pair) String() string { return fmt.Sprintf("h%d to h%d", p.client, p.origin) }

// both is an origin of net/http that speaks both versions on its port.
type both struct {
	t         testing.TB
	addr      string
	server    *http.Server
	cancelled chan string // paths of requests whose client went away

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func startBoth(t testing.TB) *both {
	t.Helper()
	o := &both{t: t, cancelled: make(chan string, 100), conns: map[net.Conn]bool{}}
	o.server = &http.Server{Handler: o, Protocols: new(http.Protocols), ConnState: func(c net.Conn, s http.ConnState) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if s == http.StateClosed || s == http.StateHijacked {
			delete(o.conns, c)
		} else {
			o.conns[c] = true
		}
	}}
	o.server.Protocols.SetHTTP1(true)
	o.server.Protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.addr = l.Addr().String()
	go o.server.Serve(l)
	t.Cleanup(func() { o.server.Close() })
	return o
}

// CloseConns closes every connection to the origin.
func (o *both) CloseConns() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.conns {
		c.Close()
	}
}

func (o *both) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Version", strconv.Itoa(r.ProtoMajor))
	what := r.URL.Path[2:] // behind /1 or /2
	switch {
	case strings.HasPrefix(what, "/echo"):
		body, err := io.ReadAll(r.Body)
		if err != nil {
			o.t.Logf("the origin reads a body: %v", err)
			panic(http.ErrAbortHandler)
		}
		if what == "/echo/length" {
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
		h.Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
		w.Write(body)
	case what == "/trailers":
		io.Copy(io.Discard, r.Body)
		h.Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		h.Set("X-Sum", "of "+r.Trailer.Get("X-Client-Sum"))
		h.Set(http.TrailerPrefix+"X-Late", "unannounced")
	case what == "/hints":
		h.Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "hinted")
	case strings.HasPrefix(what, "/status/"):
		n, _ := strconv.Atoi(what[len("/status/"):])
		h.Set("Etag", `"x"`)
		w.WriteHeader(n)
	case what == "/cookies":
		h.Add("Set-Cookie", "a=1")
		h.Add("Set-Cookie", "b=2")
		fmt.Fprintf(w, "%q", r.Header["Cookie"])
	case what == "/early":
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, "too large")
	case what == "/cancel":
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		o.cancelled <- r.URL.Path
	case what == "/abort":
		w.Write(make([]byte, 1000))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case what == "/refuse":
		panic(http.ErrAbortHandler)
	case what == "/duplex":
		c := http.NewResponseController(w)
		c.EnableFullDuplex()
		w.WriteHeader(200)
		c.Flush()
		buf := make([]byte, 4096)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			c.Flush()
			if err != nil {
				return
			}
		}
	case what == "/fields":
		for i := range 60 {
			h.Set(fmt.Sprintf("X-Field-%d", i), r.Header.Get(fmt.Sprintf("X-Field-%d", i)))
		}
		fmt.Fprintf(w, "%s %s %s", r.Method, r.Host, r.URL.RequestURI())
	default:
		fmt.Fprintf(w, "origin %s", r.URL.Path)
	}
}

// speaker is a client of one version.
func speaker(t testing.TB, version int) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, ExpectContinueTimeout: patience}
	tr.Protocols.SetHTTP1(version == 1)
	tr.Protocols.SetUnencryptedHTTP2(version == 2)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// unsized hides a body's length.
type unsized struct{ io.Reader }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	rng.Read(b)
	return b
}

// TestPairs has clients of either version speak to an origin of either.
func TestPairs(t *testing.T) {
	t.Parallel()
	o := startBoth(t)
	g := serve(t, map[string]string{"o": o.addr}, pairs)
	for _, p := range []pair{{1, 1}, {1, 2}, {2, 1}, {2, 2}} {
		t.Run(p.String(), func(t *testing.T) {
			x := &exchange{t: t, o: o, p: p, base: fmt.Sprintf("http://%s/%d", g.Addr, p.origin), client: speaker(t, p.client)}
			t.Run("bodies", func(t *testing.T) { x.in(t).bodies() })
			t.Run("trailers", func(t *testing.T) { x.in(t).trailers() })
			t.Run("informational", func(t *testing.T) { x.in(t).informational() })
			t.Run("without a body", func(t *testing.T) { x.in(t).bodiless() })
			t.Run("fields", func(t *testing.T) { x.in(t).fields() })
			t.Run("early answer", func(t *testing.T) { x.in(t).early() })
			t.Run("cancel", func(t *testing.T) { x.in(t).cancel() })
			t.Run("aborts", func(t *testing.T) { x.in(t).aborts() })
			t.Run("at once", func(t *testing.T) { x.in(t).atOnce() })
			if p.client == 2 { // net/http's HTTP/1 client cannot
				t.Run("both ways at once", func(t *testing.T) { x.in(t).duplex() })
			}
		})
	}
	o.CloseConns()
	if left := g.Quiet(); left != "" {
		t.Error(left)
	}
}

type exchange struct {
	t      *testing.T
	o      *both
	p      pair
	base   string
	client *http.Client
}

func (x *exchange) in(t *testing.T) *exchange {
	y := *x
	y.t = t
	return &y
}

func (x *exchange) request(method, path string, body io.Reader) *http.Request {
	x.t.Helper()
	r, err := http.NewRequest(method, x.base+path, body)
	if err != nil {
		x.t.Fatal(err)
	}
	return r
}

// do makes a request and reads the answer whole; both ends must have spoken
// the version that they were to.
func (x *exchange) do(r *http.Request) (*http.Response, []byte) {
	x.t.Helper()
	res, err := x.client.Do(r)
	if err != nil {
		x.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		x.t.Fatalf("%s %s: body: %v", r.Method, r.URL.Path, err)
	}
	if v := res.Header.Get("X-Version"); res.ProtoMajor != x.p.client || v != strconv.Itoa(x.p.origin) {
		x.t.Fatalf("%s %s: %d, the client spoke HTTP/%d and the origin HTTP/%s, %q", r.Method, r.URL.Path, res.StatusCode, res.ProtoMajor, v, body)
	}
	return res, body
}

// bodies go there and back whole, at sizes around the borders of frames and
// windows, with a length and without.
func (x *exchange) bodies() {
	sizes := []int{0, 1, 100, 4095, 4096, 16383, 16384, 16385, 32768, 65534, 65535, 65536, 65537, 131070, 1 << 20, 1<<20 + 1, 5 << 20}
	for _, size := range sizes {
		sent := randomBytes(size)
		for _, path := range []string{"/echo", "/echo/length"} {
			for _, known := range []bool{true, false} {
				r := x.request("POST", path, bytes.NewReader(sent))
				if !known {
					r = x.request("POST", path, unsized{bytes.NewReader(sent)})
				}
				res, got := x.do(r)
				if res.StatusCode != 200 || !bytes.Equal(got, sent) {
					x.t.Fatalf("%s, %d bytes (length known: %v): %d, %d bytes came back, %s", path, size, known, res.StatusCode, len(got), differs(got, sent))
				}
				if known && res.Header.Get("X-Length") != strconv.Itoa(size) {
					x.t.Errorf("%d bytes: the origin saw a length of %s", size, res.Header.Get("X-Length"))
				}
				if path == "/echo/length" && res.ContentLength != int64(size) {
					x.t.Errorf("%d bytes: the client saw a length of %d", size, res.ContentLength)
				}
			}
		}
	}
}

// differs tells where two bodies first differ, and where what came was sent.
func differs(got, sent []byte) string {
	for i := range min(len(got), len(sent)) {
		if got[i] != sent[i] {
			return fmt.Sprintf("other ones from %d, which were sent at %d", i, bytes.Index(sent, got[i:min(len(got), i+32)]))
		}
	}
	return "the same as far as they go"
}

func (x *exchange) trailers() {
	r := x.request("POST", "/trailers", nil)
	body := &ending{Reader: strings.NewReader("some body"), end: func() { r.Trailer.Set("X-Client-Sum", "nine") }}
	r.Body, r.Trailer, r.ContentLength = io.NopCloser(body), http.Header{"X-Client-Sum": nil}, -1
	r.Header.Set("Te", "trailers")
	res, got := x.do(r)
	if string(got) != "body" || res.Trailer.Get("X-Sum") != "of nine" || res.Trailer.Get("X-Late") != "unannounced" {
		x.t.Errorf("%q with trailers %v", got, res.Trailer)
	}
}

// ending calls end when the reader has come to its end.
type ending struct {
	io.Reader
	end func()
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err == io.EOF {
		e.end()
	}
	return n, err
}

func (x *exchange) informational() {
	var got []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		got = append(got, fmt.Sprint(code, " ", h.Get("Link")))
		return nil
	}}
	r := x.request("GET", "/hints", nil)
	_, body := x.do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if want := []string{"103 </style.css>; rel=preload"}; string(body) != "hinted" || !slices.Equal(got, want) {
		x.t.Errorf("%q after %q, want %q", body, got, want)
	}
	r = x.request("POST", "/echo", strings.NewReader("expected"))
	r.Header.Set("Expect", "100-continue")
	if _, body := x.do(r); string(body) != "expected" {
		x.t.Errorf("after Expect: %q", body)
	}
}

func (x *exchange) bodiless() {
	res, body := x.do(x.request("HEAD", "/echo/length", nil))
	if res.StatusCode != 200 || len(body) > 0 {
		x.t.Errorf("HEAD: %d, %q", res.StatusCode, body)
	}
	for _, status := range []int{204, 304, 205, 200} {
		res, body := x.do(x.request("GET", "/status/"+strconv.Itoa(status), nil))
		if res.StatusCode != status || len(body) > 0 || res.Header.Get("Etag") != `"x"` {
			x.t.Errorf("%d: %d, %q, %v", status, res.StatusCode, body, res.Header)
		}
	}
	res, body = x.do(x.request("DELETE", "/any", nil))
	if res.StatusCode != 200 || string(body) != fmt.Sprintf("origin /%d/any", x.p.origin) {
		x.t.Errorf("DELETE: %d, %q", res.StatusCode, body)
	}
}

func (x *exchange) fields() {
	r := x.request("GET", "/fields?a=1&b=%20/x", nil)
	r.Host = "some.example.com:81"
	for i := range 60 {
		r.Header.Set(fmt.Sprintf("X-Field-%d", i), strings.Repeat(string(rune('a'+i%26)), i*5))
	}
	for range 3 { // the tables are filled, then used
		res, body := x.do(r)
		if want := fmt.Sprintf("GET some.example.com:81 /%d/fields?a=1&b=%%20/x", x.p.origin); string(body) != want {
			x.t.Errorf("%q, want %q", body, want)
		}
		for i := range 60 {
			name := fmt.Sprintf("X-Field-%d", i)
			if res.Header.Get(name) != r.Header.Get(name) {
				x.t.Errorf("%s: %q", name, res.Header.Get(name))
			}
		}
	}
	r = x.request("GET", "/cookies", nil)
	r.Header.Set("Cookie", "a=1; b=2; c=3")
	res, body := x.do(r)
	if string(body) != `["a=1; b=2; c=3"]` {
		x.t.Errorf("the origin saw cookies %s", body)
	}
	if got := res.Header["Set-Cookie"]; !slices.Equal(got, []string{"a=1", "b=2"}) {
		x.t.Errorf("the client saw Set-Cookie %q", got)
	}
}

// early answers come while the body is still under way.
func (x *exchange) early() {
	for range 3 {
		res, err := x.client.Do(x.request("POST", "/early", unsized{bytes.NewReader(make([]byte, 20<<20))}))
		if err != nil {
			// Over HTTP/1 the end may overtake the answer where the body fills all
			// buffers; the client then sees its write fail.
			if x.p.client == 1 {
				x.t.Logf("HTTP/1: %v", err)
				continue
			}
			x.t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 413 || string(body) != "too large" {
			x.t.Errorf("%d, %q, %v", res.StatusCode, body, err)
		}
	}
}

// cancel is a client that goes away: the origin is told.
func (x *exchange) cancel() {
	for range 5 {
		ctx, cancel := context.WithCancel(x.t.Context())
		res, err := x.client.Do(x.request("GET", "/cancel", nil).WithContext(ctx))
		if err != nil {
			x.t.Fatal(err)
		}
		cancel()
		res.Body.Close()
		select {
		case path := <-x.o.cancelled:
			if want := fmt.Sprintf("/%d/cancel", x.p.origin); path != want {
				x.t.Errorf("%s was cancelled, not %s", path, want)
			}
		case <-time.After(patience):
			x.t.Fatal("the origin is not told that the client went away")
		}
	}
}

// aborts of the origin are seen by the client: as an error where a response is
// under way, and as 502 where none was begun.
func (x *exchange) aborts() {
	for range 5 {
		res, err := x.client.Do(x.request("GET", "/abort", nil))
		if err != nil {
			x.t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil && res.StatusCode != 502 { // both may have come to the gateway at once
			x.t.Errorf("a response of which the origin sent a part ends well: %d, %d bytes", res.StatusCode, len(body))
		}
		res, err = x.client.Do(x.request("POST", "/refuse", strings.NewReader("x")))
		if err != nil {
			x.t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if res.StatusCode != 502 {
			x.t.Errorf("an origin that answers nothing: %d, want 502", res.StatusCode)
		}
	}
}

// atOnce makes many requests at once, each with its own body.
func (x *exchange) atOnce() {
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			sent := randomBytes(i * 1777)
			for range 5 {
				res, err := x.client.Do(x.request("POST", "/echo", bytes.NewReader(sent)))
				if err != nil {
					x.t.Error(err)
					return
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
					x.t.Errorf("%d bytes: %d, %d came back, %v, %s", len(sent), res.StatusCode, len(got), err, differs(got, sent))
					return
				}
			}
		})
	}
	all.Wait()
}

// duplex sends a piece and waits for it before it sends the next.
func (x *exchange) duplex() {
	in, out := io.Pipe()
	res, err := x.client.Do(x.request("POST", "/duplex", in))
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	for i := range 50 {
		piece := randomBytes(i*97 + 1)
		if _, err := out.Write(piece); err != nil {
			x.t.Fatal(err)
		}
		got := make([]byte, len(piece))
		if _, err := io.ReadFull(res.Body, got); err != nil || !bytes.Equal(got, piece) {
			x.t.Fatalf("piece %d: %v", i, err)
		}
	}
	out.Close()
	if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil && !errors.Is(err, io.EOF) {
		x.t.Errorf("at the end: %q, %v", rest, err)
	}
}
