package upstream

import (
	"net/netip"
	"slices"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
)

// Pick is what a request asks of the endpoint that it goes to; the zero value asks for
// nothing.
type Pick struct {
	// Hash, if HasHash, decides among endpoints where the algorithm goes by hashes (ring hash,
	// Maglev), and among groups of endpoints with those.
	Hash    uint64
	HasHash bool
	// High is the priority that the request counts against the cluster's limits with.
	High bool
	// Match are labels that the endpoint must have; nil: none. See cluster.Subsets.
	Match *cluster.Match
	// Override is the address of the endpoint to use, if it is one of the cluster's and may be used (a
	// sticky session, override_host); the zero value is none. The first try goes there, others elsewhere.
	Override netip.AddrPort
	// Strict: when Override cannot be used, no other endpoint is.
	Strict bool
	// Destination is where the connection was going, for cluster.OriginalDst.
	Destination netip.AddrPort
	// OtherPriorities, if above 0, leaves out the priorities of the endpoints that were tried, as far as
	// others are there; they are looked at anew after as many tries
	// (previous_priorities.update_frequency).
	OtherPriorities int
}

// pick chooses an endpoint that is not among tried, of those that have room if
// there are any.
func (c *Cluster) pick(s *stream.Stream, pick *Pick, tried []*cluster.Endpoint) (*pool, error) {
	if pick == nil {
		pick = &c.plain
	}
	if g := c.single; g != nil && len(tried) == 0 && !pick.HasHash && !pick.Override.IsValid() {
		if i := g.balancer.Pick(nil); i >= 0 {
			return c.pool(g.of.Usable.At(i)), nil
		}
	}
	if c.config.Discovery == cluster.OriginalDst {
		return c.destination(s, pick)
	}
	if len(tried) == 0 && pick.Override.IsValid() {
		if e := c.overriding(pick.Override); e != nil {
			return c.pool(e), nil
		}
		if pick.Strict {
			return nil, c.unavailable(stream.NoHealthyUpstream, errSession)
		}
	}
	sel := c.selection(pick.Match)
	if sel == nil {
		if !c.config.Subsets.PanicAny {
			return nil, c.unavailable(stream.NoHealthyUpstream, errNoEndpoint)
		}
		sel = &c.all
	}
	e := c.choose(s, sel, pick, tried, false)
	if e == nil && c.divided && sel != &c.all && c.config.Subsets.PanicAny {
		sel = &c.all
		e = c.choose(s, sel, pick, tried, false)
	}
	switch {
	case e != nil:
	case sel.usable():
		return nil, c.unavailable(stream.UpstreamRetryLimit, errNoOther)
	default:
		return nil, c.unavailable(stream.NoHealthyUpstream, errNoEndpoint)
	}
	p := c.pool(e)
	if c.bounded && p.crowded(s) {
		if other := c.choose(s, sel, pick, tried, true); other != nil {
			p = c.pool(other)
		}
	}
	return p, nil
}

// overriding is the endpoint of an address, if new requests may go there.
func (c *Cluster) overriding(at netip.AddrPort) *cluster.Endpoint {
	e := c.hosts.Find(at)
	if e == nil || e.Gone() || e.Config().Draining || !e.Usable() && !c.hosts.Panic {
		return nil
	}
	return e
}

// usable tells whether the selection has endpoints at all.
func (sel *selection) usable() bool {
	return slices.ContainsFunc(sel.groups, func(g group) bool { return g.of.Usable.Len() > 0 })
}

// HasOther reports whether there is an endpoint for the pick that is not among tried.
func (c *Cluster) HasOther(pick *Pick, tried []*cluster.Endpoint) bool {
	if pick == nil {
		pick = &c.plain
	}
	if c.config.Discovery == cluster.OriginalDst || pick.Strict && pick.Override.IsValid() {
		return false
	}
	sel := c.selection(pick.Match)
	if sel == nil {
		return false
	}
	for i := range sel.groups {
		for e := range sel.groups[i].of.Usable.All() {
			if !slices.Contains(tried, e) {
				return true
			}
		}
	}
	return false
}

// destination is the pool of where the request's connection was going.
func (c *Cluster) destination(s *stream.Stream, pick *Pick) (*pool, error) {
	at := pick.Destination
	if name := c.config.OriginalDestination.Header; name != "" {
		value := s.Request.Header.Get(name)
		parsed, err := netip.ParseAddrPort(string(value))
		if err != nil {
			parsed = netip.AddrPort{}
		}
		at = parsed
	}
	if !at.IsValid() || at.Port() == 0 {
		return nil, c.unavailable(stream.NoHealthyUpstream, errDestination)
	}
	at = c.shared.Redirect(at)
	e := c.destinations[at]
	if e == nil || e.Gone() {
		if c.worker.Own != nil && c.worker.Own(at) {
			return nil, c.unavailable(stream.NoHealthyUpstream, errOwn)
		}
		if e = c.shared.Destination(at, c.worker.loop.Wall()); e == nil {
			return nil, c.unavailable(stream.NoHealthyUpstream, errDestination)
		}
		if c.destinations == nil {
			c.destinations = map[netip.AddrPort]*cluster.Endpoint{}
		}
		c.destinations[at] = e
	}
	e.Use(c.worker.loop.Wall())
	return c.pool(e), nil
}
