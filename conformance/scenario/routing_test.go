package scenario

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"longmen/conformance/harness"
)

const routing = `listeners:
  http: {bind: "@http@", routes: main}
routes:
  main:
    - hosts: [shop.example.com]
      rules:
        - {match: {path: /exact}, to: a}
        - {match: {prefix: /dir/}, to: b}
        - {match: {prefix: /seg}, to: c}
        - {match: {regex: "/item/[0-9]+"}, to: a}
        - {match: {prefix: /Case, ignore_case: true}, to: b}
        - {match: {prefix: /m, methods: [PUT, DELETE]}, to: b}
        - {match: {prefix: /m}, to: c}
        - {match: {prefix: /h, headers: {x-user: {prefix: vip}, x-no: {absent: true}}}, to: a}
        - {match: {prefix: /h, headers: {x-n: {range: {from: 1, to: 10}}}}, to: b}
        - {match: {prefix: /h, headers: {x-user: {not: vip}}}, to: c}
        - {match: {prefix: /h2, headers: {x-user: {not: vip, missing_as_empty: true}}}, to: c}
        - {match: {prefix: /q, query: {debug: {present: true}}}, to: a}
        - {match: {prefix: /q, query: {v: {regex: "[0-9]+"}}}, to: b}
        - {match: {prefix: /q}, to: c}
        - {match: {prefix: /k, cookies: {beta: "1"}}, to: a}
        - {match: {prefix: /k, cookies: {sid: {suffix: -eu}}}, to: b}
        - {match: {prefix: /k}, to: c}
        - {match: {prefix: /first}, to: a}
        - {match: {path: /first/longer}, to: b}
        - {match: {prefix: /w}, to: {a: 60, b: 30, c: 10}}
        - {match: {prefix: /named}, to: {header: x-cluster}}
        - {match: {prefix: /split}, to: {a: {weight: 100, headers: {request: {set: {x-target: a}}, response: {set: {x-target: a}}}}}}
        - {match: {path: /r1}, redirect: {host: www.example.com, scheme: https, status: 308}}
        - {match: {prefix: /r2}, redirect: {prefix: /new, strip_query: true, status: 302}}
        - {match: {prefix: /r3}, redirect: {regex: {match: "^/r3/(.*)$", to: '/x/\1/y'}}}
        - {match: {path: /r4}, redirect: {path: "/p?q=1", port: 8443}}
        - {match: {path: /respond}, respond: {status: 418, body: "short\n", type: text/x-tea}}
        - {match: {prefix: /p1}, to: a, rewrite: {prefix: /new}}
        - {match: {prefix: /p2/}, to: a, rewrite: {prefix: /}}
        - {match: {prefix: /p3}, to: a, rewrite: {regex: {match: "/([a-z]+)/([a-z]+)$", to: '/\2/\1'}, host: inner.example.com}}
        - {match: {prefix: /p4}, to: a, rewrite: {path: /whole}}
        - match: {prefix: /edit}
          to: a
          headers:
            request: {set: {x-set: "%REQ(x-in)%-%METHOD%", x-client: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}, add: {x-add: [one, two]}, default: {x-default: d}, replace: {x-replace: r}, remove: [x-secret]}
            response: {set: {x-code: "%RESPONSE_CODE%", x-cluster: "%UPSTREAM_CLUSTER%", x-percent: "100%%"}, remove: [x-origin-secret], add: {x-more: "1"}}
    - hosts: ["*.example.com"]
      headers: {response: {set: {x-level: host}}}
      rules: [{to: b}]
    - hosts: ["*.deep.example.com"]
      rules: [{to: a}]
    - hosts: ["api.*"]
      rules: [{to: c}]
    - hosts: ["*"]
      rules: [{match: {path: /}, respond: {status: 200, body: any}}]
clusters:
  a: {endpoints: ["@a@"]}
  b: {endpoints: ["@b@"]}
  c: {endpoints: ["@c@"]}
`

func TestRouting(t *testing.T) {
	t.Parallel()
	origins := map[string]*harness.Origin{}
	names := map[string]string{}
	for _, n := range []string{"a", "b", "c"} {
		origins[n] = startOrigin(t, func(x *harness.Exchange) {
			if x.ReadBody() != nil {
				return
			}
			body := n + " " + x.Request.Method + " " + x.Request.Target
			fmt.Fprintf(x.Conn(), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Origin-Secret: s\r\n\r\n", len(body))
			if x.Request.Method != "HEAD" {
				x.Write([]byte(body))
			}
		})
		names[n] = origins[n].Addr
	}
	g := serve(t, names, routing)
	g.noLeak(origins["a"], origins["b"], origins["c"])
	const shop = "shop.example.com"
	for _, c := range []struct {
		name, method, target, host string
		fields                     string
		want                       string // status, or the origin's body
	}{
		{name: "host-exact", target: "/exact", host: shop, want: "a GET /exact"},
		{name: "host-case", target: "/exact", host: "SHOP.Example.COM", want: "a GET /exact"},
		{name: "host-port", target: "/exact", host: shop + ":8080", want: "a GET /exact"},
		{name: "host-dot", target: "/exact", host: shop + ".", want: "a GET /exact"},
		{name: "host-suffix", target: "/x", host: "other.example.com", want: "b GET /x"},
		{name: "host-suffix-deep", target: "/x", host: "x.y.example.com", want: "b GET /x"},
		{name: "host-longest-suffix", target: "/x", host: "x.deep.example.com", want: "a GET /x"},
		{name: "host-suffix-needs-a-label", target: "/x", host: "example.com", want: "404"},
		{name: "host-prefix", target: "/x", host: "api.example.org", want: "c GET /x"},
		{name: "host-suffix-before-prefix", target: "/x", host: "api.example.com", want: "b GET /x"},
		{name: "host-any", target: "/", host: "else.org", want: "any"},
		{name: "host-any-no-rule", target: "/x", host: "else.org", want: "404"},
		{name: "host-of-absolute-form", target: "http://shop.example.com/exact", host: "else.org", want: "a GET /exact"},
		{name: "exact-not-longer", target: "/exact/", host: shop, want: "404"},
		{name: "exact-query", target: "/exact?x", host: shop, want: "a GET /exact?x"},
		{name: "below", target: "/dir/x", host: shop, want: "b GET /dir/x"},
		{name: "below-not-itself", target: "/dir", host: shop, want: "404"},
		{name: "segment", target: "/seg", host: shop, want: "c GET /seg"},
		{name: "segment-below", target: "/seg/x", host: shop, want: "c GET /seg/x"},
		{name: "segment-not-half", target: "/segment", host: shop, want: "404"},
		{name: "regex", target: "/item/42", host: shop, want: "a GET /item/42"},
		{name: "regex-whole", target: "/item/42x", host: shop, want: "404"},
		{name: "case", target: "/cASE/x", host: shop, want: "b GET /cASE/x"},
		{name: "method", method: "PUT", target: "/m", host: shop, want: "b PUT /m"},
		{name: "method-other", method: "POST", target: "/m", host: shop, want: "c POST /m"},
		{name: "method-case", method: "put", target: "/m", host: shop, want: "c put /m"},
		{name: "header", target: "/h", host: shop, fields: "X-User: vip-1\n", want: "a GET /h"},
		{name: "header-absent", target: "/h", host: shop, fields: "X-User: vip-1\nX-No: 1\n", want: "c GET /h"},
		{name: "header-range", target: "/h", host: shop, fields: "X-User: vip\nX-No: 1\nX-N: 9\n", want: "b GET /h"},
		{name: "header-range-end", target: "/h", host: shop, fields: "X-User: vip\nX-No: 1\nX-N: 10\n", want: "404"},
		{name: "header-not-missing", target: "/h", host: shop, want: "404"},
		{name: "header-not-missing-as-empty", target: "/h2", host: shop, want: "c GET /h2"},
		{name: "query-present", target: "/q?debug", host: shop, want: "a GET /q?debug"},
		{name: "query-regex", target: "/q?a=b&v=12", host: shop, want: "b GET /q?a=b&v=12"},
		{name: "query-none", target: "/q?v=x", host: shop, want: "c GET /q?v=x"},
		{name: "cookie", target: "/k", host: shop, fields: "Cookie: a=b; beta=1\n", want: "a GET /k"},
		{name: "cookie-suffix", target: "/k", host: shop, fields: "Cookie: sid=42-eu\n", want: "b GET /k"},
		{name: "cookie-none", target: "/k", host: shop, fields: "Cookie: beta=12; xbeta=1\n", want: "c GET /k"},
		{name: "first-wins", target: "/first/longer", host: shop, want: "a GET /first/longer"},
		{name: "named", target: "/named", host: shop, fields: "X-Cluster: b\n", want: "b GET /named"},
		{name: "named-unknown", target: "/named", host: shop, fields: "X-Cluster: zz\n", want: "503"},
		{name: "named-none", target: "/named", host: shop, want: "503"},
		{name: "rewrite-prefix", target: "/p1/x?q=1", host: shop, want: "a GET /new/x?q=1"},
		{name: "rewrite-prefix-itself", target: "/p1", host: shop, want: "a GET /new"},
		{name: "rewrite-prefix-slash", target: "/p2/x", host: shop, want: "a GET /x"},
		{name: "rewrite-regex", target: "/p3/a/b?c", host: shop, want: "a GET /p3/b/a?c"},
		{name: "rewrite-path", target: "/p4/a/b?c=d", host: shop, want: "a GET /whole?c=d"},
		{name: "respond", target: "/respond", host: shop, want: "418"},
		{name: "options-asterisk", method: "OPTIONS", target: "*", host: "other.example.com", want: "b OPTIONS *"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method := c.method
			if method == "" {
				method = "GET"
			}
			res := g.ask(fmt.Sprintf("%s %s HTTP/1.1\nHost: %s\n%s\n", method, c.target, c.host, c.fields))
			got := string(res.Body)
			if len(c.want) == 3 && c.want[0] != 'a' {
				got = fmt.Sprint(res.Status)
			}
			if got != c.want {
				t.Errorf("got %d %q, want %q", res.Status, res.Body, c.want)
			}
		})
	}
	ask := func(target, fields string) *harness.Response {
		return g.ask("GET " + target + " HTTP/1.1\nHost: " + shop + "\n" + fields + "\n")
	}
	t.Run("redirects", func(t *testing.T) {
		for target, want := range map[string]string{
			"/r1?a=b":   "308 https://www.example.com/r1?a=b",
			"/r2/x?a=b": "302 http://shop.example.com/new/x",
			"/r3/a?b":   "301 http://shop.example.com/x/a/y?b",
			"/r4?a":     "301 http://shop.example.com:8443/p?q=1",
		} {
			res := ask(target, "")
			location, _ := res.Get("Location")
			if got := fmt.Sprintf("%d %s", res.Status, location); got != want {
				t.Errorf("%s: %s, want %s", target, got, want)
			}
		}
	})
	t.Run("respond", func(t *testing.T) {
		res := ask("/respond", "")
		kind, _ := res.Get("Content-Type")
		if string(res.Body) != "short\n" || kind != "text/x-tea" {
			t.Errorf("body %q, type %q", res.Body, kind)
		}
	})
	t.Run("edits", func(t *testing.T) {
		origins["a"].Reset()
		res := ask("/edit", "X-In: in\nX-Set: old\nX-Secret: s\nX-Replace: old\nX-Add: zero\n")
		r := origins["a"].Record().Requests[0]
		for name, want := range map[string]string{
			"X-Set": "in-GET", "X-Client": "127.0.0.1", "X-Add": "zero, one, two", "X-Default": "d", "X-Replace": "r", "X-Secret": "", "Host": shop,
		} {
			if got, _ := r.Get(name); got != want {
				t.Errorf("the origin got %s: %q, want %q", name, got, want)
			}
		}
		for name, want := range map[string]string{"X-Code": "200", "X-Cluster": "a", "X-Percent": "100%", "X-Origin-Secret": "", "X-More": "1"} {
			if got, _ := res.Get(name); got != want {
				t.Errorf("the client got %s: %q, want %q", name, got, want)
			}
		}
		origins["a"].Reset()
		ask("/edit", "X-Default: mine\n")
		r = origins["a"].Record().Requests[0]
		if got, _ := r.Get("X-Default"); got != "mine" {
			t.Errorf("default overwrote: %q", got)
		}
		if got, ok := r.Get("X-Replace"); ok {
			t.Errorf("replace added: %q", got)
		}
		origins["a"].Reset()
		ask("/p3/a/b", "")
		if got, _ := origins["a"].Record().Requests[0].Get("Host"); got != "inner.example.com" {
			t.Errorf("rewritten host: %q", got)
		}
		origins["a"].Reset()
		res = ask("/split", "")
		up, _ := origins["a"].Record().Requests[0].Get("X-Target")
		down, _ := res.Get("X-Target")
		if up != "a" || down != "a" {
			t.Errorf("edits of a weighted target: %q, %q", up, down)
		}
		res = g.ask("GET /x HTTP/1.1\nHost: other.example.com\n\n")
		if level, _ := res.Get("X-Level"); level != "host" {
			t.Errorf("the host's edit is not made: %q", level)
		}
	})
	t.Run("weights", func(t *testing.T) {
		const n = 3000
		c := dial(t, g.Addr)
		got := map[string]int{}
		for range n {
			res := c.ask("GET /w HTTP/1.1\nHost: " + shop + "\n\n")
			got[string(res.Body[:1])]++
		}
		for name, share := range map[string]float64{"a": 0.6, "b": 0.3, "c": 0.1} {
			// Five standard deviations of a binomial distribution.
			if d := math.Abs(float64(got[name]) - n*share); d > 5*math.Sqrt(n*share*(1-share)) {
				t.Errorf("%s got %d of %d, want %.0f %%", name, got[name], n, share*100)
			}
		}
	})
}

// TestPathPolicy looks at the path that the origin receives.
func TestPathPolicy(t *testing.T) {
	t.Parallel()
	o := named(t, "o")
	policies := map[string]string{
		"usual":  "",
		"reject": ", path: {encoded_slash: reject, dot_segments: reject, double_slash: reject}",
		"clean":  ", path: {encoded_slash: decode, dot_segments: resolve, double_slash: merge}",
		"keep":   ", path: {encoded_slash: keep, dot_segments: keep, double_slash: keep}",
	}
	var listeners strings.Builder
	for name, p := range policies {
		fmt.Fprintf(&listeners, "  %s: {bind: \"@%s@\", routes: main%s}\n", name, name, p)
	}
	g := serve(t, map[string]string{"o": o.Addr}, "listeners:\n"+listeners.String()+`routes:
  main:
    - hosts: ["*"]
      rules:
        - {match: {prefix: /secret}, respond: {status: 403}}
        - to: o
clusters:
  o: {endpoints: ["@o@"]}
`)
	g.noLeak(o)
	// Columns: usual (reject, resolve, keep), reject, clean, keep.
	for _, c := range []struct {
		target string
		want   [4]string
	}{
		{"/a/b", [4]string{"/a/b", "/a/b", "/a/b", "/a/b"}},
		{"/a%2Fb", [4]string{"400", "400", "/a/b", "/a%2Fb"}},
		{"/a%5cb", [4]string{"400", "400", "/a/b", "/a%5Cb"}},
		{"/a/./b", [4]string{"/a/b", "400", "/a/b", "/a/./b"}},
		{"/a/../b", [4]string{"/b", "400", "/b", "/a/../b"}},
		{"/a/%2e%2E/b", [4]string{"/b", "400", "/b", "/a/../b"}},
		{"/../../b", [4]string{"/b", "400", "/b", "/../../b"}},
		{"/a//b", [4]string{"/a//b", "400", "/a/b", "/a//b"}},
		{"/x/../secret", [4]string{"403", "400", "403", "/x/../secret"}},
		{"/x/..%2fsecret", [4]string{"400", "400", "403", "/x/..%2Fsecret"}},
		{"//secret", [4]string{"//secret", "400", "403", "//secret"}},
		{"/secret/%2e%2e/a", [4]string{"/a", "400", "/a", "403"}},
		{"/a?q=%2F../..//", [4]string{"/a?q=%2F../..//", "/a?q=%2F../..//", "/a?q=%2F../..//", "/a?q=%2F../..//"}},
		{"/%41%7E", [4]string{"/A~", "/A~", "/A~", "/A~"}},
	} {
		for i, listener := range []string{"usual", "reject", "clean", "keep"} {
			res := g.askAt(listener, "GET "+c.target+" HTTP/1.1\nHost: h\n\n")
			got := fmt.Sprint(res.Status)
			if res.Status == 200 {
				got = strings.TrimPrefix(string(res.Body), "o GET ")
			}
			if got != c.want[i] {
				t.Errorf("%s: %s reached the origin as %s, want %s", listener, c.target, got, c.want[i])
			}
		}
	}
}
