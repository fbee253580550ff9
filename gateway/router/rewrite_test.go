package router

import (
	"math/rand/v2"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

// compiled makes a route ready, as New does.
func compiled(t *testing.T, route *Route) *Route {
	t.Helper()
	if table, problems := New([]*VirtualHost{one([]string{"*"}, route)}); table == nil {
		t.Fatal(problems)
	}
	return route
}

func TestRewritePath(t *testing.T) {
	prefix := func(m Match, to string) *Route {
		return &Route{Match: m, Forward: &Forward{ClusterHeader: "x", PrefixRewrite: &to}}
	}
	for _, c := range []struct {
		route      *Route
		path, want string
	}{
		{&Route{Forward: &Forward{ClusterHeader: "x"}}, "/a/b", "/a/b"},
		{prefix(Match{Prefix: "/a"}, "/new"), "/a", "/new"},
		{prefix(Match{Prefix: "/a"}, "/new"), "/a/b", "/new/b"},
		{prefix(Match{Prefix: "/a"}, "/new/"), "/a/b", "/new/b"},
		{prefix(Match{Prefix: "/a"}, "/"), "/a/b", "/b"},
		{prefix(Match{Prefix: "/a"}, "/"), "/a", "/"},
		{prefix(Match{Prefix: "/a"}, "/"), "/a/", "/"},
		{prefix(Match{Prefix: "/a"}, ""), "/a", "/"},
		{prefix(Match{Prefix: "/a"}, ""), "/a/b", "/b"},
		{prefix(Match{Prefix: "/A", IgnoreCase: true}, "/new"), "/a/B", "/new/B"},
		{prefix(Match{RawPrefix: "/a"}, "/new"), "/abc", "/newbc"},
		{prefix(Match{RawPrefix: "/a/"}, "/"), "/a/b", "/b"},
		{prefix(Match{RawPrefix: "/a"}, ""), "/abc", "/bc"},
		{prefix(Match{}, "/new"), "/b", "/new/b"},
		{prefix(Match{Prefix: "/"}, "/new/"), "/b", "/new/b"},
		{prefix(Match{RawPrefix: "/"}, "/new"), "/", "/new/"},
		{prefix(Match{Path: "/a"}, "/new"), "/a", "/new"},
		{prefix(Match{Regex: "/a.*"}, "/new"), "/abc", "/new"},
		{prefix(Match{Prefix: "/a"}, "/new"), "/a/b?c=/a&d", "/new/b?c=/a&d"},
		{&Route{Forward: &Forward{ClusterHeader: "x"}}, "/a?", "/a?"},
		{rewritten("x", "y"), "/x?x", "/y?x"},
		{prefix(Match{}, "/new"), "*", "*"},
		{prefix(Match{Connect: true}, "/new"), "", ""},
		{rewritten("^/users/([0-9]+)/(.*)$", `/u/\2/\1`), "/users/7/x", "/u/x/7"},
		{rewritten("^/users/([0-9]+)/(.*)$", `/u/\2/\1`), "/other", "/other"},
		{rewritten("a", "b"), "/aXaa", "/bXbb"},
		{rewritten("/", `[\0]`), "/a/b", "/[/]a[/]b"},
		{rewritten("^/", ""), "/a", "/a"},
		{rewritten(".*", ""), "/a", "/"},
		{rewritten("/(a)", `/$1\\\1x`), "/a", "/$1%5Cax"},
	} {
		route := compiled(t, c.route)
		path, query, hasQuery := strings.Cut(c.path, "?")
		r := newRequest("GET", "x", path)
		r.Query, r.HasQuery = []byte(query), hasQuery
		got := string(route.Forward.RewritePath([]byte("> "), r, route))
		if got != "> "+c.want {
			t.Errorf("%s, rewritten by %+v: %s becomes %q, want %q", route.describe(), route.Forward, c.path, got, "> "+c.want)
		}
	}
}

func TestLocation(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		redirect Redirect
		match    Match
		scheme   string
		host     string // [:port]
		path     string // [?query]
		want     string
	}{
		{Redirect{Scheme: "https"}, Match{}, "http", "a.example", "/x?y=1", "https://a.example/x?y=1"},
		{Redirect{Scheme: "https"}, Match{}, "http", "a.example:80", "/", "https://a.example/"},
		{Redirect{Scheme: "https"}, Match{}, "http", "a.example:8080", "/", "https://a.example:8080/"},
		{Redirect{Scheme: "https", Port: 8443}, Match{}, "http", "a.example:8080", "/", "https://a.example:8443/"},
		{Redirect{Scheme: "https", Port: 443}, Match{}, "http", "a.example:8080", "/", "https://a.example/"},
		{Redirect{Scheme: "http"}, Match{}, "https", "a.example:443", "/", "http://a.example/"},
		{Redirect{Host: "b.example"}, Match{}, "http", "a.example:8080", "/x", "http://b.example/x"},
		{Redirect{Host: "b.example:81"}, Match{}, "http", "a.example", "/x", "http://b.example:81/x"},
		{Redirect{Host: "b.example:81", Port: 82}, Match{}, "http", "a.example", "/x", "http://b.example:82/x"},
		{Redirect{Host: "[::1]"}, Match{}, "http", "a.example", "/x", "http://[::1]/x"},
		{Redirect{Path: "/new"}, Match{}, "http", "[::1]:81", "/x?y", "http://[::1]:81/new?y"},
		{Redirect{Path: "/new?z=1"}, Match{}, "http", "a.example", "/x?y", "http://a.example/new?z=1"},
		{Redirect{StripQuery: true}, Match{}, "http", "a.example", "/x?y", "http://a.example/x"},
		{Redirect{Path: "/new?z=1", StripQuery: true}, Match{}, "http", "a.example", "/x?y", "http://a.example/new?z=1"},
		{Redirect{Prefix: text("/b")}, Match{Prefix: "/a"}, "http", "a.example", "/a/x?", "http://a.example/b/x?"},
		{Redirect{Regex: &RegexRewrite{Pattern: "^/(.*)$", Substitution: `/\1/`}}, Match{}, "http", "a.example", "/x", "http://a.example/x/"},
		{Redirect{Scheme: "https"}, Match{}, "http", "a.example", "*", "https://a.example/"},
		{Redirect{Path: "/x"}, Match{}, "http", "", "/y?z", "/x?z"},
		{Redirect{StripQuery: true}, Match{}, "http", "", "//evil.example/?q", "/.//evil.example/"},
		{Redirect{Scheme: "https"}, Match{}, "http", "a.example", "//b", "https://a.example//b"},
	} {
		route := compiled(t, &Route{Match: c.match, Redirect: &c.redirect})
		path, query, hasQuery := strings.Cut(c.path, "?")
		r := newRequest("GET", c.host, path)
		if port := portOf([]byte(c.host)); port != nil {
			r.Host = []byte(strings.TrimSuffix(c.host, ":"+string(port)))
		}
		r.Scheme, r.Query, r.HasQuery = c.scheme, []byte(query), hasQuery
		if got := string(c.redirect.Location(nil, r, route)); got != c.want {
			t.Errorf("%+v: %s://%s%s leads to %s, want %s", c.redirect, c.scheme, c.host, c.path, got, c.want)
		}
	}
}

func TestLocationKeepsWhatIsInDst(t *testing.T) {
	route := compiled(t, &Route{Redirect: &Redirect{StripQuery: true}})
	for host, want := range map[string]string{"": "> /.//b", "a": "> http://a//b"} {
		if got := string(route.Redirect.Location([]byte("> "), newRequest("GET", host, "//b"), route)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPick(t *testing.T) {
	f := &Forward{Clusters: []WeightedCluster{
		{Cluster: ClusterRef{Name: "a"}, Weight: 90}, {Cluster: ClusterRef{Name: "none"}}, {Cluster: ClusterRef{Name: "b"}, Weight: 10},
	}, TotalWeight: 100}
	r := newRequest("GET", "x", "/")
	rnd, got := rand.New(rand.NewPCG(1, 1)), map[string]int{}
	for range 100_000 {
		target, name := f.Pick(r, rnd.Uint32())
		if name != nil {
			t.Fatal("a name")
		}
		got[target.Cluster.Name]++
	}
	if len(got) != 2 || got["b"] < 9_500 || got["b"] > 10_500 {
		t.Errorf("picked %v", got)
	}
	if target, _ := f.Pick(r, 1<<32-1); target.Cluster.Name != "b" {
		t.Errorf("the largest number picks %s", target.Cluster.Name)
	}
	// A rule for a small share of the requests does not choose among its targets.
	got = map[string]int{}
	for rnd := uint32(0); rnd < 4_290_000_000; rnd += 1_000_000 {
		target, _ := f.Pick(r, rnd)
		got[target.Cluster.Name]++
	}
	if got["b"] < 400 || got["b"] > 460 {
		t.Errorf("of 4290 requests with Fraction 1: %v", got)
	}
	f = &Forward{ClusterHeader: "x-cluster"}
	if target, name := f.Pick(r, 0); target != nil || name != nil {
		t.Errorf("no header: %v %q", target, name)
	}
	r.Header.AddString("x-cluster", "blue")
	if target, name := f.Pick(r, 0); target != nil || string(name) != "blue" {
		t.Errorf("%v %q", target, name)
	}
}

func TestHeaderEdits(t *testing.T) {
	format := func(text string) *stream.Format {
		f, err := stream.ParseFormat(text)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	s := &stream.Stream{}
	s.Request.Method = []byte("GET")
	var h stream.Header
	for _, name := range []string{"x-old", "x-two", "x-old", "x-two", "x-keep"} {
		h.AddString(name, "1")
	}
	e := &HeaderEdits{
		Remove: []string{"x-old", "x-none"},
		Fields: []HeaderEdit{
			{Name: "x-old", Value: format("new"), Action: AddIfAbsent},
			{Name: "x-keep", Value: format("no"), Action: AddIfAbsent},
			{Name: "x-two", Value: format("m-%METHOD%"), Action: SetAlways},
			{Name: "x-keep", Value: format("2"), Action: Append},
			{Name: "x-absent", Value: format("no"), Action: SetIfPresent},
			{Name: "x-three", Value: format("%REQ(X-NONE)%"), Action: SetAlways},
			{Name: "x-four", Value: format("%REQ(:METHOD)%"), Action: Append},
			{Name: "x-five", Value: format(""), Action: SetAlways},
			{Name: "x-five", Value: format("5"), Action: SetIfPresent},
			{Name: "x-six", Value: format(""), Action: Append},
			{Name: "x-status", Value: format("%RESPONSE_CODE%"), Action: Append},
		},
	}
	if err := e.Check(); err != nil {
		t.Fatal(err)
	}
	e.Apply(&h, s, &stream.Response{Status: 204})
	var got []string
	for i := range h.Len() {
		if name, value, _, ok := h.At(i); ok {
			got = append(got, string(name)+": "+string(value))
		}
	}
	want := "x-two: m-GET|x-keep: 1|x-old: new|x-keep: 2|x-four: GET|x-five: 5|x-six: |x-status: 204"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
	(*HeaderEdits)(nil).Apply(&h, s, nil)

	h.Reset()
	if n := testing.AllocsPerRun(100, func() {
		h.Reset()
		e.Apply(&h, s, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHeaderEditsCheck(t *testing.T) {
	value := func(text string) *stream.Format {
		f, err := stream.ParseFormat(text)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, name := range []string{
		"host", ":authority", ":path", "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer",
		"transfer-encoding", "upgrade", "", "a b", "X-Upper", "a:", "é",
	} {
		if (&HeaderEdits{Remove: []string{name}}).Check() == nil {
			t.Errorf("%q may be removed", name)
		}
		if (&HeaderEdits{Fields: []HeaderEdit{{Name: name, Value: value("1")}}}).Check() == nil {
			t.Errorf("%q may be written", name)
		}
	}
	for _, text := range []string{" a", "a ", "a\r\nb", "a\x00"} {
		if (&HeaderEdits{Fields: []HeaderEdit{{Name: "x-a", Value: value(text)}}}).Check() == nil {
			t.Errorf("%q may be written", text)
		}
	}
	if (&HeaderEdits{Fields: []HeaderEdit{{Name: "x-a"}}}).Check() == nil {
		t.Error("nothing may be written")
	}
}
