package snapshot

import (
	"crypto/rand"
	"maps"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	stateful "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/stateful_session/v3"
	cookiesession "github.com/envoyproxy/go-control-plane/envoy/extensions/http/stateful_session/cookie/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"longmen/gateway/resource"
	"longmen/gateway/router"
)

const maxStickyKeys = 16

// isSticky reports whether settings of a filter are those of a sticky session, which
// the proxy serves itself.
func isSticky(packed *anypb.Any) bool {
	return packed.MessageIs((*stateful.StatefulSessionPerRoute)(nil))
}

// withoutSticky are the settings of filters of a rule.
func withoutSticky(configs map[string]*anypb.Any) map[string]*anypb.Any {
	for name, packed := range configs {
		if isSticky(packed) {
			configs = maps.Clone(configs)
			delete(configs, name)
		}
	}
	return configs
}

// sticky reads a rule's sticky session; nil is none.
func (c *compiler) sticky(at resource.Path, configs map[string]*anypb.Any, names []string, f *router.Forward) {
	at = join(at, "sticky")
	var found *anypb.Any
	for _, packed := range configs {
		if isSticky(packed) {
			if found != nil {
				c.fail(at, "two sticky sessions")
			}
			found = packed
		}
	}
	switch {
	case found == nil:
		if len(names) > 0 {
			c.fail(at, "sticky_keys without a sticky session")
		}
		return
	case f == nil:
		c.fail(at, "is for rules that forward (to)")
		return
	case f.ClusterHeader != "":
		c.fail(at, "is not for rules whose cluster a header names: the client could choose it")
		return
	}
	var per stateful.StatefulSessionPerRoute
	if !c.unpack(at, found, &per) {
		return
	}
	c.only(at, &per, "disabled", "stateful_session")
	if per.GetDisabled() {
		if len(names) > 0 {
			c.fail(at, "sticky_keys without a sticky session")
		}
		return
	}
	session := per.GetStatefulSession()
	c.only(at, session, "session_state", "strict")
	var state cookiesession.CookieBasedSessionState
	c.only(at, session.GetSessionState(), "name", "typed_config")
	if packed := session.GetSessionState().GetTypedConfig(); packed == nil {
		c.fail(at, "StatefulSession.session_state is missing")
		return
	} else if !c.unpack(at, packed, &state) {
		return
	}
	c.only(at, &state, "cookie")
	cookie := state.GetCookie()
	c.only(at, cookie, "name", "ttl", "path", "attributes")
	c.cookieName(join(at, "cookie"), cookie.GetName())
	out := &router.Sticky{Name: cookie.GetName(), Strict: session.GetStrict()}
	out.Path, out.TTL = cookie.GetPath(), c.duration(join(at, "ttl"), cookie.GetTtl(), 0)
	for _, a := range cookie.GetAttributes() {
		c.only(at, a, "name", "value")
		out.Attributes = append(out.Attributes, router.CookieAttribute{Name: a.GetName(), Value: a.GetValue()})
	}
	c.cookie(at, &out.Cookie)
	out.Keys = c.stickyKeys(join(at, "keys"), names)
	f.Sticky = out
}

// stickyKeys reads the secrets that seal cookies; without any there is one of the process's
// own, the same in all snapshots of a chain.
func (c *compiler) stickyKeys(at resource.Path, names []string) []router.StickyKey {
	if len(names) > maxStickyKeys {
		c.fail(at, "%d files: at most %d", len(names), maxStickyKeys)
		return nil
	}
	var keys []router.StickyKey
	for i, name := range names {
		where := c.listed(at, i, len(names))
		k, ok := c.content(where, &core.DataSource{Specifier: &core.DataSource_Filename{Filename: name}})
		if !ok {
			continue
		}
		data, ok := k.bytes()
		if !ok {
			continue
		}
		c.ruleFiles = append(c.ruleFiles, usedFile{name, k.sum})
		key, err := router.NewStickyKey(data)
		if err != nil {
			c.fail(where, "%v", err)
			continue
		}
		keys = append(keys, key)
	}
	if len(names) > 0 {
		return keys
	}
	if c.next.stickyKey == nil {
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // never fails
		key, err := router.NewStickyKey(secret)
		if err != nil {
			c.fail(at, "%v", err)
			return nil
		}
		c.next.stickyKey = &key
	}
	return []router.StickyKey{*c.next.stickyKey}
}

// stickyFiles adds the files that the sticky session of a rule names.
func stickyFiles(r *route.Route, found map[string]bool) {
	values, err := resource.Extended(r.GetMetadata(), resource.RouteExtension)
	if err != nil {
		return // refused elsewhere
	}
	for _, name := range values.Strings("sticky_keys") {
		found[name] = true
	}
}
