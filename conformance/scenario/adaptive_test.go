package scenario

import (
	"fmt"
	"strings"
	"testing"
)

// The limit of adaptive_concurrency holds over all workers and is each route's own;
// the log says what it was.
func TestAdaptiveConcurrency(t *testing.T) {
	t.Parallel()
	o := startHolding(t)
	g := serve(t, map[string]string{"o": o.Addr}, `listeners:
  http: {bind: "@http@", routes: main, filters: [{adaptive_concurrency: {}}]}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /fixed}, to: o, filters: [{adaptive_concurrency: {max: 2, min: 2, status: 429, min_rtt: {fixed: 1s}}}]}
        - {match: {prefix: /free}, to: o, filters: [{adaptive_concurrency: "off"}]}
        - {to: o}
clusters:
  o: {endpoints: ["@o@"]}
`)
	g.noLeak(o)
	type pending struct {
		c *client
		h *held
	}
	hold := func(path string, n int) (all []pending) {
		for range n {
			c := dial(t, g.Addr)
			c.send("GET " + path + " HTTP/1.1\nHost: h\n\n")
			all = append(all, pending{c, o.next()})
		}
		return all
	}
	refuse := func(path string, status int, why string) {
		t.Helper()
		wantStatus(t, g.ask("GET "+path+" HTTP/1.1\nHost: h\nConnection: close\n\n"), status)
		if line := g.logged(path)[path]; line.Flag() != "UO" || !strings.Contains(fmt.Sprint(line), why) {
			t.Errorf("log: %v", line)
		}
	}
	under := hold("/other/busy", 3)
	refuse("/other/refused", 503, "adaptive concurrency: 3 requests at once, while min_rtt is measured")
	under = append(under, hold("/fixed/busy", 2)...)
	refuse("/fixed/refused", 429, "adaptive concurrency: 2 requests at once, which is the limit now")
	under = append(under, hold("/free/busy", 5)...)
	for _, p := range under {
		p.h.answer("done")
		wantStatus(t, p.c.response("GET"), 200)
	}
	for _, path := range []string{"/other/again", "/fixed/again"} {
		for _, p := range hold(path, 2) {
			p.h.answer("done")
			wantStatus(t, p.c.response("GET"), 200)
		}
	}
}
