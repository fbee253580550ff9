package upstream

import (
	"longmen/gateway/cluster"
	"longmen/gateway/cluster/outlier"
	"longmen/gateway/stream"
	"longmen/tls/client"
)

// pool holds the connections to one endpoint.
type pool struct {
	cluster  *Cluster
	endpoint *cluster.Endpoint
	monitor  *outlier.Monitor // of the cluster's detector when it was asked for last; nil: there was none
	idle     *http1Conn       // the one used last first
	open     []*http2Conn     // on which streams may begin, the oldest first
	dialing  []*dial          // whose connections streams may share
	resting  int              // connections without streams, of either kind
	room     int              // streams that the last connection was allowed; 0: not known
	alone    bool             // the endpoint's server did not choose HTTP/2 when it was asked last
	renewed  int64            // loop time when a connection was last dialed to take another's place
	account  *account         // of the address where new connections go; nil: there was none yet
	reserved bool             // a place at the endpoint is taken for the next that enters
}

func newPool(c *Cluster, e *cluster.Endpoint) *pool { return &pool{cluster: c, endpoint: e} }

// takeIdle returns the idle connection that was used last and fits the stream,
// or nil.
func (p *pool) takeIdle(s *stream.Stream) *http1Conn {
	for conn := p.idle; conn != nil; {
		next := conn.next
		switch {
		case !conn.usable():
			conn.discard()
		case p.names(conn.name, s):
			conn.take()
			return conn
		}
		conn = next
	}
	return nil
}

// hasRoom reports whether one more idle connection may be kept. Where each is for
// one server name alone, one that was not used for long makes room: the names of
// now would find no place among those of before.
func (p *pool) hasRoom() bool {
	config := p.cluster.config
	if p.resting < config.Pool.Idle {
		return true
	}
	if config.TLS == nil || config.TLS.Name != client.NameRequest {
		return false
	}
	return p.closeOldest() && p.resting < config.Pool.Idle
}

// closeOldest closes the idle connection that was not used for longest, those
// of HTTP/1 first, and reports whether there was one.
func (p *pool) closeOldest() bool {
	last := p.idle
	if last == nil {
		return p.closeIdleHTTP2(nil)
	}
	for last.next != nil {
		last = last.next
	}
	last.discard()
	return true
}

// closeIdleHTTP1 closes an idle connection of HTTP/1 that counts against the limit of b,
// and reports whether there was one.
func (p *pool) closeIdleHTTP1(b *cluster.Breakers) bool {
	for c := p.idle; c != nil; c = c.next {
		if c.unit.against(b) {
			c.discard()
			return true
		}
	}
	return false
}

// closeIdleHTTP2 closes a connection without streams that was made first and counts against the
// limit of b, and reports whether there was one.
func (p *pool) closeIdleHTTP2(b *cluster.Breakers) bool {
	for _, m := range p.open {
		if m.state == idling && m.unit.against(b) {
			m.end()
			return true
		}
	}
	return false
}

// rest counts a connection that has no streams, wake one that has again.
func (p *pool) rest(a *account) {
	p.resting++
	a.idle++
	p.cluster.Stats.ConnectionsIdle.Inc()
}

func (p *pool) wake(a *account) {
	p.resting--
	a.idle--
	p.cluster.Stats.ConnectionsIdle.Dec()
}

// retire closes the idle connections; those in use follow.
func (p *pool) retire() {
	for p.idle != nil {
		p.idle.discard()
	}
	for len(p.open) > 0 {
		p.open[0].retire()
	}
}

// enter counts one more request that is at the endpoint, or on its way there.
// What it returns is to be given to leave.
func (p *pool) enter(a *account) (counted counting) {
	c := p.cluster
	a.streams++
	c.Stats.RequestsActive.Inc()
	return p.count()
}

// leave ends what enter began.
func (p *pool) leave(a *account, counted counting) {
	a.streams--
	if a.streams == 0 && (a.watched || a.open == 0) {
		a.emptied()
	}
	p.cluster.Stats.RequestsActive.Dec()
	p.uncount(counted)
}
