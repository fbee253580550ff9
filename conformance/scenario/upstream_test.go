package scenario

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"longmen/conformance/harness"
)

// TestPool counts the connections that an origin gets.
func TestPool(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	g := serve(t, map[string]string{"o": o.Addr}, `workers: 1
listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /two}, to: two}
        - {match: {prefix: /short}, to: short}
        - {match: {prefix: /none}, to: none}
        - {to: usual}
clusters:
  usual: {endpoints: ["@o@"]}
  two:   {endpoints: ["@o@"], pool: {max_requests: 2}}
  short: {endpoints: ["@o@"], pool: {idle_timeout: 50ms}}
  none:  {endpoints: ["@o@"], pool: {idle: 0}}
`)
	g.noLeak(o)
	conns := func(path string, n int) map[int]bool {
		o.Reset()
		for range n {
			wantStatus(t, g.get(path), 200)
		}
		seen := map[int]bool{}
		for _, r := range o.Record().Requests {
			seen[r.Conn] = true
		}
		return seen
	}
	// A client's own connection does not matter to the pool.
	if n := len(conns("/", 10)); n != 1 {
		t.Errorf("10 requests took %d connections", n)
	}
	if n := len(conns("/two", 10)); n != 5 {
		t.Errorf("10 requests with max_requests 2 took %d connections", n)
	}
	if n := len(conns("/none", 3)); n != 3 {
		t.Errorf("3 requests without idle connections took %d connections", n)
	}
	wantStatus(t, g.get("/short"), 200)
	g.counts(map[string]float64{
		`longmen_upstream_connections_active{cluster="short"}`: 0,
		`longmen_upstream_connections_active{cluster="usual"}`: 1,
		`longmen_upstream_connections_idle{cluster="usual"}`:   1,
		`longmen_upstream_connections_total{cluster="two"}`:    5,
	})
}

// TestStale lets the origin close kept connections when the next request has
// just been sent on them.
func TestStale(t *testing.T) {
	t.Parallel()
	var once sync.Map // connections that have answered
	o := startOrigin(t, func(x *harness.Exchange) {
		if x.ReadBody() != nil {
			return
		}
		if _, again := once.LoadOrStore(x.Request.Conn, true); again {
			x.Close() // the second request of a connection is never answered
			return
		}
		x.Answer("o " + x.Request.Method + " " + x.Request.Target)
	})
	g := serve(t, map[string]string{"o": o.Addr}, plain+"workers: 1\n")
	g.noLeak(o)
	wantStatus(t, g.get("/1"), 200)
	wantStatus(t, g.get("/2"), 200) // sent twice
	res := g.ask("PUT /3 HTTP/1.1\nHost: h\nContent-Length: 4\n\nbody")
	wantStatus(t, res, 200)
	o.Reset()
	res = g.ask("POST /4 HTTP/1.1\nHost: h\nContent-Length: 4\n\nbody")
	if res.Status/100 != 5 {
		t.Errorf("a POST that may have run is answered with %d", res.Status)
	}
	if n := len(o.Record().Requests); n != 1 {
		t.Errorf("a POST reached the origin %d times", n)
	}
	l := g.logged("/4")["/4"]
	if l.Text("flag") != "UC" || l.Text("side") != "upstream" {
		t.Errorf("/4: %v", l)
	}
}

// An ailing origin fails by the path and counts what it got.
func ailing(t *testing.T, fails int) (*harness.Origin, func(path string) int) {
	var mu sync.Mutex
	got := map[string]int{}
	count := func(path string) int {
		mu.Lock()
		defer mu.Unlock()
		return got[path]
	}
	o := startOrigin(t, func(x *harness.Exchange) {
		path := x.Request.Target
		mu.Lock()
		got[path]++
		n := got[path]
		mu.Unlock()
		if x.ReadBody() != nil {
			return
		}
		if n > fails || strings.HasPrefix(path, "/good") {
			x.Answer("ok")
			return
		}
		switch kind, _, _ := strings.Cut(path[1:], "-"); kind {
		case "500", "502", "409", "429":
			x.Write([]byte("HTTP/1.1 " + kind + " Failing\r\nContent-Length: 0\r\n\r\n"))
		case "close":
			x.Close()
		case "reset":
			x.Reset()
		case "hang":
			x.Hold()
		case "partial":
			x.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"))
			x.Close()
		case "garbage":
			x.Write([]byte("not HTTP\r\n\r\n"))
			x.Close()
		default:
			x.Answer("ok")
		}
	})
	return o, count
}

func TestRetries(t *testing.T) {
	t.Parallel()
	o, count := ailing(t, 2)
	g := serve(t, map[string]string{"o": o.Addr}, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["on.*"]
      rules:
        - match: {headers: {x-on: 5xx}}
          to: o
          retry: {attempts: 2, on: 5xx, per_try: 500ms, backoff: {base: 1ms, max: 2ms}}
        - match: {headers: {x-on: gateway}}
          to: o
          retry: {attempts: 2, on: gateway-error, backoff: {base: 1ms, max: 2ms}}
        - match: {headers: {x-on: reset}}
          to: o
          retry: {attempts: 2, on: reset, backoff: {base: 1ms, max: 2ms}}
        - match: {headers: {x-on: 4xx}}
          to: o
          retry: {attempts: 2, on: [retriable-4xx], codes: [429], backoff: {base: 1ms, max: 2ms}}
        - match: {headers: {x-on: unsafe}}
          to: o
          retry: {attempts: 2, on: [5xx], unsafe: true, backoff: {base: 1ms, max: 2ms}}
        - match: {headers: {x-on: one}}
          to: o
          retry: {attempts: 1, on: [5xx], backoff: {base: 1ms, max: 2ms}}
    - hosts: ["*"]
      rules: [{to: o, timeout: 5s}]
clusters:
  o: {endpoints: ["@o@"]}
`)
	g.noLeak(o)
	for _, c := range []struct {
		on, kind, method string
		status, tries    int
	}{
		{"5xx", "500", "GET", 200, 3},
		{"5xx", "500", "PUT", 200, 3},
		{"5xx", "500", "POST", 500, 1},
		{"5xx", "500", "PATCH", 500, 1},
		{"5xx", "close", "GET", 200, 3},
		{"5xx", "reset", "GET", 200, 3},
		{"5xx", "garbage", "GET", 200, 3},
		{"5xx", "hang", "GET", 200, 3},
		{"5xx", "close", "POST", 502, 1},
		{"5xx", "409", "GET", 409, 1},
		{"gateway", "502", "GET", 200, 3},
		{"gateway", "500", "GET", 500, 1},
		{"reset", "close", "GET", 200, 3},
		{"reset", "500", "GET", 500, 1},
		{"4xx", "409", "GET", 200, 3},
		{"4xx", "429", "GET", 200, 3},
		{"4xx", "500", "GET", 500, 1},
		{"unsafe", "500", "POST", 200, 3},
		{"unsafe", "reset", "POST", 200, 3},
		{"one", "500", "GET", 500, 2},
		{"none", "500", "GET", 500, 1},
	} {
		path := fmt.Sprintf("/%s-%s-%s", c.kind, c.on, c.method)
		host := "on.example"
		if c.on == "none" {
			host = "other"
		}
		body := ""
		if c.method != "GET" {
			body = "Content-Length: 4\n\nbody"
		} else {
			body = "\n"
		}
		res := g.ask(fmt.Sprintf("%s %s HTTP/1.1\nHost: %s\nX-On: %s\n%s", c.method, path, host, c.on, body))
		if res.Status != c.status || count(path) != c.tries {
			t.Errorf("%s on %s: status %d after %d tries, want %d after %d", c.method+" "+path, c.on, res.Status, count(path), c.status, c.tries)
		}
	}
	t.Run("body-is-sent-again", func(t *testing.T) {
		o.Reset()
		g.ask("PUT /500-body HTTP/1.1\nHost: on.example\nX-On: 5xx\nContent-Length: 4\n\nbody")
		rec := o.Record()
		for _, r := range rec.Requests {
			if string(r.Body) != "body" {
				t.Errorf("a try had the body %q", r.Body)
			}
		}
		if len(rec.Requests) != 3 {
			t.Errorf("%d tries", len(rec.Requests))
		}
	})
	t.Run("begun-response", func(t *testing.T) {
		c := dial(t, g.Addr)
		c.send("GET /partial HTTP/1.1\nHost: on.example\nX-On: 5xx\n\n")
		if _, err := c.Response("GET"); err == nil || harness.IsTimeout(err) {
			t.Errorf("a response that was cut ends with %v", err)
		}
		if n := count("/partial"); n != 1 {
			t.Errorf("%d tries of a response that had begun", n)
		}
		c.Close()
	})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	o, count := ailing(t, 1<<30)
	g := serve(t, map[string]string{"o": o.Addr}, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /hang-route}, to: o, timeout: 200ms}
        - {match: {prefix: /hang-try}, to: o, timeout: 5s, retry: {attempts: 1, on: 5xx, per_try: 100ms, backoff: {base: 1ms, max: 1ms}}}
        - {match: {prefix: /hang-response}, to: quick}
clusters:
  o: {endpoints: ["@o@"]}
  quick: {endpoints: ["@o@"], timeouts: {response: 100ms}}
`)
	g.noLeak(o)
	for path, tries := range map[string]int{"/hang-route": 1, "/hang-try": 2, "/hang-response": 1} {
		wantStatus(t, g.get(path), 504)
		if n := count(path); n != tries {
			t.Errorf("%s: %d tries, want %d", path, n, tries)
		}
	}
	for path, l := range g.logged("/hang-route", "/hang-try", "/hang-response") {
		flag := "UT"
		if path == "/hang-try" {
			flag = "UT,URX" // its attempts are used up, too
		}
		if l.Text("flag") != flag || l.Text("side") != "upstream" || l.Text("phase") != "response-head" || l.Text("cause") == "" {
			t.Errorf("%s: %v", path, l)
		}
	}
	g.counts(map[string]float64{
		`longmen_upstream_timeouts_total{cluster="o",kind="route"}`:        1,
		`longmen_upstream_timeouts_total{cluster="o",kind="try"}`:          2,
		`longmen_upstream_timeouts_total{cluster="quick",kind="response"}`: 1,
		`longmen_upstream_retries_total{cluster="o"}`:                      1,
	})
}

// TestRefused: an endpoint that refuses costs no request, of any method.
func TestRefused(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	nobody, err := harness.RefusedAddr()
	if err != nil {
		t.Fatal(err)
	}
	g := serve(t, map[string]string{"o": o.Addr, "nobody": nobody}, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main: [{hosts: ["*"], rules: [{match: {prefix: /only}, to: none}, {to: some}]}]
clusters:
  some: {endpoints: ["@nobody@", "@o@"]}
  none: {endpoints: ["@nobody@"]}
`)
	g.noLeak(o)
	for i := range 10 {
		method := []string{"GET", "POST"}[i%2]
		wantStatus(t, g.ask(method+" / HTTP/1.1\nHost: h\nContent-Length: 0\n\n"), 200)
	}
	wantStatus(t, g.get("/only"), 503)
	l := g.logged("/only")["/only"]
	if l.Text("flag") != "UF" || l.Text("phase") != "connect" || !strings.Contains(l.Text("cause"), "refused") {
		t.Errorf("%v", l)
	}
}

func TestDNS(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	port := o.Addr[strings.LastIndexByte(o.Addr, ':')+1:]
	g := serve(t, map[string]string{"o": o.Addr, "port": port}, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main: [{hosts: ["*"], rules: [{match: {prefix: /none}, to: none}, {match: {prefix: /logical}, to: logical}, {to: o}]}]
clusters:
  o:       {endpoints: {dns: "localhost:@port@", family: v4}}
  logical: {endpoints: {dns: "localhost:@port@", family: v4, mode: logical}}
  none:    {endpoints: {dns: "name.invalid:80"}}
`)
	g.noLeak(o)
	wantStatus(t, g.get("/"), 200)
	wantStatus(t, g.get("/logical"), 200)
	wantStatus(t, g.get("/none"), 503)
	if l := g.logged("/none")["/none"]; l.Text("flag") != "UH" {
		t.Errorf("%v", l)
	}
}

// TestHealth takes an endpoint out and lets it come back.
func TestHealth(t *testing.T) {
	t.Parallel()
	var sick atomic.Bool
	script := func(name string) harness.Script {
		return func(x *harness.Exchange) {
			if x.ReadBody() != nil {
				return
			}
			if x.Request.Target == "/healthz" && name == "a" && sick.Load() {
				x.Write([]byte("HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n"))
				return
			}
			x.Answer(name)
		}
	}
	a, b := startOrigin(t, script("a")), startOrigin(t, script("b"))
	g := serve(t, map[string]string{"a": a.Addr, "b": b.Addr}, `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main: [{hosts: ["*"], rules: [{to: o}]}]
clusters:
  o: {endpoints: ["@a@", "@b@"], health: {http: /healthz, every: 400ms, timeout: 400ms, up: 2, down: 2}}
`)
	both := func() map[string]int {
		got := map[string]int{}
		c := dial(t, g.Addr)
		defer c.Close()
		for range 20 {
			got[string(c.get("/").Body)]++
		}
		return got
	}
	if got := both(); got["a"] != 10 || got["b"] != 10 {
		t.Errorf("both healthy: %v", got)
	}
	sick.Store(true)
	g.counts(map[string]float64{`longmen_cluster_endpoints{cluster="o",state="healthy"}`: 1})
	// Workers take the change at their next request.
	if got := both(); got["b"] != 20 {
		t.Errorf("a sick: %v", got)
	}
	if s := g.show("/clusters"); !strings.Contains(s, "503") {
		t.Errorf("/clusters does not say why: %s", s)
	}
	sick.Store(false)
	g.counts(map[string]float64{`longmen_cluster_endpoints{cluster="o",state="healthy"}`: 2})
	if got := both(); got["a"] != 10 || got["b"] != 10 {
		t.Errorf("both healthy again: %v", got)
	}
	if f := g.failures(); f != nil {
		t.Errorf("failed requests: %v", f)
	}
}

// TestBalancing compares what each endpoint gets with its share.
func TestBalancing(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	var origins []closer
	for _, n := range []string{"a", "b", "c"} {
		o := named(t, n)
		names[n] = o.Addr
		origins = append(origins, o)
	}
	slow := startHolding(t)
	names["slow"] = slow.Addr
	origins = append(origins, slow)
	const endpoints = `endpoints: [{address: "@a@", weight: 5}, {address: "@b@", weight: 3}, {address: "@c@", weight: 2}]`
	g := serve(t, names, `workers: 1
listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /rr}, to: rr}
        - {match: {prefix: /random}, to: random}
        - {match: {prefix: /least}, to: least}
        - {match: {prefix: /busy}, to: busy, timeout: 0s}
        - {match: {prefix: /drained}, to: drained}
clusters:
  rr:     {`+endpoints+`}
  random: {`+endpoints+`, lb: random}
  least:  {`+endpoints+`, lb: {least_request: {choices: 3}}}
  busy:   {endpoints: ["@slow@", "@a@"], lb: least_request}
  drained: {endpoints: ["@a@", {address: "@b@", drain: true}]}
`)
	g.noLeak(origins...)
	spread := func(path string, n int) map[string]int {
		got := map[string]int{}
		c := dial(t, g.Addr)
		defer c.Close()
		for range n {
			got[string(c.get(path).Body[:1])]++
		}
		return got
	}
	if got := spread("/rr", 100); got["a"] != 50 || got["b"] != 30 || got["c"] != 20 {
		t.Errorf("round robin: %v", got)
	}
	const n = 2000
	got := spread("/random", n)
	for name, share := range map[string]float64{"a": 0.5, "b": 0.3, "c": 0.2} {
		if d := math.Abs(float64(got[name]) - n*share); d > 5*math.Sqrt(n*share*(1-share)) {
			t.Errorf("random: %s got %d of %d", name, got[name], n)
		}
	}
	if got := spread("/least", 100); len(got) != 3 || got["a"] < got["c"] {
		t.Errorf("least request, one at a time: %v", got)
	}
	// While the slow endpoint has a request, the other one gets all.
	var held *client
	for held == nil {
		c := dial(t, g.Addr)
		c.send("GET /busy HTTP/1.1\nHost: h\n\n")
		eventually(t, "an answer, or a request at the slow origin", func() bool {
			if len(slow.came) > 0 {
				held = c
				return true
			}
			return g.metrics()[`longmen_upstream_requests_active{cluster="busy"}`] == 0
		})
	}
	if got := spread("/busy", 50); got["a"] != 50 {
		t.Errorf("least request beside a busy endpoint: %v", got)
	}
	slow.next().answer("slow")
	wantStatus(t, held.response("GET"), 200)
	if got := spread("/drained", 10); got["a"] != 10 {
		t.Errorf("a draining endpoint got requests: %v", got)
	}
}
