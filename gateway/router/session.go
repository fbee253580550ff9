package router

import "time"

// HashPolicy is one thing that a request is hashed by (RouteAction.HashPolicy).
type HashPolicy struct {
	Kind HashKind
	// Name is that of the header field (lower case; ":authority", ":path" and
	// ":method" too), the cookie or the query parameter.
	Name string
	// Regex changes a header field's value before it is hashed; nil: it is as sent.
	Regex *RegexRewrite
	// Generate makes a cookie that the client did not send and gives it to the
	// client. Only of HashCookie; nil: a request without it is not hashed by it.
	Generate *Cookie
	// Terminal ends the list when this policy, or one before it, had something to
	// hash.
	Terminal bool
}

// HashKind is what a HashPolicy looks at.
type HashKind uint8

// The kinds.
const (
	HashHeader   HashKind = iota // the values of a header field
	HashCookie                   // a cookie's value
	HashSourceIP                 // the client's address, behind trusted proxies too
	HashQuery                    // the first value of a query parameter
	HashPath                     // the path, without the query
)

// Cookie is how a cookie that the gateway makes is given to a client (RFC 6265
// section 4.1). Its value holds no secret of the client.
type Cookie struct {
	Path string        // "" leaves the attribute out: the browser takes the request's directory
	TTL  time.Duration // Max-Age, in whole seconds; 0: the browser's session
	// Attributes are written as they are, in order: {"SameSite", "Lax"}, {"Secure", ""}.
	// HttpOnly is always written.
	Attributes []CookieAttribute
}

// CookieAttribute is an attribute of a Set-Cookie field.
type CookieAttribute struct {
	Name  string
	Value string // "" for one without value
}

// Sticky keeps a client at the cluster and the endpoint that it got first: a
// cookie names both, sealed so that a client can neither read nor choose them. It goes on
// as long as the cluster is among the route's (whatever its weight, unless that is 0)
// and the endpoint is usable; then the client gets others, and another cookie.
type Sticky struct {
	Name string // of the cookie
	Cookie
	// Strict answers 503 instead of giving the client another endpoint when its own
	// is not usable.
	Strict bool
	// Keys seal cookies: the first makes them, and all open them, so that keys can
	// be changed without losing sessions. Gateways with the same keys take each
	// other's cookies. At least one.
	Keys []StickyKey
}
