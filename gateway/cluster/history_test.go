package cluster

import (
	"net/netip"
	"testing"
	"testing/synctest"
)

// Whatever way an endpoint leaves a cluster, it is remembered.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		left := func(what, address string, want bool) {
			t.Helper()
			all := w.runtime.History().Of(netip.MustParseAddrPort(address))
			if got := len(all) == 1 && all[0].Cluster == "web" && !all[0].At.IsZero(); got != want || len(all) > 1 {
				t.Errorf("%s: %v", what, all)
			}
		}
		config := named(StrictDNS, "a.test")
		c := New(config)
		c.Start(w.runtime)
		w.resolve("a.test", nil, "10.0.0.1", "10.0.0.2")
		left("while it is there", "10.0.0.1:8080", false)
		w.resolve("a.test", nil, "10.0.0.2")
		left("by a new answer", "10.0.0.1:8080", true)

		config = static("10.0.0.3:8080")
		next := New(config)
		next.Inherit(c)
		next.Start(w.runtime)
		left("by a new configuration", "10.0.0.2:8080", true)
		next.Close()
		left("with its cluster", "10.0.0.3:8080", true)

		config = named(LogicalDNS, "b.test")
		logical := New(config)
		logical.Start(w.runtime)
		defer logical.Close()
		w.resolve("b.test", nil, "10.0.0.4")
		w.resolve("b.test", nil, "10.0.0.5")
		left("by a name's other address", "10.0.0.4:8080", true)
		left("the name's address of now", "10.0.0.5:8080", false)
	})
}
