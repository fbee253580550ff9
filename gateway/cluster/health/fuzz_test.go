package health

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// answered is a connection whose answer is there already.
type answered struct {
	io.Reader
	read int
}

func (a *answered) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	a.read += n
	return n, err
}
func (a *answered) Write(p []byte) (int, error)      { return len(p), nil }
func (a *answered) Close() error                     { return nil }
func (a *answered) LocalAddr() net.Addr              { return nil }
func (a *answered) RemoteAddr() net.Addr             { return nil }
func (a *answered) SetDeadline(time.Time) error      { return nil }
func (a *answered) SetReadDeadline(time.Time) error  { return nil }
func (a *answered) SetWriteDeadline(time.Time) error { return nil }

// Whatever comes, a check ends, reads no more than its bounds, and passes only
// with an answer that it may pass with.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 101 Up\r\n\r\n", "HTTP/1.0 200\r\n\r\nok", "\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		conn := &answered{Reader: bytes.NewReader(answer)}
		err := newClient1(conn).ask(&HTTP{Expect: [][]byte{[]byte("ok")}}, "host", len(answer)%2 == 0)
		if conn.read > maxHead+2*maxSearch {
			t.Errorf("read %d bytes", conn.read)
		}
		if err == nil && (!bytes.Contains(answer, []byte("HTTP/")) || !bytes.ContainsAny(answer, "ok")) {
			t.Errorf("passed with %q", answer)
		}
		if err != nil && len(err.Error()) > 200 {
			t.Errorf("the reason is %d bytes long", len(err.Error()))
		}
		conn = &answered{Reader: bytes.NewReader(answer)}
		err = probeTCP(conn, &TCP{Receive: [][]byte{[]byte("ok")}})
		if found := bytes.Contains(answer[:min(len(answer), maxSearch)], []byte("ok")); found != (err == nil) {
			t.Errorf("found %v: %v", found, err)
		}
	})
}
