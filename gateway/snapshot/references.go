package snapshot

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"longmen/gateway/resource"
)

// names checks that every resource of a kind has a name of its own, and gives
// the place of each.
func names[T interface{ GetName() string }](c *compiler, kind resource.Path, list []T) map[string]resource.Path {
	found := map[string]resource.Path{}
	for i, r := range list {
		at := join(kind, r.GetName())
		switch _, twice := found[r.GetName()]; {
		case r.GetName() == "":
			c.fail(item(kind, i), "the name is missing")
		case twice:
			c.fail(at, "%q is there twice", r.GetName())
		}
		found[r.GetName()] = at
	}
	return found
}

// references checks the names by which resources refer to each other, and finds
// what nothing refers to. It is made anew for each snapshot, whatever is shared
// with the one before.
func (c *compiler) references() {
	names(c, "listeners", c.set.Listeners)
	names(c, "secrets", c.set.Secrets)
	tables := names(c, "routes", c.set.Routes)
	clusters := names(c, "clusters", c.set.Clusters)
	usedTables, usedClusters := map[string]bool{}, map[string]bool{}
	anyCluster := false // a header names the cluster: all may be used

	http1 := c.onlyHTTP1()
	use := func(at resource.Path, table *route.RouteConfiguration) {
		c.callsNeedHTTP2(at, table, http1)
		if c.clustersOf(at, table, clusters, usedClusters) {
			anyCluster = true
		}
	}
	for _, l := range c.set.Listeners {
		at := join(join("listeners", l.GetName()), "routes")
		switch m := peekManager(l); {
		case m.GetRouteConfig() != nil:
			use(at, m.GetRouteConfig())
		case m.GetRds() != nil:
			name := m.GetRds().GetRouteConfigName()
			usedTables[name] = true
			if _, ok := tables[name]; !ok && !c.refused(join("routes", name)) {
				c.failHint(at, c.nearest(at, name, tables, usedTables), "no routes named %q", name)
			}
		}
	}
	for _, l := range c.set.Listeners {
		at, all := join(join("listeners", l.GetName()), "tls.passthrough"), passthroughs(l)
		for _, server := range slices.Sorted(maps.Keys(all)) {
			name := all[server]
			usedClusters[name] = true
			if _, ok := clusters[name]; !ok && !c.refused(join("clusters", name)) {
				c.noCluster(join(at, server), join(at, server), name, clusters, usedClusters)
			}
		}
	}
	if len(c.set.Listeners) == 0 && !c.refused("listeners") {
		c.warn("", "", "no listener: nothing is served")
	}
	for _, table := range c.set.Routes {
		use(join("routes", table.GetName()), table)
	}
	for _, table := range c.set.Routes {
		if !usedTables[table.GetName()] {
			c.warn(tables[table.GetName()], "", "no listener uses these routes")
		}
	}
	c.onwardReferences(clusters, usedClusters)
	if name := c.defaults.Gateways; name != "" {
		usedClusters[name] = true
		if _, ok := clusters[name]; !ok && !c.refused(join("clusters", name)) {
			c.noCluster("locality.gateways", "locality.gateways", name, clusters, usedClusters)
		}
	}
	for _, cl := range c.set.Clusters {
		if !usedClusters[cl.GetName()] && !anyCluster {
			c.warn(clusters[cl.GetName()], "", "no rule uses this cluster")
		}
	}
	c.binding()
}

// clustersOf checks the clusters that a table names. It reports whether a rule
// takes the name from a header.
func (c *compiler) clustersOf(at resource.Path, table *route.RouteConfiguration, clusters map[string]resource.Path, used map[string]bool) bool {
	fromHeader := false
	// missing notes that a name is used, and reports whether it leads nowhere. It
	// makes no path, since a table has many rules and hardly ever such a name.
	missing := func(name string) bool {
		used[name] = true
		_, ok := clusters[name]
		return !ok && !c.refused(join("clusters", name))
	}
	for i, host := range table.GetVirtualHosts() {
		for j, rule := range host.GetRoutes() {
			to := func() resource.Path { return join(item(join(item(at, i), "rules"), j), "to") }
			switch specifier := rule.GetRoute().GetClusterSpecifier().(type) {
			case *route.RouteAction_Cluster:
				if name := specifier.Cluster; name == "" {
					c.fail(to(), "the name of the cluster is empty")
				} else if missing(name) {
					c.noCluster(to(), to(), name, clusters, used)
				}
			case *route.RouteAction_WeightedClusters:
				for _, w := range specifier.WeightedClusters.GetClusters() {
					if name := w.GetName(); name != "" && missing(name) {
						c.noCluster(to(), join(to(), name), name, clusters, used)
					}
				}
			case *route.RouteAction_ClusterHeader:
				fromHeader = true
			}
		}
	}
	return fromHeader
}

// noCluster reports a name that leads nowhere: about the rule's key "to", and
// standing in the part of it.
func (c *compiler) noCluster(to, part resource.Path, name string, clusters map[string]resource.Path, used map[string]bool) {
	p := c.set.Origins.Problem(to, part, "no cluster named %q", name)
	p.Hint = c.nearest(part, name, clusters, used)
	c.report(p)
}

// refused reports whether a resource stands in the source but was wrong there:
// that has been reported, and what refers to it is not to blame.
func (c *compiler) refused(at resource.Path) bool {
	_, written := c.set.Origins.At(at)
	return written
}

// nearest is the hint for a name that is not there: the one that was probably
// meant, and where it stands. That one counts as used.
func (c *compiler) nearest(at resource.Path, name string, there map[string]resource.Path, used map[string]bool) string {
	near, ok := resource.Nearest(name, slices.Sorted(maps.Keys(there)))
	if !ok {
		return ""
	}
	used[near] = true
	if line := c.line(there[near], at); line != "" {
		return fmt.Sprintf("did you mean %q (%s)?", near, line)
	}
	return fmt.Sprintf("did you mean %q?", near)
}

// peekManager decodes a listener's HttpConnectionManager, nil if it has none.
// What is wrong with it is reported where it is compiled.
func peekManager(l *listener.Listener) *hcm.HttpConnectionManager {
	for _, chain := range append(slices.Clone(l.GetFilterChains()), l.GetDefaultFilterChain()) {
		for _, filter := range chain.GetFilters() {
			var m hcm.HttpConnectionManager
			if filter.GetTypedConfig().MessageIs(&m) && filter.GetTypedConfig().UnmarshalTo(&m) == nil {
				return &m
			}
		}
	}
	return nil
}

// binding refuses two listeners on one address and port. Every address of one
// family conflicts with the unspecified address of that family.
func (c *compiler) binding() {
	type bound struct {
		at     resource.Path
		bind   netip.AddrPort
		compat bool // "::" takes IPv4 too
	}
	all := map[uint16][]bound{}    // by port
	quiet := &compiler{set: c.set} // the addresses themselves are checked elsewhere
	for _, l := range c.set.Listeners {
		addresses := 1 + len(l.GetAdditionalAddresses())
		for i := range addresses {
			at, address := join(join("listeners", l.GetName()), "bind"), l.GetAddress()
			if addresses > 1 {
				at = item(at, i)
			}
			if i > 0 {
				address = l.GetAdditionalAddresses()[i-1].GetAddress()
			}
			bind, compat, ok := quiet.address(at, address)
			if !ok {
				continue
			}
			for _, other := range all[bind.Port()] {
				if collide(bind.Addr(), compat, other.bind.Addr(), other.compat) {
					c.fail(at, "%s is taken by %s (%s)", bindText(bind), other.at, c.line(other.at, at))
					break
				}
			}
			all[bind.Port()] = append(all[bind.Port()], bound{at, bind, compat})
		}
	}
}

// bindText writes an address as a person does: ":8080" for all of the host.
func bindText(bind netip.AddrPort) string {
	if bind.Addr() == netip.IPv6Unspecified() {
		return fmt.Sprintf(":%d", bind.Port())
	}
	return bind.String()
}

// collide reports whether both addresses cannot be bound to one port.
func collide(a netip.Addr, aBoth bool, b netip.Addr, bBoth bool) bool {
	covers := func(wide netip.Addr, both bool, other netip.Addr) bool {
		return wide.IsUnspecified() && (wide.Is4() == other.Is4() || both)
	}
	return a == b || covers(a, aBoth, b) || covers(b, bBoth, a)
}
