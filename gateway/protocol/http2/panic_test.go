package http2

import (
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"longmen/gateway/stream"
)

// A panic while a local reply is made ends its stream and no other.
func TestPanicInReply(t *testing.T) {
	ts := serve(t, func(c *Config) {
		c.Reply = func(*stream.Stream, *stream.Error) *stream.Response { panic("on purpose") }
	})
	rc := ts.dial(true)
	rc.request(1, true, "GET", "/nothing")
	if code := rc.reset(1); code != xhttp2.ErrCodeInternal {
		t.Error(code)
	}
	rc.request(3, true, "GET", "/size/1")
	if status, _, _ := rc.answer(3); status != "200" {
		t.Error(status)
	}
}

// A panic in what is told of a stream's end ends its connection, of which nothing is
// left, and no other.
func TestPanicInTheEnd(t *testing.T) {
	for _, where := range []string{"/end", "/finish"} {
		t.Run(where[1:], func(t *testing.T) {
			ts := serve(t, func(c *Config) {
				handle, finish := c.Handle, c.Finish
				c.Handle = func(s *stream.Stream) (*stream.Response, error) {
					if string(s.Request.Path) == "/end" {
						s.End = panicking{}
					}
					return handle(s)
				}
				c.Finish = func(s *stream.Stream, resp *stream.Response) {
					finish(s, resp)
					if string(s.Request.Path) == "/finish" {
						panic("on purpose")
					}
				}
			})
			rc, other := ts.dial(true), ts.dial(true)
			rc.request(1, true, "GET", where)
			until(t, ts.l, "the connection is gone", func() bool { return ts.closed == 1 && ts.srv.Connections() == 1 })
			other.request(1, true, "GET", "/size/1")
			if status, _, _ := other.answer(1); status != "200" {
				t.Error(status)
			}
			ts.l.Do(func() {
				if n := ts.l.Stats().Panics.Swap(0); n != 1 {
					t.Errorf("%d panics", n)
				}
			})
		})
	}
}

type panicking struct{}

func (panicking) EndStream(*stream.Stream) { panic("on purpose") }
