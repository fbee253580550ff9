package snapshot

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
)

// forwarded compiles one rule to the clusters a, b and hashing.
func forwarded(t *testing.T, rule string) *router.Forward {
	t.Helper()
	const clusters = `
clusters:
  a: {endpoints: [{address: "10.0.0.1:80", labels: {v: a, w: b}}], subsets: [[v], [v, w]]}
  b: {endpoints: ["10.0.0.1:80"], lb: maglev}
  hashing: {endpoints: ["10.0.0.1:80"], lb: {maglev: {by: path}}}
  more: {endpoints: ["10.0.0.1:80"], lb: {ring_hash: {by: path}}}
  other: {endpoints: ["10.0.0.1:80"], lb: {ring_hash: {by: source_ip}}}
`
	s := compile(t, "listeners: {l: {bind: \":1\", routes: r}}\nroutes:\n  r: [{hosts: [\"*\"], rules: [{"+rule+"}]}]"+clusters, nil)
	return s.tables["routes.r"].hosts[0].Routes[0].Forward
}

func TestAttempts(t *testing.T) {
	f := forwarded(t, `to: b, priority: high, hash: [header:x, {source_ip: true, terminal: true}], hedge: {requests: 2, chance: 0.5%, on_timeout: true}, retry:
      {attempts: 3, on: [5xx, envoy-ratelimited], per_try: 1s, per_try_idle: 2s, retry_after: {headers: {Retry-After: seconds, x-reset: unix}, max: 9s}, headers: {X-Retry: {present: true}}, request_headers: {y: z}, other_priorities: 2}`)
	want := &router.Retry{
		Attempts: 3, On: router.On5xx | router.OnEnvoyRateLimited | router.OnRetriableHeaders, PerTry: time.Second, PerTryIdle: 2 * time.Second,
		BackoffBase: 25 * time.Millisecond, BackoffMax: 250 * time.Millisecond, PreviousPriorities: 2,
		Headers:        []router.ValueMatch{{Name: "x-retry", Kind: router.Present}},
		RequestHeaders: []router.ValueMatch{{Name: "y", Kind: router.Exact, Value: "z"}},
		After: &router.RateLimitedBackoff{
			Fields: []router.ResetField{{Name: "retry-after"}, {Name: "x-reset", Format: router.ResetUnix}}, Max: 9 * time.Second,
		},
	}
	if diff := cmp.Diff(want, f.Retry, cmpopts.IgnoreUnexported(router.ValueMatch{})); diff != "" {
		t.Errorf("retry (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&router.Hedge{InitialRequests: 2, AdditionalChance: 5000, OnPerTryTimeout: true}, f.Hedge); diff != "" {
		t.Errorf("hedge (-want +got):\n%s", diff)
	}
	hash := []router.HashPolicy{{Name: "x"}, {Kind: router.HashSourceIP, Terminal: true}}
	if diff := cmp.Diff(hash, f.Hash, cmpopts.IgnoreUnexported(router.RegexRewrite{})); diff != "" || !f.HighPriority {
		t.Errorf("high %v, hash (-want +got):\n%s", f.HighPriority, diff)
	}
	if f := forwarded(t, `to: a`); f.Retry != nil || f.Hedge != nil || f.Hash != nil || f.Sticky != nil || f.Subset != nil || f.HighPriority {
		t.Errorf("what is not written is there: %+v", f)
	}
}

func TestSubsetsOfRules(t *testing.T) {
	f := forwarded(t, `to: {a: {weight: 1, subset: {v: b, z: c}}, b: 1}, subset: {v: a, w: b}`)
	want := &cluster.Match{Labels: []cluster.Label{{Key: "v", Value: "a"}, {Key: "w", Value: "b"}}}
	narrow := &cluster.Match{Labels: []cluster.Label{{Key: "v", Value: "b"}, {Key: "w", Value: "b"}, {Key: "z", Value: "c"}}}
	if diff := cmp.Diff([]*cluster.Match{want, narrow, nil}, []*cluster.Match{f.Subset, f.Clusters[0].Subset, f.Clusters[1].Subset}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What a cluster says itself counts, and a table is made anew when that changes.
func TestHashesOfClusters(t *testing.T) {
	byPath := []router.HashPolicy{{Kind: router.HashPath}}
	ignore := cmpopts.IgnoreUnexported(router.RegexRewrite{})
	for _, rule := range []string{`to: hashing`, `to: {hashing: 1, more: 2, a: 3}`, `to: hashing, hash: header:x`} {
		if diff := cmp.Diff(byPath, forwarded(t, rule).Hash, ignore); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rule, diff)
		}
	}
	text := strings.Replace(plain, `a: {endpoints: ["10.0.0.1:80"]}`, `a: {endpoints: ["10.0.0.1:80"], lb: {maglev: {by: path}}}`, 1)
	first := compile(t, text, nil)
	same := compile(t, text, first)
	other := compile(t, strings.Replace(text, "by: path", "by: source_ip", 1), first)
	if first.tables["routes.all"] != same.tables["routes.all"] {
		t.Error("equal tables must be shared")
	}
	rule := other.tables["routes.all"].hosts[0].Routes[1]
	if diff := cmp.Diff([]router.HashPolicy{{Kind: router.HashSourceIP}}, rule.Forward.Hash, ignore); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	_, problems := Compile(read(t, `
listeners: {l: {bind: ":1", routes: [{hosts: ["*"], rules: [{to: {a: 1, b: 1}}]}]}}
clusters:
  a: {endpoints: ["10.0.0.1:80"], lb: {maglev: {by: path}}}
  b: {endpoints: ["10.0.0.1:80"], lb: {maglev: {by: source_ip}}}
`), nil)
	if !strings.Contains(problemsText(problems), `clusters "a" and "b" hash requests by different things`) {
		t.Errorf("%v", problems)
	}
}

func TestStickySessions(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"long": "0123456789abcdef", "short": "0123456789abcde"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const rule = `to: a, sticky: {cookie: sid, ttl: 1h, path: /p, attributes: {SameSite: Lax, Secure: ""}, strict: true, keys: long}`
	got := forwarded(t, rule).Sticky
	want := &router.Sticky{
		Name: "sid", Strict: true,
		Cookie: router.Cookie{Path: "/p", TTL: time.Hour, Attributes: []router.CookieAttribute{{Name: "SameSite", Value: "Lax"}, {Name: "Secure"}}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(router.Sticky{}, "Keys")); diff != "" || len(got.Keys) != 1 {
		t.Errorf("%d keys, -want +got:\n%s", len(got.Keys), diff)
	}

	text := "listeners: {l: {bind: \":1\", routes: r}}\nroutes: {r: [{hosts: [\"*\"], rules: [{to: a, sticky: {cookie: s, keys: [long]}}, {to: a, sticky: {cookie: s}}]}]}\nclusters: {a: {endpoints: [\"10.0.0.1:80\"]}}\n"
	first := compile(t, text, nil)
	rules := first.tables["routes.r"].hosts[0].Routes
	if rules[1].Forward.Sticky.Keys[0] != *first.stickyKey {
		t.Error("a session without keys has the process's own")
	}
	if files := Files(read(t, text)); len(files) != 1 || files[0] != "long" {
		t.Errorf("files are %q", files)
	}
	if same := compile(t, text, first); same.tables["routes.r"] != first.tables["routes.r"] || same.stickyKey != first.stickyKey {
		t.Error("equal tables must be shared, and the process's key")
	}
	if err := os.WriteFile("long", []byte("0123456789abcdefg"), 0o600); err != nil {
		t.Fatal(err)
	}
	if other := compile(t, text, first); other.tables["routes.r"] == first.tables["routes.r"] || other.stickyKey != first.stickyKey {
		t.Error("another key makes another table, and leaves the process's key")
	}
	for _, test := range []struct{ text, want string }{
		{strings.Replace(text, "[long]", "[short]", 1), "routes.r[0].rules[0].sticky.keys[0]: a key for sticky sessions has at least 16 bytes"},
		{strings.Replace(text, "[long]", "[none]", 1), "none"},
		{strings.Replace(text, "{to: a, sticky", "{to: {header: x}, sticky", 1), "is not for rules whose cluster a header names"},
	} {
		if _, problems := Compile(read(t, test.text), nil); !strings.Contains(problemsText(problems), test.want) {
			t.Errorf("want %q, got %v", test.want, problems)
		}
	}
}

func TestRulesAndClustersTogether(t *testing.T) {
	const clusters = `
clusters:
  plain: {endpoints: ["10.0.0.1:80"], limits: {retries: 20%, high: {requests: 5}}}
  hashing: {endpoints: ["10.0.0.1:80"], lb: maglev}
  parts: {endpoints: [{address: "10.0.0.1:80", labels: {v: a}}], subsets: [[v], [w, v]]}
  last: {endpoints: [{address: "10.0.0.1:80", labels: {v: a}}], subsets: {by: [[v]], fallback: none}}
`
	for _, test := range []struct{ rule, want string }{
		{`to: plain, hash: path`, `r[0].rules[0].hash: warning: has no effect: no cluster of this rule is balanced by hash`},
		{`to: plain, subset: {v: a}`, `r[0].rules[0].subset: warning: has no effect: cluster "plain" has no subsets`},
		{`to: plain`, `clusters.plain.limits.retries: warning: has no effect: no rule that leads here has a retry or hedge`},
		{`to: plain`, `clusters.plain.limits.high: warning: has no effect: no rule that leads here has high priority`},
		{`to: plain, hedge: {on_timeout: true}`, `r[0].rules[0].hedge: warning: on_timeout has no effect without per_try of retry`},
		{`to: plain, hedge: {requests: 2}, retry: {unsafe: true}`, `r[0].rules[0].hedge: warning: with unsafe of retry, requests that are not idempotent run several times`},
		{`to: plain, retry: {other_priorities: 1}`, `r[0].rules[0].retry.other_priorities: warning: has no effect`},
		{`to: hashing`, `r[0].rules[0].to: warning: cluster "hashing" is balanced by hash (maglev), and nothing says`},
		{`to: {parts: {weight: 1, subset: {x: y}}, last: 1}, subset: {v: b}`, `r[0].rules[0].to.parts.subset: warning: no selector of cluster "parts" is of v, x: requests get any endpoint`},
		{`to: {parts: 1, last: 1}, subset: {v: b}`, `r[0].rules[0].subset: warning: no endpoint of cluster "last" has these labels`},
		{`to: last, subset: {z: b}`, `r[0].rules[0].subset: warning: no selector of cluster "last" is of z: requests get 503`},
		{`to: parts`, `clusters.parts.subsets[1]: warning: no endpoint has all of v, w: the selector makes no subset`},
	} {
		_, problems := Compile(read(t, "listeners: {l: {bind: \":1\", routes: r}}\nroutes:\n  r: [{hosts: [\"*\"], rules: [{"+test.rule+"}]}]"+clusters), nil)
		if problems.Err() != nil || !strings.Contains(problemsText(problems), test.want) {
			t.Errorf("%s: want %q, got\n%s", test.rule, test.want, problemsText(problems))
		}
	}
	quiet := "listeners: {l: {bind: \":1\", routes: r}}\nroutes:\n  r: [{hosts: [\"*\"], rules: [{match: {prefix: /a}, to: {header: x}, hash: path, subset: {a: b}}, {match: {prefix: /b}, to: hashing, hash: path}, {match: {prefix: /c}, to: last, subset: {v: a}}, {to: plain, retry: {per_try: 1s}, hedge: {on_timeout: true}, priority: high}]}]" +
		strings.Replace(clusters, "[w, v]", "{by: [v], fallback: any}", 1)
	if _, problems := Compile(read(t, strings.Replace(quiet, "[[v], {by: [v], fallback: any}]", "[[v]]", 1)), nil); len(problems) > 0 {
		t.Errorf("warnings of what makes sense: %v", problems)
	}
}
