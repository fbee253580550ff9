package websocket

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A scenario is one case: what the client asks for and sends. The transcripts
// of both ends, taken with and without the gateway, are what is compared.
type scenario struct {
	name    string
	path    string // of the server's script; "echo" if empty
	fields  string // more lines of the opening request
	version string // Sec-WebSocket-Version, 13 if empty
	early   []byte // sent in one write with the opening request
	send    [][]byte
	await   int // data and control frames to read before the end is sent
	end     []byte
	half    bool // end the client's half after sending
	reset   bool // and the connection with RST when await is met
	full    bool // only in the full run
}

// digest is a payload in short.
func digest(p []byte) string {
	if len(p) <= 64 {
		return fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%d bytes %x", len(p), sha256.Sum256(p))
}

// pattern is n bytes that no two offsets share for long.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7>>3 ^ i>>11)
	}
	return b
}

const key = "dGhlIHNhbXBsZSBub25jZQ=="

// run plays the scenario and returns what the client saw, line by line.
func (s *scenario) run(addr string) ([]string, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	c := nc.(*net.TCPConn)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReaderSize(c, 64<<10)
	path, version := s.path, s.version
	if path == "" {
		path = "echo"
	}
	if version == "" {
		version = "13"
	}
	head := fmt.Sprintf("GET /%s HTTP/1.1\r\nX-Case: %s\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: %s\r\n%s\r\n", path, s.name, addr, key, version, s.fields)
	if _, err := c.Write(append([]byte(head), s.early...)); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	lines := opening(res)
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(res.Body)
		return append(lines, fmt.Sprintf("body %q, %v", body, err)), nil
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for _, p := range s.send {
			if _, err := c.Write(p); err != nil {
				return // the server may refuse before all is sent
			}
		}
		if s.half {
			c.CloseWrite()
		}
	}()
	lines = append(lines, s.receive(c, r, sent)...)
	return lines, nil
}

// opening notes what of the response a WebSocket client looks at.
func opening(res *http.Response) []string {
	lines := []string{fmt.Sprintf("status %d", res.StatusCode)}
	for _, f := range []string{"Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions", "Sec-Websocket-Version", "Set-Cookie", "Www-Authenticate"} {
		if res.StatusCode != http.StatusSwitchingProtocols && f == "Upgrade" {
			continue // belongs to the connection behind the gateway
		}
		lines = append(lines, fmt.Sprintf("%s: %q", f, res.Header.Values(f)))
	}
	return lines
}

// receive reads frames to the end of the connection. It answers a close, and
// sends the scenario's end when it has seen what it awaits.
func (s *scenario) receive(c *net.TCPConn, r io.Reader, sent chan struct{}) []string {
	var lines []string
	for n := 0; ; n++ {
		if n == s.await && (s.end != nil || s.reset) {
			<-sent
			if s.reset {
				c.SetLinger(0)
				return append(lines, "reset")
			}
			c.Write(s.end)
		}
		f, err := readFrame(r)
		if err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				return append(lines, "hang")
			}
			return append(lines, "end")
		}
		line := fmt.Sprintf("frame op=%x fin=%v rsv=%d masked=%v %s", f.op, f.fin, f.rsv, f.masked, digest(f.payload))
		if f.op == opClose && len(f.payload) >= 2 {
			line = fmt.Sprintf("close %d %q", binary.BigEndian.Uint16(f.payload), f.payload[2:])
		}
		lines = append(lines, line)
		switch f.op {
		case opPing:
			c.Write(frame{fin: true, op: opPong, masked: true, payload: f.payload}.encode())
		case opClose:
			<-sent
			answer := frame{fin: true, op: opClose, masked: true, payload: f.payload}
			c.Write(answer.encode())
			c.CloseWrite()
		}
	}
}
