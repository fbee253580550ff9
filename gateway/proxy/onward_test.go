package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/cdnloop"
	"longmen/gateway/router"
	"longmen/gateway/standby"
	"longmen/gateway/upstream/origintest"
)

// named serves every request with the origin's name, and the CDN-Loop that came.
func named(t testing.TB, name string) *origintest.Origin {
	return newOrigin(t, func(p *peer, _ int) {
		for {
			r, _ := p.ask()
			if r == nil {
				return
			}
			p.ok(name + " " + strings.Join(r.Header.Values("Cdn-Loop"), "|"))
		}
	})
}

// client keeps one connection.
type client struct{ *peer }

// get makes a request and returns the response, its body's first word and the rest of it.
func (c client) get(fields ...string) (resp *http.Response, first, rest string) {
	c.Helper()
	c.send("GET / HTTP/1.1\r\nHost: test\r\n%s\r\n", lines(fields))
	resp, body := c.answer("GET")
	first, rest, _ = strings.Cut(body, " ")
	return resp, first, rest
}

// guard gives the stage's gateway its token.
func (s *stage) guard(id string) {
	s.loop.Do(func() { s.proxy.GuardLoops(cdnloop.Guard{ID: id}) })
}

// others is a stage whose route leads to cluster "c", besides clusters with an origin each.
func others(t testing.TB, edit func(c *cluster.Config), at netip.AddrPort, more map[string]netip.AddrPort, order ...string) *stage {
	c := clusterOf("c", at)
	edit(c)
	all := []*cluster.Config{c}
	for _, name := range order {
		all = append(all, clusterOf(name, more[name]))
	}
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: all})
	s.guard("here")
	return s
}

func inStandby(percent int) *standby.Config {
	return &standby.Config{State: standby.Standby, Local: percent, Forward: 100 - percent, To: "active"}
}

// Exactly one of a hundred requests stays; switching over takes effect at the next request, in
// both directions, on a connection that stays.
func TestStandby(t *testing.T) {
	warm, active := named(t, "warm"), named(t, "active")
	s := others(t, func(c *cluster.Config) { c.Standby = inStandby(1) }, warm.At, map[string]netip.AddrPort{"active": active.At}, "active")
	c := client{s.dial()}
	count := func(n int) map[string]int {
		seen := map[string]int{}
		for range n {
			_, who, loop := c.get()
			seen[who]++
			want := map[string]string{"warm": "", "active": "here;sent=standby"}[who]
			if loop != want {
				t.Errorf("%s was told %q", who, loop)
			}
			if r := s.record(); r.Cluster != map[string]string{"warm": "c", "active": "active"}[who] {
				t.Errorf("the log says %s", r.Cluster)
			}
		}
		return seen
	}
	if seen := count(300); seen["warm"] != 3 || seen["active"] != 297 {
		t.Errorf("in standby: %v", seen)
	}
	s.shared[0].Standby().Override(standby.Active, time.Now())
	if seen := count(100); seen["warm"] != 100 {
		t.Errorf("active: %v", seen)
	}
	s.shared[0].Standby().Clear()
	if seen := count(100); seen["warm"] != 1 {
		t.Errorf("in standby again: %v", seen)
	}
}

// What another gateway forwarded because it is in standby is served here: two that
// are in standby at once, while an operator switches them, serve each other's requests.
func TestStandbyTakesWhatIsForwarded(t *testing.T) {
	warm, active := named(t, "warm"), named(t, "active")
	s := others(t, func(c *cluster.Config) { c.Standby = inStandby(0) }, warm.At, map[string]netip.AddrPort{"active": active.At}, "active")
	c := client{s.dial()}
	for range 20 {
		if _, who, _ := c.get("CDN-Loop: there;sent=standby"); who != "warm" {
			t.Fatal("it was forwarded again")
		}
		if _, who, loop := c.get("CDN-Loop: cdn.example;x=1"); who != "active" || loop != "cdn.example;x=1, here;sent=standby" {
			t.Fatalf("a request that came through a CDN: %s, %s", who, loop)
		}
	}
}

// A request goes where somebody is, whatever the shares say.
func TestStandbyWithoutEndpoints(t *testing.T) {
	only := named(t, "only")
	for _, test := range []struct {
		name    string
		percent int
		at, to  []netip.AddrPort
	}{
		{"nobody is active", 0, []netip.AddrPort{only.At}, nil},
		{"nobody is warm", 100, nil, []netip.AddrPort{only.At}},
		{"the active one refuses", 0, []netip.AddrPort{only.At}, []netip.AddrPort{origintest.ClosedPort(t)}},
		{"the warm one refuses", 100, []netip.AddrPort{origintest.ClosedPort(t)}, []netip.AddrPort{only.At}},
		{"several active ones refuse", 0, []netip.AddrPort{only.At}, []netip.AddrPort{origintest.ClosedPort(t), origintest.ClosedPort(t), origintest.ClosedPort(t)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			first, second := clusterOf("c", test.at...), clusterOf("active", test.to...)
			first.Standby = inStandby(test.percent)
			s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{first, second}})
			c := client{s.dial()}
			for range 5 {
				if resp, who, _ := c.get(); resp.StatusCode != 200 || who != "only" {
					t.Fatalf("%d %s", resp.StatusCode, who)
				}
			}
			c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello")
			if resp, _ := c.answer("POST"); resp.StatusCode != 200 {
				t.Errorf("a POST that nobody had seen: %d", resp.StatusCode)
			}
		})
	}
}

// Requests are shared with other clusters by what the own endpoints can take, and
// what cannot be connected to is passed over.
func TestFailover(t *testing.T) {
	here, there := named(t, "here"), named(t, "there")
	refusing := origintest.ClosedPort(t)
	c := clusterOf("c", here.At)
	c.Failover = []string{"gone", "refusing", "there"}
	for range 3 {
		c.Endpoints = append(c.Endpoints, cluster.EndpointConfig{Host: "127.0.0.1", Port: origintest.ClosedPort(t).Port(), Weight: 1, Draining: true})
	}
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{c, clusterOf("refusing", refusing), clusterOf("there", there.At)}})
	s.guard("here")
	k := client{s.dial()}
	for range 10 {
		if _, who, loop := k.get(); who != "here" || loop != "" {
			t.Fatalf("all is well, and %s served %q", who, loop)
		}
	}
	s.loop.Do(func() { // nobody is left here
		none := clusterOf("c")
		none.Failover = c.Failover
		s.shared[0] = cluster.New(none)
		s.up.Adopt(s.shared)
	})
	for range 10 {
		if _, who, loop := k.get(); who != "there" || loop != "here;sent=failover" {
			t.Fatalf("%s served %q", who, loop)
		}
	}
}

// When another gateway says that the request came round, which it did not begin,
// the next one is asked.
func TestFailoverAfterALoop(t *testing.T) {
	round := newOrigin(t, func(p *peer, _ int) {
		for {
			if r, _ := p.ask(); r == nil {
				return
			}
			p.send("HTTP/1.1 508 Loop Detected\r\nproxy-status: \"a\"; error=proxy_loop_detected\r\ncontent-length: 0\r\n\r\n")
		}
	})
	there := named(t, "there")
	c := clusterOf("c")
	c.Failover = []string{"round", "there"}
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{c, clusterOf("round", round.At), clusterOf("there", there.At)}})
	s.guard("here")
	k := client{s.dial()}
	for range 3 {
		if resp, who, _ := k.get(); resp.StatusCode != 200 || who != "there" {
			t.Fatalf("%d %s", resp.StatusCode, who)
		}
		k.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello")
		if resp, body := k.answer("POST"); resp.StatusCode != 200 || !strings.HasPrefix(body, "there") {
			t.Fatalf("POST: %d %s", resp.StatusCode, body)
		}
	}
}

// Gateways whose tokens are known are not sent what has come through them, and a
// request that failed over to here stays as long as anybody is here.
func TestFailoverKnowsWhereARequestHasBeen(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	c := clusterOf("c")
	c.Failover = []string{"one", "two"}
	first, second := clusterOf("one", one.At), clusterOf("two", two.At)
	first.Peer, second.Peer = "dc1", "dc2"
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{c, first, second}})
	s.guard("here")
	k := client{s.dial()}
	for fields, want := range map[string]string{
		"CDN-Loop: dc9":                        "one",
		"CDN-Loop: DC1;sent=failover":          "two",
		"CDN-Loop: dc2;sent=failover":          "one",
		"CDN-Loop: x, dc1\r\nCDN-Loop: dc2, y": "Service",
	} {
		if resp, who, _ := k.get(fields); who != want {
			t.Errorf("%s: %s (%d)", fields, who, resp.StatusCode)
		}
	}
}

func TestLoopGuard(t *testing.T) {
	origin := named(t, "origin")
	on := clusterOf("c", origin.At)
	on.LoopGuard = cluster.LoopGuardOn
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{on}})
	s.guard("gw-1")
	k := client{s.dial()}
	many := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("p%d", i))
		}
		return strings.Join(all, ", ")
	}
	for _, test := range []struct {
		fields []string
		status int
		told   string // what the origin gets
		log    string
	}{
		{nil, 200, "gw-1", ""},
		{[]string{"CDN-Loop: a"}, 200, "a, gw-1", ""},
		{[]string{"CDN-Loop: a;x=\"y, gw-1\"", "CDN-Loop: b"}, 200, "a;x=\"y, gw-1\", b, gw-1", ""},
		{[]string{"CDN-Loop: gw-1"}, 508, "", "came round: CDN-Loop: gw-1; this is gw-1"},
		{[]string{"CDN-Loop: a, b;c=d", "CDN-Loop: , GW-1;sent=failover"}, 508, "", "came round: CDN-Loop: a, b;c=d, , GW-1;sent=failover; this is gw-1"},
		{[]string{"CDN-Loop: " + many(9)}, 200, many(9) + ", gw-1", ""},
		{[]string{"CDN-Loop: " + many(10)}, 508, "", "too many gateways: CDN-Loop: p0, p1"},
		{[]string{"CDN-Loop: a b"}, 400, "", "CDN-Loop: something else"},
		{[]string{"CDN-Loop: gw-1, ;"}, 400, "", "CDN-Loop"},
		{[]string{"CDN-Loop: " + strings.Repeat("p, ", 3000) + "gw-1"}, 508, "", "..."},
	} {
		resp, _, told := k.get(test.fields...)
		if resp.StatusCode != test.status || resp.StatusCode == 200 && told != test.told {
			t.Errorf("%.80s: %d, the origin was told %q", test.fields, resp.StatusCode, told)
		}
		status := resp.Header.Get("Proxy-Status")
		if want := "\"gw-1\"; error=proxy_loop_detected"; (test.status == 508) != (status == want) {
			t.Errorf("%.80s: Proxy-Status %q", test.fields, status)
		}
		r := s.record()
		said := ""
		if r.Err != nil {
			said = r.Err.Error()
		}
		if !strings.Contains(said, test.log) || (said == "") != (test.log == "") || len(said) > 500 {
			t.Errorf("%.80s: the log says %q", test.fields, said)
		}
		if test.status != 200 && test.status != 400 && r.Flag().String() != "LD" || r.Route != "to /" {
			t.Errorf("%.80s: flag %s, route %q", test.fields, r.Flag(), r.Route)
		}
		if test.status == 400 {
			k = client{s.dial()}
		}
	}
	s.loop.Do(func() { s.proxy.GuardLoops(cdnloop.Guard{}) })
	if resp, _, told := k.get("CDN-Loop: gw-1"); resp.StatusCode != 200 || told != "gw-1" {
		t.Errorf("without a guard: %d, the origin was told %q", resp.StatusCode, told)
	}
}

// Clusters that others go on to get the token unless told otherwise, and those that
// requests just go to do not.
func TestWhoGetsTheToken(t *testing.T) {
	origin := named(t, "origin")
	for _, test := range []struct {
		mode cluster.LoopGuard
		want string
	}{{cluster.LoopGuardAuto, "here;sent=failover"}, {cluster.LoopGuardOn, "here;sent=failover"}, {cluster.LoopGuardOff, ""}} {
		t.Run(test.mode.String(), func(t *testing.T) {
			c, there := clusterOf("c"), clusterOf("there", origin.At)
			c.Failover, there.LoopGuard = []string{"there"}, test.mode
			s := newStage(t, settings{routes: []*router.Route{to("/", nil)}, clusters: []*cluster.Config{c, there}})
			s.guard("here")
			if _, _, told := (client{s.dial()}).get(); told != test.want {
				t.Errorf("%q", told)
			}
		})
	}
}
