package supervisor

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"longmen/gateway/snapshot"
	"longmen/tls/server"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func asked(method, path, fields string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: a.test\r\n" + fields + "\r\n"
}

const last = "Connection: close\r\n"

// What a route allows is served before the client's Finished; all else waits for it, in order,
// and is served then.
func TestEarlyData(t *testing.T) {
	e := newEarlyHouse(t)
	at := e.address("https")
	first := <-e.client(at, asked("GET", "/early/first", last), false)
	e.saw("GET /early/first  after")
	if !strings.Contains(first, "answer to /early/first") || !strings.Contains(first, "Max Early Data: 4096") {
		t.Fatal(first)
	}
	var replayed []byte
	for i, c := range []struct {
		requests string
		before   []string // what the origin is asked before the Finished
		after    []string
	}{
		{asked("GET", "/early/a", last), []string{"GET /early/a 1 before"}, nil},
		{asked("HEAD", "/early/b", "") + asked("GET", "/late/c", "") + asked("GET", "/early/d", last), []string{"HEAD /early/b 1 before"}, []string{"GET /late/c  after", "GET /early/d  after"}},
		{asked("GET", "/late/e", last), nil, []string{"GET /late/e  after"}},
		{asked("POST", "/early/f", "Content-Length: 4\r\n"+last) + "body", nil, []string{"POST /early/f body after"}},
		{asked("GET", "/early/g", "Content-Length: 4\r\n"+last) + "body", nil, []string{"GET /early/g body after"}},
		{asked("DELETE", "/early/h", last), nil, []string{"DELETE /early/h  after"}},
		{asked("GET", "/early/i", "Early-Data: 0\r\n"+last), []string{"GET /early/i 1 before"}, nil},
		{asked("GET", "/late/j", "Early-Data: 1\r\n"+last), nil, []string{"GET /late/j 1 after"}}, // an intermediary's in front of us
		{asked("GET", "/early/425", last), []string{"GET /early/425 1 before"}, nil},
	} {
		half := newHalfway(t, at)
		e.last.Store(half)
		printed := e.client(half.ln.Addr().String(), c.requests, true)
		for _, want := range c.before {
			e.saw(want)
		}
		e.accepted(uint64(i + 1))
		if len(e.seen) > 0 {
			t.Fatalf("%d: the origin was asked %q before the handshake was complete", i, <-e.seen)
		}
		if i == 0 {
			replayed = <-half.first
		}
		half.release()
		for _, want := range c.after {
			e.saw(want)
		}
		out := <-printed
		if !strings.Contains(out, "Early data was accepted") || strings.Count(out, "HTTP/1.1 ")-strings.Count(out, "HTTP/1.1 425") < len(c.after) {
			t.Fatalf("%d: %s", i, out)
		}
		if strings.Contains(c.requests, "/425") != strings.Contains(out, "HTTP/1.1 425 ") {
			t.Fatalf("%d: %s", i, out)
		}
	}
	// The same bytes once more are not accepted, by no worker.
	for range 4 {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		conn.Write(replayed)
		conn.(*net.TCPConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		if len(answer) == 0 || answer[0] != 22 || bytes.Contains(answer, []byte("HTTP")) {
			t.Fatalf("%q", answer)
		}
		conn.Close()
	}
	e.accepted(9)
	if len(e.seen) > 0 {
		t.Fatalf("a replay: the origin was asked %q", <-e.seen)
	}
	e.stopped() // the log is written
	log := e.log()
	for _, line := range []string{"GET /early/first - 200", "GET /early/a 1 200", "GET /late/e 1 200", "GET /early/425 1 425"} {
		if !strings.Contains(log, line+"\n") {
			t.Errorf("%q is not in the log:\n%s", line, log)
		}
	}
}

// A client that never completes its handshake has nothing served that has to wait for it: the
// early data is somebody else's, who kept it from the gateway.
func TestEarlyDataUnconfirmed(t *testing.T) {
	t.Run("the client ends", func(t *testing.T) { unconfirmed(t, newEarlyHouse(t), true, "0") })
	t.Run("time is up", func(t *testing.T) {
		e := newEarlyHouse(t, func(l *snapshot.Listener) { l.HTTP.BodyTimeout = 50 * time.Millisecond })
		unconfirmed(t, e, false, "408")
	})
}

func unconfirmed(t *testing.T, e *earlyHouse, ends bool, code string) {
	at := e.address("https")
	<-e.client(at, asked("GET", "/early/first", last), false)
	e.saw("GET /early/first  after")
	thief := newHalfway(t, "")
	e.mayFail = true
	printed := e.client(thief.ln.Addr().String(), asked("GET", "/early/a", "")+asked("GET", "/late/b", last), true)
	flight := <-thief.first
	<-printed
	e.last.Store(thief)
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(flight)
	e.saw("GET /early/a 1 before")
	e.accepted(1)
	if ends {
		conn.(*net.TCPConn).CloseWrite()
	}
	io.Copy(io.Discard, conn)
	conn.Close()
	e.stopped() // the log is written
	if len(e.seen) > 0 {
		t.Fatalf("the origin was asked %q", <-e.seen)
	}
	if log := e.log(); !strings.Contains(log, "GET /early/a 1 200\n") || !strings.Contains(log, "GET /late/b 1 "+code+"\n") {
		t.Fatal(log)
	}
}

// Settings that change: what tickets of before allow is not accepted any more, and nobody is
// refused for it. Clients that send no early data resume with the same tickets.
func TestEarlyDataChanges(t *testing.T) {
	e := newEarlyHouse(t)
	at := e.address("https")
	config := &tls.Config{ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4), NextProtos: []string{"http/1.1"}}
	for i := range 3 {
		state, body := asks(t, at, config)
		e.saw("GET /  after")
		if state.DidResume != (i > 0) || body != "answer to /" {
			t.Fatalf("%d: resumed %v, %q", i, state.DidResume, body)
		}
	}
	<-e.client(at, asked("GET", "/early/first", last), false)
	e.saw("GET /early/first  after")
	for _, w := range e.workers {
		w.loop.Do(func() {}) // they are done with the settings
	}
	e.listener.TLS.Default.EarlyData = &server.EarlyData{Remember: 1}
	next := snap("2", e.listener)
	e.applied(having(next, e.cluster))
	e.mayFail = true // s_client does not send again what was rejected
	out := <-e.client(at, asked("GET", "/early/a", last), true)
	if !strings.Contains(out, "Early data was rejected") || !strings.Contains(out, "Reused, TLSv1.3") {
		t.Fatal(out)
	}
	e.accepted(0)
	if len(e.seen) > 0 {
		t.Fatalf("the origin was asked %q", <-e.seen)
	}
}

// Over HTTP/2 requests wait for themselves.
func TestEarlyDataHTTP2(t *testing.T) {
	e := newEarlyHouse(t, func(l *snapshot.Listener) {
		l.TLS.Default.ALPN = []string{"h2", "http/1.1"}
		l.HTTP.Protocols = snapshot.Protocols{HTTP1: true, HTTP2: true}
		l.HTTP.HTTP2 = snapshot.HTTP2{
			MaxStreams: 100, StreamWindow: 65535, ConnWindow: 1 << 20, MaxStreamWindow: 1 << 20, MaxConnWindow: 4 << 20, HeaderTable: 4096,
			Resets: snapshot.Allowance{Burst: 10, PerSecond: 10}, Control: snapshot.Allowance{Burst: 100, PerSecond: 100}, Continuations: 8,
		}
	})
	at := e.address("https")
	e.protocol, e.mayFail = "h2", true
	<-e.client(at, http2.ClientPreface+"\x00\x00\x01\x00\x00\x00\x00\x00\x01x", false) // DATA without a stream has the gateway close
	half := newHalfway(t, at)
	e.last.Store(half)
	var early bytes.Buffer
	early.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&early, nil)
	framer.WriteSettings()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i, path := range []string{"/late/b", "/early/a"} {
		block.Reset()
		for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", path}} {
			encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	printed := e.client(half.ln.Addr().String(), early.String(), true)
	e.accepted(1)
	e.saw("GET /early/a 1 before")
	if len(e.seen) > 0 {
		t.Fatalf("the origin was asked %q before the handshake was complete", <-e.seen)
	}
	<-half.first
	half.release()
	e.saw("GET /late/b  after")
	half.client.Close()
	half.gateway.Close()
	if out := <-printed; !strings.Contains(out, "Early data was accepted") {
		t.Fatal(out)
	}
	e.stopped()
	if log := e.log(); !strings.Contains(log, "GET /early/a 1 200\n") || !strings.Contains(log, "GET /late/b 1 ") {
		t.Fatal(log)
	}
}
