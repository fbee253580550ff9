package yaml

import (
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"longmen/gateway/resource"
)

// routeTable reads one entry of "routes": a list of hosts, or a map with hosts
// and what holds for all of them.
func (d *decoder) routeTable(v value) *route.RouteConfiguration {
	out := &route.RouteConfiguration{Name: v.key.Value}
	if v.isList() {
		out.VirtualHosts = d.hosts(v, out.Name)
		return out
	}
	f := d.object(v, routeTable)
	if hosts, ok := f.get("hosts"); ok {
		hosts.path = v.path // "routes.public[0]" in both forms
		out.VirtualHosts = d.hosts(hosts, out.Name)
	} else {
		f.missing("hosts", "a list of hosts with their rules")
	}
	out.TypedPerFilterConfig = d.routeFilters(f)
	h := d.headers(f)
	out.RequestHeadersToAdd, out.RequestHeadersToRemove = h.request.add, h.request.remove
	out.ResponseHeadersToAdd, out.ResponseHeadersToRemove = h.response.add, h.response.remove
	return out
}

func (d *decoder) hosts(v value, table string) []*route.VirtualHost {
	var list []*route.VirtualHost
	names := map[string]bool{}
	for i, entry := range d.items(v) {
		host := d.host(entry, string(item(resource.Path(table), i)))
		if names[host.Name] {
			d.fail(entry, "two hosts of this table are named %q", clip(host.Name))
		}
		names[host.Name] = true
		list = append(list, host)
	}
	return list
}

func (d *decoder) host(v value, name string) *route.VirtualHost {
	f := d.object(v, hostTable)
	out := &route.VirtualHost{Name: name}
	if written, ok := f.word("name"); ok {
		out.Name = written
	}
	if hosts, ok := f.get("hosts"); ok {
		for _, entry := range d.oneOrMore(hosts) {
			if domain, ok := d.domain(entry); ok {
				out.Domains = append(out.Domains, domain)
			}
		}
		if hosts.isList() && len(hosts.node.Content) == 0 {
			d.failHint(hosts, `write ["*"] for every host`, "must name at least one host")
		}
	} else {
		f.missing("hosts", `the host names, or ["*"] for all`)
	}
	if rules, ok := f.get("rules"); ok {
		entries := d.items(rules)
		out.Routes = make([]*route.Route, 0, len(entries))
		for i, entry := range entries {
			out.Routes = append(out.Routes, d.rule(entry, string(item(part(resource.Path(name), "rules"), i))))
		}
	} else {
		f.missing("rules", "a list of rules")
	}
	if v, ok := f.get("retry"); ok {
		out.RetryPolicy = d.retry(v, nil)
	}
	if v, ok := f.get("hedge"); ok {
		out.HedgePolicy = d.hedge(v)
	}
	out.TypedPerFilterConfig = d.routeFilters(f)
	h := d.headers(f)
	out.RequestHeadersToAdd, out.RequestHeadersToRemove = h.request.add, h.request.remove
	out.ResponseHeadersToAdd, out.ResponseHeadersToRemove = h.response.add, h.response.remove
	return out
}

// domain reads a host name: exact, "*.suffix", "prefix.*" or "*".
func (d *decoder) domain(v value) (string, bool) {
	s, ok := d.word(v)
	if !ok {
		return "", false
	}
	name := s
	switch {
	case s == "*":
		return s, true
	case strings.HasPrefix(s, "*."):
		name = s[2:]
	case strings.HasSuffix(s, ".*"):
		name = s[:len(s)-2]
	}
	switch {
	case strings.Contains(name, "*"):
		d.fail(v, `%q: a "*" stands alone, before the first dot or behind the last`, clip(s))
	case strings.Contains(name, "://") || strings.Contains(name, "/"):
		d.fail(v, "%q: a host name has no scheme and no path", clip(s))
	case name == "" || len(s) > 253+6 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`?#@\<>"{}|^`+"`", r) }):
		d.fail(v, "%q is no host name (write internationalized names as xn--...)", clip(s))
	default:
		return s, true
	}
	return "", false
}

// rule reads one rule.
func (d *decoder) rule(v value, name string) *route.Route {
	f := d.object(v, ruleTable)
	extra := resource.Values{}
	out := &route.Route{Name: name, Match: d.match(f, extra)}
	if written, ok := f.word("name"); ok {
		out.Name = written
	}
	switch actions := f.exclusive("to", "redirect", "respond"); {
	case len(actions) == 0:
		f.missing("to", "what to do with a request; redirect or respond may stand in its place", "redirect", "respond")
	case actions[0] == "to":
		out.Action = &route.Route_Route{Route: d.forward(f, extra)}
	case actions[0] == "redirect":
		out.Action = &route.Route_Redirect{Redirect: d.redirect(f.written("redirect"))}
	default:
		out.Action = &route.Route_DirectResponse{DirectResponse: d.respond(f.written("respond"), extra)}
	}
	if !f.has("to") {
		for _, only := range []string{"timeout", "grpc_timeout", "idle_timeout", "retry", "rewrite", "upgrades", "connect", "max_body", "hash", "sticky", "subset", "hedge", "priority"} {
			if v, ok := f.get(only); ok && (f.has("redirect") || f.has("respond")) {
				d.at(v.key, v.path, "", "has no effect without to")
			}
		}
	}
	out.TypedPerFilterConfig = d.routeFilters(f)
	if v, ok := f.get("sticky"); ok {
		if out.TypedPerFilterConfig == nil {
			out.TypedPerFilterConfig = map[string]*anypb.Any{}
		}
		out.TypedPerFilterConfig[statefulName] = d.sticky(v, extra)
	}
	d.earlyRule(f, extra)
	h := d.headers(f)
	out.RequestHeadersToAdd, out.RequestHeadersToRemove = h.request.add, h.request.remove
	out.ResponseHeadersToAdd, out.ResponseHeadersToRemove = h.response.add, h.response.remove
	out.Metadata = d.extend(v, resource.RouteExtension, extra)
	return out
}

// edits are one direction's header edits.
type edits struct {
	add    []*core.HeaderValueOption
	remove []string
}

type bothEdits struct{ request, response edits }

// headers reads the key "headers" of a table, host, rule or weighted cluster.
func (d *decoder) headers(f fields) (both bothEdits) {
	v, ok := f.get("headers")
	if !ok {
		return both
	}
	h := d.object(v, headersTable)
	if v, ok := h.get("request"); ok {
		both.request = d.edits(v)
	}
	if v, ok := h.get("response"); ok {
		both.response = d.edits(v)
	}
	return both
}

// editActions are the keys of edits that write fields, in the order in which
// they are made.
var editActions = []struct {
	key    string
	action core.HeaderValueOption_HeaderAppendAction
}{
	{"set", core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD},
	{"add", core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD},
	{"default", core.HeaderValueOption_ADD_IF_ABSENT},
	{"replace", core.HeaderValueOption_OVERWRITE_IF_EXISTS},
}

func (d *decoder) edits(v value) edits {
	f := d.object(v, editsTable)
	var out edits
	for _, verb := range editActions {
		v, ok := f.get(verb.key)
		if !ok {
			continue
		}
		for _, entry := range d.entries(v) {
			if !d.fieldName(entry.key, entry.path, entry.key.Value) {
				continue
			}
			values := []value{entry}
			if verb.key == "add" {
				values = d.oneOrMore(entry)
			}
			for _, one := range values {
				if text, ok := d.fieldValue(one); ok {
					out.add = append(out.add, headerOption(entry.key.Value, text, verb.action))
				}
			}
		}
	}
	if v, ok := f.get("remove"); ok {
		for _, entry := range d.oneOrMore(v) {
			if name, ok := d.text(entry); ok && d.fieldName(entry.node, entry.path, name) {
				out.remove = append(out.remove, name)
			}
		}
	}
	return out
}

func headerOption(name, text string, action core.HeaderValueOption_HeaderAppendAction) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: name, Value: text},
		AppendAction: action, KeepEmptyValue: text == "",
	}
}

// fieldValue reads a header value, which may be empty.
func (d *decoder) fieldValue(v value) (string, bool) {
	s, ok := d.text(v)
	if ok && strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		d.fail(v, "a header value must not hold control characters")
		return "", false
	}
	return s, ok
}
