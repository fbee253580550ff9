package yaml

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcher "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	yaml "go.yaml.in/yaml/v4"

	"longmen/gateway/resource"
)

// routeTable writes the short form, a list of hosts, where nothing else is said.
func (e *encoder) routeTable(r *route.RouteConfiguration) *yaml.Node {
	headers := headersMap(r.GetRequestHeadersToAdd(), r.GetRequestHeadersToRemove(), r.GetResponseHeadersToAdd(), r.GetResponseHeadersToRemove())
	if len(headers.content) == 0 && len(r.GetTypedPerFilterConfig()) == 0 {
		return e.hosts(r)
	}
	out := &mapping{}
	e.routeFilters(out, r.GetTypedPerFilterConfig())
	out.sub("headers", headers)
	out.put("hosts", e.hosts(r))
	return out.node()
}

func (e *encoder) hosts(r *route.RouteConfiguration) *yaml.Node {
	var nodes []*yaml.Node
	for i, host := range r.GetVirtualHosts() {
		out := &mapping{}
		out.put("hosts", texts(host.GetDomains()))
		name := fmt.Sprintf("%s[%d]", r.GetName(), i)
		if host.GetName() != name {
			out.put("name", text(host.GetName()))
		}
		if host.GetRetryPolicy() != nil {
			out.put("retry", e.retryMap(host.GetRetryPolicy(), nil).node())
		}
		if host.GetHedgePolicy() != nil {
			out.put("hedge", hedgeMap(host.GetHedgePolicy()).node())
		}
		out.sub("headers", headersMap(host.GetRequestHeadersToAdd(), host.GetRequestHeadersToRemove(), host.GetResponseHeadersToAdd(), host.GetResponseHeadersToRemove()))
		e.routeFilters(out, host.GetTypedPerFilterConfig())
		var rules []*yaml.Node
		for j, rule := range host.GetRoutes() {
			rules = append(rules, e.rule(rule, fmt.Sprintf("%s.rules[%d]", name, j)))
		}
		out.put("rules", list(rules...))
		nodes = append(nodes, out.node())
	}
	return list(nodes...)
}

func (e *encoder) rule(r *route.Route, name string) *yaml.Node {
	out := &mapping{}
	if r.GetName() != name {
		out.put("name", text(r.GetName()))
	}
	values, err := resource.Extended(r.GetMetadata(), resource.RouteExtension)
	values = e.extended("route", r.GetName(), values, err)
	out.sub("match", e.match(r.GetMatch(), values))
	switch action := r.GetAction().(type) {
	case *route.Route_Route:
		e.forward(out, action.Route, values)
	case *route.Route_Redirect:
		out.put("redirect", redirectMap(action.Redirect).node())
	case *route.Route_DirectResponse:
		respond := &mapping{}
		respond.put("status", number(action.DirectResponse.GetStatus()))
		respond.word("body", action.DirectResponse.GetBody().GetInlineString())
		respond.value("type", values, "content_type")
		out.put("respond", respond.node())
	}
	out.value("early_data", values, "early_data")
	out.sub("headers", headersMap(r.GetRequestHeadersToAdd(), r.GetRequestHeadersToRemove(), r.GetResponseHeadersToAdd(), r.GetResponseHeadersToRemove()))
	filters := r.GetTypedPerFilterConfig()
	if packed, ok := filters[statefulName]; ok {
		if sticky := e.stickyNode(packed, values); sticky != nil {
			out.put("sticky", sticky)
		}
		filters = maps.Clone(filters)
		delete(filters, statefulName)
	}
	e.routeFilters(out, filters)
	return out.node()
}

func headersMap(requestAdd []*core.HeaderValueOption, requestRemove []string, responseAdd []*core.HeaderValueOption, responseRemove []string) *mapping {
	out := &mapping{}
	out.sub("request", editsMap(requestAdd, requestRemove))
	out.sub("response", editsMap(responseAdd, responseRemove))
	return out
}

func editsMap(add []*core.HeaderValueOption, remove []string) *mapping {
	out := &mapping{}
	for _, verb := range editActions {
		fields, at := &mapping{}, map[string]int{}
		for _, option := range add {
			name := option.GetHeader().GetKey()
			value := text(option.GetHeader().GetValue())
			i, twice := at[name]
			switch {
			case option.GetAppendAction() != verb.action:
			case twice && fields.content[i].Kind == yaml.SequenceNode:
				fields.content[i].Content = append(fields.content[i].Content, value)
			case twice:
				fields.content[i] = list(fields.content[i], value)
			default:
				at[name] = len(fields.content) + 1
				fields.put(name, value)
			}
		}
		out.sub(verb.key, fields)
	}
	if len(remove) > 0 {
		out.put("remove", texts(remove))
	}
	return out
}

func (e *encoder) match(m *route.RouteMatch, values resource.Values) *mapping {
	out := &mapping{}
	if !grpcMatch(out, m) {
		matchPath(out, m)
	}
	if sensitive := m.GetCaseSensitive(); sensitive != nil {
		out.put("ignore_case", truth(!sensitive.GetValue()))
	}
	headers := &mapping{}
	for _, h := range m.GetHeaders() {
		if h.GetName() == ":method" {
			methods := h.GetStringMatch().GetExact()
			if pattern := h.GetStringMatch().GetSafeRegex().GetRegex(); pattern != "" {
				methods = pattern
			}
			out.put("methods", texts(strings.Split(methods, "|")))
			continue
		}
		headerTest(headers, h)
	}
	out.sub("headers", headers)
	query := &mapping{}
	for _, q := range m.GetQueryParameters() {
		test := &mapping{}
		if spec, ok := q.GetQueryParameterMatchSpecifier().(*route.QueryParameterMatcher_PresentMatch); ok {
			presence(test, spec.PresentMatch)
		} else {
			stringTest(test, q.GetStringMatch())
		}
		query.put(q.GetName(), valueNode(test, false, false))
	}
	out.sub("query", query)
	cookies := &mapping{}
	for _, c := range m.GetCookies() {
		test, invert := &mapping{}, c.GetInvertMatch()
		if c.GetStringMatch().GetSafeRegex().GetRegex() == ".*" {
			presence(test, !invert)
			invert = false
		} else {
			stringTest(test, c.GetStringMatch())
		}
		cookies.put(c.GetName(), valueNode(test, invert, false))
	}
	out.sub("cookies", cookies)
	if client := values.Strings("client"); client != nil {
		out.put("client", texts(client))
	}
	if f := m.GetRuntimeFraction().GetDefaultValue(); f != nil {
		out.word("percent", percentText(f))
	}
	return out
}

func headerTest(out *mapping, h *route.HeaderMatcher) {
	test := &mapping{}
	switch spec := h.GetHeaderMatchSpecifier().(type) {
	case *route.HeaderMatcher_PresentMatch:
		presence(test, spec.PresentMatch)
	case *route.HeaderMatcher_RangeMatch:
		test.put("range", rangeMap(spec.RangeMatch).node())
	case *route.HeaderMatcher_StringMatch:
		stringTest(test, spec.StringMatch)
	}
	out.put(h.GetName(), valueNode(test, h.GetInvertMatch(), h.GetTreatMissingHeaderAsEmpty()))
}

func headerTests(matchers []*route.HeaderMatcher) *mapping {
	out := &mapping{}
	for _, h := range matchers {
		headerTest(out, h)
	}
	return out
}

func matchPath(out *mapping, m *route.RouteMatch) {
	switch p := m.GetPathSpecifier().(type) {
	case *route.RouteMatch_Path:
		out.word("path", p.Path)
	case *route.RouteMatch_Prefix:
		if p.Prefix != "/" {
			out.word("prefix", p.Prefix)
		}
	case *route.RouteMatch_PathSeparatedPrefix:
		out.word("prefix", p.PathSeparatedPrefix)
	case *route.RouteMatch_SafeRegex:
		out.word("regex", p.SafeRegex.GetRegex())
	}
}

func percentText(f *types.FractionalPercent) string {
	divisor := map[types.FractionalPercent_DenominatorType]float64{
		types.FractionalPercent_HUNDRED: 1, types.FractionalPercent_TEN_THOUSAND: 1e2, types.FractionalPercent_MILLION: 1e4,
	}[f.GetDenominator()]
	return strconv.FormatFloat(float64(f.GetNumerator())/divisor, 'f', -1, 64) + "%"
}

func presence(test *mapping, there bool) {
	if there {
		test.put("present", truth(true))
	} else {
		test.put("absent", truth(true))
	}
}

func rangeMap(r *types.Int64Range) *mapping {
	out := &mapping{}
	out.put("from", number(r.GetStart()))
	out.put("to", number(r.GetEnd()))
	return out
}

func stringTest(test *mapping, m *matcher.StringMatcher) {
	switch p := m.GetMatchPattern().(type) {
	case *matcher.StringMatcher_Exact:
		test.put("exact", text(p.Exact))
	case *matcher.StringMatcher_Prefix:
		test.put("prefix", text(p.Prefix))
	case *matcher.StringMatcher_Suffix:
		test.put("suffix", text(p.Suffix))
	case *matcher.StringMatcher_Contains:
		test.put("contains", text(p.Contains))
	case *matcher.StringMatcher_SafeRegex:
		test.put("regex", text(p.SafeRegex.GetRegex()))
	}
	if m.GetIgnoreCase() {
		test.put("ignore_case", truth(true))
	}
}

// valueNode writes a test in its shortest form: a string that must be equal
// stands alone.
func valueNode(test *mapping, invert, missingAsEmpty bool) *yaml.Node {
	inner := test.node()
	if len(test.content) == 2 && test.content[0].Value == "exact" {
		inner = test.content[1]
	}
	switch {
	case invert:
		out := &mapping{}
		out.put("not", inner)
		if missingAsEmpty {
			out.put("missing_as_empty", truth(true))
		}
		return out.node()
	case missingAsEmpty:
		test.put("missing_as_empty", truth(true))
		return test.node()
	}
	return inner
}
