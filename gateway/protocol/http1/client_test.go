package http1

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// endpoint is a scripted peer of Clients.
type endpoint struct {
	testing.TB
	l        *worker.Loop
	listener *net.TCPListener
	limits   Limits
}

func listen(t testing.TB) *endpoint {
	t.Helper()
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{TB: t, l: startLoop(t), listener: listener, limits: testLimits}
	t.Cleanup(func() { listener.Close() })
	return e
}

// owned is a Client and what its owner was told.
type owned struct {
	Client
	e    *endpoint
	peer *net.TCPConn
	idle int
}

func (o *owned) ClientIdle(*Client) { o.idle++ }

// dial opens a Client; its peer is accepted.
func (e *endpoint) dial() *owned {
	e.Helper()
	o := &owned{e: e}
	e.l.Do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			e.Error(err)
			return
		}
		to := unix.SockaddrInet4{Port: e.listener.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
		if err := unix.Connect(fd, &to); err != nil && err != unix.EINPROGRESS {
			e.Error(err)
		}
		if err := o.Open(e.l, fd, &e.limits, o); err != nil {
			e.Error(err)
		}
	})
	var err error
	if o.peer, err = e.listener.AcceptTCP(); err != nil {
		e.Fatal(err)
	}
	o.peer.SetDeadline(time.Now().Add(patience))
	e.Cleanup(o.close)
	return o
}

func (o *owned) close() {
	o.e.l.Do(func() { o.Conn.Close() })
	o.peer.Close()
}

// exchange is one request over a Client and what came of it.
type exchange struct {
	o         *owned
	s         stream.Stream
	send      []byte // a body to Send; else Request.Body is sent by SendBody
	asked     bool
	tunnel    func(co *worker.Coroutine, t stream.Tunnel)
	informed  []string
	result    chan string
	keepAlive bool // what Detach said
	err       error
}

func (x *exchange) Inform(status int, h *stream.Header) {
	x.informed = append(x.informed, fmt.Sprintf("%d %s", status, strings.TrimSpace(lines(h))))
}

// begin starts an exchange; prepare may change its request.
func (o *owned) begin(method string, prepare func(x *exchange)) *exchange {
	x := &exchange{o: o, result: make(chan string, 1)}
	r := &x.s.Request
	r.Method, r.Authority, r.Path, r.Minor = []byte(method), []byte("h"), []byte("/x"), 1
	x.s.Loop, x.s.Informational = o.e.l, x
	if prepare != nil {
		prepare(x)
	}
	o.e.l.Do(func() { o.e.l.Go(x) })
	return x
}

// wait returns what became of the exchange.
func (x *exchange) wait() string {
	x.o.e.Helper()
	select {
	case s := <-x.result:
		return s
	case <-time.After(patience):
		x.o.e.Fatal("the exchange does not end")
		return ""
	}
}

// Run does the exchange, as the proxy does it.
func (x *exchange) Run(co *worker.Coroutine) {
	x.s.Co = co
	c, r := &x.o.Client, &x.s.Request
	c.Attach(&x.s)
	what, err := x.run(co, c, r)
	if err != nil {
		x.err = err
		e := stream.AsError(err)
		what += fmt.Sprintf("error %s %s", e.Flag, e.Phase)
	}
	x.keepAlive = c.Detach()
	if x.keepAlive {
		what += " reusable"
	}
	for _, i := range x.informed {
		what = i + ", " + what
	}
	x.result <- what
}

func (x *exchange) run(co *worker.Coroutine, c *Client, r *stream.Request) (string, error) {
	if err := c.WaitConnected(co); err != nil {
		return "", err
	}
	c.Send(&Outgoing{Path: r.Path, Authority: r.Authority, Upgrade: r.Upgrade}, x.send)
	if r.Body != nil && x.send == nil {
		if err := c.SendBody(co); err != nil {
			return "", err
		}
	}
	resp := &x.s.Response
	if err := c.ReadHead(co, resp, x.asked); err != nil {
		return "", err
	}
	what := fmt.Sprintf("%d length %d", resp.Status, resp.Length)
	if resp.Upgraded != nil {
		if x.tunnel != nil {
			x.tunnel(co, resp.Upgraded)
		}
		return what + " to " + string(resp.Protocol), nil
	}
	if resp.Body == nil {
		return what, nil
	}
	var body []byte
	for {
		p, err := resp.Body.Next(co)
		if err == io.EOF {
			break
		}
		if err != nil {
			return what + " ", err
		}
		body = append(body, p...)
	}
	what += fmt.Sprintf(" body %q", body)
	if t := resp.Body.Trailer(); t != nil {
		what += fmt.Sprintf(" trailer %q", lines(t))
	}
	return what, nil
}

// head reads a request's head.
func (o *owned) head() string {
	o.e.Helper()
	var b strings.Builder
	p := make([]byte, 1)
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		if _, err := io.ReadFull(o.peer, p); err != nil {
			o.e.Fatalf("%q, then %v", b.String(), err)
		}
		b.WriteByte(p[0])
	}
	return b.String()
}

const ok5 = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

// responses are what an endpoint says, and what becomes of it. close: the
// endpoint then closes. untilClose: the body ends with the connection.
var responses = []struct {
	name, method, text string
	close              bool
	want               string
}{
	{"fixed", "GET", ok5, false, `200 length 5 body "hello" reusable`},
	{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "200 length 0 reusable"},
	{"chunked", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", false, `200 length -1 body "hello world" reusable`},
	{"trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n", false, `200 length -1 body "x" trailer "x-sum: 1\n" reusable`},
	{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nhello", true, `200 length -1 body "hello"`},
	{"http/1.0 until close", "GET", "HTTP/1.0 200 OK\r\n\r\nhello", true, `200 length -1 body "hello"`},
	{"http/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, `200 length 5 body "hello"`},
	{"http/1.0 keep-alive", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", false, `200 length 5 body "hello" reusable`},
	{"connection close", "GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", false, `200 length 5 body "hello"`},
	{"head", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, "200 length 5 reusable"},
	{"head chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, "200 length -1 reusable"},
	{"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", false, "204 length 0 reusable"},
	{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, "304 length 5 reusable"},
	{"informational", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok5, false, `103 link: a, 100 , 200 length 5 body "hello" reusable`},
	{"not a response", "GET", "SSH-2.0-x\r\n\r\n", false, "error UPE response-head"},
	{"malformed", "GET", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", false, "error UPE response-head"},
	{"two lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", false, "error UPE response-head"},
	{"unasked switch", "GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", false, "error UPE response-head"},
	{"malformed chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n", false, "200 length -1 error UPE response-body"},
}

func TestResponses(t *testing.T) {
	e := listen(t)
	for _, c := range responses {
		t.Run(c.name, func(t *testing.T) {
			e.TB = t
			for cut := range len(c.text) {
				o := e.dial()
				x := o.begin(c.method, nil)
				if got, want := o.head(), c.method+" /x HTTP/1.1\r\nhost: h\r\n\r\n"; got != want {
					t.Fatalf("the request is %q", got)
				}
				io.WriteString(o.peer, c.text[:cut])
				e.settle()
				io.WriteString(o.peer, c.text[cut:])
				if c.close {
					o.peer.CloseWrite()
				}
				if got := x.wait(); got != c.want {
					t.Fatalf("cut at %d: %s\nwant %s", cut, got, c.want)
				}
				// What is reusable is used again.
				if x.keepAlive {
					x := o.begin("GET", nil)
					o.head()
					io.WriteString(o.peer, ok5)
					if got := x.wait(); got != responses[0].want {
						t.Fatalf("cut at %d: the second response is %s", cut, got)
					}
				}
				e.l.Do(func() {
					if n := o.Served(); n != 1 && !x.keepAlive || n != 2 && x.keepAlive {
						t.Errorf("served %d", n)
					}
				})
				o.close()
			}
		})
	}
	e.TB = t
}

func (e *endpoint) settle() {
	e.l.Do(func() {})
	e.l.Do(func() {})
}

// A response that is cut short is never taken for a whole one.
func TestResponsesThatAreCutShort(t *testing.T) {
	e := listen(t)
	for _, c := range responses {
		if strings.Contains(c.want, "error") {
			continue
		}
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, reset), func(t *testing.T) {
				e.TB = t
				headEnd := strings.Index(c.text, "\r\n\r\n") + 4
				for cut := range len(c.text) {
					o := e.dial()
					x := o.begin(c.method, nil)
					o.head()
					io.WriteString(o.peer, c.text[:cut])
					if reset {
						if cut%2 == 0 {
							e.settle()
						}
						o.peer.SetLinger(0)
					}
					o.peer.Close()
					got := x.wait()
					switch {
					case x.keepAlive:
						t.Errorf("closed at %d: reusable", cut)
					case x.err != nil && strings.Contains(got, "error UC "):
					case c.close && !reset && cut >= headEnd && x.err == nil:
						// Nothing tells that more was to come.
					default:
						t.Errorf("closed at %d: %s", cut, got)
					}
					e.l.Do(func() {
						if o.Answered() != (cut > 0) && !reset {
							t.Errorf("closed at %d: answered is %v", cut, o.Answered())
						}
					})
					o.close()
				}
			})
		}
	}
	e.TB = t
}

func TestSurplusIsNotForTheNextRequest(t *testing.T) {
	e := listen(t)
	// With the response.
	o := e.dial()
	x := o.begin("GET", nil)
	o.head()
	io.WriteString(o.peer, ok5+"HTTP/1.1 200 OK\r\n\r\n")
	if got := x.wait(); got != `200 length 5 body "hello"` {
		t.Error(got)
	}
	// Behind it, while the connection is idle; and its end.
	for _, end := range []func(*owned){
		func(o *owned) { io.WriteString(o.peer, "x") },
		func(o *owned) { o.peer.Close() },
		func(o *owned) { o.peer.SetLinger(0); o.peer.Close() },
	} {
		o := e.dial()
		x := o.begin("GET", nil)
		o.head()
		io.WriteString(o.peer, ok5)
		if got := x.wait(); got != responses[0].want {
			t.Error(got)
		}
		e.settle()
		e.l.Do(func() {
			if o.idle != 0 {
				t.Error("the owner was told of nothing")
			}
		})
		end(o)
		until(t, e.l, "the owner was told", func() bool { return o.idle > 0 })
	}
	// An end that came with the response.
	o = e.dial()
	x = o.begin("GET", nil)
	o.head()
	e.l.Do(func() {
		io.WriteString(o.peer, ok5)
		o.peer.Close()
	})
	if got := x.wait(); got != `200 length 5 body "hello"` {
		t.Error(got)
	}
}

func TestBoundsOfResponses(t *testing.T) {
	e := listen(t)
	e.limits = Limits{Line: 100, Head: 500, Fields: 5}
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 600) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 600),
		"HTTP/1.1 200 " + strings.Repeat("x", 200) + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", 6) + "\r\n",
		strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInformational+1) + ok5,
	} {
		o := e.dial()
		x := o.begin("GET", func(x *exchange) { x.s.Informational = nil })
		o.head()
		io.WriteString(o.peer, text)
		if got := x.wait(); got != "error UPE response-head" {
			t.Errorf("%.40q: %s", text, got)
		}
	}
}

func TestRequestBodies(t *testing.T) {
	e := listen(t)
	big := strings.Repeat("0123456789", 300000)
	for _, c := range []struct {
		name    string
		prepare func(x *exchange)
		head    string
		body    string
		trailer string
	}{
		{"at hand", func(x *exchange) { x.s.Request.Length, x.send = 5, []byte("hello") }, "content-length: 5\r\n", "hello", ""},
		{"fixed", func(x *exchange) { x.s.Request.Length, x.s.Request.Body = 5, stream.NewBytes([]byte("hello")) }, "content-length: 5\r\n", "hello", ""},
		{"big", func(x *exchange) {
			x.s.Request.Length, x.s.Request.Body = int64(len(big)), &pieces{n: 300, piece: []byte(big[:10000])}
		}, "content-length: 3000000\r\n", big, ""},
		{"chunked", func(x *exchange) {
			b := &pieces{n: 3, piece: []byte("piece"), wait: true}
			b.trailer.AddString("x-sum", "1")
			x.s.Request.Length, x.s.Request.Body = -1, b
		}, "transfer-encoding: chunked\r\n", "piecepiecepiece", "1"},
		{"big chunked", func(x *exchange) {
			x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 300, piece: []byte(big[:10000])}
		}, "transfer-encoding: chunked\r\n", big, ""},
		{"empty pieces", func(x *exchange) {
			x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 3, piece: []byte("piece"), empty: true}
		}, "transfer-encoding: chunked\r\n", "piecepiecepiece", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.TB = t
			o := e.dial()
			x := o.begin("POST", c.prepare)
			e.settle() // a big body has filled the socket by now
			in := bufio.NewReader(o.peer)
			r, err := http.ReadRequest(in)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != c.body || r.Trailer.Get("x-sum") != c.trailer {
				t.Errorf("%d bytes, trailer %q, %v", len(body), r.Trailer.Get("x-sum"), err)
			}
			if chunked := len(r.TransferEncoding) > 0; chunked != strings.Contains(c.head, "chunked") {
				t.Errorf("chunked is %v", chunked)
			}
			io.WriteString(o.peer, ok5)
			if got := x.wait(); got != responses[0].want {
				t.Error(got)
			}
		})
	}
	e.TB = t
}

// The endpoint answers and goes while the request's body is sent.
func TestEndpointGoneWithinTheRequest(t *testing.T) {
	e := listen(t)
	o := e.dial()
	x := o.begin("POST", func(x *exchange) {
		x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 1 << 30, piece: bigPiece}
	})
	o.head()
	o.peer.SetLinger(0)
	o.peer.Close()
	if got := x.wait(); got != "error UC request-body" {
		t.Error(got)
	}
	if err := stream.AsError(x.err); !err.Sent || err.Side != stream.Upstream {
		t.Errorf("%+v", err)
	}
}

// A failing request body is the request's failure, and the connection's end.
func TestRequestBodyFails(t *testing.T) {
	e := listen(t)
	o := e.dial()
	cause := &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestBody, Flag: stream.DownstreamConnectionEnd, Cause: errors.New("x")}
	x := o.begin("POST", func(x *exchange) {
		x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 2, piece: []byte("x"), err: cause}
	})
	if got := x.wait(); got != "error DC request-body" || x.err != error(cause) {
		t.Error(got, x.err)
	}
}

// What waits for the endpoint ends when its stream, or this try, is given up.
func TestGivingUp(t *testing.T) {
	e := listen(t)
	late := &stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamTimeout, Status: 504, Cause: errors.New("late")}
	for name, end := range map[string]func(x *exchange){
		"abort": func(x *exchange) { x.s.Abort(late) },
		"fail":  func(x *exchange) { x.o.Fail(late) },
	} {
		for _, text := range []string{"", "HTTP/1.1 200 OK\r\nConte", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"} {
			o := e.dial()
			x := o.begin("GET", nil)
			o.head()
			io.WriteString(o.peer, text)
			e.settle()
			e.l.Do(func() { end(x) })
			if got := x.wait(); !strings.HasSuffix(got, "error UT response-head") || x.err != error(late) {
				t.Errorf("%s after %q: %s", name, text, got)
			}
			o.close()
		}
		// In the middle of a body that the endpoint does not take.
		o := e.dial()
		x := o.begin("POST", func(x *exchange) {
			x.s.Request.Length, x.s.Request.Body = -1, &pieces{n: 1 << 30, piece: bigPiece}
		})
		o.head()
		until(t, e.l, "the socket is full", func() bool { return o.writer != nil })
		e.l.Do(func() { end(x) })
		if got := x.wait(); got != "error UT response-head" {
			t.Errorf("%s: %s", name, got)
		}
		o.close()
	}
}

func TestConnectRefused(t *testing.T) {
	e := listen(t)
	o := &owned{e: e}
	port := e.listener.Addr().(*net.TCPAddr).Port
	e.listener.Close()
	e.l.Do(func() {
		fd, _ := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != unix.EINPROGRESS {
			t.Skip("the kernel refused at once")
		}
		if err := o.Open(e.l, fd, &e.limits, o); err != nil {
			t.Error(err)
		}
	})
	x := o.begin("GET", nil)
	x.wait()
	if !errors.Is(x.err, unix.ECONNREFUSED) || x.keepAlive {
		t.Error(x.err)
	}
	e.l.Do(func() { o.Conn.Close() })
}

func TestClientTunnel(t *testing.T) {
	e := listen(t)
	const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly"
	for cut := range len(switching) {
		o := e.dial()
		var got strings.Builder
		x := o.begin("GET", func(x *exchange) {
			x.asked, x.s.Request.Upgrade = true, []byte("echo")
			x.tunnel = func(co *worker.Coroutine, tunnel stream.Tunnel) {
				if err := tunnel.Write(co, []byte("from the client")); err != nil {
					t.Error(err)
				}
				for {
					p, err := tunnel.Read(co)
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Error(err)
						break
					}
					got.Write(p)
				}
				// Much, against a peer that is slow to read.
				for range 100 {
					if err := tunnel.Write(co, bigPiece); err != nil {
						t.Error(err)
					}
				}
				if err := tunnel.CloseWrite(co); err != nil {
					t.Error(err)
				}
			}
		})
		if head := o.head(); head != "GET /x HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n" {
			t.Errorf("%q", head)
		}
		io.WriteString(o.peer, switching[:cut])
		e.settle()
		io.WriteString(o.peer, switching[cut:]+" and late")
		o.peer.CloseWrite()
		p, err := io.ReadAll(o.peer)
		if want := len("from the client") + 100*len(bigPiece); err != nil || len(p) != want {
			t.Fatalf("the peer read %d bytes, want %d, %v", len(p), want, err)
		}
		if s := x.wait(); s != "101 length -1 to echo" || got.String() != "early and late" {
			t.Errorf("cut at %d: %s, read %q", cut, s, got.String())
		}
		o.close()
	}
	// Reset.
	o := e.dial()
	x := o.begin("GET", func(x *exchange) {
		x.asked, x.s.Request.Upgrade = true, []byte("echo")
		x.tunnel = func(co *worker.Coroutine, tunnel stream.Tunnel) {
			for {
				if _, err := tunnel.Read(co); err != nil {
					if e := stream.AsError(err); err == io.EOF || e.Flag != stream.UpstreamRemoteReset || e.Phase != stream.PhaseTunnel {
						t.Errorf("read: %v", err)
					}
					tunnel.Close()
					return
				}
			}
		}
	})
	o.head()
	io.WriteString(o.peer, switching)
	e.settle()
	o.peer.SetLinger(0)
	o.peer.Close()
	x.wait()
}

// A tunnel's writer waits while the endpoint takes nothing.
func TestTunnelBackpressure(t *testing.T) {
	e := listen(t)
	o := e.dial()
	const n = 1500
	x := o.begin("GET", func(x *exchange) {
		x.asked, x.s.Request.Upgrade = true, []byte("echo")
		x.tunnel = func(co *worker.Coroutine, tunnel stream.Tunnel) {
			for range n {
				if err := tunnel.Write(co, bigPiece); err != nil {
					t.Error(err)
					return
				}
			}
			if err := tunnel.CloseWrite(co); err != nil {
				t.Error(err)
			}
		}
	})
	o.head()
	io.WriteString(o.peer, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	until(t, e.l, "the writer waits", func() bool { return o.writer != nil && o.Pending() > lowWater })
	e.l.Do(func() {
		if _, lent := e.l.Buffers.Lent(); lent > 256<<10 {
			t.Errorf("%d bytes are held", lent)
		}
	})
	p, err := io.ReadAll(o.peer)
	if err != nil || len(p) != n*len(bigPiece) {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	x.wait()
}
