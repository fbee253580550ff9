package router

import (
	"fmt"
	"net/netip"
	"strings"

	"longmen/gateway/stream"
)

// Step is one rule that was considered for a request.
type Step struct {
	Host    *VirtualHost
	Route   *Route // nil: the step is about the host name
	Matched bool
	Why     string // "prefix /cart", "path is not /cart", "header x-user is absent"
}

// Explain says how Find comes to its result: which virtual host the name leads
// to and, for its rules one after the other up to the one that matches, why it
// does or does not. It tests what Find tests, by the same functions, without
// the index, so its time grows with the number of rules.
func (t *Table) Explain(r *stream.Request, client netip.Addr, rnd uint32) []Step {
	name := t.name(r)
	if name == nil {
		return []Step{{Why: fmt.Sprintf("no virtual host is named %q, and there is no \"*\"", r.Host)}}
	}
	h := name.host
	steps := []Step{{Host: h.VirtualHost, Matched: true, Why: "host " + name.domain()}}
	s := search{request: r, client: client, rnd: rnd}
	for _, route := range h.Routes {
		failed := route.Match.fails(&s)
		step := Step{Host: h.VirtualHost, Route: route, Matched: failed == "", Why: failed}
		if step.Matched {
			step.Why = route.describe()
		}
		if steps = append(steps, step); step.Matched {
			break
		}
	}
	return steps
}

// fails says which condition of m does not hold, "" when all do.
func (m *Match) fails(s *search) string {
	r := s.request
	shape := shapeOf(m)
	if !m.pathHolds(shape.kind, shape.literal, r) {
		if m.Connect {
			return fmt.Sprintf("method is %s, not CONNECT", r.Method)
		}
		return fmt.Sprintf("path %s is not %s", r.Path, m.describePath())
	}
	if !m.grpcHolds(r) {
		return "not a gRPC call (POST, content-type: application/grpc)"
	}
	if !m.methodHolds(r) {
		return fmt.Sprintf("method is %s, not %s", r.Method, strings.Join(m.Methods, " or "))
	}
	if !m.sourceHolds(s.client) {
		return fmt.Sprintf("client %s is not in %v", s.client, m.Sources)
	}
	for i := range m.Headers {
		if !m.Headers[i].HoldsHeader(&r.Header) {
			return "not: header " + m.Headers[i].describe()
		}
	}
	for i := range m.Query {
		if !m.Query[i].holdsQuery(r) {
			return "not: query " + m.Query[i].describe()
		}
	}
	for i := range m.Cookies {
		if !m.Cookies[i].holdsCookie(r) {
			return "not: cookie " + m.Cookies[i].describe()
		}
	}
	if !m.fractionHolds(s.rnd) {
		return fmt.Sprintf("not in the %g %% of requests", float64(m.Fraction)/everyRequest*100)
	}
	return ""
}

// describe says what a rule is for: "prefix /cart, methods GET".
func (r *Route) describe() string {
	m := &r.Match
	parts := []string{m.describePath()}
	if m.GRPC {
		parts = append(parts, "gRPC")
	}
	if len(m.Methods) > 0 {
		parts = append(parts, "method "+strings.Join(m.Methods, " or "))
	}
	if len(m.Sources) > 0 {
		parts = append(parts, fmt.Sprintf("client in %v", m.Sources))
	}
	for _, list := range []struct {
		what   string
		values []ValueMatch
	}{{"header ", m.Headers}, {"query ", m.Query}, {"cookie ", m.Cookies}} {
		for i := range list.values {
			parts = append(parts, list.what+list.values[i].describe())
		}
	}
	if m.Fraction != 0 && m.Fraction < everyRequest {
		parts = append(parts, fmt.Sprintf("%g %% of requests", float64(m.Fraction)/everyRequest*100))
	}
	return strings.Join(parts, ", ")
}

func (m *Match) describePath() string {
	text := "every path"
	switch {
	case m.Connect:
		return "CONNECT"
	case m.Path != "":
		text = "path " + m.Path
	case m.Prefix != "":
		text = "prefix " + m.Prefix
	case m.RawPrefix != "":
		text = "prefix " + m.RawPrefix
		if m.RawPrefix != "/" {
			text = "prefix " + m.RawPrefix + "*"
		}
	case m.Regex != "":
		text = "regex " + m.Regex
	}
	if m.folds() {
		text += " (in any case)"
	}
	return text
}

func (v *ValueMatch) describe() string {
	var how string
	switch v.Kind {
	case Present:
		how = "present"
	case Absent:
		how = "absent"
	case Exact:
		how = fmt.Sprintf("= %q", v.Value)
	case HasPrefix:
		how = fmt.Sprintf("begins with %q", v.Value)
	case HasSuffix:
		how = fmt.Sprintf("ends with %q", v.Value)
	case Contains:
		how = fmt.Sprintf("contains %q", v.Value)
	case Regex:
		how = fmt.Sprintf("matches %q", v.Value)
	case Range:
		how = fmt.Sprintf("from %d to %d", v.Low, v.High-1)
	}
	if v.Invert {
		how = "not " + how
	}
	if v.IgnoreCase {
		how += " (in any case)"
	}
	return v.Name + " " + how
}
