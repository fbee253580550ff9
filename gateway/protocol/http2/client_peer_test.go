package http2

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/stream"
)

// serveX serves a client's connection by x/net's Server.
func (o *owned) serveX(h http.HandlerFunc) {
	//lint:ignore SA1019 net/http's server, which is the same code, serves no single connection
	srv, opts := &xhttp2.Server{}, &xhttp2.ServeConnOpts{Handler: h}
	//lint:ignore SA1019 as above
	srv.MaxConcurrentStreams = 50
	o.peer.SetDeadline(time.Time{}) // many tests follow one another on it
	done := make(chan struct{})
	go func() {
		defer close(done)
		//lint:ignore SA1019 as above
		srv.ServeConn(o.peer, opts)
	}()
	o.e.Cleanup(func() { o.close(); <-done })
}

func xHandler(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		w.WriteHeader(200)
		http.NewResponseController(w).EnableFullDuplex()
		for p := make([]byte, 64<<10); ; {
			n, err := r.Body.Read(p)
			w.Write(p[:n])
			w.(http.Flusher).Flush()
			if err != nil {
				break
			}
		}
		for name, values := range r.Trailer {
			w.Header().Set(http.TrailerPrefix+name, values[0])
		}
	case "/large":
		w.Write(text(3 << 20))
	case "/early":
		w.Header().Set("Link", "a")
		w.WriteHeader(103)
		w.Header().Del("Link")
		w.WriteHeader(204)
	case "/see":
		fmt.Fprintf(w, "%s %s %s %v %q %q", r.Method, r.Host, r.RequestURI, r.ContentLength, r.Header.Get("X-A"), r.Header.Get("Te"))
	case "/refuse":
		w.Write([]byte("no")) // and leaves the body alone
	}
}

func path(p string) func(x *call) { return func(x *call) { x.s.Request.Path = []byte(p) } }

// withBody gives the request a body that SendBody carries.
func withBody(p string, body []byte, length int64) func(x *call) {
	return func(x *call) {
		x.s.Request.Path, x.s.Request.Length = []byte(p), length
		x.s.Request.Body = stream.NewBytes(body)
	}
}

func TestAgainstAServerOfXNet(t *testing.T) {
	e := listen(t, func(cfg *ClientConfig) { cfg.MaxStreamWindow, cfg.MaxConnWindow = 4<<20, 8<<20 })
	o := e.dial()
	o.serveX(xHandler)
	for name, c := range map[string]struct {
		method  string
		prepare func(x *call)
		want    string
	}{
		"plain": {"GET", path("/see"), `200 length 29 body "GET h /see 0 \"\" \"\""`},
		"fields": {"GET", func(x *call) {
			x.s.Request.Path, x.s.Request.Trailers = []byte("/see?q"), true
			x.s.Request.Header.AddString("x-a", "1")
			x.s.Request.Header.AddString("connection", "close")
			x.s.Request.Header.AddString("host", "other")
		}, `200 length 41 body "GET h /see?q 0 \"1\" \"trailers\""`},
		"large":  {"GET", path("/large"), fmt.Sprintf("200 length -1 body of %d", 3<<20)},
		"head":   {"HEAD", path("/see"), "200 length 30"},
		"early":  {"GET", path("/early"), "103 link: a, 204 length 0"},
		"echo":   {"POST", withBody("/echo", text(2<<20), -1), fmt.Sprintf("200 length -1 body of %d", 2<<20)},
		"length": {"POST", withBody("/see", []byte("hello"), 5), `200 length 30 body "POST h /see 5 \"\" \"\""`},
		"sent whole": {"POST", func(x *call) {
			x.s.Request.Path, x.s.Request.Length, x.send = []byte("/echo"), 1<<20, text(1<<20)
			x.s.Request.Body = stream.NewBytes(nil)
		}, fmt.Sprintf("200 length -1 body of %d", 1<<20)},
		"trailers": {"POST", func(x *call) {
			x.s.Request.Path, x.s.Request.Length = []byte("/echo"), -1
			x.s.Request.Header.AddString("trailer", "x-sum")
			b := &trailed{Bytes: stream.NewBytes([]byte("hello"))}
			b.trailer.AddString("x-sum", "1")
			x.s.Request.Body = b
		}, `200 length -1 body "hello" trailer "x-sum: 1\n"`},
	} {
		t.Run(name, func(t *testing.T) {
			e.TB = t
			for range 3 {
				var calls []*call
				for range 10 {
					calls = append(calls, o.begin(c.method, c.prepare))
				}
				for _, x := range calls {
					if got := normal(x.wait()); got != normal(c.want) {
						t.Fatalf("%s\nwant %s\n%v, sent %v", got, c.want, x.err, x.sent)
					}
				}
			}
		})
	}
	e.TB = t
	e.l.Do(func() {
		if o.live != 0 || o.flows.count != 0 || o.over != nil || o.Room() != 50 {
			t.Errorf("%d streams, %d flows, %v, room for %d", o.live, o.flows.count, o.over, o.Room())
		}
	})
}

// normal leaves out the length that x/net's server computes by itself.
func normal(s string) string {
	before, after, ok := strings.Cut(s, " length ")
	if !ok || strings.Contains(s, "204") {
		return s
	}
	_, rest, _ := strings.Cut(after, " ")
	return before + " " + rest
}

// trailed is a body with trailers.
type trailed struct {
	*stream.Bytes
	trailer stream.Header
}

func (b *trailed) Trailer() *stream.Header { return &b.trailer }

func TestAnswerBeforeTheUploadEnds(t *testing.T) {
	e := listen(t, nil)
	o := e.dial()
	o.serveX(xHandler)
	x := o.begin("POST", withBody("/refuse", text(4<<20), -1))
	if got := x.wait(); !strings.Contains(got, `body "no"`) {
		t.Errorf("%s, %v", got, x.err)
	}
	y := o.begin("GET", path("/see"))
	if got := y.wait(); !strings.Contains(got, "GET h /see") {
		t.Error(got)
	}
}

// An endpoint that does not want the rest of the request resets the stream with
// NO_ERROR behind its whole response (RFC 9113 section 8.1).
func TestResetBehindAWholeResponse(t *testing.T) {
	e := listen(t, nil)
	o, rc := e.greeted()
	x := o.begin("POST", withBody("/x", text(1<<20), -1))
	rc.heads(1)
	rc.respond(1, false, ":status", "413", "content-length", "3")
	rc.WriteData(1, true, []byte("too"))
	rc.WriteRSTStream(1, xhttp2.ErrCodeNo)
	if got := x.wait(); got != `413 length 3 body "too"` {
		t.Error(got)
	}
	if x.sent != stream.ErrStopped {
		// It was cut off by the call's end, or by the reset: never by an error.
		if e := stream.AsError(x.sent); e.Cause != stream.ErrStopped {
			t.Errorf("the upload ended with %v", x.sent)
		}
	}
}

func TestCancelledDownloadsGiveTheWindowBack(t *testing.T) {
	e := listen(t, nil)
	o := e.dial()
	o.serveX(xHandler)
	for range 30 {
		x := o.begin("GET", func(x *call) { x.s.Request.Path, x.limit = []byte("/large"), 1000 })
		if got := x.wait(); !strings.Contains(got, "body of ") {
			t.Fatal(got)
		}
	}
	if got := o.begin("GET", path("/large")).wait(); !strings.Contains(got, fmt.Sprintf("body of %d", 3<<20)) {
		t.Error(got)
	}
}

// Clients that do not take their responses hold up nobody who shares the
// connection, and no more is kept for each than its window.
func TestSlowReadersHoldUpNobody(t *testing.T) {
	e := listen(t, func(cfg *ClientConfig) { cfg.MaxStreamWindow, cfg.MaxConnWindow = 1<<20, 4<<20 })
	o := e.dial()
	o.serveX(xHandler)
	if got := o.begin("GET", path("/large")).wait(); !strings.Contains(got, fmt.Sprintf("body of %d", 3<<20)) {
		t.Fatal(got) // windows have grown now
	}
	var idle []*call
	for range 40 {
		idle = append(idle, o.begin("GET", func(x *call) { x.s.Request.Path, x.idle = []byte("/large"), true }))
	}
	for range 3 {
		if got := o.begin("GET", path("/large")).wait(); !strings.Contains(got, fmt.Sprintf("body of %d", 3<<20)) {
			t.Fatal(got)
		}
	}
	e.until("the windows are full", func() bool {
		held := 0
		for _, x := range idle {
			held += x.cs.flow.held
		}
		if held > 40*defaultWindow {
			t.Errorf("%d octets are kept", held)
		}
		return held == 40*defaultWindow
	})
	why := &stream.Error{Side: stream.Downstream, Flag: stream.DownstreamConnectionEnd}
	e.l.Do(func() {
		for _, x := range idle {
			x.s.Abort(why)
		}
	})
	for _, x := range idle {
		x.wait()
	}
	e.l.Do(func() {
		if o.promised != 0 {
			t.Errorf("%d octets are promised to no stream", o.promised)
		}
	})
}
