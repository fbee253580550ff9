package router

import (
	"net/netip"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

func TestHashPolicyValue(t *testing.T) {
	regex := func(pattern, substitution string) *RegexRewrite {
		r := &RegexRewrite{Pattern: pattern, Substitution: substitution}
		var b builder
		if b.substitution("", r); b.failed {
			t.Fatal(b.problems)
		}
		return r
	}
	var s stream.Stream
	r := &s.Request
	r.Method, r.Authority, r.Path, r.Query, r.HasQuery = []byte("GET"), []byte("shop.example:81"), []byte("/a/b"), []byte("u=%41b&u=2&v="), true
	s.Client = netip.MustParseAddr("2001:db8::7")
	h := &r.Header
	h.AddString("x-user", "zoe")
	h.AddString("x-user", "adam")
	h.AddString("x-empty", "")
	h.AddString("x-one", "tenant-7/zoe")
	h.AddString("user-agent", "curl")
	h.AddString("cookie", `sid="s1"; other=2`)
	for _, test := range []struct {
		policy HashPolicy
		want   string // "-": nothing
	}{
		{HashPolicy{Kind: HashHeader, Name: "x-user"}, "adamzoe"},
		{HashPolicy{Kind: HashHeader, Name: "user-agent"}, "curl"},
		{HashPolicy{Kind: HashHeader, Name: "x-empty"}, ""},
		{HashPolicy{Kind: HashHeader, Name: "x-absent"}, "-"},
		{HashPolicy{Kind: HashHeader, Name: "x-one", Regex: regex(`^([^/]*)/.*`, `\1`)}, "tenant-7"},
		{HashPolicy{Kind: HashHeader, Name: "x-user", Regex: regex(`^zoe$`, `aa`)}, "aaadam"},
		{HashPolicy{Kind: HashHeader, Name: ":authority"}, "shop.example:81"},
		{HashPolicy{Kind: HashHeader, Name: ":method"}, "GET"},
		{HashPolicy{Kind: HashHeader, Name: ":path"}, "/a/b?u=%41b&u=2&v="},
		{HashPolicy{Kind: HashCookie, Name: "sid"}, "s1"},
		{HashPolicy{Kind: HashCookie, Name: "none"}, "-"},
		{HashPolicy{Kind: HashSourceIP}, "2001:db8::7"},
		{HashPolicy{Kind: HashQuery, Name: "u"}, "Ab"},
		{HashPolicy{Kind: HashQuery, Name: "w"}, "-"},
		{HashPolicy{Kind: HashQuery, Name: "v"}, ""},
		{HashPolicy{Kind: HashPath}, "/a/b"},
	} {
		value := test.policy.Value(&s)
		if got := string(value); value == nil && test.want != "-" || value != nil && got != test.want {
			t.Errorf("%+v: %q (nil: %v), want %q", test.policy, got, value == nil, test.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		p := HashPolicy{Kind: HashHeader, Name: "user-agent"}
		p.Value(&s)
		p = HashPolicy{Kind: HashCookie, Name: "sid"}
		p.Value(&s)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRetryAndHashMatchersAreCompiled(t *testing.T) {
	route := &Route{Match: Match{RawPrefix: "/"}, Forward: &Forward{
		Clusters: []WeightedCluster{{Weight: 1}}, TotalWeight: 1,
		Retry: &Retry{Headers: []ValueMatch{{Name: "x-again", Kind: Regex, Value: "y(es)?"}}, RequestHeaders: []ValueMatch{{Name: "x-safe", Kind: Regex, Value: "1|t"}}},
		Hash:  []HashPolicy{{Kind: HashHeader, Name: "x-a", Regex: &RegexRewrite{Pattern: "b", Substitution: "c"}}},
	}}
	hosts := []*VirtualHost{{Name: "v", Domains: []string{"*"}, Routes: []*Route{route}}}
	if table, problems := New(hosts); table == nil {
		t.Fatal(problems)
	}
	var h stream.Header
	h.AddString("x-again", "yes")
	if !route.Forward.Retry.Headers[0].HoldsHeader(&h) {
		t.Error("yes does not match")
	}
	bad := &Route{Match: Match{RawPrefix: "/"}, Forward: &Forward{
		Clusters: []WeightedCluster{{Weight: 1}}, TotalWeight: 1,
		Retry: &Retry{Headers: []ValueMatch{{Name: "x-again", Kind: Regex, Value: "("}}},
		Hash:  []HashPolicy{{Regex: &RegexRewrite{Pattern: "("}}},
	}}
	table, problems := New([]*VirtualHost{{Name: "v", Domains: []string{"*"}, Routes: []*Route{bad}}})
	var fields []string
	for _, p := range problems {
		fields = append(fields, p.Field)
	}
	if got := strings.Join(fields, " "); table != nil || got != "retry.headers.x-again hash[0].regex.match" {
		t.Errorf("problems of %q", got)
	}
}
