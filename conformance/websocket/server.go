package websocket

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// patience bounds every wait; only what hangs meets it.
const patience = 10 * time.Second

// A server is the echo server: it speaks by the path it is asked for and keeps
// what became of each connection, by the case that X-Case names.
type server struct {
	addr string
	ln   net.Listener
	mu   sync.Mutex
	logs map[string]chan []string
}

func startServer() (*server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{addr: ln.Addr().String(), ln: ln, logs: map[string]chan []string{}}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c.(*net.TCPConn))
		}
	}()
	return s, nil
}

func (s *server) close() { s.ln.Close() }

// log returns where the transcript of one case arrives.
func (s *server) log(name string) chan []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs[name] == nil {
		s.logs[name] = make(chan []string, 1)
	}
	return s.logs[name]
}

// A session is one connection at the server.
type session struct {
	c        *net.TCPConn
	r        *bufio.Reader
	deflate  bool
	lines    []string
	message  []byte
	op       byte // of the message under way, 0 for none
	squeezed bool // it is compressed
	closing  bool // a close was sent
}

func (s *server) serve(c *net.TCPConn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	x := &session{c: c, r: bufio.NewReader(c)}
	for {
		req, err := http.ReadRequest(x.r)
		if err != nil {
			return
		}
		name := req.Header.Get("X-Case")
		if x.handshake(req) {
			x.talk(strings.TrimPrefix(req.URL.Path, "/"))
			s.log(name) <- x.lines
			return
		}
	}
}

func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// handshake answers the opening request and says whether frames follow.
func (x *session) handshake(req *http.Request) bool {
	refuse := func(status int, extra string) bool {
		body := http.StatusText(status)
		fmt.Fprintf(x.c, "HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n\r\n%s", status, body, extra, len(body), body)
		return false
	}
	upgrade := strings.EqualFold(req.Header.Get("Upgrade"), "websocket")
	switch {
	case !upgrade || !strings.Contains(strings.ToLower(req.Header.Get("Connection")), "upgrade"):
		return refuse(http.StatusUpgradeRequired, "Upgrade: websocket\r\nConnection: Upgrade\r\n")
	case req.Header.Get("Sec-WebSocket-Version") != "13":
		return refuse(http.StatusUpgradeRequired, "Sec-WebSocket-Version: 13\r\n")
	case req.URL.Path == "/forbidden":
		return refuse(http.StatusForbidden, "")
	case req.URL.Path == "/unauthorized":
		return refuse(http.StatusUnauthorized, "WWW-Authenticate: Basic realm=\"x\"\r\n")
	}
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept(req.Header.Get("Sec-WebSocket-Key")) + "\r\n"
	if p, _, _ := strings.Cut(req.Header.Get("Sec-WebSocket-Protocol"), ","); p != "" {
		head += "Sec-WebSocket-Protocol: " + p + "\r\n"
	}
	if strings.Contains(req.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
		x.deflate = true
		head += "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
	}
	for _, f := range []string{"Origin", "Cookie", "X-Test"} {
		x.note("%s: %q", f, req.Header.Values(f))
	}
	head += "Set-Cookie: ws=1\r\n\r\n"
	if req.URL.Path == "/first" {
		// The first frame in one write with the response: it must not be lost.
		head += string(frame{fin: true, op: opText, payload: []byte("first")}.encode())
	}
	io.WriteString(x.c, head)
	return true
}

func (x *session) note(format string, args ...any) {
	x.lines = append(x.lines, fmt.Sprintf(format, args...))
}

func (x *session) send(f frame) { x.c.Write(f.encode()) }

// fail closes with a code and waits for the client's end.
func (x *session) fail(code int) {
	x.note("fail %d", code)
	x.send(closeFrame(code, ""))
	x.c.CloseWrite()
	io.Copy(io.Discard, x.r)
}

// talk runs the script that the path names, then echoes to the end.
func (x *session) talk(path string) {
	text := func(s string) frame { return frame{fin: true, op: opText, payload: []byte(s)} }
	switch path {
	case "ping":
		x.send(frame{fin: true, op: opPing, payload: []byte("are you there")})
	case "fragments":
		x.c.Write(append(frame{op: opText, payload: []byte("one ")}.encode(), frame{fin: true, op: opPing}.encode()...))
		x.send(frame{op: opContinuation, payload: []byte("two ")})
		x.send(frame{fin: true, op: opContinuation, payload: []byte("three")})
	case "many":
		for i := range 1000 {
			x.send(text(fmt.Sprint("message ", i)))
		}
	case "large":
		x.send(frame{fin: true, op: opBinary, payload: pattern(4 << 20)})
	case "bytewise":
		for _, b := range text("byte by byte").encode() {
			x.c.Write([]byte{b})
		}
	case "close":
		x.closing = true
		x.send(closeFrame(1001, "going away"))
	case "close-then-data":
		x.closing = true
		x.send(closeFrame(1000, ""))
		x.send(text("too late"))
	case "gone":
		x.send(text("bye"))
		return // without a close frame
	case "abort":
		x.send(text("bye"))
		x.c.SetLinger(0)
		return
	case "half":
		// The server has said all it will; the client has not.
		x.send(text("my half ends"))
		x.c.CloseWrite()
	case "masked":
		f := text("a server must not mask")
		f.masked = true
		x.send(f)
	}
	for x.step() {
	}
}

// step takes one frame and answers it; false ends the connection.
func (x *session) step() bool {
	f, err := readFrame(x.r)
	switch {
	case errors.Is(err, errTooBig):
		x.fail(1009)
		return false
	case errors.Is(err, io.EOF):
		x.note("end")
		// A client that ended its half may still read.
		x.send(frame{fin: true, op: opText, payload: []byte("you have ended")})
		x.send(closeFrame(1000, ""))
		return false
	case err != nil:
		// Between two connections a reset may become an end: they count as one.
		x.note("end")
		return false
	}
	x.note("frame op=%x fin=%v rsv=%d %s", f.op, f.fin, f.rsv, digest(f.payload))
	control := f.op >= opClose
	switch {
	case !f.masked,
		f.rsv&3 != 0 || f.rsv == 4 && (!x.deflate || control || f.op == opContinuation),
		control && (!f.fin || len(f.payload) > 125),
		f.op > opPong || f.op > opBinary && f.op < opClose,
		f.op == opContinuation && x.op == 0,
		!control && f.op != opContinuation && x.op != 0:
		x.fail(1002)
		return false
	case f.op == opPing:
		x.send(frame{fin: true, op: opPong, payload: f.payload})
		return true
	case f.op == opPong:
		return true
	case f.op == opClose:
		x.closed(f.payload)
		return false
	}
	return x.data(f)
}

// closed answers a close frame (RFC 6455, section 5.5.1).
func (x *session) closed(p []byte) {
	if x.closing {
		return
	}
	if len(p) == 0 {
		x.send(closeFrame(0, ""))
		return
	}
	if len(p) == 1 || !validCloseCode(int(binary.BigEndian.Uint16(p))) {
		x.fail(1002)
		return
	}
	if !utf8.Valid(p[2:]) {
		x.fail(1007)
		return
	}
	x.send(closeFrame(int(binary.BigEndian.Uint16(p)), string(p[2:])))
}

// data takes a data frame and echoes the message it completes.
func (x *session) data(f frame) bool {
	if f.op != opContinuation {
		x.op, x.message, x.squeezed = f.op, nil, f.rsv == 4
	}
	x.message = append(x.message, f.payload...)
	if !f.fin {
		return true
	}
	message := x.message
	if x.squeezed {
		var err error
		if message, err = inflate(message); err != nil {
			x.fail(1002)
			return false
		}
	}
	if x.op == opText && !utf8.Valid(message) {
		x.fail(1007)
		return false
	}
	echo := frame{fin: true, op: x.op, payload: message}
	if x.squeezed {
		p, err := deflate(message)
		if err != nil {
			x.fail(1011)
			return false
		}
		echo.rsv, echo.payload = 4, p
	}
	x.op, x.message = 0, nil
	x.send(echo)
	return true
}
