package router

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"longmen/gateway/stream"
)

// The tables of the benchmarks. Each holds n rules.

// tableOfPrefixes is one host with n prefixes; the last rule is for all else.
func tableOfPrefixes(n int) []*VirtualHost {
	vh := &VirtualHost{Domains: []string{"shop.example.com"}}
	for i := range n - 1 {
		vh.Routes = append(vh.Routes, &Route{Match: Match{Prefix: fmt.Sprintf("/service-%06d/v1", i)}})
	}
	vh.Routes = append(vh.Routes, &Route{})
	return []*VirtualHost{vh}
}

// tableOfHosts is n hosts with one rule each.
func tableOfHosts(n int) []*VirtualHost {
	var hosts []*VirtualHost
	for i := range n {
		hosts = append(hosts, &VirtualHost{Domains: []string{fmt.Sprintf("host-%06d.example.com", i)}, Routes: []*Route{{}}})
	}
	return hosts
}

// tableMixed is hosts of ten rules of every kind.
func tableMixed(n int) []*VirtualHost {
	var hosts []*VirtualHost
	for i := range max(n/10, 1) {
		vh := &VirtualHost{Domains: []string{fmt.Sprintf("host-%06d.example.com", i)}}
		for _, m := range []Match{
			{Path: "/login"}, {Path: "/logout", Methods: []string{"POST"}}, {Prefix: "/cart"}, {Prefix: "/api/v1", Headers: []ValueMatch{{Name: "x-user", Kind: HasPrefix, Value: "vip"}}},
			{Prefix: "/api/v1"}, {RawPrefix: "/static/img-"}, {Regex: `/users/[0-9]+`}, {Prefix: "/API/v2", IgnoreCase: true}, {Prefix: "/api"}, {},
		}[:min(n, 10)] {
			vh.Routes = append(vh.Routes, &Route{Match: m})
		}
		hosts = append(hosts, vh)
	}
	return hosts
}

// BenchmarkFind measures lookups that hit rules all over the table ("spread":
// every lookup finds cold memory when the table is large) and lookups of the
// same sixteen rules ("hot"). The names are written into the request, so that
// the requests themselves take no memory that would have to be fetched; that
// costs the same for all sizes and is part of the figures.
func BenchmarkFind(b *testing.B) {
	client := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		name  string
		table func(int) []*VirtualHost
		ask   func(r *stream.Request, buf []byte, i int)
	}{
		{"prefixes", tableOfPrefixes, func(r *stream.Request, buf []byte, i int) {
			buf = append(buf[:0], "/service-"...)
			r.Path = append(appendSix(buf, i), "/v1/items/42"...)
		}},
		{"hosts", tableOfHosts, func(r *stream.Request, buf []byte, i int) {
			buf = append(buf[:0], "host-"...)
			r.Host = append(appendSix(buf, i), ".example.com"...)
		}},
		{"mixed", tableMixed, func(r *stream.Request, buf []byte, i int) {
			buf = append(buf[:0], "host-"...)
			r.Host = append(appendSix(buf, i/10), ".example.com"...)
		}},
	} {
		for _, n := range []int{1, 10, 100, 10_000, 100_000} {
			table, problems := New(c.table(n))
			if table == nil {
				b.Fatal(problems)
			}
			for _, spread := range []bool{false, true} {
				name, among := "hot", min(n, 16)
				if spread {
					name, among = "spread", n
				}
				if c.name == "prefixes" && n > 1 {
					among = min(among, n-1)
				}
				b.Run(fmt.Sprintf("%s/%d/%s", c.name, n, name), func(b *testing.B) {
					b.ReportAllocs()
					r := newRequest("GET", "shop.example.com", "/api/v1/items")
					rnd, buf := rand.New(rand.NewPCG(1, 1)), make([]byte, 0, 64)
					stride := n / min(n, 16) // the hot ones lie apart, too
					for b.Loop() {
						i := rnd.IntN(among)
						if !spread {
							i *= stride
						}
						c.ask(r, buf, i)
						if table.Find(r, client, 0) == nil {
							b.Fatalf("%s%s: nothing found", r.Host, r.Path)
						}
					}
				})
			}
		}
	}
}

func appendSix(buf []byte, n int) []byte {
	buf = append(buf, "000000"...)
	for i := len(buf) - 1; n > 0; i-- {
		buf[i] = byte('0' + n%10)
		n /= 10
	}
	return buf
}

// TestLargeTable holds the memory of a large table.
func TestLargeTable(t *testing.T) {
	for name, make := range map[string]func(int) []*VirtualHost{"prefixes": tableOfPrefixes, "hosts": tableOfHosts, "mixed": tableMixed} {
		hosts := make(100_000)
		before := heap()
		begin := time.Now()
		table, problems := New(hosts)
		took := time.Since(begin)
		size := heap() - before
		if table == nil || len(problems) != 0 {
			t.Fatal(problems)
		}
		t.Logf("%s: %d bytes, built in %v", name, size, took)
		if size > 100<<20 {
			t.Errorf("%s: the table of 100,000 rules takes %d bytes", name, size)
		}
		runtime.KeepAlive(table)
		runtime.KeepAlive(hosts)
	}
}

// heap is the memory in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestFindDoesNotAllocate(t *testing.T) {
	table, problems := New([]*VirtualHost{{Domains: []string{"*.example.com:8080", "*"}, Routes: []*Route{
		{Match: Match{Regex: "/users/[0-9]+/x"}},
		{Match: Match{Prefix: "/a", Methods: []string{"POST"}}},
		{Match: Match{Prefix: "/a", Headers: []ValueMatch{{Name: "x-a", Kind: Range, Low: 1, High: 2}}}},
		{Match: Match{Prefix: "/a", Query: []ValueMatch{{Name: "q", Kind: Exact, Value: "x"}}}},
		{Match: Match{Prefix: "/A", IgnoreCase: true, Cookies: []ValueMatch{{Name: "c", Kind: Regex, Value: "x+"}}}},
		{Match: Match{Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}},
		{},
	}}})
	if table == nil {
		t.Fatal(problems)
	}
	r := newRequest("GET", "www.example.com", "/a/b")
	r.Authority = []byte("www.example.com:8080")
	r.Header.AddString("x-a", "7")
	r.Header.AddString("cookie", "b=1; c=y")
	r.Query, r.HasQuery = []byte("a=b&q=y"), true
	client := netip.MustParseAddr("192.0.2.1")
	if n := testing.AllocsPerRun(100, func() {
		if table.Find(r, client, 1) == nil {
			t.Fatal("nothing found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
