package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"longmen/gateway/protocol/http1"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/upstream/origintest"
)

func forwarding(t testing.TB, edit func(*router.Forward), serve func(p *peer, n int)) (*stage, *origintest.Origin) {
	o := newOrigin(t, serve)
	return newStage(t, settings{routes: []*router.Route{to("/", edit)}, clusters: nil}.with(o)), o
}

// with adds a cluster of the origin.
func (s settings) with(o ...*origintest.Origin) settings {
	c := clusterOf("c")
	for _, o := range o {
		c.Endpoints = append(c.Endpoints, clusterOf("", o.At).Endpoints...)
	}
	s.clusters = append(s.clusters, c)
	return s
}

// The endpoint answers before it has read the request, and reads no more of it.
// The stream must end with the response all the same.
func TestUploadEndsWithTheResponse(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, _ int) {
		p.head()
		p.send("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
		<-t.Context().Done() // it neither reads nor closes
	})
	c := s.dial()
	go func() { // until the gateway closes
		c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", 64<<20)
		c.ReadFrom(io.LimitReader(zeros{}, 64<<20))
	}()
	resp, body := c.answer("POST")
	if resp.StatusCode != 413 || body != "no" {
		t.Fatalf("%d %q", resp.StatusCode, body)
	}
	if r := s.record(); r.Status != 413 || r.Err != nil || r.Tries != 1 {
		t.Errorf("%+v", r)
	}
	s.quiet()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUploadInParallelWithTheResponse(t *testing.T) {
	s, o := forwarding(t, nil, func(p *peer, _ int) {
		for {
			r, err := http.ReadRequest(p.r)
			if err != nil {
				return
			}
			// Every piece is answered before the next one is sent.
			p.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
			buf := make([]byte, 100)
			for {
				n, err := r.Body.Read(buf)
				if n > 0 {
					p.send("%x\r\n%s\r\n", n, strings.ToUpper(string(buf[:n])))
				}
				if err != nil {
					break
				}
			}
			p.send("0\r\n\r\n")
		}
	})
	c := s.dial()
	for range 2 {
		c.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
		resp, err := http.ReadResponse(c.r, &http.Request{Method: "POST"})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"FIRST", "SECOND", "THIRD"} {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
				t.Fatalf("%q, %v; want %q", got, err, want)
			}
			switch want {
			case "FIRST":
				c.send("6\r\nsecond\r\n")
			case "SECOND":
				c.send("5\r\nthird\r\n")
			default:
				c.send("0\r\n\r\n")
			}
		}
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Fatalf("%q %v", rest, err)
		}
		if r := s.record(); r.Err != nil || r.RequestBytes != 16 || r.ResponseBytes != 16 {
			t.Errorf("%+v", r)
		}
	}
	if n := o.Accepted.Load(); n != 1 {
		t.Errorf("%d connections to the endpoint, want 1", n)
	}
}

func TestBodiesArriveWhole(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, _ int) {
		for {
			r, body := p.ask()
			if r == nil {
				return
			}
			p.ok(fmt.Sprintf("%d %v %t", len(body), r.TransferEncoding, strings.Count(body, "x") == len(body)))
		}
	})
	c := s.dial()
	for _, n := range []int{1, 100, 8 << 10, 16 << 10, 64 << 10, 300 << 10, 3 << 20} {
		body := strings.Repeat("x", n)
		c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", n, body)
		if _, got := c.answer("POST"); got != fmt.Sprintf("%d [] true", n) {
			t.Errorf("length %d: %s", n, got)
		}
		c.send("PUT / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, body)
		if _, got := c.answer("PUT"); got != fmt.Sprintf("%d [chunked] true", n) {
			t.Errorf("chunked %d: %s", n, got)
		}
		s.record()
		s.record()
	}
}

func TestTrailersOfARequest(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, _ int) {
		r, body := p.ask()
		if r != nil {
			p.ok(body + r.Trailer.Get("X-Sum"))
		}
	})
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n")
	if _, got := c.answer("POST"); got != "a7" {
		t.Error(got)
	}
}

func TestContinueIsForwarded(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, _ int) {
		if head := p.head(); !strings.Contains(head, "expect: 100-continue") {
			t.Errorf("head: %q", head)
		}
		if p.r.Buffered() > 0 {
			t.Error("the body came before 100")
		}
		p.send("HTTP/1.1 100 Continue\r\n\r\n")
		var body [4]byte
		io.ReadFull(p.r, body[:])
		p.ok(string(body[:]))
	})
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	if head := c.head(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%q", head)
	}
	c.send("body")
	if resp, body := c.answer("POST"); resp.StatusCode != 200 || body != "body" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if r := s.record(); r.Err != nil {
		t.Error(r.Err)
	}
}

// RFC 9110 section 10.1.1: an endpoint that never says 100 gets the body all the same.
func TestContinueThatNeverComes(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, _ int) {
		_, body := p.ask() // reads the body without having said 100
		p.ok(body)
	})
	c := s.dial()
	began := time.Now()
	c.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	if head := c.head(); head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%q", head)
	}
	if since := time.Since(began); since < continueWait {
		t.Errorf("the body was asked for after %v", since)
	}
	c.send("body")
	if _, body := c.answer("POST"); body != "body" {
		t.Errorf("%q", body)
	}
}

func TestFinalAnswerInPlaceOf100(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, _ int) {
		p.head()
		p.send("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")
		if rest, _ := io.ReadAll(p.r); len(rest) > 0 {
			t.Errorf("the endpoint got %q", rest)
		}
	})
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	resp, _ := c.answer("POST")
	if resp.StatusCode != 401 {
		t.Errorf("%d", resp.StatusCode)
	}
	c.ended() // nobody knows whether the body comes
	if r := s.record(); r.Err != nil || r.Status != 401 {
		t.Errorf("%+v", r)
	}
}

// A client that got its final answer without 100 keeps its body; a response
// that lasts must not fail for want of it.
func TestLongFinalAnswerInPlaceOf100(t *testing.T) {
	more := make(chan bool)
	o := newOrigin(t, func(p *peer, _ int) {
		p.head()
		p.send("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")
		<-more
		p.send("done")
	})
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, config: func(c *http1.Config) { c.BodyTimeout = 30 * time.Millisecond }}.with(o))
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	resp, err := http.ReadResponse(c.r, &http.Request{Method: "POST"})
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	// The wait for 100 is over, and the time for a body's piece too.
	var end int64
	s.loop.Do(func() { end = s.loop.Now() + int64(continueWait) + int64(200*time.Millisecond) })
	s.until("the upload has given up", func() bool { return s.loop.Now() > end })
	close(more)
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "halfdone" {
		t.Errorf("%q %v", body, err)
	}
	if r := s.record(); r.Err != nil {
		t.Error(r.Err)
	}
}

func TestInformationalResponsesPass(t *testing.T) {
	s, _ := forwarding(t, nil, func(p *peer, _ int) {
		p.head()
		p.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n")
		p.ok("x")
	})
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	if head := c.head(); head != "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n" {
		t.Errorf("%q", head)
	}
	if _, body := c.answer("GET"); body != "x" {
		t.Error(body)
	}
}

// A request that never becomes whole is the client's fault: 400, and the
// endpoint does not get an end that is none.
func TestBrokenUploads(t *testing.T) {
	for name, test := range map[string]struct {
		send   string
		close  bool
		status int
	}{
		"cut length":   {"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf", true, 400},
		"cut chunk":    {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", true, 400},
		"broken chunk": {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n", false, 400},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := forwarding(t, nil, func(p *peer, _ int) {
				if r, body := p.ask(); r != nil && !strings.HasPrefix(body, "CUT") {
					t.Errorf("the endpoint got a whole request: %q", body)
				}
			})
			c := s.dial()
			c.send("%s", test.send)
			if test.close {
				c.CloseWrite()
			}
			if resp, _ := c.answer("POST"); resp.StatusCode != test.status {
				t.Errorf("%d", resp.StatusCode)
			}
			if r := s.record(); r.Err == nil || r.Err.Side != stream.Downstream {
				t.Errorf("%+v", r.Err)
			}
		})
	}
}
