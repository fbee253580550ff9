package router

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	routes := []*Route{
		{Name: "0", Match: Match{Path: "/login"}},
		{Name: "1", Match: Match{Connect: true}},
		{Name: "2", Match: Match{Prefix: "/cart", Methods: []string{"POST", "PUT"}}},
		{Name: "3", Match: Match{RawPrefix: "/ca", Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}},
		{Name: "4", Match: Match{Headers: []ValueMatch{{Name: "x-user", Kind: HasPrefix, Value: "vip", IgnoreCase: true}}}},
		{Name: "5", Match: Match{Query: []ValueMatch{{Name: "page", Kind: Range, Low: 2, High: 10, Invert: true}, {Name: "q", Kind: Present}}}},
		{Name: "6", Match: Match{Cookies: []ValueMatch{{Name: "sid", Kind: Absent}}}},
		{Name: "7", Match: Match{Fraction: 5000}},
		{Name: "8", Match: Match{Regex: "/cart/[0-9]+"}},
		{Name: "9", Match: Match{Prefix: "/CART", IgnoreCase: true}},
		{Name: "10"},
	}
	table, problems := New([]*VirtualHost{{Domains: []string{"shop.example", "*.shop.example"}, Routes: routes}})
	if table == nil {
		t.Fatal(problems)
	}
	r := newRequest("GET", "www.shop.example", "/cart/x")
	r.Header.AddString("cookie", "sid=1")
	var got []string
	for _, step := range table.Explain(r, netip.MustParseAddr("192.0.2.1"), 6000) {
		name := "host"
		if step.Route != nil {
			name = step.Route.Name
		}
		got = append(got, fmt.Sprintf("%s %v: %s", name, step.Matched, step.Why))
	}
	want := []string{
		"host true: host *.shop.example",
		"0 false: path /cart/x is not path /login",
		"1 false: method is GET, not CONNECT",
		"2 false: method is GET, not POST or PUT",
		"3 false: client 192.0.2.1 is not in [10.0.0.0/8]",
		`4 false: not: header x-user begins with "vip" (in any case)`,
		"5 false: not: query page not from 2 to 9",
		"6 false: not: cookie sid absent",
		"7 false: not in the 0.5 % of requests",
		"8 false: path /cart/x is not regex /cart/[0-9]+",
		"9 true: prefix /CART (in any case)",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	steps := table.Explain(newRequest("GET", "other.example", "/"), netip.Addr{}, 0)
	if len(steps) != 1 || steps[0].Matched || steps[0].Why != `no virtual host is named "other.example", and there is no "*"` {
		t.Errorf("%+v", steps)
	}
}

func TestDescribe(t *testing.T) {
	m := Match{
		Prefix: "/a", Methods: []string{"GET"}, Sources: []netip.Prefix{netip.MustParsePrefix("::1/128")},
		Headers:  []ValueMatch{{Name: "h", Kind: Exact, Value: "1"}, {Name: "i", Kind: HasSuffix, Value: "2"}},
		Query:    []ValueMatch{{Name: "q", Kind: Contains, Value: "3"}},
		Cookies:  []ValueMatch{{Name: "c", Kind: Regex, Value: "4"}},
		Fraction: 10_000,
	}
	want := `prefix /a, method GET, client in [::1/128], header h = "1", header i ends with "2", query q contains "3", cookie c matches "4", 1 % of requests`
	if got := (&Route{Match: m}).describe(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for want, m := range map[string]Match{"every path": {}, "prefix /a*": {RawPrefix: "/a"}, "prefix /": {RawPrefix: "/"}, "CONNECT": {Connect: true}} {
		if got := (&Route{Match: m}).describe(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
