package proxy

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/upstream/origintest"
)

// held is an endpoint of HTTP/2 whose requests the test answers.
func held(t testing.TB) *origintest.HTTP2 {
	return origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.Hold = true })
}

// overHTTP2 is a stage with one route to these endpoints.
func overHTTP2(t testing.TB, edit func(*router.Forward), origins ...*origintest.HTTP2) *stage {
	config := clusterOf("c")
	config.Protocol = cluster.HTTP2Only
	for _, o := range origins {
		config.Endpoints = append(config.Endpoints, clusterOf("", o.At).Endpoints...)
	}
	return newStage(t, settings{
		routes: []*router.Route{to("/", edit)}, clusters: []*cluster.Config{config},
		config: func(c *http1.Config) { c.BodyTimeout = 100 * time.Millisecond },
	})
}

// A WebSocket of a client that speaks HTTP/1.1 is an extended CONNECT to an
// endpoint that speaks HTTP/2 (RFC 8441), and its tunnel ends in both directions.
func TestWebSocketOverHTTP2(t *testing.T) {
	o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) {
		o.Hold = true
		o.Settings = []xhttp2.Setting{{ID: xhttp2.SettingEnableConnectProtocol, Val: 1}}
	})
	s := overHTTP2(t, func(f *router.Forward) { f.Upgrades = []string{"websocket"} }, o)
	p := s.dial()
	p.send("GET /chat?a=1 HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nearly")
	k := o.Next(t)
	if k.Head.PseudoValue("protocol") != "websocket" || k.Head.PseudoValue("path") != "/chat?a=1" {
		t.Errorf("%v", k.Head.Fields)
	}
	for _, f := range k.Head.RegularFields() {
		if f.Name == "sec-websocket-key" || f.Name == "upgrade" || f.Name == "connection" {
			t.Errorf("%v goes to the endpoint", f)
		}
	}
	k.Accept()
	head := p.head()
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
		t.Fatalf("%q", head)
	}
	if got := string(<-k.Data); got != "early" {
		t.Errorf("the endpoint got %q", got)
	}
	k.Send("from the endpoint", true)
	if got, err := io.ReadAll(p.r); err != nil || string(got) != "from the endpoint" {
		t.Errorf("%q, %v", got, err)
	}
	p.send("last")
	p.CloseWrite()
	if got := string(<-k.Data); got != "last" {
		t.Errorf("the endpoint got %q", got)
	}
	if _, more := <-k.Data; more {
		t.Error("the tunnel has no end")
	}
	if r := s.record(); r.Err != nil || r.RequestBytes != 9 || r.ResponseBytes != 17 {
		t.Errorf("%+v", r)
	}
	s.quiet()
}

// Without extended CONNECT an upgrade is refused, and says why.
func TestNoWebSocketOverHTTP2(t *testing.T) {
	o := held(t)
	s := overHTTP2(t, func(f *router.Forward) { f.Upgrades = []string{"websocket"} }, o)
	if resp, _ := s.get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="); resp.StatusCode != 502 {
		t.Error(resp.StatusCode)
	}
	if r := s.record(); r.Flag() != stream.UpstreamProtocolError || !strings.Contains(r.Err.Error(), "RFC 8441") {
		t.Errorf("%v", r.Err)
	}
	s.quiet()
}

// What the endpoint did not process is sent again, whatever the method: on the
// same connection when it is as good as before, on another one when it is not.
func TestUnprocessedIsSentAgain(t *testing.T) {
	for name, c := range map[string]struct {
		refuse      func(*origintest.Call)
		connections int32
	}{
		"REFUSED_STREAM": {func(k *origintest.Call) { k.Reset(xhttp2.ErrCodeRefusedStream) }, 1},
		"GOAWAY":         {func(k *origintest.Call) { k.GoAway(0) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			o := held(t)
			s := overHTTP2(t, nil, o)
			p := s.dial()
			p.send("POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody")
			c.refuse(o.Next(t))
			second := o.Next(t)
			if string(second.Body) != "body" {
				t.Errorf("the second try has %q", second.Body)
			}
			second.Answer()
			if resp, body := p.answer("POST"); resp.StatusCode != 200 || body != "hello" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			if r := s.record(); r.Tries != 2 || r.Err != nil {
				t.Errorf("%d tries, %v", r.Tries, r.Err)
			}
			if n := o.Accepted.Load(); n != c.connections {
				t.Errorf("%d connections", n)
			}
			if n := s.stats(0).Retries.Load(); n != 0 {
				t.Errorf("%d retries are counted", n)
			}
			p.Close()
			s.quiet()
		})
	}
}

// A stream that is refused goes elsewhere if it can.
func TestRefusedGoesElsewhere(t *testing.T) {
	a, b := held(t), held(t)
	s := overHTTP2(t, nil, a, b)
	p := s.dial()
	p.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	var calls atomic.Int32
	var served sync.WaitGroup
	for _, o := range []*origintest.HTTP2{a, b} {
		served.Go(func() {
			if k := o.Next(t); calls.Add(1) == 1 {
				k.Reset(xhttp2.ErrCodeRefusedStream)
			} else {
				k.Answer()
			}
		})
	}
	served.Wait() // each has one
	if resp, _ := p.answer("GET"); resp.StatusCode != 200 {
		t.Error(resp.StatusCode)
	}
	if r := s.record(); r.Tries != 2 {
		t.Errorf("%d tries", r.Tries)
	}
	p.Close()
	s.quiet()
}

// An endpoint that refuses everything has its answer passed on at last, and what
// it may have processed is not sent again.
func TestRefusalsEnd(t *testing.T) {
	o := held(t)
	s := overHTTP2(t, nil, o)
	p := s.dial()
	p.send("POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody")
	for range 1 + maxResends {
		o.Next(t).Reset(xhttp2.ErrCodeRefusedStream)
	}
	if resp, _ := p.answer("POST"); resp.StatusCode != 502 {
		t.Error(resp.StatusCode)
	}
	if r := s.record(); r.Tries != 1+maxResends || r.Flag() != stream.UpstreamRemoteReset {
		t.Errorf("%d tries, %v", r.Tries, r.Err)
	}
	p.send("POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody")
	o.Next(t).Reset(xhttp2.ErrCodeInternal)
	if resp, _ := p.answer("POST"); resp.StatusCode != 502 {
		t.Error(resp.StatusCode)
	}
	if r := s.record(); r.Tries != 1 {
		t.Errorf("%d tries", r.Tries)
	}
	p.Close()
	s.quiet()
}

// Idempotent requests on a shared connection that breaks are all sent once more,
// on one other connection.
func TestSharedConnectionBreaks(t *testing.T) {
	o := held(t)
	s := overHTTP2(t, nil, o)
	first := s.dial() // makes the connection one that was used
	first.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
	o.Next(t).Answer()
	first.answer("GET")
	s.record()
	const n = 20
	var clients []*peer
	for range n {
		c := s.dial()
		c.send("GET /x HTTP/1.1\r\nHost: test\r\n\r\n")
		clients = append(clients, c)
	}
	for range n {
		o.Next(t)
	}
	o.CloseConnections()
	for range n {
		o.Next(t).Answer()
	}
	for _, c := range clients {
		if resp, body := c.answer("GET"); resp.StatusCode != 200 || body != "hello" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
		if r := s.record(); r.Tries != 2 {
			t.Errorf("%d tries", r.Tries)
		}
		c.Close()
	}
	if n := o.Accepted.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
	first.Close()
	s.quiet()
}
