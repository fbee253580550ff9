package scenario

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"longmen/conformance/harness"
)

// TestBidirectional holds a conversation in one request and one response: each
// chunk is answered before the next one is sent.
func TestBidirectional(t *testing.T) {
	t.Parallel()
	s := web{httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		rc.EnableFullDuplex()
		w.WriteHeader(200)
		rc.Flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintf(w, "re: %s\n", lines.Text())
			rc.Flush()
		}
		fmt.Fprintf(w, "end: %v\n", lines.Err())
	}))}
	t.Cleanup(s.Close)
	g := serve(t, map[string]string{"o": s.addr()}, plain)
	g.noLeak(s)
	c := dial(t, g.Addr)
	c.send("POST / HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n")
	_, framing, err := c.R.ResponseHead("POST")
	if err != nil || framing.Kind != harness.Chunked {
		t.Fatal(framing, err)
	}
	pr, pw := io.Pipe()
	go func() {
		_, _, err := c.R.Body(framing, pw)
		pw.CloseWithError(err)
	}()
	answers := bufio.NewScanner(pr)
	for i := range 100 {
		said := fmt.Sprintf("line %d", i)
		c.Write(fmt.Appendf(nil, "%x\r\n%s\n\r\n", len(said)+1, said))
		if !answers.Scan() || answers.Text() != "re: "+said {
			t.Fatalf("answer %d: %q, %v", i, answers.Text(), answers.Err())
		}
	}
	c.send("0\n\n")
	if !answers.Scan() || answers.Text() != "end: <nil>" {
		t.Errorf("end: %q, %v", answers.Text(), answers.Err())
	}
	c.Close()
}

// TestEarlyResponse lets origins answer before the upload has ended.
func TestEarlyResponse(t *testing.T) {
	t.Parallel()
	o := startOrigin(t, func(x *harness.Exchange) {
		const body = "Content-Length: 5\r\n\r\nearly"
		switch x.Request.Target {
		case "/200":
			x.Write([]byte("HTTP/1.1 200 OK\r\n" + body))
			x.ReadBody()
		case "/413":
			x.Write([]byte("HTTP/1.1 413 Content Too Large\r\n" + body))
			x.ReadBody()
		case "/200-close":
			x.Write([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n" + body))
			x.CloseWrite()
			x.Hold()
		case "/413-close":
			x.Write([]byte("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n" + body))
			x.CloseWrite()
			x.Hold()
		default:
			harness.Echo(x)
		}
	})
	g := serve(t, map[string]string{"o": o.Addr}, plain)
	g.noLeak(o)
	for _, path := range []string{"/200", "/413", "/200-close", "/413-close"} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s-%v", path[1:], chunked), func(t *testing.T) {
				o.Reset()
				c := dial(t, g.Addr)
				defer c.Close()
				head, first, rest := "Content-Length: 10", "01234", "56789"
				if chunked {
					head, first, rest = "Transfer-Encoding: chunked", "5\n01234\n", "5\n56789\n0\n\n"
				}
				res := c.ask("POST " + path + " HTTP/1.1\nHost: h\n" + head + "\n\n" + first)
				if fmt.Sprint(res.Status) != path[1:4] || string(res.Body) != "early" {
					t.Fatalf("%d %q", res.Status, res.Body)
				}
				if _, closes := res.Get("Connection"); closes {
					c.CloseWrite()
					if !c.ended() {
						t.Error("the connection stays although it was to be closed")
					}
					return
				}
				// The gateway may close, or go on; then the rest belongs to the first
				// request, and only what follows it is another one.
				io.WriteString(c, crlf(rest+"GET /after HTTP/1.1\nHost: h\n\n"))
				after, err := c.Response("GET")
				if err == nil && string(after.Body) != "origin GET /after" || harness.IsTimeout(err) {
					t.Errorf("the next request is answered with %+v, %v", after, err)
				}
				rec := o.Record()
				if len(rec.Violations) > 0 || len(rec.Requests) > 2 || len(rec.Requests) == 2 && rec.Requests[1].Target != "/after" {
					t.Errorf("the origin got %d requests, %v", len(rec.Requests), rec.Violations)
				}
			})
		}
	}
}

// TestClientAborts lets clients go within their upload and within a download.
func TestClientAborts(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"close", "reset"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			o := startHolding(t)
			g := serve(t, map[string]string{"o": o.Addr}, plain)
			g.noLeak(o)
			leave := func(c *client) {
				if end == "reset" {
					c.Reset()
				} else {
					c.Close()
				}
			}
			up := dial(t, g.Addr)
			up.send("POST /up HTTP/1.1\nHost: h\nContent-Length: 100\n\nab")
			r := o.next()
			leave(up)
			if err := r.ReadBody(); err == nil {
				t.Error("the origin got a whole body of an aborted upload")
			}
			r.done()

			down := dial(t, g.Addr)
			down.send("GET /down HTTP/1.1\nHost: h\n\n")
			r = o.next()
			r.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nab"))
			if _, _, err := down.R.ResponseHead("GET"); err != nil {
				t.Fatal(err)
			}
			leave(down)
			// The origin's writes fail once the gateway has closed the connection.
			written := int64(0)
			for piece := make([]byte, 32<<10); ; {
				n, err := r.Conn().Write(piece)
				if written += int64(n); err != nil {
					break
				}
				if written > 256<<20 {
					t.Fatal("a download that nobody takes goes on")
				}
			}
			r.done()

			wait := dial(t, g.Addr)
			wait.send("GET /wait HTTP/1.1\nHost: h\n\n")
			r = o.next()
			wait.Reset()
			r.Hold()
			r.done()
			lines := g.logged("/up", "/down", "/wait")
			for path, phases := range map[string]string{"/up": "request-body", "/down": "response-body", "/wait": "response-head"} {
				l := lines[path]
				if l.Text("flag") != "DC" || l.Text("side") != "downstream" || l.Text("phase") != phases || l.Text("cause") == "" {
					t.Errorf("%s: %v", path, l)
				}
			}
		})
	}
}

// TestSlowReader lets a client take a large body slowly: the gateway must not
// hold it meanwhile.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const size = 50 << 20
	written := make(chan int64, 1)
	o := startOrigin(t, func(x *harness.Exchange) {
		fmt.Fprintf(x.Conn(), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		n, _ := io.Copy(x.Conn(), strings.NewReader(strings.Repeat("0123456789abcdef", size/16)))
		written <- n
	})
	g := serve(t, map[string]string{"o": o.Addr}, plain)
	g.noLeak(o)
	before, err := g.RSS()
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, g.Addr)
	c.SetReadBuffer(16 << 10)
	c.send("GET /large HTTP/1.1\nHost: h\n\n")
	if _, _, err := c.R.ResponseHead("GET"); err != nil {
		t.Fatal(err)
	}
	peak, got := int64(0), int64(0)
	for buf := make([]byte, 256<<10); got < size; {
		// The origin stops when all buffers between are full, which the sizes of
		// received pieces do not change: memory is looked at after each.
		n, err := io.ReadAtLeast(c.R.Buf(), buf[:min(int64(len(buf)), size-got)], 1)
		if err != nil {
			t.Fatal(err)
		}
		got += int64(n)
		if rss, err := g.RSS(); err == nil {
			peak = max(peak, rss)
		}
	}
	if n := <-written; n != size {
		t.Errorf("the origin wrote %d bytes", n)
	}
	if grown := peak - before; grown > 16<<20 {
		t.Errorf("memory grew by %d KiB", grown>>10)
	} else {
		t.Logf("memory grew by %d KiB", grown>>10)
	}
	c.Close()
}
