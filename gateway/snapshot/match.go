package snapshot

//lint:file-ignore SA1019 control planes still send fields that Envoy calls deprecated

import (
	"fmt"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"longmen/gateway/resource"
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

// maxRegex bounds a pattern's length; RE2 keeps its run time linear.
const maxRegex = 4096

// match compiles a rule's condition.
func (c *compiler) match(at resource.Path, m *route.RouteMatch) router.Match {
	var out router.Match
	if m == nil {
		c.fail(at, "Route.match is missing")
		return out
	}
	c.only(at, m, "prefix", "path", "safe_regex", "connect_matcher", "path_separated_prefix", "case_sensitive",
		"runtime_fraction", "headers", "query_parameters", "cookies", "grpc")
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Path:
		out.Path = c.absolute(join(at, "path"), p.Path)
	case *route.RouteMatch_Prefix:
		if out.RawPrefix = p.Prefix; p.Prefix != "" { // "" matches all, as "/" does
			c.absolute(join(at, "prefix"), p.Prefix)
		} else {
			out.RawPrefix = "/"
		}
	case *route.RouteMatch_PathSeparatedPrefix:
		out.Prefix = c.absolute(join(at, "prefix"), p.PathSeparatedPrefix)
		if strings.HasSuffix(p.PathSeparatedPrefix, "/") {
			c.fail(join(at, "prefix"), "path_separated_prefix %q must not end in \"/\"", p.PathSeparatedPrefix)
		}
	case *route.RouteMatch_SafeRegex:
		out.Regex = c.regex(join(at, "regex"), p.SafeRegex)
	case *route.RouteMatch_ConnectMatcher_:
		c.only(join(at, "connect"), p.ConnectMatcher)
		out.Connect = true
	case nil:
		c.fail(at, "RouteMatch.path_specifier is missing")
	}
	if m.GetGrpc() != nil {
		c.only(join(at, "grpc"), m.GetGrpc())
		if out.GRPC = true; out.Connect {
			c.fail(join(at, "grpc"), "a CONNECT request is no gRPC call")
		}
	}
	out.IgnoreCase = m.GetCaseSensitive() != nil && !m.GetCaseSensitive().GetValue()
	if m.GetRuntimeFraction() != nil {
		out.Fraction = c.fraction(join(at, "percent"), m.GetRuntimeFraction())
	}
	for _, h := range m.GetHeaders() {
		c.matchHeader(at, h, &out)
	}
	for _, q := range m.GetQueryParameters() {
		where := join(join(at, "query"), q.GetName())
		c.only(where, q, "name", "string_match", "present_match")
		v := router.ValueMatch{Name: q.GetName(), Kind: router.Present}
		switch spec := q.GetQueryParameterMatchSpecifier().(type) {
		case *route.QueryParameterMatcher_StringMatch:
			c.text(where, spec.StringMatch, &v)
		case *route.QueryParameterMatcher_PresentMatch:
			if !spec.PresentMatch {
				v.Kind = router.Absent
			}
		}
		c.named(where, v.Name)
		out.Query = append(out.Query, v)
	}
	for _, k := range m.GetCookies() {
		where := join(join(at, "cookies"), k.GetName())
		c.only(where, k, "name", "string_match", "invert_match")
		v := router.ValueMatch{Name: k.GetName(), Kind: router.Present, Invert: k.GetInvertMatch()}
		if k.GetStringMatch() == nil {
			c.fail(where, "CookieMatcher.string_match is missing")
		} else {
			c.text(where, k.GetStringMatch(), &v)
		}
		if v.Kind == router.Regex && v.Value == ".*" { // how "present" and "absent" are written
			v = router.ValueMatch{Name: v.Name, Kind: router.Present}
			if k.GetInvertMatch() {
				v.Kind = router.Absent
			}
		}
		if !stream.IsToken(v.Name) {
			c.fail(where, "%q is no cookie name", v.Name)
		}
		out.Cookies = append(out.Cookies, v)
	}
	return out
}

func (c *compiler) named(at resource.Path, name string) {
	if name == "" {
		c.fail(at, "the name is empty")
	}
}

// absolute checks a path that is compared with, or becomes, the canonical path.
func (c *compiler) absolute(at resource.Path, path string) string {
	switch {
	case !strings.HasPrefix(path, "/"):
		c.failHint(at, fmt.Sprintf("did you mean %q?", "/"+path), "%q: a path begins with \"/\"", path)
		return path
	case strings.ContainsAny(path, "?#"):
		c.fail(at, "%q: the query and the fragment are no part of the path", path)
		return path
	}
	keep := router.PathPolicy{EscapedSlashes: router.PathKeep, DotSegments: router.PathKeep, DoubleSlash: router.PathKeep}
	canonical, err := router.Canonical(nil, []byte(path), keep)
	switch {
	case err != nil:
		c.fail(at, "%q: %v", path, err)
	case string(canonical) != path:
		c.failHint(at, fmt.Sprintf("did you mean %q?", canonical), "%q never occurs: paths are compared in their canonical form", path)
	}
	return path
}

// regex gives a pattern back. The router compiles it, and says what is wrong with it.
func (c *compiler) regex(at resource.Path, m *matcher.RegexMatcher) string {
	c.only(at, m, "regex", "google_re2")
	if re2 := m.GetGoogleRe2(); re2 != nil {
		c.only(at, re2)
	}
	pattern := m.GetRegex()
	switch {
	case len(pattern) > maxRegex:
		c.fail(at, "a regular expression of %d bytes: at most %d are taken", len(pattern), maxRegex)
	case pattern == "":
		c.fail(at, "the regular expression is empty")
	}
	return pattern
}

func (c *compiler) fraction(at resource.Path, f *core.RuntimeFractionalPercent) uint32 {
	c.only(at, f, "default_value")
	value := f.GetDefaultValue()
	if value == nil {
		c.fail(at, "RuntimeFractionalPercent.default_value is missing")
		return 0
	}
	c.only(at, value, "numerator", "denominator")
	const all = 1_000_000
	share := uint64(value.GetNumerator())
	switch value.GetDenominator() {
	case typev3.FractionalPercent_HUNDRED:
		share *= all / 100
	case typev3.FractionalPercent_TEN_THOUSAND:
		share *= all / 10_000
	case typev3.FractionalPercent_MILLION:
	default:
		c.fail(at, "FractionalPercent.denominator: %v is not known", value.GetDenominator())
	}
	switch {
	case share > all:
		c.fail(at, "more than 100 %%")
	case share == 0:
		c.fail(at, "0 %% never matches: remove the rule")
	case share < all:
		return uint32(share)
	}
	return 0
}

// matchHeader reads one header condition; those on ":method" become methods.
func (c *compiler) matchHeader(at resource.Path, h *route.HeaderMatcher, out *router.Match) {
	if h.GetName() == ":method" {
		c.matchMethods(join(at, "methods"), h, out)
		return
	}
	c.matchHeaderAt(join(join(at, "headers"), h.GetName()), h, out)
}

// matchHeaderAt reads a condition on a header field, which stands at where.
func (c *compiler) matchHeaderAt(where resource.Path, h *route.HeaderMatcher, out *router.Match) {
	c.only(where, h, "name", "exact_match", "safe_regex_match", "range_match", "present_match", "prefix_match", "suffix_match",
		"contains_match", "string_match", "invert_match", "treat_missing_header_as_empty")
	v := router.ValueMatch{
		Name: strings.ToLower(h.GetName()), Kind: router.Present,
		Invert: h.GetInvertMatch(), MissingAsEmpty: h.GetTreatMissingHeaderAsEmpty(),
	}
	switch spec := h.GetHeaderMatchSpecifier().(type) {
	case *route.HeaderMatcher_StringMatch:
		c.text(where, spec.StringMatch, &v)
	case *route.HeaderMatcher_PresentMatch:
		if !spec.PresentMatch {
			v.Kind = router.Absent
		}
	case *route.HeaderMatcher_RangeMatch:
		c.only(where, spec.RangeMatch, "start", "end")
		v.Kind, v.Low, v.High = router.Range, spec.RangeMatch.GetStart(), spec.RangeMatch.GetEnd()
		if v.Low >= v.High {
			c.fail(where, "the range from %d to %d (exclusive) is empty", v.Low, v.High)
		}
	case *route.HeaderMatcher_ExactMatch:
		v.Kind, v.Value = router.Exact, spec.ExactMatch
	case *route.HeaderMatcher_PrefixMatch:
		v.Kind, v.Value = router.HasPrefix, spec.PrefixMatch
	case *route.HeaderMatcher_SuffixMatch:
		v.Kind, v.Value = router.HasSuffix, spec.SuffixMatch
	case *route.HeaderMatcher_ContainsMatch:
		v.Kind, v.Value = router.Contains, spec.ContainsMatch
	case *route.HeaderMatcher_SafeRegexMatch:
		v.Kind, v.Value = router.Regex, c.regex(where, spec.SafeRegexMatch)
	}
	if strings.HasPrefix(v.Name, ":") {
		c.fail(where, "a match on %q is not supported by this version yet", h.GetName())
	} else if !stream.IsToken(v.Name) {
		c.fail(where, "%q is no header name", h.GetName())
	}
	out.Headers = append(out.Headers, v)
}

// matchMethods reads a condition on ":method": exact for one method, a regular
// expression of alternatives for several.
func (c *compiler) matchMethods(at resource.Path, h *route.HeaderMatcher, out *router.Match) {
	c.only(at, h, "name", "string_match")
	m := h.GetStringMatch()
	c.only(at, m, "exact", "safe_regex")
	if len(out.Methods) > 0 {
		c.fail(at, "two conditions on the method")
		return
	}
	switch pattern := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		out.Methods = []string{pattern.Exact}
	case *matcher.StringMatcher_SafeRegex:
		out.Methods = strings.Split(c.regex(at, pattern.SafeRegex), "|")
	default:
		c.fail(at, "a condition on \":method\" must be exact, or a regular expression such as \"GET|HEAD\"")
	}
	known := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
	for i, method := range out.Methods {
		switch upper := strings.ToUpper(method); {
		case !stream.IsToken(method):
			c.fail(item(at, i), "%q is no method", method)
		case method != upper && slices.Contains(known, upper):
			c.failHint(item(at, i), "did you mean \""+upper+"\"?", "%q: methods are case-sensitive", method)
		}
	}
}

// text reads a comparison of strings into v.
func (c *compiler) text(at resource.Path, m *matcher.StringMatcher, v *router.ValueMatch) {
	c.only(at, m, "exact", "prefix", "suffix", "safe_regex", "contains", "ignore_case")
	v.IgnoreCase = m.GetIgnoreCase()
	switch p := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		v.Kind, v.Value = router.Exact, p.Exact
		return // may be empty
	case *matcher.StringMatcher_Prefix:
		v.Kind, v.Value = router.HasPrefix, p.Prefix
	case *matcher.StringMatcher_Suffix:
		v.Kind, v.Value = router.HasSuffix, p.Suffix
	case *matcher.StringMatcher_Contains:
		v.Kind, v.Value = router.Contains, p.Contains
	case *matcher.StringMatcher_SafeRegex:
		if v.Kind, v.Value = router.Regex, c.regex(at, p.SafeRegex); v.IgnoreCase {
			c.fail(at, "ignore_case has no effect on a regular expression: write (?i) into it")
		}
		return
	case nil:
		c.fail(at, "StringMatcher.match_pattern is missing")
		return
	}
	if v.Value == "" {
		c.fail(at, "an empty text to compare with always matches")
	}
}
