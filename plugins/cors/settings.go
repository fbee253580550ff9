package cors

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	cors "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	percent "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"longmen/gateway/filter"
	"longmen/gateway/stream"
)

// Kind is the filter's entry in the list of filters.
func Kind() *filter.Kind {
	return &filter.Kind{
		Name: "cors", XDS: "envoy.filters.http.cors",
		Meaning:  "Cross-origin resource sharing: answers preflights, and says which pages may read answers.",
		Example:  `{allow_origins: "*"}`,
		Messages: []proto.Message{(*cors.CorsPolicy)(nil), (*cors.Cors)(nil)},
		Keys:     keys(),
		Message:  message, Values: values, Compile: compile,
	}
}

func keys() []filter.Key {
	text := filter.Type{Form: filter.Text}
	names := filter.OneOrMoreOf(text)
	pattern := filter.Type{Form: filter.Object, Name: "cors origin", Keys: []filter.Key{
		{Name: "exact", Type: text, Meaning: "Is equal.", Twin: "`exact`", Example: "https://shop.example.com"},
		{Name: "prefix", Type: text, Meaning: "Begins so.", Twin: "`prefix`", Example: "https://shop."},
		{Name: "suffix", Type: text, Meaning: "Ends so.", Twin: "`suffix`", Example: ".example.com"},
		{Name: "contains", Type: text, Meaning: "Holds it.", Twin: "`contains`", Example: "example"},
		{Name: "regex", Type: filter.Type{Form: filter.Pattern}, Meaning: "Matches as a whole.", Twin: "`safe_regex`", Example: `"https://[a-z]+\\.example\\.com"`},
		{Name: "ignore_case", Type: filter.Type{Form: filter.Flag}, Default: "false", Meaning: "Not with `regex`.", Twin: "`ignore_case`", Example: "true"},
	}}
	return []filter.Key{
		{Name: "allow_origins", Type: filter.OneOrMoreOf(filter.Type{Form: filter.Either, Of: []filter.Type{text, pattern}}), Meaning: "Origins whose pages may read answers: equal to a string, matching a map's one test, or any with `\"*\"`.",
			Twin: "`CorsPolicy.allow_origin_string_match`; `\"*\"`: `safe_regex` `.*`", Example: "[https://shop.example.com, {suffix: .example.org}]"},
		{Name: "allow_methods", Type: names, Meaning: "Methods that a preflight allows.", Twin: "`CorsPolicy.allow_methods`", Example: "[GET, PUT]"},
		{Name: "allow_headers", Type: names, Meaning: "Request fields that a preflight allows.", Twin: "`CorsPolicy.allow_headers`", Example: "[content-type, x-grpc-web]"},
		{Name: "expose_headers", Type: names, Meaning: "Response fields that a page may read.", Twin: "`CorsPolicy.expose_headers`", Example: "[grpc-status, grpc-message]"},
		{Name: "max_age", Type: filter.Type{Form: filter.Duration, High: int64(365 * 24 * time.Hour)}, Meaning: "How long a browser keeps a preflight's answer; whole seconds.", Twin: "`CorsPolicy.max_age`", Example: "10m"},
		{Name: "credentials", Type: filter.Type{Form: filter.Flag}, Default: "false", Meaning: "Requests may carry cookies and the like.", Twin: "`CorsPolicy.allow_credentials`", Example: "true"},
		{Name: "private_network", Type: filter.Type{Form: filter.Flag}, Default: "false", Meaning: "Pages of the public network may ask for this one (Private Network Access).", Twin: "`CorsPolicy.allow_private_network_access`", Example: "true"},
		{Name: "forward_preflights", Type: filter.Type{Form: filter.Flag}, Default: "true", Meaning: "Preflights of other origins go on to the cluster; with `false` they are answered, and allow nothing.", Twin: "`CorsPolicy.forward_not_matching_preflights`", Example: "false"},
	}
}

// everything is how "*" is written in xDS.
const everything = ".*"

func message(v filter.Values) proto.Message {
	out := &cors.CorsPolicy{
		AllowMethods:  strings.Join(v.Texts("allow_methods"), ", "),
		AllowHeaders:  strings.Join(v.Texts("allow_headers"), ", "),
		ExposeHeaders: strings.Join(v.Texts("expose_headers"), ", "),
	}
	for _, item := range v.List("allow_origins") {
		out.AllowOriginStringMatch = append(out.AllowOriginStringMatch, matcherOf(item))
	}
	if age, ok := v["max_age"].(time.Duration); ok {
		out.MaxAge = strconv.FormatInt(int64(age/time.Second), 10)
	}
	flag := func(key string, to **wrapperspb.BoolValue) {
		if on, ok := v.Flag(key); ok {
			*to = wrapperspb.Bool(on)
		}
	}
	flag("credentials", &out.AllowCredentials)
	flag("private_network", &out.AllowPrivateNetworkAccess)
	flag("forward_preflights", &out.ForwardNotMatchingPreflights)
	return out
}

func matcherOf(item any) *matcher.StringMatcher {
	out := &matcher.StringMatcher{}
	switch v := item.(type) {
	case string:
		if v == "*" {
			out.MatchPattern = regex(everything)
		} else {
			out.MatchPattern = &matcher.StringMatcher_Exact{Exact: v}
		}
	case filter.Values:
		out.IgnoreCase, _ = v.Flag("ignore_case")
		switch {
		case v.Text("exact") != "":
			out.MatchPattern = &matcher.StringMatcher_Exact{Exact: v.Text("exact")}
		case v.Text("prefix") != "":
			out.MatchPattern = &matcher.StringMatcher_Prefix{Prefix: v.Text("prefix")}
		case v.Text("suffix") != "":
			out.MatchPattern = &matcher.StringMatcher_Suffix{Suffix: v.Text("suffix")}
		case v.Text("contains") != "":
			out.MatchPattern = &matcher.StringMatcher_Contains{Contains: v.Text("contains")}
		case v.Text("regex") != "":
			out.MatchPattern = regex(v.Text("regex"))
		}
	}
	return out
}

func regex(pattern string) *matcher.StringMatcher_SafeRegex {
	return &matcher.StringMatcher_SafeRegex{SafeRegex: &matcher.RegexMatcher{Regex: pattern}}
}

func values(m proto.Message) filter.Values {
	out := filter.Values{}
	p, ok := m.(*cors.CorsPolicy)
	if !ok {
		return out
	}
	var origins []any
	for _, o := range p.GetAllowOriginStringMatch() {
		origins = append(origins, originValue(o))
	}
	out.Put("allow_origins", origins)
	out.Put("allow_methods", names(p.GetAllowMethods()))
	out.Put("allow_headers", names(p.GetAllowHeaders()))
	out.Put("expose_headers", names(p.GetExposeHeaders()))
	if n, err := strconv.ParseUint(p.GetMaxAge(), 10, 31); err == nil {
		out["max_age"] = time.Duration(n) * time.Second
	}
	flag := func(key string, b *wrapperspb.BoolValue) {
		if b != nil {
			out[key] = b.GetValue()
		}
	}
	flag("credentials", p.GetAllowCredentials())
	flag("private_network", p.GetAllowPrivateNetworkAccess())
	flag("forward_preflights", p.GetForwardNotMatchingPreflights())
	return out
}

func names(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ", ")
}

func originValue(m *matcher.StringMatcher) any {
	switch p := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		if !m.GetIgnoreCase() && p.Exact != "*" {
			return p.Exact
		}
	case *matcher.StringMatcher_SafeRegex:
		if p.SafeRegex.GetRegex() == everything {
			return "*"
		}
	}
	out := filter.Values{}
	out.Put("exact", m.GetExact())
	out.Put("prefix", m.GetPrefix())
	out.Put("suffix", m.GetSuffix())
	out.Put("contains", m.GetContains())
	out.Put("regex", m.GetSafeRegex().GetRegex())
	if m.GetIgnoreCase() {
		out["ignore_case"] = true
	}
	return out
}

func compile(at filter.Scope, m proto.Message) filter.Filter {
	config, ok := m.(*cors.CorsPolicy)
	if !ok {
		at.Only(m)
		return nil // a place in the chain: what is allowed, hosts and rules say
	}
	at.Only(config, "allow_origin_string_match", "allow_methods", "allow_headers", "expose_headers", "max_age", "allow_credentials",
		"filter_enabled", "allow_private_network_access", "forward_not_matching_preflights")
	if !enabled(at, config.GetFilterEnabled()) {
		return nil
	}
	p := &policy{
		methods: config.GetAllowMethods(), headers: config.GetAllowHeaders(), expose: config.GetExposeHeaders(), maxAge: config.GetMaxAge(),
		credentials: config.GetAllowCredentials().GetValue(), private: config.GetAllowPrivateNetworkAccess().GetValue(),
		refuse: config.GetForwardNotMatchingPreflights() != nil && !config.GetForwardNotMatchingPreflights().GetValue(),
	}
	for key, list := range map[string]string{"allow_methods": p.methods, "allow_headers": p.headers, "expose_headers": p.expose} {
		for name := range strings.SplitSeq(list, ",") {
			if list != "" && !stream.IsToken(strings.TrimSpace(name)) {
				at.Fail(key, "", "%q is no name (RFC 9110 section 5.6.2)", strings.TrimSpace(name))
			}
		}
	}
	if _, err := strconv.ParseUint(p.maxAge, 10, 31); err != nil && p.maxAge != "" {
		at.Fail("max_age", "", "%q is no number of seconds", p.maxAge)
	}
	for i, o := range config.GetAllowOriginStringMatch() {
		if compiled, ok := compileOrigin(at, "allow_origins["+strconv.Itoa(i)+"]", o); ok {
			p.origins = append(p.origins, compiled)
		}
	}
	if len(config.GetAllowOriginStringMatch()) == 0 {
		return nil // as Envoy has it: without origins there is no policy
	}
	return p
}

// enabled reads filter_enabled, which may say all or nothing: there is no runtime.
func enabled(at filter.Scope, share *core.RuntimeFractionalPercent) bool {
	if share == nil {
		return true
	}
	at.Only(share, "default_value", "runtime_key")
	value := share.GetDefaultValue()
	whole := map[percent.FractionalPercent_DenominatorType]uint32{percent.FractionalPercent_HUNDRED: 100, percent.FractionalPercent_TEN_THOUSAND: 10_000, percent.FractionalPercent_MILLION: 1_000_000}
	switch n := value.GetNumerator(); {
	case value == nil || n >= whole[value.GetDenominator()]:
		return true
	case n == 0:
		return false
	}
	at.Fail("", "", "CorsPolicy.filter_enabled: a part of the requests is not supported: 0 or 100 %%")
	return false
}

func compileOrigin(at filter.Scope, part string, m *matcher.StringMatcher) (origin, bool) {
	o := origin{ignoreCase: m.GetIgnoreCase()}
	literal := func(s string) string {
		if o.ignoreCase {
			return strings.ToLower(s)
		}
		return s
	}
	switch pattern := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		o.exact = literal(pattern.Exact)
		switch {
		case o.exact == "*":
			o.any = true // as Envoy reads it
		case strings.HasSuffix(o.exact, "/"):
			at.Fail(part, "did you mean \""+strings.TrimRight(o.exact, "/")+"\"?", "%q is no origin: it ends with the host or port", o.exact)
		}
	case *matcher.StringMatcher_Prefix:
		o.prefix = literal(pattern.Prefix)
	case *matcher.StringMatcher_Suffix:
		o.suffix = literal(pattern.Suffix)
	case *matcher.StringMatcher_Contains:
		o.contains = literal(pattern.Contains)
	case *matcher.StringMatcher_SafeRegex:
		if pattern.SafeRegex.GetRegex() == everything {
			o.any = true
			return o, true
		}
		compiled, err := regexp.Compile(`\A(?:` + pattern.SafeRegex.GetRegex() + `)\z`)
		if err != nil {
			at.Fail(part, "", "%q is no regular expression (RE2)", pattern.SafeRegex.GetRegex())
			return o, false
		}
		o.regex, o.ignoreCase = compiled, false
	}
	if o.exact == "" && o.prefix == "" && o.suffix == "" && o.contains == "" && o.regex == nil {
		at.Fail(part, "", "one of exact, prefix, suffix, contains and regex must stand here")
		return o, false
	}
	return o, true
}
