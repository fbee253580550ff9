package router

import (
	"net/netip"
	"testing"

	"longmen/gateway/stream"
)

func TestHostNames(t *testing.T) {
	var hosts []*VirtualHost
	for _, domain := range []string{
		"*", "example.com", "*.example.com", "*.a.example.com", "*-api.example.com", "www.*", "www.example.*",
		"Upper.Example.COM.", "port.example.com:8080", "port.example.com", "*.port.example.com:8080", "any.example.org:*", "[::1]:80",
	} {
		hosts = append(hosts, &VirtualHost{Name: domain, Domains: []string{domain}, Routes: []*Route{{Name: domain}}})
	}
	table, problems := New(hosts)
	if table == nil {
		t.Fatal(problems)
	}
	for _, c := range []struct{ host, port, want string }{
		{"example.com", "", "example.com"},
		{"example.com", ":80", "example.com"},
		{"b.example.com", "", "*.example.com"},
		{"b.c.example.com", ":1", "*.example.com"},
		{"b.a.example.com", "", "*.a.example.com"},
		{"x-api.example.com", "", "*-api.example.com"},
		{"-api.example.com", "", "*.example.com" /* the star stands for something */},
		{"www.other", "", "www.*"},
		{"www.example.org", "", "www.example.*"},
		{"www.example.com", "", "*.example.com" /* a suffix goes before a prefix */},
		{"upper.example.com", "", "Upper.Example.COM."},
		{"port.example.com", ":8080", "port.example.com:8080"},
		{"port.example.com", ":8081", "port.example.com"},
		{"port.example.com", "", "port.example.com"},
		{"x.port.example.com", ":8080", "*.port.example.com:8080"},
		{"x.port.example.com", ":8081", "*.example.com"},
		{"any.example.org", ":1", "any.example.org:*"},
		{"any.example.org", "", "*"},
		{"[::1]", ":80", "[::1]:80"},
		{"[::1]", "", "*"},
		{"[::1]", ":81", "*"},
		{"none", "", "*"},
		{"", "", "*"},
	} {
		r := newRequest("GET", c.host, "/")
		r.Authority = []byte(c.host + c.port)
		if got := table.Find(r, netip.Addr{}, 0); got == nil || got.Name != c.want {
			t.Errorf("%s%s leads to %s, want %s", c.host, c.port, nameOf(got), c.want)
		}
	}
	if table, _ = New([]*VirtualHost{{Domains: []string{"a"}}}); table.Find(newRequest("GET", "b", "/"), netip.Addr{}, 0) != nil {
		t.Error("a name that is not there leads somewhere")
	}
}

func TestFirstMatchWins(t *testing.T) {
	vh := one([]string{"*"})
	for _, m := range []Match{
		{Prefix: "/a/b/c"},
		{Prefix: "/a", Methods: []string{"POST"}},
		{Path: "/a/b"},
		{RawPrefix: "/a/b"},
		{Prefix: "/a"},
		{Prefix: "/a/z"}, // never reached
		{Regex: "/[0-9]+"},
		{Prefix: "/Case", IgnoreCase: true},
		{Path: "/case"},
		{Connect: true},
		{Path: "*"},
		{Prefix: "/b"},
		{},
	} {
		vh.Routes = append(vh.Routes, &Route{Match: m})
	}
	table, _ := New([]*VirtualHost{vh})
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/a/b/c/d", 0},
		{"POST", "/a/b/c", 0},
		{"POST", "/a/b", 1},
		{"GET", "/a/b", 2},
		{"GET", "/a/bc", 3},
		{"GET", "/a/b/", 3},
		{"GET", "/a", 4},
		{"GET", "/a/", 4},
		{"GET", "/a/z", 4},
		{"GET", "/ab", 12},
		{"GET", "/12", 6},
		{"GET", "/12a", 12},
		{"GET", "/CASE/x", 7},
		{"GET", "/case", 7},
		{"GET", "/cases", 12},
		{"CONNECT", "", 9},
		{"CONNECT", "/12", 6},
		{"CONNECT", "/b", 9},
		{"OPTIONS", "*", 10},
		{"GET", "/", 12},
	} {
		if got := table.Find(newRequest(c.method, "x", c.path), netip.Addr{}, 0); got != vh.Routes[c.want] {
			t.Errorf("%s %s leads to %s, want %s", c.method, c.path, nameOf(got), nameOf(vh.Routes[c.want]))
		}
	}
	if got := table.Find(newRequest("GET", "x", ""), netip.Addr{}, 0); got != nil {
		t.Errorf("GET without a path leads to %s", nameOf(got))
	}
}

func TestConditions(t *testing.T) {
	r := newRequest("GET", "x", "/")
	r.Header.AddString("x-a", "one")
	r.Header.AddString("x-n", "-5")
	r.Header.AddString("x-a", "two")
	r.Header.AddString("accept", "")
	r.Header.AddString("x-upper", "ABC")
	r.Header.AddString("cookie", `a=1; b = "two" ;novalue; a=2`)
	r.Header.AddString("cookie", "c=3=4")
	r.Query, r.HasQuery = []byte("a=1&a=2&b=x%20y+z&c&d=%4&%65=5&=6"), true
	header := func(v *ValueMatch, r *stream.Request) bool { return v.HoldsHeader(&r.Header) }
	query, cookie := (*ValueMatch).holdsQuery, (*ValueMatch).holdsCookie
	for _, c := range []struct {
		holds func(*ValueMatch, *stream.Request) bool
		v     ValueMatch
		want  bool
	}{
		{header, ValueMatch{Name: "x-a", Kind: Exact, Value: "one,two"}, true},
		{header, ValueMatch{Name: "x-a", Kind: Exact, Value: "one"}, false},
		{header, ValueMatch{Name: "x-a", Kind: HasPrefix, Value: "one"}, true},
		{header, ValueMatch{Name: "x-a", Kind: HasSuffix, Value: "TWO", IgnoreCase: true}, true},
		{header, ValueMatch{Name: "x-a", Kind: Contains, Value: "e,t"}, true},
		{header, ValueMatch{Name: "x-a", Kind: Regex, Value: "[a-z,]+"}, true},
		{header, ValueMatch{Name: "x-a", Kind: Regex, Value: "one"}, false},
		{header, ValueMatch{Name: "x-upper", Kind: Exact, Value: "abc"}, false},
		{header, ValueMatch{Name: "x-upper", Kind: Exact, Value: "aBc", IgnoreCase: true}, true},
		{header, ValueMatch{Name: "x-n", Kind: Range, Low: -5, High: 0}, true},
		{header, ValueMatch{Name: "x-n", Kind: Range, Low: -10, High: -5}, false},
		{header, ValueMatch{Name: "x-a", Kind: Range, Low: -10, High: 10, Invert: true}, true},
		{header, ValueMatch{Name: "accept", Kind: Present}, true},
		{header, ValueMatch{Name: "accept", Kind: Exact}, true},
		{header, ValueMatch{Name: "host", Kind: Present}, false},
		{header, ValueMatch{Name: "host", Kind: Absent}, true},
		{header, ValueMatch{Name: "host", Kind: Present, Invert: true}, true},
		{header, ValueMatch{Name: "x-b", Kind: Exact, Value: "1", Invert: true}, false},
		{header, ValueMatch{Name: "x-b", Kind: Exact, Value: "1", Invert: true, MissingAsEmpty: true}, true},
		{header, ValueMatch{Name: "x-b", Kind: Exact, MissingAsEmpty: true}, true},
		{query, ValueMatch{Name: "a", Kind: Exact, Value: "1"}, true},
		{query, ValueMatch{Name: "a", Kind: Exact, Value: "2"}, false},
		{query, ValueMatch{Name: "b", Kind: Exact, Value: "x y+z"}, true},
		{query, ValueMatch{Name: "c", Kind: Present}, true},
		{query, ValueMatch{Name: "c", Kind: Exact}, true},
		{query, ValueMatch{Name: "d", Kind: Exact, Value: "%4"}, true},
		{query, ValueMatch{Name: "e", Kind: Range, Low: 5, High: 6}, true},
		{query, ValueMatch{Name: "f", Kind: Present}, false},
		{cookie, ValueMatch{Name: "a", Kind: Exact, Value: "1"}, true},
		{cookie, ValueMatch{Name: "b", Kind: Exact, Value: "two"}, true},
		{cookie, ValueMatch{Name: "c", Kind: Exact, Value: "3=4"}, true},
		{cookie, ValueMatch{Name: "novalue", Kind: Present}, false},
	} {
		if table, problems := New([]*VirtualHost{one([]string{"*"}, &Route{Match: Match{Headers: []ValueMatch{c.v}}})}); table == nil {
			t.Fatal(problems)
		} else if c.v.Kind == Regex {
			c.v.regex = table.all.host.Routes[0].Match.Headers[0].regex
		}
		if got := c.holds(&c.v, r); got != c.want {
			t.Errorf("%+v: %v", c.v, got)
		}
	}
}

func TestSourcesAndFraction(t *testing.T) {
	m := Match{Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}}
	for addr, want := range map[string]bool{"10.1.1.1": true, "::ffff:10.1.1.1": true, "11.0.0.1": false, "fe80::1%eth0": true, "::1": false} {
		if got := m.sourceHolds(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if m.sourceHolds(netip.Addr{}) {
		t.Error("no address is inside")
	}
	table, _ := New([]*VirtualHost{one([]string{"*"}, &Route{Match: Match{Fraction: 250_000}}, &Route{})})
	share, r := 0, newRequest("GET", "x", "/")
	for rnd := range uint32(100_000) {
		if table.Find(r, netip.Addr{}, rnd*2654435761) != table.all.host.Routes[1] {
			share++
		}
	}
	if share < 24_000 || share > 26_000 {
		t.Errorf("a quarter of the requests is %d of 100000", share)
	}
}

func TestLiteralPrefix(t *testing.T) {
	for pattern, want := range map[string]string{
		"/a": "/a", "/a.*": "/a", "/ab?": "/a", "^/a": "/a", `\A/a+`: "/", "(/a)b": "/a", "(?:/a|/ab)": "/a", "/a|/b": "/", "(?i)/a": "", "(?i)a": "",
		".*": "", "": "", "[ab]": "", "(?m)^/a": "/a", `/\.x`: "/.x", "/a{2}": "/", "(": "",
	} {
		if got := literalPrefix(pattern); got != want {
			t.Errorf("%q begins with %q, want %q", pattern, got, want)
		}
	}
}
