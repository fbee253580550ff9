package cors

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	cors "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	percent "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"

	"longmen/gateway/filter"
	"longmen/gateway/stream"
)

// scope collects problems.
type scope struct{ problems []string }

func (s *scope) Fail(part, hint, format string, args ...any) {
	s.problems = append(s.problems, part+": "+fmt.Sprintf(format, args...)+" "+hint)
}
func (s *scope) Only(proto.Message, ...string)      {}
func (s *scope) File(string, string) ([]byte, bool) { return nil, false }

func newFilter(t *testing.T, v filter.Values) filter.Filter {
	t.Helper()
	s := &scope{}
	f := compile(s, message(v))
	if len(s.problems) > 0 {
		t.Fatal(s.problems)
	}
	return f
}

// ask sends a request through f; the server answers 201 and says something about
// CORS itself.
func ask(t *testing.T, f filter.Filter, method string, fields ...string) string {
	t.Helper()
	s := &stream.Stream{}
	s.Request.Method = []byte(method)
	for i := 0; i < len(fields); i += 2 {
		s.Request.Header.AddString(fields[i], fields[i+1])
	}
	resp, err := f.Serve(s, func(s *stream.Stream) (*stream.Response, error) {
		resp := s.Respond(201, "", nil)
		resp.Header.AddString("access-control-allow-origin", "http://theirs")
		resp.Header.AddString("vary", "accept-encoding")
		return resp, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := resp.Header.AppendLines(nil, 0)
	return fmt.Sprint(resp.Status, " ", strings.TrimSuffix(strings.ReplaceAll(string(lines), "\r\n", "; "), "; "))
}

func TestActualRequests(t *testing.T) {
	f := newFilter(t, filter.Values{
		"allow_origins":  []any{"https://a.example", filter.Values{"suffix": ".b.example"}, filter.Values{"regex": "https://c[0-9]+"}, filter.Values{"prefix": "http://D", "ignore_case": true}, "null"},
		"expose_headers": []any{"grpc-status", "x-a"}, "credentials": true,
	})
	const ours = "; access-control-allow-credentials: true; access-control-expose-headers: grpc-status, x-a"
	for origin, allowed := range map[string]bool{
		"https://a.example": true, "https://x.b.example": true, "https://c12": true, "http://dx": true, "null": true,
		"https://a.example:444": false, "https://a.example.evil": false, "https://b.example": false, "https://c": false, "xhttps://c1": false, "https://c1x": false, "": false, "HTTPS://A.EXAMPLE": false,
	} {
		want := "201 access-control-allow-origin: http://theirs; vary: accept-encoding; vary: Origin"
		if allowed {
			want = "201 access-control-allow-origin: " + origin + "; vary: accept-encoding; vary: Origin" + ours
		}
		if got := ask(t, f, "GET", "origin", origin); got != want {
			t.Errorf("%s:\n%s\n%s", origin, got, want)
		}
	}
	if got := ask(t, f, "GET"); got != "201 access-control-allow-origin: http://theirs; vary: accept-encoding; vary: Origin" {
		t.Error(got)
	}
	// OPTIONS without the question of a preflight is a request like any other.
	if got := ask(t, f, "OPTIONS", "origin", "null"); !strings.HasPrefix(got, "201 access-control-allow-origin: null") {
		t.Error(got)
	}
}

func TestPreflights(t *testing.T) {
	settings := filter.Values{
		"allow_origins": []any{"*"}, "allow_methods": []any{"GET", "PUT"}, "allow_headers": []any{"content-type"},
		"max_age": 10 * time.Minute, "private_network": true,
	}
	f := newFilter(t, settings)
	question := []string{"origin", "https://a", "access-control-request-method", "PUT"}
	want := "200 vary: Origin; access-control-allow-origin: https://a; access-control-allow-methods: GET, PUT; access-control-allow-headers: content-type; access-control-max-age: 600"
	if got := ask(t, f, "OPTIONS", question...); got != want {
		t.Error(got)
	}
	if got := ask(t, f, "OPTIONS", append(question, "access-control-request-private-network", "true")...); got != want+"; access-control-allow-private-network: true" {
		t.Error(got)
	}
	settings["allow_origins"] = []any{"https://b"}
	if got := ask(t, newFilter(t, settings), "OPTIONS", question...); !strings.HasPrefix(got, "201 ") {
		t.Error(got)
	}
	settings["forward_preflights"] = false
	if got := ask(t, newFilter(t, settings), "OPTIONS", question...); got != "200 vary: Origin" {
		t.Error(got)
	}
}

type replier struct{}

func (replier) LocalReply(s *stream.Stream, e *stream.Error) *stream.Response {
	return s.Respond(e.Status, "", nil)
}

// A page may read the gateway's own errors, too.
func TestLocalReplies(t *testing.T) {
	s := &stream.Stream{Replier: replier{}}
	s.Request.Header.AddString("origin", "https://a")
	f := newFilter(t, filter.Values{"allow_origins": []any{"*"}})
	resp, err := f.Serve(s, func(*stream.Stream) (*stream.Response, error) { return nil, &stream.Error{Status: 503} })
	if err != nil || resp.Status != 503 || string(resp.Header.Get("access-control-allow-origin")) != "https://a" {
		t.Errorf("%v, %v", resp, err)
	}
	gone := &stream.Error{Side: stream.Downstream, Cause: errors.New("gone")}
	if _, err := f.Serve(s, func(*stream.Stream) (*stream.Response, error) { return nil, gone }); err != error(gone) {
		t.Error(err)
	}
}

func TestVary(t *testing.T) {
	for before, want := range map[string]string{"*": "*", "accept, ORIGIN": "accept, ORIGIN", "originx": "originx|Origin", "": "Origin"} {
		var h stream.Header
		if before != "" {
			h.AddString("vary", before)
		}
		vary(&h)
		var got []string
		for i := range h.Len() {
			_, value, _, _ := h.At(i)
			got = append(got, string(value))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: %q", before, got)
		}
	}
}

func TestCompile(t *testing.T) {
	if f := compile(&scope{}, &cors.Cors{}); f != nil {
		t.Error("without a policy there is nothing to do")
	}
	if f := compile(&scope{}, &cors.CorsPolicy{AllowMethods: "GET"}); f != nil {
		t.Error("without origins there is nothing to do")
	}
	share := func(n uint32) *cors.CorsPolicy {
		return &cors.CorsPolicy{AllowOriginStringMatch: []*matcher.StringMatcher{{MatchPattern: regex(".*")}},
			FilterEnabled: &core.RuntimeFractionalPercent{DefaultValue: &percent.FractionalPercent{Numerator: n}}}
	}
	if compile(&scope{}, share(0)) != nil || compile(&scope{}, share(100)) == nil {
		t.Error("filter_enabled")
	}
	exact := func(s string) *cors.CorsPolicy {
		return &cors.CorsPolicy{AllowOriginStringMatch: []*matcher.StringMatcher{{MatchPattern: &matcher.StringMatcher_Exact{Exact: s}}}}
	}
	for want, p := range map[string]*cors.CorsPolicy{
		"a part of the requests":   share(50),
		"allow_methods: \"G T\"":   {AllowMethods: "PUT, G T"},
		"max_age: \"10m\" is no":   {MaxAge: "10m"},
		"did you mean":             exact("https://a/"),
		"allow_origins[0]: one":    {AllowOriginStringMatch: []*matcher.StringMatcher{{}}},
		"is no regular expression": {AllowOriginStringMatch: []*matcher.StringMatcher{{MatchPattern: regex("(")}}},
	} {
		s := &scope{}
		compile(s, p)
		if len(s.problems) != 1 || !strings.Contains(s.problems[0], want) {
			t.Errorf("%q, want %q", s.problems, want)
		}
	}
}

func TestValuesAreTheWayBack(t *testing.T) {
	v := filter.Values{
		"allow_origins": []any{"https://a", "*", filter.Values{"suffix": ".x", "ignore_case": true}, filter.Values{"regex": "a+"}, filter.Values{"contains": "c"}, filter.Values{"prefix": "p"}, filter.Values{"exact": "E", "ignore_case": true}},
		"allow_methods": []any{"GET"}, "allow_headers": []any{"a", "b"}, "expose_headers": []any{"c"}, "max_age": time.Hour,
		"credentials": false, "private_network": true, "forward_preflights": false,
	}
	m := message(v)
	if again := message(values(m)); !proto.Equal(m, again) {
		t.Errorf("%v\n%v", m, again)
	}
}
