package router

import (
	"fmt"
	"net/netip"
	"testing"

	"longmen/gateway/stream"
)

// checkCache compares a cache, which has seen other requests, with Find, also for
// the same path under other circumstances.
func checkCache(t *testing.T, table *Table, cache *Cache, r *stream.Request, g generator) {
	t.Helper()
	if cache == nil {
		return
	}
	other := g.request()
	other.Method, other.Host, other.Authority, other.Path = r.Method, r.Host, r.Authority, r.Path
	for _, r := range []*stream.Request{r, other, r} {
		client, rnd := g.client(), g.Uint32()
		want := table.Find(r, client, rnd)
		if got := cache.Find(r, client, rnd); got != want {
			t.Fatalf("%s %s%s?%s %+v: the cache says %s, the table %s", r.Method, r.Authority, r.Path, r.Query, headerOf(r), nameOf(got), nameOf(want))
		}
	}
}

// cachedTable has regular expressions, some of them behind other conditions.
func cachedTable(t testing.TB) *Table {
	t.Helper()
	table, problems := New([]*VirtualHost{
		{Domains: []string{"plain"}, Routes: []*Route{
			{Name: "users", Match: Match{Regex: `/users/[0-9]+`}},
			{Name: "posted", Match: Match{Regex: `/form/.*`, Methods: []string{"POST"}}},
			{Name: "vip", Match: Match{Regex: `/shop/.*`, Headers: []ValueMatch{{Name: "x-user", Kind: Exact, Value: "vip"}}}},
			{Name: "some", Match: Match{Regex: `/some/.*`, Fraction: everyRequest / 2}},
			{Name: "rest"},
		}},
		{Domains: []string{"other"}, Routes: []*Route{{Name: "elsewhere", Match: Match{Regex: `/users/.*`}}}},
		{Domains: []string{"literal"}, Routes: []*Route{{Name: "a", Match: Match{Prefix: "/users"}}, {Name: "b"}}},
	})
	if table == nil {
		t.Fatal(problems)
	}
	return table
}

// TestCacheRemembers says what is remembered: what took a regular expression,
// and nothing that something outside the path had a part in.
func TestCacheRemembers(t *testing.T) {
	client := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		method, host, path string
		route              string
		remembered         bool
	}{
		{"GET", "plain", "/users/7", "users", true},
		{"GET", "plain", "/users/x", "rest", true}, // that it does not match is worth as much
		{"GET", "plain", "/form/1", "rest", true},  // the method is in the key
		{"POST", "plain", "/form/1", "posted", true},
		{"GET", "plain", "/shop/1", "rest", false},
		{"GET", "plain", "/some/1", "some", false},
		{"GET", "plain", "/", "rest", false},
		{"GET", "plain", "/users/" + fmt.Sprintf("%0106d", 1), "users", false}, // too long
		{"GET", "other", "/users/7", "elsewhere", true},
		{"GET", "other", "/none", "", false},
		{"GET", "other", "/users", "", false}, // filed under /users/
		{"GET", "literal", "/users/7", "a", false},
	} {
		table := cachedTable(t)
		cache := table.NewCache()
		r := newRequest(c.method, c.host, c.path)
		for i := range 3 {
			got := ""
			if route := cache.Find(r, client, 1); route != nil {
				got = route.Name
			}
			if got != c.route {
				t.Errorf("%s %s%s: %q, want %q", c.method, c.host, c.path, got, c.route)
			}
			if found := cache.found == i && i > 0; found != (c.remembered && i > 0) {
				t.Errorf("%s %s%s: found %d times in %d", c.method, c.host, c.path, cache.found, i+1)
			}
		}
	}
	table, _ := New([]*VirtualHost{{Domains: []string{"*"}, Routes: []*Route{{Match: Match{Prefix: "/a"}}, {}}}})
	if table.NewCache() != nil {
		t.Error("a table without regular expressions gets a cache")
	}
}

// One path is another route in another host, by another method, and with what is
// outside of it.
func TestCacheTellsApart(t *testing.T) {
	table := cachedTable(t)
	for _, name := range []string{"plain", "other", "literal"} { // as if there were 65,536 between them
		table.exact.find([]byte(name)).host.fallback.tag = 0
	}
	cache := table.NewCache()
	client := netip.MustParseAddr("192.0.2.1")
	for range 2 {
		for _, host := range []string{"plain", "other", "literal"} {
			for _, method := range []string{"GET", "POST"} {
				for _, path := range []string{"/users/7", "/form/x", "/shop/x"} {
					for _, user := range []string{"", "vip"} {
						r := newRequest(method, host, path)
						r.Header.AddString("x-user", user)
						if got, want := cache.Find(r, client, 0), table.Find(r, client, 0); got != want {
							t.Errorf("%s %s%s of %q: %s, want %s", method, host, path, user, nameOf(got), nameOf(want))
						}
					}
				}
			}
		}
	}
}

// Where paths do not repeat the cache rests, and looks again some time later.
func TestCacheRests(t *testing.T) {
	table := cachedTable(t)
	cache := table.NewCache()
	client := netip.MustParseAddr("192.0.2.1")
	for i := range cacheTrial {
		cache.Find(newRequest("GET", "plain", fmt.Sprint("/users/", i)), client, 0)
	}
	if cache.resting != cacheRest || cache.looked != 0 {
		t.Fatalf("it rests for %d", cache.resting)
	}
	same := newRequest("GET", "plain", "/users/1")
	for range cacheRest {
		if cache.Find(same, client, 0).Name != "users" {
			t.Fatal("another route")
		}
	}
	if cache.resting != 0 || cache.looked != 0 {
		t.Fatalf("it rests for %d more, and looked %d times", cache.resting, cache.looked)
	}
	for range 2 * cacheTrial {
		cache.Find(same, client, 0)
	}
	if cache.resting != 0 {
		t.Error("it rests where paths repeat")
	}
}

// The cache takes its memory when it is first needed, and none for a lookup.
func TestCacheAllocations(t *testing.T) {
	cache := cachedTable(t).NewCache()
	client := netip.MustParseAddr("192.0.2.1")
	r := newRequest("GET", "plain", "/users/1234")
	cache.Find(r, client, 0)
	n := testing.AllocsPerRun(100, func() { cache.Find(r, client, 0) })
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
