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
