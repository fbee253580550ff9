package scenario

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// side is one gateway of two that are each other's standby.
const side = `loop_guard: {id: @id@}
listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules: [{to: web}]
clusters:
  web: {endpoints: ["@o@"], standby: {local: 1, forward: 99, to: other, state: STATE, warm_every: 100ms}}
  other: {endpoints: ["@other@"]}
`

func inState(state string) string { return strings.Replace(side, "STATE", state, 1) }

// Two gateways change places again and again, in either order, so that both are in standby, or
// both active, for a moment: by the admin API and by their files, while requests come
// to both. None fails, and none goes to and fro.
func TestStandbyChangesPlaces(t *testing.T) {
	t.Parallel()
	a, b := startWeb(t, "a"), startWeb(t, "b")
	one, two := reserve(t), reserve(t)
	g := serve(t, map[string]string{"id": "one", "http": one, "other": two, "o": a.addr()}, inState("active"))
	h := serve(t, map[string]string{"id": "two", "http": two, "other": one, "o": b.addr()}, inState("standby"))
	loads := []*load{startLoad(g), startLoad(h)}

	to := func(g *gateway, cluster, state string) {
		t.Helper()
		status, body, err := g.admin("POST", "/standby?format=json&cluster="+cluster+"&state="+state)
		var change struct {
			Workers  int
			Clusters []struct{ State string }
		}
		if err == nil {
			err = json.Unmarshal([]byte(body), &change)
		}
		if err != nil || status != 200 || change.Workers != 2 || len(change.Clusters) != 1 || change.Clusters[0].State != state {
			t.Fatalf("to %s: %d, %v: %s", state, status, err, body)
		}
	}
	// who counts the answers to 200 requests on one connection.
	who := func(g *gateway) map[string]int {
		t.Helper()
		by := map[string]int{}
		c := dial(t, g.Addr)
		defer c.Close()
		for range 200 {
			res := c.get("/x")
			wantStatus(t, res, 200)
			by[string(res.Body)]++
		}
		return by
	}
	check := func(what string, g *gateway, own, others string, standby bool) {
		t.Helper()
		by := who(g)
		if !standby && by[own] != 200 || standby && (by[own] > 8 || by[own]+by[others] != 200) { // others ask at the same time
			t.Errorf("%s: %v, standby %v", what, by, standby)
		}
	}
	for i := range 8 {
		switch i % 4 {
		case 0: // the new active one first
			to(h, "web", "active")
			to(g, "web", "standby")
		case 1:
			to(g, "*", "active")
			to(h, "*", "standby")
		case 2: // both are in standby for a moment
			to(g, "web", "standby")
			to(h, "web", "active")
		case 3:
			to(h, "*", "standby")
			to(g, "*", "active")
		}
		away := i%2 == 0
		check(fmt.Sprintf("change %d", i), g, "a", "b", away)
		check(fmt.Sprintf("change %d, the other", i), h, "b", "a", !away)
	}
	// The file is the last word when it changes.
	g.change(inState("standby"), applied)
	h.change(inState("active"), applied)
	check("by file", g, "a", "b", true)
	check("by file, the other", h, "b", "a", false)
	g.counts(map[string]float64{`longmen_cluster_standby{cluster="web"}`: 1})
	h.counts(map[string]float64{`longmen_cluster_standby{cluster="web"}`: 0})
	for i, l := range loads {
		l.end(t)
		t.Logf("gateway %d: %d requests", i+1, l.requests.Load())
	}
	for _, g := range []*gateway{g, h} {
		if f := g.failures(); f != nil {
			t.Errorf("failed requests: %v", f)
		}
	}
	if status, body, err := g.admin("GET", "/standby"); err != nil || status != 200 || !strings.Contains(body, "configuration") {
		t.Errorf("%d, %v: %s", status, err, body)
	}
}

// Without any request connections to both sides are there, and they come again.
func TestStandbyIsWarm(t *testing.T) {
	t.Parallel()
	a, b := startWeb(t, "a"), startWeb(t, "b")
	g := serve(t, map[string]string{"id": "one", "o": a.addr(), "other": b.addr()}, inState("standby"))
	both := map[string]float64{
		`longmen_upstream_connections_idle{cluster="web"}`:   2, // one a worker
		`longmen_upstream_connections_idle{cluster="other"}`: 2,
	}
	g.counts(both)
	a.CloseConns()
	b.CloseConns()
	g.counts(map[string]float64{
		`longmen_upstream_connections_total{cluster="web"}`:   4,
		`longmen_upstream_connections_total{cluster="other"}`: 4,
	})
	g.counts(both)
}
