package router

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"longmen/gateway/stream"
)

// The reference: what Find must do, said as plainly as possible. It walks over
// everything, with the standard library's means.

func naiveFind(hosts []*VirtualHost, r *stream.Request, client netip.Addr, rnd uint32) *Route {
	vh := naiveHost(hosts, string(r.Host), string(r.Authority))
	if vh == nil {
		return nil
	}
	for _, route := range vh.Routes {
		if naiveMatch(&route.Match, r, client, rnd) {
			return route
		}
	}
	return nil
}

func naiveHost(hosts []*VirtualHost, host, authority string) *VirtualHost {
	full := host
	if i := strings.LastIndex(authority, ":"); i >= 0 {
		if _, err := strconv.Atoi(authority[i+1:]); err == nil {
			full = host + authority[i:]
		}
	}
	var best *VirtualHost
	bestRank := -1
	for _, vh := range hosts {
		for _, domain := range vh.Domains {
			domain = strings.ToLower(domain)
			// A domain about the port is compared with the host and the port.
			name, withPort := host, strings.Contains(domain[strings.LastIndex(domain, "]")+1:], ":")
			if withPort {
				name = full
			}
			rank := -1
			switch {
			case domain == "*":
				rank = 0
			case domain[0] == '*' && strings.HasSuffix(name, domain[1:]) && len(name) > len(domain)-1:
				rank = 20_000 + len(domain)
			case strings.HasSuffix(domain, "*") && strings.HasPrefix(name, domain[:len(domain)-1]) && len(name) > len(domain)-1:
				rank = 10_000 + len(domain)
			case strings.TrimSuffix(domain, ".") == name:
				rank = 50_000
			}
			// Of its kind, it goes before one that is not.
			if rank > 10_000 && withPort {
				rank += 5_000
			}
			if rank > bestRank {
				best, bestRank = vh, rank
			}
		}
	}
	return best
}

func naiveMatch(m *Match, r *stream.Request, client netip.Addr, rnd uint32) bool {
	path := string(r.Path)
	fold := func(s string) string {
		if m.IgnoreCase && m.Regex == "" {
			return strings.ToLower(s)
		}
		return s
	}
	if m.Connect {
		if string(r.Method) != "CONNECT" {
			return false
		}
	} else if path == "" {
		return false
	}
	p := fold(path)
	switch {
	case m.Path != "":
		if p != fold(m.Path) {
			return false
		}
	case m.Prefix != "" && m.Prefix != "/":
		if p != fold(m.Prefix) && !strings.HasPrefix(p, fold(m.Prefix)+"/") {
			return false
		}
	case m.RawPrefix != "" && m.RawPrefix != "/":
		if !strings.HasPrefix(p, fold(m.RawPrefix)) {
			return false
		}
	case m.Regex != "":
		if !regexp.MustCompile("^(?:" + m.Regex + ")$").MatchString(path) {
			return false
		}
	}
	if m.GRPC {
		kind := string(r.Header.Get("content-type"))
		if string(r.Method) != "POST" || kind != "application/grpc" && !strings.HasPrefix(kind, "application/grpc+") {
			return false
		}
	}
	if len(m.Methods) > 0 && !strings.Contains(" "+strings.Join(m.Methods, " ")+" ", " "+string(r.Method)+" ") {
		return false
	}
	if len(m.Sources) > 0 {
		inside := false
		for _, source := range m.Sources {
			inside = inside || source.Contains(client)
		}
		if !inside {
			return false
		}
	}
	for _, v := range m.Headers {
		var values []string
		for i := range r.Header.Len() {
			if name, value, _, ok := r.Header.At(i); ok && string(name) == v.Name {
				values = append(values, string(value))
			}
		}
		if !naiveValue(v, strings.Join(values, ","), values != nil) {
			return false
		}
	}
	for _, v := range m.Query {
		value, present := naiveQuery(string(r.Query), v.Name)
		if !naiveValue(v, value, present) {
			return false
		}
	}
	for _, v := range m.Cookies {
		value, present := naiveCookie(&r.Header, v.Name)
		if !naiveValue(v, value, present) {
			return false
		}
	}
	return m.Fraction == 0 || rnd%1_000_000 < m.Fraction
}

func naiveValue(v ValueMatch, value string, present bool) bool {
	switch {
	case v.Kind == Present:
		return present != v.Invert
	case v.Kind == Absent:
		return present == v.Invert
	case !present && !v.MissingAsEmpty:
		return false
	}
	want := v.Value
	if v.IgnoreCase && v.Kind != Regex {
		want, value = strings.ToLower(want), strings.ToLower(value)
	}
	var holds bool
	switch v.Kind {
	case Exact:
		holds = value == want
	case HasPrefix:
		holds = strings.HasPrefix(value, want)
	case HasSuffix:
		holds = strings.HasSuffix(value, want)
	case Contains:
		holds = strings.Contains(value, want)
	case Regex:
		holds = regexp.MustCompile("^(?:" + want + ")$").MatchString(value)
	case Range:
		n, err := strconv.ParseInt(value, 10, 64)
		holds = err == nil && v.Low <= n && n < v.High
	}
	return holds != v.Invert
}

func naiveQuery(query, name string) (string, bool) {
	decode := func(s string) string {
		if d, err := url.PathUnescape(s); err == nil {
			return d
		}
		return naiveUnescape(s)
	}
	for _, pair := range strings.Split(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if pair != "" && decode(key) == name {
			return decode(value), true
		}
	}
	return "", false
}

var percentEncoded = regexp.MustCompile("%[0-9a-fA-F]{2}")

func naiveUnescape(s string) string {
	return percentEncoded.ReplaceAllStringFunc(s, func(e string) string {
		n, _ := strconv.ParseUint(e[1:], 16, 8)
		return string([]byte{byte(n)})
	})
}

func naiveCookie(h *stream.Header, name string) (string, bool) {
	for i := range h.Len() {
		field, value, _, ok := h.At(i)
		if !ok || string(field) != "cookie" {
			continue
		}
		for _, pair := range strings.Split(string(value), ";") {
			key, value, ok := strings.Cut(pair, "=")
			if ok && strings.Trim(key, " \t") == name {
				value = strings.Trim(value, " \t")
				if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
					value = value[1 : len(value)-1]
				}
				return value, true
			}
		}
	}
	return "", false
}

// A generator makes tables and requests out of few words, so that they meet.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 7))} }

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) path() string {
	var b strings.Builder
	for range 1 + g.IntN(4) {
		b.WriteString("/" + g.one("a", "b", "A", "ab", "abc", "a-long-segment", "users", "", "7", "%2F"))
	}
	return b.String()
}

func (g generator) domain() string {
	host := g.one("a", "b", "shop.example", "api.example", "x.shop.example", "[::1]", "example")
	name := host
	if g.IntN(4) == 0 {
		name += g.one(":80", ":8080")
	}
	switch g.IntN(6) {
	case 0:
		return "*"
	case 1, 2:
		return "*" + g.one(".", "-", "") + name
	case 3:
		return host + g.one(".*", "*", ":*")
	}
	return name
}

func (g generator) value(names ...string) ValueMatch {
	v := ValueMatch{
		Name: g.one(names...), Kind: MatchKind(g.IntN(int(Range) + 1)), Value: g.one("1", "a", "Ab", "b", "1,2", "é", ""),
		Invert: g.IntN(4) == 0, IgnoreCase: g.IntN(4) == 0, MissingAsEmpty: g.IntN(4) == 0,
	}
	switch v.Kind {
	case Regex:
		v.Value = g.one("a.*", "[0-9]+", "", "(?i)ab", "1|2", "1,2")
	case Range:
		v.Low, v.High = int64(g.IntN(4)-2), int64(g.IntN(20))
	}
	return v
}

func (g generator) match() Match {
	var m Match
	switch g.IntN(9) {
	case 0, 1:
		m.Path = g.path()
	case 2, 3, 4:
		m.Prefix = g.one(strings.TrimRight(g.path(), "/"), strings.TrimRight(g.path(), "/"), strings.TrimRight(g.path(), "/"), "/")
	case 5, 6:
		m.RawPrefix = g.one(g.path(), g.path(), g.path()+"a", g.one("/", "/a", "/us"))
	case 7:
		m.Regex = g.one("/a/.*", "/(a|b)/.*", "/users/[0-9]+", ".*", "/a|/b", "^/ab.*$", "(?i)/ab/?", "(/a)b.*", "", `\*`, "/a")
	case 8:
		m.Connect = g.IntN(3) == 0
	}
	m.IgnoreCase = g.IntN(4) == 0
	m.GRPC = g.IntN(6) == 0
	if g.IntN(5) == 0 {
		m.Methods = [][]string{{"GET"}, {"POST", "PUT"}, {"CONNECT"}}[g.IntN(3)]
	}
	for g.IntN(5) == 0 {
		m.Headers = append(m.Headers, g.value("x-a", "x-b", "accept"))
	}
	for g.IntN(6) == 0 {
		m.Query = append(m.Query, g.value("q", "p", "a b"))
	}
	for g.IntN(6) == 0 {
		m.Cookies = append(m.Cookies, g.value("c", "d"))
	}
	if g.IntN(8) == 0 {
		m.Sources = []netip.Prefix{netip.MustParsePrefix(g.one("10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "0.0.0.0/0"))}
	}
	if g.IntN(8) == 0 {
		m.Fraction = uint32(g.IntN(1_100_000))
	}
	return m
}

// table makes a random table that has no problems but warnings.
func (g generator) table() []*VirtualHost {
	var hosts []*VirtualHost
	seen := map[string]bool{}
	for i := range 1 + g.IntN(5) {
		vh := &VirtualHost{Name: fmt.Sprint(i)}
		for range 1 + g.IntN(3) {
			if domain := g.domain(); !seen[domain] {
				seen[domain] = true
				vh.Domains = append(vh.Domains, domain)
			}
		}
		for j := range g.IntN(25) {
			vh.Routes = append(vh.Routes, &Route{Name: fmt.Sprintf("%d[%d]", i, j), Match: g.match()})
		}
		hosts = append(hosts, vh)
	}
	return hosts
}

func (g generator) request() *stream.Request {
	host := g.one("a", "b", "shop.example", "x.shop.example", "y-shop.example", "api.example", "[::1]", "a.b", "none")
	path := g.path()
	switch g.IntN(12) {
	case 0:
		path = "*"
	case 1:
		path = ""
	case 2:
		path = strings.Repeat(path, 20)
	}
	r := newRequest(g.one("GET", "GET", "POST", "CONNECT"), host, path)
	r.Authority = []byte(host + g.one("", "", ":80", ":8080", ":443"))
	for range g.IntN(4) {
		r.Header.AddString(g.one("x-a", "x-b", "accept"), g.one("1", "2", "a", "AB", "-1", "7", "é", ""))
	}
	if g.IntN(3) == 0 {
		r.Header.AddString("content-type", g.one("application/grpc", "application/grpc+proto", "application/grpc-web", "text/html"))
	}
	for range g.IntN(3) {
		r.Header.AddString("cookie", g.one("c=1", "c=a; d=b", `d="ab"; c=`, "cc=1; c = 7 ", ";;d", "x"))
	}
	if g.IntN(2) == 0 {
		r.Query, r.HasQuery = []byte(g.one("q=1", "q=a&p=b", "p&q", "%71=%61b", "a%20b=1", "q=%4&q=1", "&&q=2", "q=a+b", "")), true
	}
	return r
}

func (g generator) client() netip.Addr {
	return netip.MustParseAddr(g.one("10.1.2.3", "10.9.9.9", "192.0.2.1", "2001:db8::1"))
}

func newRequest(method, host, path string) *stream.Request {
	return &stream.Request{
		Method: []byte(method), Scheme: "http", Authority: []byte(host), Host: []byte(host),
		Path: []byte(path), Target: []byte(path),
	}
}

// checkFind compares Find, and Explain, with the reference.
func checkFind(t *testing.T, hosts []*VirtualHost, table *Table, r *stream.Request, client netip.Addr, rnd uint32) {
	t.Helper()
	want := naiveFind(hosts, r, client, rnd)
	got := table.Find(r, client, rnd)
	if got != want {
		t.Fatalf("%s %s%s?%s %+v: found %s, want %s", r.Method, r.Authority, r.Path, r.Query, headerOf(r), nameOf(got), nameOf(want))
	}
	steps := table.Explain(r, client, rnd)
	last := steps[len(steps)-1]
	if (want != nil) != (last.Matched && last.Route != nil) || want != nil && last.Route != want {
		t.Fatalf("%s %s%s: explained as %s %v, want %s", r.Method, r.Authority, r.Path, nameOf(last.Route), last.Matched, nameOf(want))
	}
	for _, step := range steps {
		if step.Why == "" {
			t.Fatalf("a step of %s says nothing", nameOf(step.Route))
		}
	}
}

func headerOf(r *stream.Request) (all []string) {
	for i := range r.Header.Len() {
		name, value, _, _ := r.Header.At(i)
		all = append(all, fmt.Sprintf("%s: %s", name, value))
	}
	return all
}

func nameOf(r *Route) string {
	if r == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s %s", r.Name, r.describe())
}

func TestFindAgainstTheReference(t *testing.T) {
	found := 0
	for seed := range uint64(500) {
		g := newGenerator(seed)
		hosts := g.table()
		table, problems := New(hosts)
		if table == nil {
			t.Fatalf("seed %d: %v", seed, problems)
		}
		cache := table.NewCache()
		for i := range 40 {
			r, client, rnd := g.request(), g.client(), g.Uint32()
			checkFind(t, hosts, table, r, client, rnd)
			if i%3 == 0 {
				checkCache(t, table, cache, r, g)
			}
			if table.Find(r, client, rnd) != nil {
				found++
			}
		}
		// A rule that is said to be unreachable must be unreachable.
		for _, p := range problems {
			if !strings.Contains(p.Text, "no request reaches") {
				continue
			}
			shadowed := hosts[p.Host].Routes[p.Route]
			for range 40 {
				r, client, rnd := g.request(), g.client(), g.Uint32()
				if naiveFind(hosts, r, client, rnd) == shadowed {
					t.Fatalf("seed %d: %s is reached by %s %s, though: %s", seed, nameOf(shadowed), r.Method, r.Path, p.Text)
				}
			}
		}
	}
	if found < 5_000 {
		t.Errorf("only %d of 20000 requests found a route: the test looks away", found)
	}
}

func FuzzFind(f *testing.F) {
	f.Fuzz(func(t *testing.T, seed uint64, method, host, path, query, cookie, value string) {
		g := newGenerator(seed)
		hosts := g.table()
		table, problems := New(hosts)
		if table == nil {
			t.Fatalf("%v", problems)
		}
		r := newRequest(method, strings.ToLower(host), path)
		r.Query, r.HasQuery = []byte(query), query != ""
		r.Header.AddString("cookie", cookie)
		r.Header.AddString("x-a", value)
		r.Header.AddString("x-a", value)
		for _, b := range []byte(value + cookie + path + query + host) {
			if b >= 0x80 || b == '\n' { // the reference folds more than ASCII, and its $ is another
				return
			}
		}
		checkFind(t, hosts, table, r, g.client(), g.Uint32())
		checkCache(t, table, table.NewCache(), r, g)
	})
}
