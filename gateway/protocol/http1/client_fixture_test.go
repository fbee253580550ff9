package http1

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/connection"
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
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			e.Error(err)
			return
		}
		to := unix.SockaddrInet4{Port: e.listener.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
		if err := unix.Connect(fd, &to); err != nil {
			e.Error(err)
		}
		unix.SetNonblock(fd, true)
		var dialed connection.Conn
		if err := dialed.Open(e.l, fd, o); err != nil {
			e.Error(err)
		}
		o.Take(&dialed, &e.limits, o)
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
	c.Send(&stream.Outgoing{Path: r.Path, Authority: r.Authority, Upgrade: r.Upgrade}, x.send, r.Body == nil || x.send != nil)
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
