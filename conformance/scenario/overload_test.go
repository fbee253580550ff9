package scenario

import (
	"fmt"
	"strings"
	"testing"
)

// overloaded has two listeners, one of which notices nothing of an overload.
const overloaded = `listeners:
  http: {bind: "@http@", routes: main}
  health: {bind: "@health@", routes: health, bypass_overload: true}
routes:
  main: [{hosts: ["*"], rules: [{match: {path: /probe}, respond: {status: 200}}, {to: o}]}]
  health: [{hosts: ["*"], rules: [{respond: {status: 200, body: "fine"}}]}]
clusters:
  o: {endpoints: ["@o@"]}
`

// shows waits until the admin API tells that an action is taken, or not, because of a
// resource.
func (g *gateway) shows(action, because string) {
	g.t.Helper()
	eventually(g.t, action+": "+because, func() bool {
		for line := range strings.Lines(g.show("/overload")) {
			if fields := strings.Fields(line); len(fields) > 3 && fields[0] == action {
				return strings.HasPrefix(strings.Join(fields[3:], " "), because)
			}
		}
		return false
	})
}

// probed waits until the connection's worker serves its requests, or refuses them:
// workers hear of it a moment after the admin API tells.
func (c *client) probed(status int) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("requests are answered with %d", status), func() bool { return c.get("/probe").Status == status })
}

// Connections come near the process's limit: idle ones end before their time, then
// new requests are refused with the reason, while streams that are under way go on;
// when connections have gone, all is served again.
func TestOverloadByConnections(t *testing.T) {
	t.Parallel()
	o := startHolding(t)
	g := serve(t, map[string]string{"o": o.Addr}, overloaded+`limits: {connections: 20}
overload:
  interval: 20ms
  retry_after: 7s
  connections: {shorten_idle: "off", refuse_requests: 50%, refuse_connections: 75%}
`)
	g.noLeak(o)
	busy := dial(t, g.Addr)
	busy.send("GET /busy HTTP/1.1\nHost: h\n\n")
	under := o.next()
	var idle []*client
	for len(idle) < 11 { // and the busy one: 60 %
		idle = append(idle, dial(t, g.Addr))
	}
	g.shows("refuse_requests", "connections 60 %")
	idle[0].probed(503)
	res := idle[0].get("/refused")
	wantStatus(t, res, 503)
	if v, _ := res.Get("Retry-After"); v != "7" {
		t.Errorf("Retry-After: %q", v)
	}
	if line := g.logged("/refused")["/refused"]; line.Flag() != "OM" || !strings.Contains(fmt.Sprint(line), "overload: connections 60 %") {
		t.Errorf("log: %v", line)
	}
	wantStatus(t, g.askAt("health", "GET / HTTP/1.1\nHost: h\nConnection: close\n\n"), 200)
	for len(idle) < 15 { // 80 %
		idle = append(idle, dial(t, g.Addr))
	}
	g.shows("refuse_connections", "connections 80 %")
	eventually(t, "connections are refused", func() bool {
		c := tryGet(t, g.Addr)
		if c != nil {
			c.Close()
		}
		return c == nil
	})
	under.answer("done")
	wantStatus(t, busy.response("GET"), 200)

	for _, c := range idle[1:] {
		c.Close()
	}
	g.shows("refuse_requests", "-")
	again := idle[0]
	again.probed(200)
	again.send("GET /again HTTP/1.1\nHost: h\n\n")
	o.next().answer("again")
	wantStatus(t, again.response("GET"), 200)
	m := g.metrics()
	for _, key := range []string{
		`longmen_overload_shed_total{listener="http",what="request"}`,
		`longmen_overload_shed_total{listener="http",what="connection"}`,
		`longmen_downstream_connections_refused_total{listener="http",reason="overload"}`,
		`longmen_http_response_flags_total{flag="OM",listener="http"}`,
		`longmen_overload_actions_total{action="refuse_requests"}`,
		`longmen_overload_pressure{resource="connections"}`,
	} {
		if m[key] == 0 {
			t.Errorf("%s is 0", key)
		}
	}
	if level := m[`longmen_overload_action_level{action="refuse_requests"}`]; level != 0 {
		t.Errorf("requests are still refused: %v", level)
	}
	for _, says := range []string{"refusing requests begins", "refusing connections begins", "refusing connections ends", "refusing requests ends"} {
		if n := g.out.count("overload: " + says); n != 1 {
			t.Errorf("%q stands %d times in the log", says, n)
		}
	}
}

// Idle connections end before their time as the limit comes near: a new client has
// the place of one that does nothing.
func TestOverloadShortensIdleTimeouts(t *testing.T) {
	t.Parallel()
	o := startHolding(t)
	g := serve(t, map[string]string{"o": o.Addr}, strings.Replace(overloaded, "routes: main}", "routes: main, timeouts: {idle: 1h}}", 1)+`limits: {connections: 10}
overload: {interval: 20ms, least_idle: 10ms, connections: {shorten_idle: 50%-100%}}
`)
	g.noLeak(o)
	busy := dial(t, g.Addr)
	busy.send("GET /busy HTTP/1.1\nHost: h\n\n")
	under := o.next()
	for range 9 {
		dial(t, g.Addr)
	}
	eventually(t, "idle connections end", func() bool {
		return g.metrics()[`longmen_overload_shed_total{listener="http",what="idle-connection"}`] >= 4
	})
	c := dial(t, g.Addr)
	c.send("GET /new HTTP/1.1\nHost: h\n\n")
	o.next().answer("new")
	wantStatus(t, c.response("GET"), 200)
	under.answer("done")
	wantStatus(t, busy.response("GET"), 200)
}

// The configuration takes more memory than the process may use: requests are refused
// until there is a smaller one.
func TestOverloadByMemory(t *testing.T) {
	t.Parallel()
	o := startHolding(t)
	settings := `overload:
  interval: 50ms
  memory: {limit: 100MiB, release: 50%, shorten_idle: "off", end_keepalive: "off", refuse_connections: "off", refuse_requests: 60%}
`
	g := serve(t, map[string]string{"o": o.Addr}, overloaded+settings)
	g.noLeak(o)
	busy, other := dial(t, g.Addr), dial(t, g.Addr)
	busy.send("GET /busy HTTP/1.1\nHost: h\n\n")
	under := o.next()

	var rules strings.Builder
	body := strings.Repeat("x", 16<<10)
	for i := range 2500 {
		fmt.Fprintf(&rules, "      - {match: {path: /large/%d}, respond: {status: 200, body: %q}}\n", i, body)
	}
	large := strings.Replace(overloaded, "  health: [", "  large:\n    - hosts: [\"*\"]\n      rules:\n"+rules.String()+"  health: [", 1)
	g.change(strings.Replace(large, "routes: health", "routes: large", 1)+settings, "configuration applied")
	g.shows("refuse_requests", "memory ")
	other.probed(503)
	res := other.get("/refused")
	wantStatus(t, res, 503)
	if v, _ := res.Get("Retry-After"); v != "1" {
		t.Errorf("Retry-After: %q", v)
	}
	if line := g.logged("/refused")["/refused"]; line.Flag() != "OM" || !strings.Contains(fmt.Sprint(line), "overload: memory ") {
		t.Errorf("log: %v", line)
	}
	wantStatus(t, g.askAt("health", "GET /large/7 HTTP/1.1\nHost: h\nConnection: close\n\n"), 200)
	under.answer("done")
	wantStatus(t, busy.response("GET"), 200)

	g.change(overloaded+settings, "configuration applied")
	g.shows("refuse_requests", "-")
	other.probed(200)
	other.send("GET /again HTTP/1.1\nHost: h\n\n")
	o.next().answer("again")
	wantStatus(t, other.response("GET"), 200)
	for _, says := range []string{"refusing requests begins", "refusing requests ends", "giving back what is kept begins"} {
		if g.out.count("overload: "+says) == 0 {
			t.Errorf("%q is not in the log", says)
		}
	}
}

func TestRequestAndClientLimits(t *testing.T) {
	t.Parallel()
	o := startHolding(t)
	g := serve(t, map[string]string{"o": o.Addr}, strings.Replace(plain, "routes: main}", "routes: main, limits: {active_requests: 2, client_connections: 3}}", 1))
	g.noLeak(o)
	var open []*client
	for range 3 {
		open = append(open, dial(t, g.Addr))
	}
	var under []*held
	for _, c := range open[:2] {
		c.send("GET /busy HTTP/1.1\nHost: h\n\n")
		under = append(under, o.next())
	}
	wantStatus(t, open[2].get("/third"), 503)
	if line := g.logged("/third")["/third"]; line.Flag() != "OM" || !strings.Contains(fmt.Sprint(line), "as many requests at once") {
		t.Errorf("log: %v", line)
	}
	if tryGet(t, g.Addr) != nil {
		t.Error("a fourth connection is served")
	}
	for i, h := range under {
		h.answer("done")
		wantStatus(t, open[i].response("GET"), 200)
	}
	open[2].send("GET /now HTTP/1.1\nHost: h\n\n")
	o.next().answer("now")
	wantStatus(t, open[2].response("GET"), 200)
	open[0].Close()
	eventually(t, "there is room for another connection", func() bool {
		m := g.metrics()
		return m[`longmen_downstream_connections_active{listener="http"}`] == 2
	})
	c := dial(t, g.Addr)
	c.send("GET /fourth HTTP/1.1\nHost: h\n\n")
	o.next().answer("fourth")
	wantStatus(t, c.response("GET"), 200)
	g.counts(map[string]float64{
		`longmen_http_requests_over_limit_total{listener="http"}`:                             1,
		`longmen_downstream_connections_refused_total{listener="http",reason="client-limit"}`: 1,
	})
}
