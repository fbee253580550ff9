package snapshot

import (
	"strings"

	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"longmen/gateway/resource"
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

const (
	maxHash     = 16
	queryOfPath = `\?.*` // what path takes from :path
)

// hashing is what a cluster says of what requests to it are hashed by.
type hashing struct {
	by  []router.HashPolicy
	key uint64 // of the resource
}

func hashOf(policies []*route.RouteAction_HashPolicy) uint64 {
	messages := make([]proto.Message, len(policies))
	for i, p := range policies {
		messages[i] = p
	}
	return hash(messages...)
}

// hashPolicies reads what requests are hashed by.
func (c *compiler) hashPolicies(at resource.Path, policies []*route.RouteAction_HashPolicy) []router.HashPolicy {
	if len(policies) > maxHash {
		c.fail(at, "%d things to hash: at most %d", len(policies), maxHash)
		return nil
	}
	var out []router.HashPolicy
	for i, p := range policies {
		where := at
		if len(policies) > 1 {
			where = item(at, i)
		}
		c.only(where, p, "header", "cookie", "connection_properties", "query_parameter", "terminal")
		made := router.HashPolicy{Terminal: p.GetTerminal()}
		switch what := p.GetPolicySpecifier().(type) {
		case nil:
			c.fail(where, "HashPolicy.policy_specifier is missing")
		case *route.RouteAction_HashPolicy_Header_:
			c.hashHeader(where, what.Header, &made)
		case *route.RouteAction_HashPolicy_Cookie_:
			c.hashCookie(where, what.Cookie, &made)
		case *route.RouteAction_HashPolicy_ConnectionProperties_:
			c.only(where, what.ConnectionProperties, "source_ip")
			if !what.ConnectionProperties.GetSourceIp() {
				c.fail(where, "ConnectionProperties.source_ip is false: there is nothing to hash")
			}
			made.Kind = router.HashSourceIP
		case *route.RouteAction_HashPolicy_QueryParameter_:
			c.only(where, what.QueryParameter, "name")
			if made.Name = what.QueryParameter.GetName(); made.Name == "" {
				c.fail(where, "QueryParameter.name is missing")
			}
			made.Kind = router.HashQuery
		}
		if p.GetTerminal() && i == len(policies)-1 && i > 0 {
			c.warn(where, "", "terminal has no effect on the last one")
		}
		out = append(out, made)
	}
	return out
}

func (c *compiler) hashHeader(at resource.Path, h *route.RouteAction_HashPolicy_Header, out *router.HashPolicy) {
	c.only(at, h, "header_name", "regex_rewrite")
	name := strings.ToLower(h.GetHeaderName())
	switch {
	case name == ":path" && h.GetRegexRewrite().GetPattern().GetRegex() == queryOfPath && h.GetRegexRewrite().GetSubstitution() == "":
		c.regexRewrite(at, h.GetRegexRewrite())
		out.Kind = router.HashPath
		return
	case name != ":path" && name != ":authority" && name != ":method" && !stream.IsToken(name):
		c.fail(at, "%q is no header name", h.GetHeaderName())
	}
	out.Kind, out.Name = router.HashHeader, name
	if r := h.GetRegexRewrite(); r != nil {
		out.Regex = c.regexRewrite(join(at, "regex"), r)
	}
}

func (c *compiler) hashCookie(at resource.Path, h *route.RouteAction_HashPolicy_Cookie, out *router.HashPolicy) {
	c.only(at, h, "name", "ttl", "path", "attributes")
	out.Kind, out.Name = router.HashCookie, h.GetName()
	c.cookieName(at, h.GetName())
	if h.GetTtl() == nil {
		if h.GetPath() != "" || len(h.GetAttributes()) > 0 {
			c.fail(at, "HashPolicy.Cookie: path and attributes are for cookies that are made, which have a ttl")
		}
		return
	}
	out.Generate = &router.Cookie{Path: h.GetPath(), TTL: c.duration(join(at, "ttl"), h.GetTtl(), 0)}
	for _, a := range h.GetAttributes() {
		c.only(at, a, "name", "value")
		out.Generate.Attributes = append(out.Generate.Attributes, router.CookieAttribute{Name: a.GetName(), Value: a.GetValue()})
	}
	c.cookie(at, out.Generate)
}

// cookieName checks the name of a cookie (RFC 6265 section 4.1.1).
func (c *compiler) cookieName(at resource.Path, name string) {
	if !stream.IsToken(name) {
		c.fail(at, "%q is no name of a cookie", name)
	}
}

// cookie checks what is written into a Set-Cookie field: nothing of it may end an
// attribute or the field.
func (c *compiler) cookie(at resource.Path, made *router.Cookie) {
	bad := func(r rune) bool { return r < ' ' || r == ';' || r >= 0x7f }
	if made.Path != "" && (made.Path[0] != '/' || strings.ContainsFunc(made.Path, bad)) {
		c.fail(at, `%q: the path of a cookie begins with "/" and has no semicolon`, made.Path)
	}
	for _, a := range made.Attributes {
		if a.Name == "" || strings.ContainsFunc(a.Name, bad) || strings.Contains(a.Name, "=") || strings.ContainsFunc(a.Value, bad) {
			c.fail(at, "%q cannot be an attribute of a cookie", a.Name+"="+a.Value)
		}
	}
	if made.TTL%1e9 != 0 {
		c.fail(join(at, "ttl"), "%v: the life of a cookie is in whole seconds", made.TTL)
	}
}
