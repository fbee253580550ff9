package http2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// endpoint is the peer of Clients.
type endpoint struct {
	testing.TB
	l        *worker.Loop
	listener *net.TCPListener
	cfg      ClientConfig
}

func listen(t testing.TB, change func(*ClientConfig)) *endpoint {
	t.Helper()
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{TB: t, l: startLoop(t), listener: listener}
	e.cfg.Shared = new(Worker)
	if change != nil {
		change(&e.cfg)
	}
	t.Cleanup(func() { listener.Close() })
	return e
}

// owned is a Client and what its owner was told.
type owned struct {
	Client
	e       *endpoint
	peer    *net.TCPConn
	changes int
	ended   int
}

func (o *owned) ClientChanged(c *Client) {
	o.changes++
	if c.Err() != nil {
		o.ended++
	}
}

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
		if err := dialed.Open(e.l, fd, &accepted{}); err != nil {
			e.Error(err)
		}
		o.Take(&dialed, &e.cfg, o)
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
	o.e.l.Do(func() { o.Client.Close() })
	o.peer.Close()
}

// frames speaks with the client by frames; it has read the client's preface.
func (o *owned) frames() *rawClient {
	o.e.Helper()
	rc := &rawClient{TB: o.e, Conn: o.peer, Framer: xhttp2.NewFramer(o.peer, o.peer)}
	rc.AllowIllegalWrites = true
	rc.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	rc.enc = hpack.NewEncoder(&rc.block)
	p := make([]byte, len(preface))
	if _, err := io.ReadFull(o.peer, p); err != nil || string(p) != preface {
		o.e.Fatalf("the preface is %q, %v", p, err)
	}
	return rc
}

// greeted is a Client whose endpoint has sent settings.
func (e *endpoint) greeted(settings ...xhttp2.Setting) (*owned, *rawClient) {
	e.Helper()
	o := e.dial()
	rc := o.frames()
	rc.WriteSettings(settings...)
	rc.WriteSettingsAck()
	o.e.until("the settings came", func() bool { return o.Settled() })
	return o, rc
}

func (e *endpoint) until(what string, cond func() bool) {
	e.Helper()
	until(e, e.l, what, cond)
}

// heads reads up to the request of that stream: its fields as "name: value" lines.
func (rc *rawClient) heads(id uint32) string {
	rc.Helper()
	var b strings.Builder
	f := rc.until(func(f xhttp2.Frame) bool {
		h, ok := f.(*xhttp2.MetaHeadersFrame)
		return ok && h.StreamID == id
	})
	for _, field := range f.(*xhttp2.MetaHeadersFrame).Fields {
		fmt.Fprintf(&b, "%s: %s\n", field.Name, field.Value)
	}
	return b.String()
}

// respond sends HEADERS.
func (rc *rawClient) respond(id uint32, end bool, fields ...string) {
	rc.Helper()
	if err := rc.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: rc.encode(fields...), EndStream: end, EndHeaders: true}); err != nil {
		rc.Fatal(err)
	}
}

// script is what an endpoint sends, as bytes.
func script(t testing.TB, say func(rc *rawClient)) []byte {
	var out bytes.Buffer
	rc := &rawClient{TB: t, Framer: xhttp2.NewFramer(&out, nil)}
	rc.AllowIllegalWrites = true
	rc.enc = hpack.NewEncoder(&rc.block)
	say(rc)
	return out.Bytes()
}

// call is one request over a Client and what came of it.
type call struct {
	o        *owned
	s        stream.Stream
	cs       *ClientStream
	send     []byte // a body to Send; else Request.Body is sent by SendBody
	out      stream.Outgoing
	tunnel   func(co *worker.Coroutine, t stream.Tunnel) string
	limit    int  // of the body that is read before the call is given up; 0: all
	idle     bool // nothing of the body is read until the call is aborted
	informed []string
	result   chan string
	err      error
	sent     error // what SendBody said
	sending  bool
	attached bool
}

func (x *call) Inform(status int, h *stream.Header) {
	x.informed = append(x.informed, fmt.Sprintf("%d %s", status, strings.TrimSpace(headerLines(h))))
}

func headerLines(h *stream.Header) string {
	var b strings.Builder
	for i := range h.Len() {
		if name, value, _, ok := h.At(i); ok {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return b.String()
}

// begin starts a call; prepare may change its request.
func (o *owned) begin(method string, prepare func(x *call)) *call {
	x := &call{o: o, result: make(chan string, 1)}
	r := &x.s.Request
	r.Method, r.Authority, r.Path = []byte(method), []byte("h"), []byte("/x")
	x.s.Loop, x.s.Informational = o.e.l, x
	if prepare != nil {
		prepare(x)
	}
	x.out = stream.Outgoing{Path: r.Path, Authority: r.Authority, Upgrade: r.Upgrade}
	o.e.l.Do(func() { o.e.l.Go(x) })
	return x
}

// wait returns what became of the call.
func (x *call) wait() string {
	x.o.e.Helper()
	select {
	case s := <-x.result:
		return s
	case <-time.After(patience):
		x.o.e.Fatal("the call does not end")
		return ""
	}
}

// Run does the call, as the proxy does it.
func (x *call) Run(co *worker.Coroutine) {
	x.s.Co = co
	x.cs = x.o.Attach(&x.s)
	x.attached = true
	r := &x.s.Request
	x.cs.Send(&x.out, x.send, r.Body == nil || x.send != nil)
	if r.Body != nil && x.send == nil {
		x.sending = true
		co.Loop().GoLater((*carrier)(x))
	}
	what, err := x.run(co)
	if x.sending {
		r.Body.Stop()
		x.cs.Fail(&stream.Error{Side: stream.Upstream, Flag: stream.LocalReset, Cause: stream.ErrStopped})
		for x.sending {
			co.Wait()
		}
	}
	if err != nil {
		x.err = err
		e := stream.AsError(err)
		what += fmt.Sprintf("error %s %s %d", e.Flag, e.Phase, e.Status)
		if !e.Sent {
			what += " unsent"
		}
	}
	x.cs.Detach()
	for _, i := range x.informed {
		what = i + ", " + what
	}
	x.result <- what
}

// carrier carries a call's body.
type carrier call

func (x *carrier) Run(co *worker.Coroutine) {
	x.sent = x.cs.SendBody(co)
	x.sending = false
	x.s.Co.Wake()
}

func (x *call) run(co *worker.Coroutine) (string, error) {
	resp := &x.s.Response
	if err := x.cs.ReadHead(co, resp, x.out.Upgrade != nil); err != nil {
		return "", err
	}
	what := fmt.Sprintf("%d length %d", resp.Status, resp.Length)
	if resp.Upgraded != nil {
		what += " to " + string(resp.Protocol)
		if x.tunnel != nil {
			what += " " + x.tunnel(co, resp.Upgraded)
		}
		return what, nil
	}
	if resp.Body == nil {
		return what, nil
	}
	for x.idle {
		if err := x.s.Wait(co); err != nil {
			return what + " ", err
		}
	}
	var body []byte
	for x.limit == 0 || len(body) < x.limit {
		p, err := resp.Body.Next(co)
		if err == io.EOF {
			break
		}
		if err != nil {
			return what + " ", err
		}
		body = append(body, p...)
	}
	if len(body) > 100 {
		what += fmt.Sprintf(" body of %d", len(body))
		if !bytes.Equal(body, text(len(body))) {
			what += ", which is another"
		}
	} else {
		what += fmt.Sprintf(" body %q", body)
	}
	if t := resp.Body.Trailer(); t != nil {
		what += fmt.Sprintf(" trailer %q", headerLines(t))
	}
	return what, nil
}
