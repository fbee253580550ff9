package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// TestSessions keeps clients at their canary through new weights, another gateway
// with the same key and a restart, as long as the canary is there.
func TestSessions(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for _, name := range []string{"web1", "web2", "canary1", "canary2"} {
		names[name] = named(t, name).Addr
	}
	key := filepath.Join(t.TempDir(), "sticky.key")
	if err := os.WriteFile(key, []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := func(web, canary int) string {
		return fmt.Sprintf(`listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {to: {web: %d, canary: %d}, sticky: {cookie: sid, path: /, ttl: 1h, keys: [%q]}}
clusters:
  web:    {endpoints: ["@web1@", "@web2@"]}
  canary: {endpoints: ["@canary1@", "@canary2@"]}
`, web, canary, key)
	}
	first := serve(t, names, config(50, 50))
	// ask is a client's next request; it gives who answered.
	ask := func(g *gateway, cookie *string) string {
		t.Helper()
		field := ""
		if *cookie != "" {
			field = "Cookie: sid=" + *cookie + "\n"
		}
		res := g.ask("GET / HTTP/1.1\nHost: h\n" + field + "\n")
		wantStatus(t, res, 200)
		for _, value := range res.Values("Set-Cookie") {
			if !strings.HasPrefix(value, "sid=") || !strings.HasSuffix(value, "; Max-Age=3600; Path=/; HttpOnly") {
				t.Errorf("%q", value)
			}
			*cookie, _, _ = strings.Cut(strings.TrimPrefix(value, "sid="), ";")
		}
		who, _, _ := strings.Cut(string(res.Body), " ")
		return who
	}
	type client struct{ cookie, home string }
	var clients []*client
	homes := map[string]int{}
	for range 40 {
		c := &client{}
		c.home = ask(first, &c.cookie)
		homes[c.home]++
		clients = append(clients, c)
	}
	if len(homes) != 4 {
		t.Errorf("40 clients: %v", homes)
	}
	stay := func(what string, g *gateway) {
		t.Helper()
		for _, c := range clients {
			before := c.cookie
			if who := ask(g, &c.cookie); who != c.home || c.cookie != before {
				t.Errorf("%s: from %s to %s", what, c.home, who)
			}
		}
	}
	stay("nothing has changed", first)
	second := serve(t, names, config(99, 1))
	stay("another gateway with other weights", second)
	if err := os.WriteFile(second.file, []byte(second.config(config(100, 0))), 0o644); err != nil {
		t.Fatal(err)
	}
	second.signal(syscall.SIGHUP)
	eventually(t, "nobody new comes to the canary, and who was there does not either", func() bool {
		for _, c := range clients {
			cookie := c.cookie
			if who := ask(second, &cookie); strings.HasPrefix(who, "canary") || strings.HasPrefix(c.home, "web") && who != c.home {
				return false
			}
		}
		return true
	})
	forged := strings.Repeat("A", 70)
	if ask(first, &forged); forged == strings.Repeat("A", 70) {
		t.Error("a forged cookie is believed")
	}
}

// TestHedging has an endpoint that hangs: requests that may run twice get their
// answer from another one in time, and others wait for it.
func TestHedging(t *testing.T) {
	t.Parallel()
	slow := startHolding(t)
	fast := named(t, "fast")
	g := serve(t, map[string]string{"slow": slow.Addr, "fast": fast.Addr}, `workers: 1
listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {to: web, timeout: 10s, hedge: {on_timeout: true}, retry: {attempts: 1, on: [5xx], per_try: 50ms}}
clusters:
  web: {endpoints: ["@slow@", "@fast@"]}
`)
	var paths []string
	for i := range 10 {
		path := fmt.Sprintf("/get%d", i)
		res := g.get(path)
		wantStatus(t, res, 200)
		if !strings.HasPrefix(string(res.Body), "fast ") {
			t.Errorf("%q", res.Body)
		}
		paths = append(paths, path)
	}
	hedged := 0
	for _, line := range g.logged(paths...) {
		if line["tries"] == 2.0 {
			if hedged++; line["retry_reason"] != "hedged" {
				t.Errorf("%v", line)
			}
		}
	}
	if hedged < 5 { // by turns, and each second try is a turn, too
		t.Errorf("%d of 10 requests took two tries", hedged)
	}
	g.counts(map[string]float64{
		`longmen_upstream_hedges_total{cluster="web"}`:                       float64(hedged),
		`longmen_upstream_timeouts_total{cluster="web",kind="try"}`:          float64(hedged),
		`longmen_upstream_retry_ends_total{cluster="web",reason="attempts"}`: 0,
	})
	for len(slow.came) > 0 {
		(<-slow.came).done()
	}
	// A POST is given to one alone, and waits for it.
	fast.Reset()
	posts := make(chan *harness.Response, 2)
	for range 2 {
		go func() { posts <- g.ask("POST /post HTTP/1.1\nHost: h\nContent-Length: 2\n\nhi") }()
	}
	one := slow.next()
	time.Sleep(100 * time.Millisecond) // longer than per_try
	one.answer("slow")
	for range 2 {
		wantStatus(t, <-posts, 200)
	}
	if n := len(fast.Record().Requests); n != 1 || len(slow.came) != 0 {
		t.Errorf("2 POSTs came %d times to one, and %d times more to the other", n, len(slow.came))
	}
}
