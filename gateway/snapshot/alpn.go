package snapshot

import (
	"slices"

	"longmen/gateway/resource"
)

// The names of application protocols (RFC 7301).
const (
	protocolHTTP1 = "http/1.1"
	protocolHTTP2 = "h2"
)

// alpn checks application protocols: each must be known, and spoken. hint is for
// those that are not spoken.
func (c *compiler) alpn(at resource.Path, names []string, spoken Protocols, hint string) {
	for i, name := range names {
		where := item(at, i)
		switch {
		case slices.Contains(names[:i], name):
			c.fail(where, "%s stands here twice", name)
		case name == protocolHTTP1 && spoken.HTTP1, name == protocolHTTP2 && spoken.HTTP2:
		case name == protocolHTTP1:
			c.failHint(where, hint, "http/1.1 is not spoken here: HTTP/2 alone is")
		case name == protocolHTTP2:
			c.failHint(where, hint, "h2 is not spoken here: HTTP/1.1 alone is")
		case name == "h3":
			c.fail(where, "protocol h3 is not supported by this version yet")
		default:
			c.failHint(where, didYouMean(name, []string{protocolHTTP1, protocolHTTP2}), "%q is no protocol", name)
		}
	}
}
