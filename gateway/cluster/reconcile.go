package cluster

import (
	"net/netip"
	"slices"
	"time"
)

// reconcile makes the endpoints those that the sources have now.
func (c *Cluster) reconcile() {
	found := make(map[key]*Endpoint, len(c.endpoints))
	order := make([]*Endpoint, 0, len(c.endpoints))
	joins := len(c.endpoints) > 0 // others are there already
	now := time.Now()
	for _, s := range c.sources {
		for _, address := range s.addresses {
			at := netip.AddrPortFrom(address, s.config.Port)
			k := key{address: at}
			if s.logical {
				k = key{address: netip.AddrPortFrom(netip.Addr{}, s.config.Port), name: s.config.Host}
			}
			if found[k] != nil {
				continue // written twice, or of two names: the first counts
			}
			e := c.endpoints[k]
			if e == nil {
				e = newEndpoint(c.ids.take(), k, at, s.config, len(c.config.Health))
				c.watch(e)
				if joins {
					c.begin(e, now)
				}
			}
			if old := e.Address(); old != at {
				c.history.Left(old, c.config.Name, time.Now())
				e.address.Store(&at)
			}
			e.config.Store(s.config)
			found[k] = e
			order = append(order, e)
		}
	}
	for k, e := range c.destinations {
		found[k] = e
		order = append(order, e)
	}
	for k, e := range c.endpoints {
		if found[k] == nil {
			c.release(e)
		}
	}
	c.endpoints, c.order, c.stale, c.isSettled = found, order, false, false
	c.arrange()
	c.addChecks()
}

// arrange sorts the endpoints into divisions.
func (c *Cluster) arrange() {
	var before *division
	if len(c.divisions) > 0 {
		before = c.divisions[0]
	}
	for _, e := range c.order {
		e.places, e.listed = e.places[:0], e.Usable()
	}
	all := &division{localities: c.config.Spread.Localities}
	for _, e := range c.order {
		if !e.Config().Draining {
			all.add(e)
		}
	}
	if before != nil {
		all.keep(before)
	}
	c.divisions = append(c.divisions[:0:0], all)
	c.subdivide()
	c.arranged = true
}

// keep takes over the groups of before, so that those that are the same in the end stay.
func (d *division) keep(before *division) {
	for _, l := range d.levels {
		for _, p := range l.parts {
			for _, old := range before.levels {
				i := slices.IndexFunc(old.parts, func(o *part) bool { return o.locality == p.locality })
				if old.priority == l.priority && i >= 0 {
					p.group = old.parts[i].group
				}
			}
			p.fresh = true
		}
	}
	d.selection = before.selection
}

// release lets go of an endpoint.
func (c *Cluster) release(e *Endpoint) {
	e.gone.Store(true)
	c.history.Left(e.Address(), c.config.Name, time.Now())
	for _, check := range e.checks {
		check.Remove()
	}
	c.unwatch(e)
	c.ids.put(e.ID)
	c.goneBy++
	if len(c.removed) == cap(c.removed) { // host sets have the slices of before
		c.removed = append(make([]*Endpoint, 0, 2*mostRemoved), c.removed[max(len(c.removed)-mostRemoved, 0):]...)
	}
	c.removed = append(c.removed, e)
}

// mostRemoved is how many endpoints that have gone are remembered for workers
// that have not looked since; then they look at all that they have.
const mostRemoved = 256

func (c *Cluster) releaseAll() {
	for _, e := range c.endpoints {
		c.release(e)
	}
	c.endpoints = nil
}

// publish makes the endpoints' state visible to workers, and tells whether
// there was anything new. Its work is in proportion to the changes, but for copies
// of slices, unless the endpoints themselves have become others.
func (c *Cluster) publish() bool {
	now := time.Now()
	for _, e := range c.changes {
		if usable := e.Usable(); usable != e.listed {
			e.listed = usable
			if usable {
				c.begin(e, now)
			}
		}
		for _, at := range e.places {
			at.touch()
		}
	}
	clear(c.changes)
	c.changes = c.changes[:0]
	if c.zones.Swap(false) && c.config.Spread.Localities == LocalityZoneAware {
		c.divisions[0].touched = true
	}
	before := c.hosts.Load()
	news := before == nil || c.arranged && (!slices.Equal(before.Endpoints, c.order) || before.subsets != c.subsets)
	for _, d := range c.divisions {
		if (d.touched || d.selection == nil) && d.choose(c) {
			news = true
		}
	}
	c.arranged = false
	if !news {
		return false
	}
	c.version++
	next := &HostSet{
		Endpoints: c.order, Version: c.version, Removed: c.goneBy, removed: c.removed, found: c.endpoints,
		All: c.divisions[0].selection, subsets: c.subsets,
		selections: make([]*Selection, len(c.divisions)),
	}
	for i, d := range c.divisions {
		next.selections[i] = d.selection
	}
	c.hosts.Store(c.whole(next))
	return true
}

// whole fills in what follows from the rest of a host set.
func (c *Cluster) whole(h *HostSet) *HostSet {
	h.Available = h.All.Available
	for i, g := range h.All.Groups {
		h.serves = h.serves || h.All.Shares[i] > 0 && g.Usable.Len() > 0
		h.Panic = h.Panic || g.Panic
	}
	if c.config.Discovery == OriginalDst { // an endpoint is made for whoever comes
		h.Available, h.serves = 1, true
	}
	return h
}
