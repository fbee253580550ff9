package snapshot

import (
	"maps"
	"slices"
	"time"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"longmen/gateway/cluster"
	"longmen/gateway/resource"
	"longmen/gateway/router"
)

// Defaults are what resources leave to the process. They must be the same for
// all snapshots of a chain.
type Defaults struct {
	// AccessLog serves the listeners that name none and do not switch it off.
	AccessLog []AccessLog
	// Gateways names the cluster whose endpoints the gateways themselves are; "" is none. It
	// counts as used.
	Gateways string
	// Located says that the gateway's own locality is known.
	Located bool
	// Now is the time by which certificates are judged; nil is time.Now.
	Now func() time.Time
}

// Compile is Defaults.Compile without any defaults.
func Compile(set *resource.Set, previous *Snapshot) (*Snapshot, resource.Problems) {
	return Defaults{}.Compile(set, previous)
}

// Compile checks a set and makes a snapshot of it, which shares what is equal
// with previous (nil for the first). It goes on after a problem and reports all
// of them, sorted by place; the snapshot is nil if one of them is an error.
//
// The path of a problem begins with the name of the resource that it is about
// ("clusters.cart"), so that a source that can refuse resources one by one
// knows which ones are wrong.
func (d Defaults) Compile(set *resource.Set, previous *Snapshot) (*Snapshot, resource.Problems) {
	if previous == nil {
		previous = &Snapshot{}
	}
	c := d.compiler(set, previous)
	next := c.next
	c.references()
	c.secrets()
	configs := make([]cluster.Config, len(set.Clusters))
	for i, cl := range set.Clusters {
		configs[i] = c.cluster(cl)
	}
	for _, t := range set.Routes {
		c.table(join("routes", t.GetName()), t)
	}
	for _, l := range set.Listeners {
		next.Listeners = append(next.Listeners, c.shareListener(l))
	}
	c.uncovered()
	c.unusedSecrets()
	c.idleEarlyRules()
	c.makesSense(configs)
	next.Orders = c.orders()
	next.Version = next.version(set)
	c.problems.Sort()
	if len(c.problems.Errors()) > 0 {
		return nil, c.problems
	}
	next.Clusters = c.shareClusters(configs)
	next.Warnings = c.problems
	return next, c.problems
}

// assignSlots gives every cluster of the set the slot that it has in previous, or
// else the lowest one that is free in both: so each change of a slot is about one
// cluster, which comes or goes or changes, and the slots are at most as many as
// the clusters of two sets.
func assignSlots(set *resource.Set, previous *Snapshot) map[string]int {
	slots := make(map[string]int, len(set.Clusters))
	taken := make([]bool, len(previous.Clusters)+len(set.Clusters))
	for _, slot := range previous.ClusterSlots {
		taken[slot] = true
	}
	free := 0
	for _, cl := range set.Clusters {
		name := cl.GetName()
		if _, twice := slots[name]; twice {
			continue // reported
		}
		if slot, stays := previous.ClusterSlots[name]; stays {
			slots[name] = slot
			continue
		}
		for taken[free] {
			free++
		}
		slots[name], taken[free] = free, true
	}
	return slots
}

// shareClusters fills the slots: with the cluster of before where nothing has
// changed, so that its endpoints' health and its connections stay.
func (c *compiler) shareClusters(configs []cluster.Config) []*cluster.Cluster {
	count := len(c.previous.Clusters)
	for _, slot := range c.next.ClusterSlots {
		count = max(count, slot+1)
	}
	clusters := make([]*cluster.Cluster, count)
	for _, config := range configs {
		slot := c.next.ClusterSlots[config.Name]
		if slot < len(c.previous.Clusters) {
			if old := c.previous.Clusters[slot]; old != nil && old.Config().Hash == config.Hash {
				clusters[slot] = old
				continue
			}
		}
		clusters[slot] = cluster.New(&config)
	}
	return clusters
}

// table is a compiled RouteConfiguration and what it was made of.
type table struct {
	hash     uint64 // of the resource
	hosts    []*router.VirtualHost
	routes   *router.Table     // of hosts; nil if they were refused
	problems resource.Problems // warnings that were found

	fingerprints bool // header edits tell of clients' fingerprints

	filters [][]filterSetting // of each route, by its Index: table, host and rule together
	uses    filterUse         // of these
}

// table compiles a RouteConfiguration, or takes the one of before if nothing,
// not even the places that routes carry for the log, has changed.
func (c *compiler) table(at resource.Path, t *route.RouteConfiguration) *table {
	key := hash(t)
	if by := c.hashingKey(); by != 0 {
		key = combine(key, by)
	}
	if old := c.previous.tables[string(at)]; old != nil && old.hash == key && c.inPlace(at, old.hosts) && c.unchanged(old.uses.files) {
		maps.Copy(c.next.filters, old.uses.filters)
		c.next.tables[string(at)] = old
		c.problems = append(c.problems, old.problems...)
		return old
	}
	before := len(c.problems)
	c.ruleFiles = nil
	out := &table{hash: key, hosts: c.hosts(at, t)}
	out.uses.files = c.ruleFiles
	c.tableFilters(at, t, out)
	routes, problems := router.New(out.hosts)
	c.routerProblems(at, problems, before)
	out.routes, out.problems = routes, slices.Clone(c.problems[before:])
	out.fingerprints = fingerprinting(out.hosts)
	c.next.tables[string(at)] = out
	return out
}

// inPlace reports whether hosts and rules still stand where they stood.
func (c *compiler) inPlace(at resource.Path, hosts []*router.VirtualHost) bool {
	for i, host := range hosts {
		where := item(at, i)
		if host.Origin != c.place(where) {
			return false
		}
		for j, rule := range host.Routes {
			if rule.Origin != c.place(item(join(where, "rules"), j)) {
				return false
			}
		}
	}
	return true
}

// routerProblems takes over what the router found in a table, but for parts that
// were refused since the problem with index before.
func (c *compiler) routerProblems(at resource.Path, problems []router.Problem, before int) {
	refused := map[resource.Path]bool{}
	for _, p := range c.problems[before:] {
		refused[p.Path] = true
	}
	for _, p := range problems {
		where := item(at, p.Host)
		if p.Route >= 0 {
			where = item(join(where, "rules"), p.Route)
		}
		if p.Field != "" {
			where = join(where, p.Field)
		}
		if refused[where] {
			continue
		}
		out := c.set.Origins.Problem(where, where, "%s", p.Text)
		out.Hint, out.Warning = p.Hint, p.Warning
		c.report(out)
	}
}

// shareListener compiles a listener; the one of before is taken if all of it,
// its routes too, is the same.
func (c *compiler) shareListener(l *listener.Listener) *Listener {
	out := c.listener(l)
	at := join(join("listeners", l.GetName()), "routes")
	var routes *table
	switch m := peekManager(l); {
	case m == nil: // reported
	case m.GetRouteConfig() != nil:
		routes = c.table(at, m.GetRouteConfig())
	case m.GetRds() != nil:
		c.only(at, m.GetRds(), "route_config_name", "config_source") // where it comes from is the source's business
		out.RoutesName = m.GetRds().GetRouteConfigName()
		routes = c.next.tables[string(join("routes", out.RoutesName))]
	default:
		c.fail(at, "HttpConnectionManager.route_specifier is missing")
	}
	if routes != nil {
		out.Routes, out.RoutesHash = routes.routes, routes.hash
		out.Fingerprints = routes.fingerprints
		c.chains(join("listeners", out.Name), out, routes)
	}
	for _, log := range out.HTTP.AccessLog {
		out.Fingerprints = out.Fingerprints || log.Format.Fingerprints()
	}
	for _, old := range c.previous.Listeners {
		if old.Name == out.Name && old.Hash == out.Hash && old.Origin == out.Origin && old.TLS == out.TLS && old.Routes == out.Routes && old.RoutesName == out.RoutesName {
			return old
		}
	}
	return out
}
