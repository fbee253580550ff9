package router

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func one(domains []string, routes ...*Route) *VirtualHost {
	return &VirtualHost{Domains: domains, Routes: routes}
}

func rewritten(pattern, substitution string) *Route {
	return &Route{Forward: &Forward{ClusterHeader: "x", RegexRewrite: &RegexRewrite{Pattern: pattern, Substitution: substitution}}}
}

func TestNewProblems(t *testing.T) {
	all := []string{"*"}
	for _, c := range []struct {
		name  string
		hosts []*VirtualHost
		want  []string // "host route field: text [hint]", "!" before errors
	}{
		{"nothing wrong", []*VirtualHost{one(all, &Route{Match: Match{Regex: "/a+"}}, &Route{})}, nil},
		{"regex", []*VirtualHost{one(all, &Route{}, &Route{Match: Match{Regex: "/(a"}})},
			[]string{"! 0 1 match.regex: \"/(a\": missing closing ): `/(a` []"}},
		{"regexes of values", []*VirtualHost{one(all, &Route{Match: Match{
			Headers: []ValueMatch{{Name: "x-a", Kind: Regex, Value: "["}},
			Query:   []ValueMatch{{Name: "q", Kind: Regex, Value: "a**"}},
			Cookies: []ValueMatch{{Name: "c", Kind: Regex, Value: `\8`}},
		}})}, []string{
			"! 0 0 match.headers.x-a: \"[\": missing closing ]: `[` []",
			"! 0 0 match.query.q: \"a**\": invalid nested repetition operator: `**` []",
			"! 0 0 match.cookies.c: \"\\\\8\": invalid escape sequence: `\\8` []"}},
		{"regex in any case", []*VirtualHost{one(all, &Route{Match: Match{Regex: "/a", IgnoreCase: true}})},
			[]string{"0 0 match.regex: ignoring case has no effect on a regular expression [begin the pattern with (?i)]"}},
		{"domains", []*VirtualHost{
			one([]string{"a.example", "A.example."}),
			one([]string{"", "https://b.example/x", "a.example", "a.*.b", "*a*", "münchen.example", "::1", "a b"})},
			[]string{
				`! 0 -1 hosts[1]: "A.example." stands twice []`,
				`! 1 -1 hosts[0]: "": the name is empty ["*" matches every host]`,
				`! 1 -1 hosts[1]: "https://b.example/x": a host name has no scheme (https) [did you mean "b.example"?]`,
				`! 1 -1 hosts[2]: "a.example" is a name of virtual host 0 already []`,
				`! 1 -1 hosts[3]: "a.*.b": "*" may only stand at the beginning or at the end []`,
				`! 1 -1 hosts[4]: "*a*": "*" may stand at one end only []`,
				`! 1 -1 hosts[5]: "münchen.example": a host name is ASCII [write the name as it is sent, in punycode (xn--...)]`,
				`! 1 -1 hosts[6]: "::1": an IPv6 address stands in brackets [did you mean "[::1]"?]`,
				`! 1 -1 hosts[7]: "a b": a host name does not hold ' ' []`}},
		{"good domains", []*VirtualHost{one([]string{"a", "*.a", "a.*", "*", "a:80", "*:80", "a:*", "[::1]", "[::1]:80", "*-a.b", "a_b"})}, nil},
		{"substitution", []*VirtualHost{one(all,
			rewritten("/(a", "/"), rewritten("/(a)", `/\2`), rewritten("/(a)", `/\x`), rewritten("/(a)", `/\`), rewritten("/(a)", "/a b"), rewritten("/(a)", "/$1"),
			&Route{Redirect: &Redirect{Regex: &RegexRewrite{Pattern: "a", Substitution: `\1`}}})},
			[]string{
				"! 0 0 rewrite.regex.match: \"/(a\": missing closing ): `/(a` []",
				`! 0 1 rewrite.regex.to: "/\\2": \2: the pattern has 1 groups []`,
				`! 0 2 rewrite.regex.to: "/\\x": \x is neither a group nor \\ []`,
				`! 0 3 rewrite.regex.to: "/\\": a single \ at the end; write \\ for a backslash []`,
				`! 0 4 rewrite.regex.to: "/a b": ' ' cannot stand in a path []`,
				`0 5 rewrite.regex.to: "/$1": $ stands for itself [groups are written \1]`,
				`! 0 6 redirect.regex.to: "\\1": \1: the pattern has 0 groups []`}},
		{"weights", []*VirtualHost{one(all,
			&Route{Forward: &Forward{Clusters: []WeightedCluster{{Weight: 1}, {Weight: 2}}, TotalWeight: 2}},
			&Route{Forward: &Forward{Clusters: []WeightedCluster{{}}}},
			&Route{Forward: &Forward{}})},
			[]string{
				"! 0 0 to: the weights sum to 3, and the total weight is 2 []",
				"! 0 2 to: the weights sum to 0, and the total weight is 0 []"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, problems := New(c.hosts)
			var got []string
			failed := false
			for _, p := range problems {
				if strings.HasPrefix(p.Text, "no request reaches") {
					continue
				}
				mark := ""
				if !p.Warning {
					failed, mark = true, "! "
				}
				got = append(got, fmt.Sprintf("%s%d %d %s: %s [%s]", mark, p.Host, p.Route, p.Field, p.Text, p.Hint))
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			if failed != (table == nil) {
				t.Errorf("errors: %v, table: %v", failed, table != nil)
			}
		})
	}
}

func TestNewKeepsCompiledExpressions(t *testing.T) {
	route := &Route{Match: Match{Regex: "/a"}}
	hosts := []*VirtualHost{one([]string{"*"}, route)}
	New(hosts)
	first := route.Match.regex
	if first == nil {
		t.Fatal("not compiled")
	}
	if New(hosts); route.Match.regex != first {
		t.Error("compiled again: a table that serves from it would see the change")
	}
}

func TestShadowedRules(t *testing.T) {
	net := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	header := []ValueMatch{{Name: "x-a", Kind: Exact, Value: "1"}}
	for _, c := range []struct {
		first, second Match
		shadowed      bool
	}{
		{Match{}, Match{Path: "/a"}, true},
		{Match{Prefix: "/"}, Match{Regex: "/a"}, true},
		{Match{RawPrefix: "/"}, Match{}, true},
		{Match{}, Match{Connect: true}, false},
		{Match{Connect: true}, Match{Connect: true}, true},
		{Match{Path: "/a"}, Match{Path: "/a"}, true},
		{Match{Path: "/a"}, Match{Path: "/a/"}, false},
		{Match{Path: "/a"}, Match{Prefix: "/a"}, false},
		{Match{Prefix: "/a"}, Match{Prefix: "/a/b"}, true},
		{Match{Prefix: "/a"}, Match{Prefix: "/ab"}, false},
		{Match{Prefix: "/a"}, Match{Path: "/a"}, true},
		{Match{Prefix: "/a"}, Match{RawPrefix: "/a"}, false},
		{Match{Prefix: "/a"}, Match{RawPrefix: "/a/"}, true},
		{Match{Prefix: "/a"}, Match{Regex: "/a/.*"}, true},
		{Match{Prefix: "/a"}, Match{Regex: "/a.*"}, false},
		{Match{Prefix: "/a"}, Match{Regex: "(/a|/b)/.*"}, false},
		{Match{Prefix: "/a/b"}, Match{Prefix: "/a"}, false},
		{Match{RawPrefix: "/a"}, Match{Prefix: "/ab"}, true},
		{Match{RawPrefix: "/a"}, Match{Regex: "/ab?"}, true},
		{Match{Regex: "/a+"}, Match{Regex: "/a+"}, true},
		{Match{Regex: "/a+"}, Match{Path: "/a"}, false},
		{Match{Prefix: "/A", IgnoreCase: true}, Match{Prefix: "/a/b"}, true},
		{Match{Prefix: "/a"}, Match{Prefix: "/a", IgnoreCase: true}, false},
		{Match{Methods: []string{"GET"}}, Match{Prefix: "/a"}, false},
		{Match{Methods: []string{"GET", "PUT"}}, Match{Methods: []string{"GET"}}, true},
		{Match{Headers: header}, Match{Prefix: "/a"}, false},
		{Match{Headers: header}, Match{Prefix: "/a", Headers: header}, true},
		{Match{Query: header}, Match{Headers: header}, false},
		{Match{Sources: net("10.0.0.0/8")}, Match{Sources: net("10.1.0.0/16")}, true},
		{Match{Sources: net("10.1.0.0/16")}, Match{Sources: net("10.0.0.0/8")}, false},
		{Match{Fraction: 10}, Match{}, false},
		{Match{Fraction: everyRequest}, Match{}, true},
		{Match{}, Match{Fraction: 10}, true},
	} {
		table, problems := New([]*VirtualHost{one([]string{"*"},
			&Route{Match: c.first, Origin: "gateway.yaml:3:5"}, &Route{Match: c.second})})
		if table == nil {
			t.Fatal(problems)
		}
		if (len(problems) > 0) != c.shadowed {
			t.Errorf("%s, then %s: %v", (&Route{Match: c.first}).describe(), (&Route{Match: c.second}).describe(), problems)
			continue
		}
		for _, p := range problems {
			if p.Route != 1 || !p.Warning || p.Hint == "" || !strings.Contains(p.Text, "(gateway.yaml:3:5)") {
				t.Errorf("%+v", p)
			}
		}
	}
}

// TestManyRulesOnOneLiteral holds that the check for shadowed rules stays quick.
func TestManyRulesOnOneLiteral(t *testing.T) {
	vh := one([]string{"*"})
	for i := range 20_000 {
		vh.Routes = append(vh.Routes, &Route{Match: Match{Prefix: "/a", Headers: []ValueMatch{{Name: "x-tenant", Kind: Exact, Value: fmt.Sprint(i)}}}})
	}
	table, problems := New([]*VirtualHost{vh})
	if table == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	r := newRequest("GET", "x", "/a/b")
	r.Header.AddString("x-tenant", "19999")
	if got := table.Find(r, netip.Addr{}, 0); got != vh.Routes[19_999] {
		t.Errorf("found %s", nameOf(got))
	}
}
