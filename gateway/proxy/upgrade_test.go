package proxy

import (
	"testing"

	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
)

// A rule adds protocols to its listener's and takes some of those away.
func TestUpgradesOfRules(t *testing.T) {
	e := &Edge{http: &snapshot.HTTP{Upgrades: []string{"websocket", "chat"}}}
	f := &router.Forward{Upgrades: []string{"mqtt"}, NoUpgrades: []string{"websocket"}}
	for asked, want := range map[string]string{"WebSocket": "", "CHAT": "CHAT", "mqtt": "mqtt", "other": ""} {
		if got := string(e.upgrade(f, []byte(asked))); got != want {
			t.Errorf("%s: %q, want %q", asked, got, want)
		}
	}
}

// An endpoint's reset ends a tunnel and is not taken for its end.
func TestEndpointResetsATunnel(t *testing.T) {
	set := settings{routes: []*router.Route{to("/", func(f *router.Forward) { f.Upgrades = []string{"websocket"} })}}
	s := newStage(t, set.with(newOrigin(t, func(p *peer, _ int) {
		p.ask()
		p.send("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello")
		p.r.ReadByte()
		p.reset()
	})))
	c := s.dial()
	c.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	c.head()
	c.r.Peek(5)
	c.send("x")
	if r := s.record(); r.Flag() != stream.UpstreamRemoteReset || r.Err.Phase != stream.PhaseTunnel || r.ResponseBytes != 5 {
		t.Errorf("%+v", r)
	}
	c.ended()
	s.quiet()
	if n := s.stats(0).Resets.Load(); n != 1 {
		t.Errorf("%d resets counted", n)
	}
}
