package scenario

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// rollingConfig has the pods in two clusters, one of either version of HTTP; one
// pod may drain.
func rollingConfig(pods []*pod, draining *pod) string {
	var list []string
	for _, p := range pods {
		if p == draining {
			list = append(list, fmt.Sprintf("{address: %q, drain: true}", p.at))
		} else {
			list = append(list, fmt.Sprintf("%q", p.at))
		}
	}
	endpoints := strings.Join(list, ", ")
	return fmt.Sprintf(`listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /two}, to: two}
        - {match: {prefix: /mine}, to: web, sticky: {cookie: sid, path: /}}
        - {to: web}
clusters:
  web: {endpoints: [%s]}
  two: {endpoints: [%s], protocol: h2}
`, endpoints, endpoints)
}

// TestRolling replaces 20 endpoints one by one, as the ledger's page says it is to
// be done: taken out of the file or made to drain, waited for, switched off. No
// request fails, and none comes to an endpoint that is said to be gone. Nothing is
// repeated in it: a request that met a dead endpoint would show.
func TestRolling(t *testing.T) {
	t.Parallel()
	var seen counts
	var pods []*pod
	for range 20 {
		pods = append(pods, startPod(t, &seen))
	}
	g := serve(t, nil, rollingConfig(pods, nil))
	r := &reloader{gateway: g}
	r.becomeConfigMap()

	v := &visitors{t: t, addr: g.Addr}
	one, two := visitor(false), visitor(true)
	defer one.CloseIdleConnections()
	defer two.CloseIdleConnections()
	for i := range 3 {
		v.each(2*time.Millisecond, func(n int) { v.asks(one, "GET", "/", fmt.Sprintf("get-%d-%d", i, n), 0) })
		v.each(3*time.Millisecond, func(n int) { v.asks(one, "POST", "/two", fmt.Sprintf("post-%d-%d", i, n), 1000*(n%20)) })
		v.each(3*time.Millisecond, func(n int) { v.asks(two, "POST", "/", fmt.Sprintf("two-%d-%d", i, n), 100) })
		v.each(0, func(n int) { v.asks(two, "GET", "/slow", "", 0) })
		v.each(0, v.chats)
	}
	session := &session{client: visitor(false)}
	session.client.Jar, _ = cookiejar.New(nil)
	defer session.client.CloseIdleConnections()
	v.each(2*time.Millisecond, func(int) { session.asks(v) })
	rounds := 1
	if harness.Full() {
		rounds = 10
	}
	began := time.Now()
	for n := range rounds * len(pods) {
		i := n % len(pods)
		old := pods[i]
		// In turn taken out, and made to drain.
		draining := old
		left := append(append([]*pod(nil), pods[:i]...), pods[i+1:]...)
		if i%2 == 0 {
			r.write(g.config(rollingConfig(left, nil)), fmt.Sprint("out-", n))
			draining = nil
		} else {
			r.write(g.config(rollingConfig(pods, old)), fmt.Sprint("out-", n))
		}
		said, code := longmen(t, g.dir, "wait-gone", old.at, "--admin", g.Admin, "--timeout", "20s")
		if code != 0 {
			t.Fatalf("wait-gone of endpoint %d: %d, %s", i, code, said)
		}
		old.ended.Store(true)
		if n := old.inside.Load(); n != 0 {
			t.Errorf("%d requests are at endpoint %d, which is gone", n, i)
		}
		state := "departed"
		if draining != nil {
			state = "draining"
		}
		if !strings.Contains(said, old.at+": gone ("+state+"; cluster ") {
			t.Errorf("wait-gone says %q", said)
		}
		old.stop()
		if i%4 < 2 { // another pod, and another one that gets the address
			pods[i] = startPod(t, &seen)
		} else {
			pods[i] = startPodAt(t, old.at, &seen)
		}
		r.write(g.config(rollingConfig(pods, nil)), fmt.Sprint("in-", n))
		if n := old.late.Load(); n != 0 {
			t.Errorf("%d requests came to endpoint %d when it was gone", n, i)
		}
	}
	v.end()
	if session.moves > rounds*len(pods) {
		t.Errorf("a session had %d endpoints after each other, while %d were replaced", session.moves, rounds*len(pods))
	}
	if f := g.failures(); f != nil {
		t.Errorf("failed requests: %v", f)
	}
	if d := seen.duplicates(); d != nil {
		t.Errorf("requests that came twice: %v", d)
	}
	for key, n := range g.metrics() {
		if strings.HasPrefix(key, "longmen_upstream_connect_failures_total") && n != 0 {
			t.Errorf("%s %v", key, n)
		}
	}
	t.Logf("%d endpoints in %v, %d requests, %d failed; a session moved %d times", rounds*len(pods), time.Since(began).Round(time.Millisecond), v.requests.Load(), v.faults.Load(), session.moves)
}

// A session is a client that stays with its endpoint, until that gets no requests
// any more.
type session struct {
	client *http.Client
	at     string
	moves  int
}

func (s *session) asks(v *visitors) {
	res, err := s.client.Get("http://" + v.addr + "/mine")
	if err != nil {
		v.fails("session: %v", err)
		return
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 {
		v.fails("session: %d %q, %v", res.StatusCode, body, err)
		return
	}
	if at := res.Header.Get("X-Pod"); at != s.at {
		s.at = at
		s.moves++
	}
}

// TestWaitGone asks for an endpoint with a stream on it.
func TestWaitGone(t *testing.T) {
	t.Parallel()
	o, other := startHolding(t), named(t, "other")
	g := serve(t, map[string]string{"o": o.Addr, "other": other.Addr}, plain)
	wait := func(timeout string) (string, int) {
		return longmen(t, g.dir, "wait-gone", o.Addr, "--admin", g.Admin, "--timeout", timeout)
	}
	if said, code := wait("0"); code != 1 || !strings.Contains(said, ": still used: serving in cluster o (") {
		t.Errorf("%d, %s", code, said)
	}
	c := dial(t, g.Addr)
	c.send("GET / HTTP/1.1\nHost: h\n\n")
	r := o.next()
	g.change(strings.Replace(plain, "@o@", "@other@", 1), applied)
	if said, code := wait("50ms"); code != 1 || !strings.Contains(said, ": still used: 1 stream on 1 worker, oldest 0.") || !strings.Contains(said, ", cluster o\n") {
		t.Errorf("%d, %s", code, said)
	}
	if page := g.show("/ledger?endpoint=" + o.Addr); !strings.Contains(page, "not picked  streams 1") || !strings.Contains(page, "leaving") {
		t.Error(page)
	}
	type result struct {
		said string
		code int
	}
	ended := make(chan result, 1)
	go func() {
		said, code := wait("20s")
		ended <- result{said, code}
	}()
	r.answer("bye")
	wantStatus(t, c.response("GET"), 200)
	if r := <-ended; r.code != 0 || !strings.Contains(r.said, ": gone (departed; cluster o)") {
		t.Errorf("%d, %s", r.code, r.said)
	}
	c.Close()
}
