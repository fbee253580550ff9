package proxy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/upstream/origintest"
)

// speaker answers with its name.
func speaker(t testing.TB, name string) *origintest.Origin {
	return newOrigin(t, func(p *peer, _ int) {
		for r, _ := p.ask(); r != nil; r, _ = p.ask() {
			p.ok(name)
		}
	})
}

func stickyKey(t testing.TB, secret string) router.StickyKey {
	k, err := router.NewStickyKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// browser keeps cookies.
type browser struct {
	*stage
	jar  map[string]string
	last string // Set-Cookie of the last response
}

func (b *browser) get(fields ...string) (status int, body string) {
	b.Helper()
	for name, value := range b.jar {
		fields = append(fields, "Cookie: "+name+"="+value)
	}
	resp, body := b.stage.get("/", fields...)
	b.record()
	b.last = resp.Header.Get("Set-Cookie")
	for _, c := range resp.Cookies() {
		b.jar[c.Name] = c.Value
	}
	return resp.StatusCode, body
}

// canaries is a route to two clusters of two endpoints each.
func canaries(t testing.TB, secret string, web, canary uint32, edit func(*router.Sticky), at map[string][]netip.AddrPort) *stage {
	k := &router.Sticky{Name: "sid", Keys: []router.StickyKey{stickyKey(t, secret)}, Cookie: router.Cookie{Path: "/", Attributes: []router.CookieAttribute{{Name: "SameSite", Value: "Lax"}, {Name: "Secure"}}}}
	if edit != nil {
		edit(k)
	}
	return newStage(t, settings{
		routes: []*router.Route{to("/", func(f *router.Forward) {
			f.Clusters = []router.WeightedCluster{{Cluster: router.ClusterRef{Name: "web"}, Weight: web}, {Cluster: router.ClusterRef{Name: "canary", Slot: 1}, Weight: canary}}
			f.TotalWeight, f.Sticky = web+canary, k
		})},
		clusters: []*cluster.Config{clusterOf("web", at["web"]...), clusterOf("canary", at["canary"]...)},
	})
}

// A client stays where it came first, whatever the weights say of others, through other
// gateways with the same key and other weights; each finds its own way.
func TestStickySessions(t *testing.T) {
	at := map[string][]netip.AddrPort{
		"web":    {speaker(t, "web 1").At, speaker(t, "web 2").At},
		"canary": {speaker(t, "canary 1").At, speaker(t, "canary 2").At},
	}
	const secret = "a secret for all gateways"
	s := canaries(t, secret, 50, 50, nil, at)
	found := map[string]int{}
	var browsers []*browser
	for range 60 {
		b := &browser{s, map[string]string{}, ""}
		status, first := b.get()
		if status != 200 || !strings.HasSuffix(b.last, "; Path=/; HttpOnly; SameSite=Lax; Secure") || strings.Contains(b.last, "Max-Age") {
			t.Fatalf("%d %q", status, b.last)
		}
		found[first]++
		for range 3 {
			if _, again := b.get(); again != first || b.last != "" {
				t.Fatalf("from %s to %s, %q", first, again, b.last)
			}
		}
		b.jar["home"] = first
		browsers = append(browsers, b)
	}
	if len(found) != 4 {
		t.Errorf("%v", found)
	}
	// Another gateway, after a restart, that sends the canary hardly anyone.
	other := canaries(t, secret, 99, 1, nil, at)
	for _, b := range browsers {
		b.stage = other
		if _, again := b.get(); again != b.jar["home"] || b.last != "" {
			t.Errorf("from %s to %s", b.jar["home"], again)
		}
	}
	// The canary gets nobody any more: its clients are web's, and stay there.
	closed := canaries(t, secret, 100, 0, nil, at)
	for _, b := range browsers {
		b.stage = closed
		_, again := b.get()
		if strings.HasPrefix(b.jar["home"], "web") && again != b.jar["home"] || !strings.HasPrefix(again, "web") {
			t.Errorf("from %s to %s", b.jar["home"], again)
		}
		if _, third := b.get(); third != again || b.last != "" {
			t.Errorf("from %s to %s", again, third)
		}
	}
	// Keys of others say nothing.
	foreign := canaries(t, "another secret than theirs", 100, 0, nil, at)
	b := browsers[0]
	b.stage = foreign
	if b.get(); b.last == "" {
		t.Error("a cookie of another key is believed")
	}
}

// Nobody chooses an endpoint by a cookie of their own, nor one of another
// cluster than the route's.
func TestStickyForgeries(t *testing.T) {
	web, secretive := speaker(t, "web"), speaker(t, "secret")
	const secret = "a secret for all gateways"
	s := canaries(t, secret, 100, 0, nil, map[string][]netip.AddrPort{"web": {web.At}, "canary": {secretive.At}})
	k := &router.Sticky{Name: "sid", Keys: []router.StickyKey{stickyKey(t, secret)}}
	forged := &router.Sticky{Name: "sid", Keys: []router.StickyKey{stickyKey(t, "something that clients know")}}
	elsewhere := &router.Sticky{Name: "tid", Keys: k.Keys}
	for what, value := range map[string][]byte{
		"an address":            []byte(secretive.At.String()),
		"nothing":               nil,
		"their own key":         forged.Seal(nil, router.Session{Cluster: router.ClusterID("web"), Endpoint: secretive.At}),
		"another cookie":        elsewhere.Seal(nil, router.Session{Cluster: router.ClusterID("web"), Endpoint: secretive.At}),
		"another cluster":       k.Seal(nil, router.Session{Cluster: router.ClusterID("canary"), Endpoint: secretive.At}),
		"an unknown cluster":    k.Seal(nil, router.Session{Cluster: router.ClusterID("other"), Endpoint: secretive.At}),
		"no such endpoint":      k.Seal(nil, router.Session{Cluster: router.ClusterID("web"), Endpoint: secretive.At}),
		"a cookie out of date":  k.Seal(nil, router.Session{Cluster: router.ClusterID("web"), Endpoint: web.At, Expires: 1}),
		"a cookie that is long": []byte(strings.Repeat("A", 4000)),
	} {
		b := &browser{s, map[string]string{"sid": string(value)}, ""}
		if status, body := b.get(); status != 200 || body != "web" || b.last == "" {
			t.Errorf("%s: %d %s, %q", what, status, body, b.last)
		}
	}
}

// An endpoint that cannot be used is left for another one of the cluster, or of
// another cluster when that has none, and the client is told; a strict session is
// refused instead.
func TestStickyFallsBack(t *testing.T) {
	dead := origintest.ClosedPort(t)
	alive, other := speaker(t, "alive"), speaker(t, "other")
	const secret = "a secret for all gateways"
	k := &router.Sticky{Name: "sid", Keys: []router.StickyKey{stickyKey(t, secret)}}
	to := func(name string, at netip.AddrPort) map[string]string {
		return map[string]string{"sid": string(k.Seal(nil, router.Session{Cluster: router.ClusterID(name), Endpoint: at}))}
	}
	strict := func(k *router.Sticky) { k.Strict = true }
	at := map[string][]netip.AddrPort{"web": {dead, alive.At}, "canary": {other.At}}
	t.Run("refused connection", func(t *testing.T) {
		s := canaries(t, secret, 1, 1, nil, at)
		for range 3 {
			b := &browser{s, to("web", dead), ""}
			if status, body := b.get(); status != 200 || body != "alive" || b.last == "" {
				t.Errorf("%d %s %q", status, body, b.last)
			}
			if _, body := b.get(); body != "alive" || b.last != "" {
				t.Errorf("%s %q", body, b.last)
			}
		}
	})
	t.Run("draining", func(t *testing.T) {
		gone := speaker(t, "gone")
		s := canaries(t, secret, 1, 1, nil, map[string][]netip.AddrPort{"web": {gone.At, alive.At}, "canary": {other.At}})
		b := &browser{s, to("web", gone.At), ""}
		if _, body := b.get(); body != "gone" {
			t.Error(body)
		}
		s.loop.Do(func() {
			next := clusterOf("web", gone.At, alive.At)
			next.Endpoints[0].Draining, next.Hash = true, 2
			s.shared[0] = cluster.New(next)
			s.up.Adopt(s.shared)
		})
		if _, body := b.get(); body != "alive" || b.last == "" {
			t.Errorf("%s %q", body, b.last)
		}
	})
	t.Run("a cluster without endpoints", func(t *testing.T) {
		s := canaries(t, secret, 1, 1_000_000, nil, map[string][]netip.AddrPort{"canary": {other.At}})
		b := &browser{s, to("web", alive.At), ""}
		if status, body := b.get(); status != 200 || body != "other" || b.last == "" {
			t.Errorf("%d %s %q", status, body, b.last)
		}
	})
	t.Run("strict, refused", func(t *testing.T) {
		s := canaries(t, secret, 1, 1, strict, at)
		b := &browser{s, to("web", dead), ""}
		if status, _ := b.get(); status != 503 || b.last != "" {
			t.Errorf("%d %q", status, b.last)
		}
	})
	t.Run("strict, not there", func(t *testing.T) {
		s := canaries(t, secret, 1, 1, strict, at)
		b := &browser{s, to("web", netip.MustParseAddrPort("192.0.2.1:80")), ""}
		if status, _ := b.get(); status != 503 {
			t.Errorf("%d", status)
		}
		if b = (&browser{s, to("web", alive.At), ""}); true {
			if _, body := b.get(); body != "alive" {
				t.Error(body)
			}
		}
	})
	t.Run("strict, retried there", func(t *testing.T) {
		r := newRow(t, 2)
		s := newStage(t, settings{routes: []*router.Route{toSticky(k, &router.Retry{Attempts: 2, On: router.On5xx}, true)}}.with(r.origins...))
		c := s.dial()
		c.send("GET / HTTP/1.1\r\nHost: test\r\nCookie: sid=%s\r\n\r\n", to("c", r.origins[1].At)["sid"])
		for range 3 {
			if call := r.take(); call.at != 1 {
				t.Errorf("tried at %d", call.at)
			} else {
				call.say(503, "")
			}
		}
		if resp, _ := c.answer("GET"); resp.StatusCode != 503 {
			t.Errorf("%d", resp.StatusCode)
		}
	})
}

// toSticky is a route to cluster "c" with sessions.
func toSticky(k *router.Sticky, retry *router.Retry, strict bool) *router.Route {
	return to("/", func(f *router.Forward) {
		sticky := *k
		sticky.Strict = strict
		f.Sticky, f.Retry = &sticky, retry
	})
}

// A session with a time of its own is renewed when half of that is over.
func TestStickyTTL(t *testing.T) {
	a := speaker(t, "a")
	const secret = "a secret for all gateways"
	hour := func(k *router.Sticky) { k.TTL = time.Hour }
	s := canaries(t, secret, 1, 1, hour, map[string][]netip.AddrPort{"web": {a.At}, "canary": {a.At}})
	k := &router.Sticky{Name: "sid", Keys: []router.StickyKey{stickyKey(t, secret)}}
	for _, test := range []struct {
		left    time.Duration // 0: for ever
		renewed bool
	}{{59 * time.Minute, false}, {31 * time.Minute, false}, {29 * time.Minute, true}, {-time.Minute, true}, {0, true}} {
		said := router.Session{Cluster: router.ClusterID("web"), Endpoint: a.At}
		if test.left != 0 {
			said.Expires = uint32(time.Now().Add(test.left).Unix())
		}
		b := &browser{s, map[string]string{"sid": string(k.Seal(nil, said))}, ""}
		if b.get(); (b.last != "") != test.renewed {
			t.Errorf("with %v left: %q", test.left, b.last)
		}
		if test.renewed && !strings.Contains(b.last, "; Max-Age=3600;") {
			t.Errorf("%q", b.last)
		}
	}
}

// A session that goes on costs no allocation.
func TestStickyAllocatesNothing(t *testing.T) {
	k := &router.Sticky{Name: "sid", Keys: []router.StickyKey{stickyKey(t, "a secret for all gateways")}}
	f := &router.Forward{Sticky: k, Clusters: []router.WeightedCluster{{Cluster: router.ClusterRef{Name: "c"}, Weight: 1}}, TotalWeight: 1}
	said := router.Session{Cluster: router.ClusterID("c"), Endpoint: netip.MustParseAddrPort("192.0.2.1:80")}
	cookie := "sid=" + string(k.Seal(nil, said))
	s := newStage(t, settings{routes: []*router.Route{to("/", nil)}}.with())
	s.loop.Do(func() {
		st := &stream.Stream{Loop: s.loop}
		if n := testing.AllocsPerRun(100, func() {
			st.Request.Header.Reset()
			st.Request.Header.AddString("cookie", cookie)
			if kept := (*Edge)(nil).session(st, f); kept.target != &f.Clusters[0] || kept.at != said.Endpoint {
				t.Errorf("%+v", kept)
			}
			st.Reset()
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
