package http2

import (
	"io"
	"net"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// FuzzServerFrames sends anything behind a client's preface and SETTINGS: the connection
// answers or ends, nothing of it stays, and the server goes on serving others. The corpus
// has what h2spec and known attacks send.
func FuzzServerFrames(f *testing.F) {
	ts := serve(f, func(c *Config) {
		strict(c)
		c.MaxStreams, c.StreamWindow, c.ConnWindow = 10, 1<<10, 1<<16
	})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, sent []byte) {
		if len(sent) > 1<<16 {
			return
		}
		c, err := net.Dial("tcp4", ts.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		go func() {
			io.WriteString(c, preface)
			xhttp2.NewFramer(c, nil).WriteSettings()
			c.Write(sent)
			c.Write(appendPing(nil, false, 42))
			c.(*net.TCPConn).CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, c); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Fatal("the connection neither answers nor ends")
			}
		}
		until(t, ts.l, "the connection is gone with its streams and buffers", func() bool {
			lent, _ := ts.l.Buffers.Lent()
			return ts.srv.Connections() == 0 && lent == 0
		})
		ts.l.Do(func() {
			if n := ts.l.Stats().Panics.Load(); n != 0 {
				t.Errorf("%d panics", n)
			}
			if k := len(ts.srv.shared.conns); k > 1 {
				t.Errorf("one connection after the other, and %d of them are pooled", k)
			}
			pooled := map[*serverStream]bool{}
			for _, st := range ts.srv.shared.streams {
				if pooled[st] || st.conn != nil || st.timer.Armed() {
					t.Error("a stream is pooled twice, or is not over")
				}
				pooled[st] = true
			}
			ts.log = ts.log[:0]
		})
	})
}
