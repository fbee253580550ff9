package snapshot

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"longmen/gateway/resource"
	"longmen/gateway/router"
)

// maxRespondBody bounds a direct response's body: every one is kept in memory.
const maxRespondBody = 64 << 10

// hosts compiles a RouteConfiguration's virtual hosts.
func (c *compiler) hosts(at resource.Path, table *route.RouteConfiguration) []*router.VirtualHost {
	c.only(at, table, "name", "virtual_hosts", "request_headers_to_add", "request_headers_to_remove",
		"response_headers_to_add", "response_headers_to_remove", "validate_clusters", "ignore_port_in_host_matching",
		"max_direct_response_body_size_bytes", "typed_per_filter_config")
	if table.GetValidateClusters() != nil && !table.GetValidateClusters().GetValue() {
		c.fail(at, "RouteConfiguration.validate_clusters: false is not supported: references are always checked")
	}
	request := c.edits(at, "request", table.GetRequestHeadersToAdd(), table.GetRequestHeadersToRemove())
	response := c.edits(at, "response", table.GetResponseHeadersToAdd(), table.GetResponseHeadersToRemove())
	bodyLimit := c.number(at, table.GetMaxDirectResponseBodySizeBytes(), 0, maxRespondBody, maxRespondBody)

	var hosts []*router.VirtualHost
	domains := map[string]resource.Path{}
	for i, h := range table.GetVirtualHosts() {
		where := item(at, i)
		c.only(where, h, "name", "domains", "routes", "request_headers_to_add", "request_headers_to_remove",
			"response_headers_to_add", "response_headers_to_remove", "retry_policy", "hedge_policy", "typed_per_filter_config")
		level := routeLevel{
			request:   []*router.HeaderEdits{c.edits(where, "request", h.GetRequestHeadersToAdd(), h.GetRequestHeadersToRemove()), request},
			response:  []*router.HeaderEdits{c.edits(where, "response", h.GetResponseHeadersToAdd(), h.GetResponseHeadersToRemove()), response},
			retry:     c.retry(where, h.GetRetryPolicy()),
			hedge:     c.hedge(where, h.GetHedgePolicy()),
			bodyLimit: bodyLimit,
		}
		host := &router.VirtualHost{Name: cmp.Or(h.GetName(), routeName(where)), Origin: c.place(where), Domains: h.GetDomains()}
		if len(h.GetDomains()) == 0 {
			c.fail(join(where, "hosts"), "no host name; \"*\" matches all")
		}
		for j, domain := range h.GetDomains() {
			part, key := item(join(where, "hosts"), j), strings.ToLower(domain)
			if before, twice := domains[key]; twice {
				c.fail(part, "%q is a host already (%s)", domain, c.line(before, part))
			} else {
				domains[key] = part
			}
		}
		rules := join(where, "rules")
		host.Routes = make([]*router.Route, len(h.GetRoutes()))
		for j, rule := range h.GetRoutes() {
			host.Routes[j] = c.route(item(rules, j), rule, &level)
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// routeLevel is what a route inherits from its virtual host and table.
type routeLevel struct {
	request, response []*router.HeaderEdits // virtual host, table
	retry             *router.Retry
	hedge             *router.Hedge
	bodyLimit         int
}

// routeName shortens "routes.public[0].rules[1]" to "public[0].rules[1]".
func routeName(at resource.Path) string { return strings.TrimPrefix(string(at), "routes.") }

// route compiles one rule.
func (c *compiler) route(at resource.Path, r *route.Route, level *routeLevel) *router.Route {
	c.only(at, r, "name", "match", "route", "redirect", "direct_response", "metadata",
		"request_headers_to_add", "request_headers_to_remove", "response_headers_to_add", "response_headers_to_remove", "typed_per_filter_config")
	out := &router.Route{
		Name:   cmp.Or(r.GetName(), routeName(at)),
		Origin: c.place(at),
		Match:  c.match(join(at, "match"), r.GetMatch()),
		Request: merge(append([]*router.HeaderEdits{
			c.edits(at, "request", r.GetRequestHeadersToAdd(), r.GetRequestHeadersToRemove())}, level.request...)),
		Response: merge(append([]*router.HeaderEdits{
			c.edits(at, "response", r.GetResponseHeadersToAdd(), r.GetResponseHeadersToRemove())}, level.response...)),
	}
	switch {
	case r.GetRoute() != nil:
		out.Forward = c.forward(at, r.GetRoute(), r.GetMatch(), level)
	case r.GetRedirect() != nil:
		out.Redirect = c.redirect(join(at, "redirect"), r.GetRedirect(), r.GetMatch())
	case r.GetDirectResponse() != nil:
		out.Respond = c.respond(join(at, "respond"), r.GetDirectResponse(), level.bodyLimit)
	case r.GetAction() == nil:
		c.fail(at, "what to do is missing: one of to, redirect and respond")
	}
	c.routeExtension(at, r, out)
	return out
}

func (c *compiler) routeExtension(at resource.Path, r *route.Route, out *router.Route) {
	s := c.extension(at, r.GetMetadata(), resource.RouteExtension)
	c.sticky(at, r.GetTypedPerFilterConfig(), s.values.Strings("sticky_keys"), out.Forward)
	var maxBody int64
	s.number("max_body", 1, 1<<50, &maxBody)
	var unsafe bool
	s.boolean("retry_unsafe", &unsafe)
	if s.boolean("early_data", &out.EarlyData); out.EarlyData {
		c.earlyRules = append(c.earlyRules, at)
	}
	contentType, typed := s.values.Word("content_type")
	for i, text := range s.values.Strings("client") {
		where := item(join(join(at, "match"), "client"), i)
		switch prefix, err := netip.ParsePrefix(text); {
		case err != nil:
			c.fail(where, "%q is no network such as 10.0.0.0/8", text)
		case prefix.Masked() != prefix:
			c.failHint(where, fmt.Sprintf("did you mean %q?", prefix.Masked()), "%q has bits set beyond its mask", text)
		default:
			out.Match.Sources = append(out.Match.Sources, prefix)
		}
	}
	if maxBody > 0 {
		if out.Forward == nil {
			c.fail(join(at, "max_body"), "is for rules that forward (to)")
			return
		}
		out.Forward.MaxBody = maxBody
	}
	if unsafe {
		if out.Forward == nil || out.Forward.Retry == nil {
			c.fail(join(at, "retry"), "retry_unsafe is for rules that retry")
			return
		}
		retry := *out.Forward.Retry // may be the virtual host's
		retry.Unsafe = true
		out.Forward.Retry = &retry
	}
	if typed {
		switch {
		case out.Respond == nil:
			c.fail(at, "content_type is for rules that respond")
		case !isFieldText(contentType) || contentType == "":
			c.fail(join(at, "respond.type"), "%q is no content type", contentType)
		default:
			out.Respond.ContentType = contentType
		}
	}
}
