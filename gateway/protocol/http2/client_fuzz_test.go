package http2

import (
	"io"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// Whatever an endpoint sends, and however it is cut: every call ends, nothing
// panics, no buffer and no stream is left.
func FuzzClient(f *testing.F) {
	for _, c := range responses {
		said := script(f, func(rc *rawClient) {
			rc.WriteSettings()
			c.say(rc)
			rc.respond(3, false, ":status", "200")
			rc.WriteData(3, true, []byte("x"))
		})
		f.Add(said, uint(20))
	}
	f.Add(script(f, func(rc *rawClient) {
		rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 10}, xhttp2.Setting{ID: xhttp2.SettingEnableConnectProtocol, Val: 1})
		rc.WriteWindowUpdate(3, 10)
		rc.respond(5, false, ":status", "200")
		rc.WriteData(5, false, []byte("hello"))
		rc.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1})
		rc.WriteGoAway(3, xhttp2.ErrCodeNo, nil)
	}), uint(30))
	e := listen(f, nil)
	f.Fuzz(func(t *testing.T, said []byte, cut uint) {
		e.TB = t
		o := e.dial()
		x := o.begin("GET", nil)
		y := o.begin("POST", func(x *call) { x.withWhole(100_000) })
		z := o.begin("GET", upgrade)
		go io.Copy(io.Discard, o.peer)
		n := int(cut % uint(len(said)+1))
		o.peer.Write(said[:n])
		e.l.Do(func() {})
		o.peer.Write(said[n:])
		o.peer.CloseWrite()
		for _, c := range []*call{x, y, z} {
			if got := c.wait(); got == "" || strings.Contains(got, "another") {
				t.Error(got)
			}
		}
		e.until("the connection ended", func() bool { return o.over != nil && o.live == 0 && o.flows.count == 0 })
		o.close()
	})
}
