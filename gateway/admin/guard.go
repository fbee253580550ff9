package admin

import (
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

// The server has no password: whoever can connect to it may use it. What must
// not happen is that a browser on the operator's machine is used by a page from
// elsewhere, in one of two ways: the page's name is made to resolve to
// loopback (DNS rebinding), which the Host shows; or the page sends a request to
// loopback across sites, which Origin and Sec-Fetch-Site show.

// foreignHost says what is wrong with a Host that is neither an IP address nor
// localhost, else "". On a UNIX socket, where no browser is, any will do.
func (s *Server) foreignHost(ctx *fasthttp.RequestCtx) string {
	host := string(ctx.Host())
	if s.unix || host == "" || ownHost(host) {
		return ""
	}
	return "the Host of a request must be an IP address or localhost"
}

// ownHost tells an IP address or localhost, with or without a port.
func ownHost(host string) bool {
	if name, port, ok := cutPort(host); ok {
		if !digits(port) {
			return false
		}
		host = name
	}
	if strings.EqualFold(host, "localhost") || strings.EqualFold(host, "localhost.") {
		return true
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Is6()
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Is4()
}

// cutPort splits host:port; an IPv6 address stands in brackets.
func cutPort(host string) (name, port string, ok bool) {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || strings.HasSuffix(host, "]") {
		return host, "", false
	}
	return host[:colon], host[colon+1:], true
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// crossSite says why a request is taken to come from a page of another site, else "".
func crossSite(ctx *fasthttp.RequestCtx) string {
	header := &ctx.Request.Header
	switch string(header.Peek("Sec-Fetch-Site")) {
	case "", "none", "same-origin":
	default:
		return "a page of another site may not do this (Sec-Fetch-Site)"
	}
	if origin := string(header.Peek("Origin")); origin != "" {
		_, host, ok := strings.Cut(origin, "://")
		if !ok || !strings.EqualFold(host, string(ctx.Host())) {
			return "a page of another site may not do this (Origin)"
		}
	}
	return ""
}
