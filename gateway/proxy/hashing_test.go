package proxy

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/cluster/balance"
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

// A client's way by hash: its cookie is made once, and goes the same way from then on.
func TestHashCookie(t *testing.T) {
	var at []netip.AddrPort
	for i := range 5 {
		at = append(at, speaker(t, fmt.Sprint(i)).At)
	}
	for _, algorithm := range []balance.Algorithm{balance.RingHash, balance.Maglev, balance.RoundRobin} {
		config := clusterOf("c", at...)
		config.Balance = algorithm
		s := newStage(t, settings{clusters: []*cluster.Config{config}, routes: []*router.Route{to("/", func(f *router.Forward) {
			f.Hash = []router.HashPolicy{{Kind: router.HashCookie, Name: "lb", Generate: &router.Cookie{TTL: 90 * time.Minute, Path: "/a"}}}
		})}})
		seen := map[string]bool{}
		for range 30 {
			b := &browser{s, map[string]string{}, ""}
			_, first := b.get()
			if algorithm == balance.RoundRobin {
				if b.last != "" {
					t.Fatalf("a cookie that nobody needs: %q", b.last)
				}
				continue
			}
			if !strings.HasSuffix(b.last, "; Max-Age=5400; Path=/a; HttpOnly") || len(b.jar["lb"]) != 16 || seen[b.jar["lb"]] {
				t.Fatalf("%v: %q", algorithm, b.last)
			}
			seen[b.jar["lb"]], seen[first] = true, true
			for range 3 {
				if _, again := b.get(); again != first || b.last != "" {
					t.Fatalf("%v: from %s to %s, %q", algorithm, first, again, b.last)
				}
			}
		}
		if algorithm != balance.RoundRobin && len(seen) < 30+3 {
			t.Errorf("%v: 30 clients at %d endpoints", algorithm, len(seen)-30)
		}
	}
}

// The hashes of several policies are combined as Envoy combines them.
func TestHashPolicies(t *testing.T) {
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with())
	header := func(name string) router.HashPolicy { return router.HashPolicy{Kind: router.HashHeader, Name: name} }
	last := func(p router.HashPolicy) router.HashPolicy { p.Terminal = true; return p }
	cookie := router.HashPolicy{Kind: router.HashCookie, Name: "lb"}
	address := router.HashPolicy{Kind: router.HashSourceIP}
	hash := func(text string) uint64 { return balance.Hash([]byte(text)) }
	s.loop.Do(func() {
		x := s.proxy.get()
		st := &stream.Stream{Loop: s.loop, Client: netip.MustParseAddr("203.0.113.9")}
		st.Request.Header.AddString("x-a", "one")
		st.Request.Header.AddString("x-b", "two")
		st.Request.Header.AddString("cookie", "lb=")
		st.Request.Path = []byte("/p")
		x.s = st
		for i, test := range []struct {
			policies []router.HashPolicy
			want     uint64
			none     bool
		}{
			{[]router.HashPolicy{header("x-a")}, hash("one"), false},
			{[]router.HashPolicy{header("x-a"), header("x-b")}, balance.Combine(hash("one"), hash("two")), false},
			{[]router.HashPolicy{header("x-b"), header("x-a")}, balance.Combine(hash("two"), hash("one")), false},
			{[]router.HashPolicy{last(header("x-a")), header("x-b")}, hash("one"), false},
			{[]router.HashPolicy{last(header("x-none")), header("x-b")}, hash("two"), false},
			{[]router.HashPolicy{header("x-a"), last(header("x-none")), header("x-b")}, hash("one"), false},
			{[]router.HashPolicy{address}, hash("203.0.113.9"), false},
			{[]router.HashPolicy{{Kind: router.HashPath}}, hash("/p"), false},
			{[]router.HashPolicy{header("x-none"), cookie}, 0, true},
			{nil, 0, true},
		} {
			if got, ok := x.hash(test.policies); ok == test.none || got != test.want {
				t.Errorf("%d: %x %v, want %x", i, got, ok, test.want)
			}
		}
		policies := []router.HashPolicy{header("x-none"), cookie, header("x-a"), {Kind: router.HashPath}}
		if n := testing.AllocsPerRun(100, func() { x.hash(policies) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		x.s = nil
		s.proxy.put(x)
	})
}

// Limits of high priority are limits of their own.
func TestHighPriority(t *testing.T) {
	r := newRow(t, 1)
	set := settings{routes: []*router.Route{
		to("/high", func(f *router.Forward) { f.HighPriority = true }), to("/", nil),
	}}.with(r.origins...)
	set.clusters[0].Limits.Requests, set.clusters[0].HighLimits = 1, cluster.Limits{Connections: 10, Pending: 10, Requests: 1, Retries: 1}
	s := newStage(t, set)
	calls := map[string]*asked{}
	for _, path := range []string{"/low", "/high"} {
		c := s.dial()
		c.send("GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path)
		calls[path] = r.take()
		if resp, _ := s.get(path); resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a second request of %s: %d", path, resp.StatusCode)
		}
		if rec := s.record(); rec.Flag() != stream.UpstreamOverflow {
			t.Errorf("%v", rec.Err)
		}
		defer c.answer("GET")
	}
	for _, k := range calls {
		k.say(200, "")
	}
}

// A retry leaves out the priorities that were tried, if the route says so, and a
// route's labels choose the endpoint, those of the target before its own.
func TestWhatRoutesAskFor(t *testing.T) {
	busy := func(p *peer, _ int) {
		for r, _ := p.ask(); r != nil; r, _ = p.ask() {
			p.send("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
		}
	}
	config := clusterOf("c", newOrigin(t, busy).At, newOrigin(t, busy).At, speaker(t, "next").At)
	config.Endpoints[2].Priority = 1
	labelled := clusterOf("labelled", speaker(t, "a").At, speaker(t, "b").At)
	labelled.Subsets = &cluster.Subsets{Selectors: []cluster.SubsetSelector{{Keys: []string{"v"}}}}
	for i, v := range []string{"a", "b"} {
		labelled.Endpoints[i].Labels = []cluster.Label{{Key: "v", Value: v}}
	}
	match := func(v string) *cluster.Match { return &cluster.Match{Labels: []cluster.Label{{Key: "v", Value: v}}} }
	toLabels := func(prefix string, own, all *cluster.Match) *router.Route {
		return to(prefix, func(f *router.Forward) {
			f.Clusters[0].Cluster, f.Clusters[0].Subset, f.Subset = router.ClusterRef{Name: "labelled", Slot: 1}, own, all
		})
	}
	s := newStage(t, settings{clusters: []*cluster.Config{config, labelled}, routes: []*router.Route{
		to("/other", func(f *router.Forward) { f.Retry = &router.Retry{Attempts: 1, On: router.On5xx, PreviousPriorities: 1} }),
		to("/same", func(f *router.Forward) { f.Retry = &router.Retry{Attempts: 1, On: router.On5xx} }),
		toLabels("/a", nil, match("a")), toLabels("/b", match("b"), match("a")), toLabels("/none", match("c"), nil),
	}})
	for range 4 {
		for path, want := range map[string]string{"/other": "next", "/same": "", "/a": "a", "/b": "b", "/none": "no healthy endpoint"} {
			_, body := s.get(path)
			rec := s.record()
			if want == "no healthy endpoint" {
				body = ""
				if rec.Flag() == stream.NoHealthyUpstream {
					body = want
				}
			}
			if body != want {
				t.Errorf("%s: %q, %v", path, body, rec.Err)
			}
		}
	}
}
