package yaml

import (
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	yaml "go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/resource"
)

// match reads a rule's condition; none at all is prefix "/".
func (d *decoder) match(rule fields, extra resource.Values) *route.RouteMatch {
	out := &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}}
	connect := d.connect(rule)
	if connect {
		out.PathSpecifier = &route.RouteMatch_ConnectMatcher_{ConnectMatcher: &route.RouteMatch_ConnectMatcher{}}
	}
	v, ok := rule.get("match")
	if !ok {
		return out
	}
	f := d.object(v, matchTable)
	d.matchPath(f, out, connect)
	d.matchGRPC(f, out, connect)
	if v, ok := f.get("methods"); ok {
		if m := d.methods(v); m != nil {
			out.Headers = append(out.Headers, m)
		}
	}
	if v, ok := f.get("headers"); ok {
		for _, entry := range d.entries(v) {
			if d.fieldName(entry.key, entry.path, entry.key.Value) {
				out.Headers = append(out.Headers, d.matchHeader(entry))
			}
		}
	}
	if v, ok := f.get("query"); ok {
		for _, entry := range d.entries(v) {
			out.QueryParameters = append(out.QueryParameters, d.matchQuery(entry))
		}
	}
	if v, ok := f.get("cookies"); ok {
		for _, entry := range d.entries(v) {
			if !isToken(entry.key.Value) {
				d.at(entry.key, entry.path, "", "%q is no cookie name", clip(entry.key.Value))
				continue
			}
			out.Cookies = append(out.Cookies, d.matchCookie(entry))
		}
	}
	if v, ok := f.get("client"); ok {
		var networks []string
		for _, entry := range d.oneOrMore(v) {
			if network, ok := d.cidr(entry); ok {
				networks = append(networks, network)
			}
		}
		if len(networks) > 0 {
			extra["client"] = networks
		} else if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must name at least one network")
		}
	}
	if v, ok := f.get("percent"); ok {
		if share, ok := d.percent(v); ok {
			out.RuntimeFraction = &core.RuntimeFractionalPercent{DefaultValue: fraction(share)}
		}
	}
	return out
}

// fraction writes millionths in the largest unit that holds them.
func fraction(share uint32) *types.FractionalPercent {
	switch {
	case share%1e4 == 0:
		return &types.FractionalPercent{Numerator: share / 1e4, Denominator: types.FractionalPercent_HUNDRED}
	case share%1e2 == 0:
		return &types.FractionalPercent{Numerator: share / 1e2, Denominator: types.FractionalPercent_TEN_THOUSAND}
	}
	return &types.FractionalPercent{Numerator: share, Denominator: types.FractionalPercent_MILLION}
}

func (d *decoder) connect(rule fields) bool {
	v, ok := rule.get("connect")
	if !ok {
		return false
	}
	on, ok := d.boolean(v)
	if ok && !on {
		d.failHint(v, "leave it out", "connect: false says nothing")
	}
	return on
}

func (d *decoder) matchPath(f fields, out *route.RouteMatch, connect bool) {
	there := f.exclusive("path", "prefix", "regex")
	if connect && len(there) > 0 {
		d.fail(f.written(there[0]), "a CONNECT request has no path to match")
	}
	if v, ok := f.get("path"); ok {
		if path, ok := d.absolutePath(v); ok {
			out.PathSpecifier = &route.RouteMatch_Path{Path: path}
		}
	}
	if v, ok := f.get("prefix"); ok {
		if prefix, ok := d.absolutePath(v); ok {
			// path_separated_prefix must not end in a slash; with one, bytes and
			// segments are the same.
			if strings.HasSuffix(prefix, "/") {
				out.PathSpecifier = &route.RouteMatch_Prefix{Prefix: prefix}
			} else {
				out.PathSpecifier = &route.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: prefix}
			}
		}
	}
	if v, ok := f.get("regex"); ok {
		if pattern, ok := d.pattern(v); ok {
			out.PathSpecifier = &route.RouteMatch_SafeRegex{SafeRegex: &matcher.RegexMatcher{Regex: pattern}}
		}
	}
	if ignore, ok := f.flag("ignore_case"); ok {
		switch {
		case f.has("regex"):
			d.failHint(f.written("ignore_case"), "the regex can begin with (?i)", "has no effect on a regex")
		case connect:
			d.fail(f.written("ignore_case"), "a CONNECT request has no path to match")
		}
		out.CaseSensitive = wrapperspb.Bool(!ignore)
	}
}

// absolutePath reads a path without query.
func (d *decoder) absolutePath(v value) (string, bool) {
	s, ok := d.word(v)
	switch {
	case !ok:
	case !strings.HasPrefix(s, "/"):
		d.failHint(v, `did you mean "/`+clip(s)+`"?`, `%q: a path begins with "/"`, clip(s))
	case strings.ContainsAny(s, "?#"):
		d.fail(v, "%q: the query and the fragment are no part of the path", clip(s))
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' }):
		d.fail(v, "%q: a path has no blanks; write %%20", clip(s))
	default:
		return s, true
	}
	return "", false
}

// methods become a condition on ":method".
func (d *decoder) methods(v value) *route.HeaderMatcher {
	var list []string
	for _, entry := range d.oneOrMore(v) {
		s, ok := d.word(entry)
		switch {
		case !ok:
		case strings.ToUpper(s) != s:
			d.failHint(entry, "did you mean "+strings.ToUpper(clip(s))+"?", "%q: methods are in upper case", clip(s))
		case !isToken(s) || strings.ContainsAny(s, "|.*+^$"):
			d.fail(entry, "%q is no method", clip(s))
		default:
			list = append(list, s)
		}
	}
	out := &route.HeaderMatcher{Name: ":method"}
	switch len(list) {
	case 0:
		if v.isList() && len(v.node.Content) == 0 {
			d.fail(v, "must name at least one method")
		}
		return nil
	case 1:
		out.HeaderMatchSpecifier = &route.HeaderMatcher_StringMatch{StringMatch: exactly(list[0])}
	default:
		out.HeaderMatchSpecifier = &route.HeaderMatcher_StringMatch{StringMatch: matching(strings.Join(list, "|"))}
	}
	return out
}

func exactly(text string) *matcher.StringMatcher {
	return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Exact{Exact: text}}
}

func matching(pattern string) *matcher.StringMatcher {
	return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_SafeRegex{SafeRegex: &matcher.RegexMatcher{Regex: pattern}}}
}

// fieldName checks the name of a header field.
func (d *decoder) fieldName(n *yaml.Node, path resource.Path, name string) bool {
	if isToken(name) && len(name) <= 256 {
		return true
	}
	if strings.HasPrefix(name, ":") {
		d.at(n, path, "", "%q: pseudo header fields cannot be used here", clip(name))
		return false
	}
	d.at(n, path, "", "%q is no header name (RFC 9110 section 5.1)", clip(name))
	return false
}

// matchHeader reads the test of one header field.
func (d *decoder) matchHeader(v value) *route.HeaderMatcher {
	out := &route.HeaderMatcher{Name: v.key.Value}
	t := d.valueTest(v, false)
	out.InvertMatch, out.TreatMissingHeaderAsEmpty = t.invert, t.missingAsEmpty
	switch {
	case t.text != nil:
		out.HeaderMatchSpecifier = &route.HeaderMatcher_StringMatch{StringMatch: t.text}
	case t.between != nil:
		out.HeaderMatchSpecifier = &route.HeaderMatcher_RangeMatch{RangeMatch: t.between}
	case t.presence:
		out.HeaderMatchSpecifier = &route.HeaderMatcher_PresentMatch{PresentMatch: !t.absent}
	}
	return out
}

func (d *decoder) matchQuery(v value) *route.QueryParameterMatcher {
	out := &route.QueryParameterMatcher{Name: v.key.Value}
	if v.key.Value == "" {
		d.at(v.key, v.path, "", "the name of a parameter must not be empty")
	}
	t := d.valueTest(v, false, "not", "range", "missing_as_empty")
	switch {
	case t.text != nil:
		out.QueryParameterMatchSpecifier = &route.QueryParameterMatcher_StringMatch{StringMatch: t.text}
	case t.presence:
		out.QueryParameterMatchSpecifier = &route.QueryParameterMatcher_PresentMatch{PresentMatch: !t.absent}
	}
	return out
}

// matchCookie writes presence as a pattern that matches every value: a
// CookieMatcher has a string match only, which a cookie that is not there fails.
func (d *decoder) matchCookie(v value) *route.CookieMatcher {
	t := d.valueTest(v, false, "range", "missing_as_empty")
	if t.presence {
		t.text, t.invert = matching(".*"), t.invert != t.absent
	}
	return &route.CookieMatcher{Name: v.key.Value, StringMatch: t.text, InvertMatch: t.invert}
}

// valueTests are the keys of a value match that compare.
var valueTests = []string{"exact", "prefix", "suffix", "contains", "regex", "present", "absent", "range", "not"}

// valueTest is what a value match says.
type valueTest struct {
	text             *matcher.StringMatcher
	between          *types.Int64Range
	presence, absent bool
	invert           bool
	missingAsEmpty   bool
}

// valueTest reads a string, which must be equal, or a map with one test. What is
// named in without has no twin for this sort of value.
func (d *decoder) valueTest(v value, inner bool, without ...string) (t valueTest) {
	if !v.isMap() {
		if s, ok := d.text(v); ok {
			t.text = exactly(s)
		}
		return t
	}
	f := d.object(v, valueMatchTable)
	if inner {
		without = append(without[:len(without):len(without)], "not", "missing_as_empty")
	}
	for _, name := range without {
		if odd, ok := f.get(name); ok {
			d.at(odd.key, odd.path, "", "%s cannot be used here", name)
			return t
		}
	}
	tests := f.exclusive(valueTests...)
	if len(tests) == 0 {
		f.missing("a test", "one of "+strings.Join(valueTests, ", "), valueTests...)
		return t
	}
	d.test(f, tests[0], &t, without)
	t.missingAsEmpty, _ = f.flag("missing_as_empty")
	if ignore, ok := f.flag("ignore_case"); ok && ignore {
		switch tests[0] {
		case "exact", "prefix", "suffix", "contains":
			if t.text != nil {
				t.text.IgnoreCase = true
			}
		default:
			d.failHint(f.written("ignore_case"), "a regex can begin with (?i)", "ignore_case has no effect on %s", tests[0])
		}
	}
	return t
}

func (d *decoder) test(f fields, name string, t *valueTest, without []string) {
	v := f.written(name)
	switch name {
	case "present", "absent":
		if on, ok := d.boolean(v); ok && !on {
			d.failHint(v, "write present: true or absent: true", "%s: false is not clear", name)
		}
		t.presence, t.absent = true, name == "absent"
	case "range":
		r := d.object(v, rangeTable)
		from, ok1 := r.number("from", -maxBytes, maxBytes)
		to, ok2 := r.number("to", -maxBytes, maxBytes)
		switch {
		case v.isMap() && (!r.has("from") || !r.has("to")):
			r.missing("from or to", "a range needs both")
		case ok1 && ok2 && from >= to:
			d.fail(v, "the range from %d to %d holds no number", from, to)
		}
		t.between = &types.Int64Range{Start: from, End: to}
	case "not":
		*t = d.valueTest(v, true, without...)
		t.invert = true
	case "regex":
		if pattern, ok := d.pattern(v); ok {
			t.text = matching(pattern)
		}
	default:
		s, ok := d.text(v)
		switch {
		case !ok:
		case s == "" && name != "exact":
			d.fail(v, "an empty text to compare with always matches")
		default:
			t.text = compare(name, s)
		}
	}
}

func compare(name, text string) *matcher.StringMatcher {
	switch name {
	case "prefix":
		return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Prefix{Prefix: text}}
	case "suffix":
		return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Suffix{Suffix: text}}
	case "contains":
		return &matcher.StringMatcher{MatchPattern: &matcher.StringMatcher_Contains{Contains: text}}
	}
	return exactly(text)
}
