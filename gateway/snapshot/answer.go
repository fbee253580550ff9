package snapshot

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"longmen/gateway/resource"
	"longmen/gateway/router"
)

// redirect compiles a redirect action.
func (c *compiler) redirect(at resource.Path, a *route.RedirectAction, m *route.RouteMatch) *router.Redirect {
	c.only(at, a, "https_redirect", "scheme_redirect", "host_redirect", "port_redirect", "path_redirect", "prefix_rewrite",
		"regex_rewrite", "response_code", "strip_query")
	out := &router.Redirect{
		Scheme:     a.GetSchemeRedirect(),
		Host:       a.GetHostRedirect(),
		Port:       int(a.GetPortRedirect()),
		Path:       a.GetPathRedirect(),
		StripQuery: a.GetStripQuery(),
	}
	if a.GetHttpsRedirect() {
		out.Scheme = "https"
	}
	if out.Scheme != "" && out.Scheme != "http" && out.Scheme != "https" {
		c.fail(join(at, "scheme"), "%q: must be http or https", out.Scheme)
	}
	if out.Host != "" && !isAuthority(out.Host) {
		c.fail(join(at, "host"), "%q is no host name", out.Host)
	}
	if out.Port > 65535 {
		c.fail(join(at, "port"), "%d: must be from 1 to 65535", out.Port)
	}
	if out.Path != "" && !isRedirectPath(out.Path) {
		c.fail(join(at, "path"), "%q: a path begins with \"/\" and has no blanks and control characters", out.Path)
	}
	switch a.GetPathRewriteSpecifier().(type) {
	case *route.RedirectAction_PrefixRewrite:
		out.Prefix = c.prefixRewrite(join(at, "prefix"), a.GetPrefixRewrite(), m)
	case *route.RedirectAction_RegexRewrite:
		out.Regex = c.regexRewrite(join(at, "regex"), a.GetRegexRewrite())
	}
	switch a.GetResponseCode() {
	case route.RedirectAction_MOVED_PERMANENTLY:
		out.Status = 301
	case route.RedirectAction_FOUND:
		out.Status = 302
	case route.RedirectAction_SEE_OTHER:
		out.Status = 303
	case route.RedirectAction_TEMPORARY_REDIRECT:
		out.Status = 307
	case route.RedirectAction_PERMANENT_REDIRECT:
		out.Status = 308
	default:
		c.fail(join(at, "status"), "RedirectAction.response_code: %v is not known", a.GetResponseCode())
	}
	if out.Scheme == "" && out.Host == "" && out.Port == 0 && out.Path == "" && out.Prefix == nil && out.Regex == nil && !out.StripQuery {
		c.fail(at, "redirects every request to itself: say what changes (scheme, host, port, path, prefix, regex, strip_query)")
	}
	return out
}

// isRedirectPath reports whether s can replace a path in a Location.
func isRedirectPath(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s[0] == '/'
}

// respond compiles a direct response.
func (c *compiler) respond(at resource.Path, a *route.DirectResponseAction, limit int) *router.Respond {
	c.only(at, a, "status", "body")
	out := &router.Respond{Status: int(a.GetStatus())}
	if out.Status < 200 || out.Status > 599 {
		c.fail(join(at, "status"), "%d: a final status is from 200 to 599", out.Status)
	}
	body := a.GetBody()
	if body == nil {
		return out
	}
	where := join(at, "body")
	c.only(where, body, "inline_string", "inline_bytes")
	switch text := body.GetSpecifier().(type) {
	case *core.DataSource_InlineString:
		out.Body = []byte(text.InlineString)
	case *core.DataSource_InlineBytes:
		out.Body = text.InlineBytes
	}
	if len(out.Body) > limit {
		c.fail(where, "%d bytes: at most %d are taken", len(out.Body), limit)
	}
	if len(out.Body) > 0 && (out.Status == 204 || out.Status == 304) {
		c.fail(where, "a response with status %d has no body (RFC 9110 section 15)", out.Status)
	}
	return out
}
