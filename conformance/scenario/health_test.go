package scenario

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"longmen/conformance/harness"
)

// sickness is an origin that answers 500 while it is sick, and its name else.
func sickness(t *testing.T, name string, sick *atomic.Bool) *harness.Origin {
	return startOrigin(t, func(x *harness.Exchange) {
		switch {
		case x.ReadBody() != nil:
		case sick.Load():
			x.Write([]byte("HTTP/1.1 500 Sick\r\nContent-Length: 0\r\n\r\n"))
		default:
			x.Answer(name)
		}
	})
}

// answersOf counts who answers so many requests.
func answersOf(g *gateway, n int) map[string]int {
	got := map[string]int{}
	c := dial(g.t, g.Addr)
	defer c.Close()
	for range n {
		r := c.get("/")
		if r.Status != 200 {
			got["failed"]++
			continue
		}
		got[string(r.Body)]++
	}
	return got
}

// TestOutliers has an endpoint ejected for its answers; it comes back when its time is over.
func TestOutliers(t *testing.T) {
	t.Parallel()
	var sick, well atomic.Bool
	a, b := sickness(t, "a", &sick), sickness(t, "b", &well)
	g := serve(t, map[string]string{"a": a.Addr, "b": b.Addr}, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main: [{hosts: ["*"], rules: [{to: o}]}]
clusters:
  o: {endpoints: ["@a@", "@b@"], outlier: {errors: 3, eject: 1s, max: 50%, log: "@dir@/events"}}
`)
	if got := answersOf(g, 20); got["a"] != 10 || got["b"] != 10 {
		t.Errorf("both are well: %v", got)
	}
	sick.Store(true)
	for range 3 {
		answersOf(g, 2)
	}
	g.counts(map[string]float64{
		`longmen_cluster_ejections_total{cause="consecutive_5xx",cluster="o"}`: 1,
		`longmen_cluster_endpoints{cluster="o",state="ejected"}`:               1,
	})
	eventually(t, "a is not used any more", func() bool { return answersOf(g, 20)["b"] == 20 })
	if s := g.show("/clusters"); !strings.Contains(s, "ejected at") || !strings.Contains(s, "3 responses 5xx in a row") {
		t.Errorf("/clusters: %s", s)
	}
	sick.Store(false)
	g.counts(map[string]float64{`longmen_cluster_endpoints{cluster="o",state="healthy"}`: 2})
	if got := answersOf(g, 20); got["a"] != 10 || got["b"] != 10 {
		t.Errorf("both are well again: %v", got)
	}
	file := filepath.Join(g.dir, "events")
	eventually(t, "the event log has both lines", func() bool {
		log, _ := os.ReadFile(file)
		return strings.Count(string(log), "\n") == 2
	})
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(log)), "\n") {
		var e struct{ Type, Cluster, Endpoint, From, To, Cause string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Type != "outlier" || e.Endpoint != a.Addr || e.Cause != "consecutive_5xx" ||
			e.To != [...]string{"ejected", "in use"}[i] {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// TestRefusedConnections has an endpoint's listener close: no request fails, and after the first that was refused
// none is sent there, whichever way the cluster learns of it.
func TestRefusedConnections(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]string{
		"outlier": `outlier: {max: 50%}`,
		"checks":  `health: {tcp: true, every: 60s}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := named(t, "a"), named(t, "b")
			g := serve(t, map[string]string{"a": a.Addr, "b": b.Addr}, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main: [{hosts: ["*"], rules: [{to: o, retry: {attempts: 1, on: [connect-failure]}}]}]
clusters:
  o: {endpoints: ["@a@", "@b@"], `+way+`}
`)
			if got := answersOf(g, 20); got["failed"] != 0 {
				t.Errorf("both are there: %v", got)
			}
			a.Close()
			left := `longmen_cluster_endpoints{cluster="o",state="ejected"}`
			if name == "checks" {
				left = `longmen_cluster_endpoints{cluster="o",state="unhealthy"}`
			}
			if got := answersOf(g, 20); got["failed"] != 0 {
				t.Errorf("requests failed: %v", got)
			}
			g.counts(map[string]float64{left: 1})
			refused := func() float64 {
				return g.metrics()[`longmen_upstream_connect_failures_total{cluster="o",reason="error"}`]
			}
			eventually(t, "no connection is refused any more", func() bool {
				before := refused()
				if got := answersOf(g, 20); got["failed"] != 0 {
					t.Errorf("requests failed: %v", got)
				}
				return refused() == before
			})
			if n := refused(); n == 0 || n > 10 {
				t.Errorf("%v connections were refused", n)
			}
		})
	}
}
