package upstream

import "longmen/gateway/cluster"

// unit is a connection's part of the limits of connections: the cluster's, of the
// priority of the request that it was made for, and the endpoint's.
type unit struct {
	breakers *cluster.Breakers
	endpoint *cluster.Endpoint // nil: it has no limit
}

// release gives back what mayConnect took.
func (u unit) release(c *Cluster) {
	u.breakers.ReleaseConnection()
	if u.endpoint != nil {
		u.endpoint.Connections.Add(-1)
	}
	if c.limited {
		c.freed()
	}
}

// against tells whether the connection counts against the limit of b; nil is any.
func (u unit) against(b *cluster.Breakers) bool { return b == nil || u.breakers.SharesConnections(b) }

// mayConnect takes a unit of the limits of connections, for which an idle connection may
// have to go. Its errors are errFull and errCrowded.
func (p *pool) mayConnect(high bool) (unit, error) {
	c := p.cluster
	u := unit{breakers: c.shared.Breakers(high)}
	if most := c.config.EndpointLimits.Connections; most > 0 {
		if !tryBelow(p.endpoint, most) && !(p.closeOldest() && tryBelow(p.endpoint, most)) {
			return unit{}, errCrowded
		}
		u.endpoint = p.endpoint
	}
	if !u.breakers.TryConnection() && !(c.closeOneIdle(u.breakers) && u.breakers.TryConnection()) {
		if u.endpoint != nil {
			u.endpoint.Connections.Add(-1)
		}
		return unit{}, errFull
	}
	return u, nil
}

// tryBelow counts a connection to the endpoint, if there are fewer than most.
func tryBelow(e *cluster.Endpoint, most int) bool {
	if e.Connections.Add(1) > int64(most) {
		e.Connections.Add(-1)
		return false
	}
	return true
}

// reserve takes a place at an endpoint that has a limit of requests, for the next
// one that enters; unreserve gives it back if none did.
func (p *pool) reserve() bool {
	most := p.cluster.config.EndpointLimits.Requests
	if most == 0 {
		return true
	}
	if p.endpoint.Active.Add(1) > int64(most) {
		p.endpoint.Active.Add(-1)
		return false
	}
	p.reserved = true
	return true
}

func (p *pool) unreserve() {
	if p.reserved {
		p.reserved = false
		p.endpoint.Active.Add(-1)
	}
}

// counting is where a request is counted.
type counting uint8

const (
	uncounted  counting = iota
	atEndpoint          // in Endpoint.Active
	inAll               // and in what the mean of all is made of
)

// count counts a request at the endpoint, where that is asked for.
func (p *pool) count() counting {
	c := p.cluster
	switch {
	case p.reserved:
		p.reserved = false
	case !c.counts:
		return uncounted
	default:
		p.endpoint.Active.Add(1)
	}
	if c.shared.Enter() {
		return inAll
	}
	return atEndpoint
}

// uncount ends what count began.
func (p *pool) uncount(counted counting) {
	if counted != uncounted {
		p.endpoint.Active.Add(-1)
		if p.cluster.config.EndpointLimits.Requests > 0 {
			p.cluster.freed()
		}
	}
	if counted == inAll {
		p.cluster.shared.Leave()
	}
}

// atLimit reports whether the endpoint has as many requests or
// connections as it may have, so that another one is better.
func (p *pool) atLimit() bool {
	limits, e := &p.cluster.config.EndpointLimits, p.endpoint
	if limits.Requests > 0 && e.Active.Load() >= int64(limits.Requests) {
		return true
	}
	return limits.Connections > 0 && e.Connections.Load() >= int64(limits.Connections) && p.idle == nil
}

// mayRenew takes a unit for a connection that shall take the place of m. No other has to
// go for it.
func (p *pool) mayRenew(m *http2Conn) (unit, error) {
	return p.spare(m.unit.breakers)
}

// spare takes a unit if one is left.
func (p *pool) spare(breakers *cluster.Breakers) (unit, error) {
	u := unit{breakers: breakers}
	if most := p.cluster.config.EndpointLimits.Connections; most > 0 {
		if !tryBelow(p.endpoint, most) {
			return unit{}, errCrowded
		}
		u.endpoint = p.endpoint
	}
	if !u.breakers.TryConnection() {
		if u.endpoint != nil {
			u.endpoint.Connections.Add(-1)
		}
		return unit{}, errFull
	}
	return u, nil
}
