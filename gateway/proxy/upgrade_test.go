package proxy

import (
	"testing"

	"longmen/gateway/router"
	"longmen/gateway/snapshot"
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
