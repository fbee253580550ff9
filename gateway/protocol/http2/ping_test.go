package http2

import (
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// Clients measure the way with PING while content comes; that is no abuse, but PING
// for its own sake is.
func TestPingsThatGoWithContent(t *testing.T) {
	ts := serve(t, func(c *Config) { c.Control = Rate{Burst: 4, PerSecond: 1} })
	rc := ts.dial(true)
	rc.WriteWindowUpdate(0, 1<<22)
	for id := uint32(1); id < 41; id += 2 {
		rc.request(id, true, "GET", "/size/60000")
		if status, body, _ := rc.answer(id); status != "200" || len(body) != 60000 {
			t.Fatalf("stream %d: %s, %d bytes", id, status, len(body))
		}
		for range 16 { // fewer than 8 for each of its DATA frames
			rc.WritePing(false, [8]byte{1})
		}
	}
	for range 4096 {
		if rc.WritePing(false, [8]byte{2}) != nil {
			break // it was told off
		}
	}
	if code := rc.goAway(); code != xhttp2.ErrCodeEnhanceYourCalm {
		t.Error(code)
	}
}
