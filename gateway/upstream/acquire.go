package upstream

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

var (
	errNoEndpoint  = errors.New("no healthy endpoint")
	errNoOther     = errors.New("no endpoint is left to try")
	errConnections = errors.New("the cluster's limit of connections is reached, and so is that of waiting requests")
	errRemoved     = errors.New("the cluster was removed")
)

// pollEvery is how often a stream that waits for a connection looks whether
// another worker has freed one.
const pollEvery = 20 * time.Millisecond

// Choice is an endpoint that AcquireIdle picked and had no connection to; the
// zero value is none.
type Choice struct{ pool *pool }

// AcquireIdle is Acquire as far as it goes without waiting: it gives the stream
// an idle connection, or nil, and then the Choice that Acquire shall keep to.
func (c *Cluster) AcquireIdle(s *stream.Stream, tried *[]*cluster.Endpoint) (*Conn, Choice) {
	if c.closed || len(c.waiting) > 0 {
		return nil, Choice{} // those who wait come first
	}
	c.refresh()
	p, err := c.pick(*tried)
	if err != nil {
		return nil, Choice{}
	}
	conn := p.takeIdle(s)
	if conn == nil {
		return nil, Choice{p}
	}
	*tried = append(*tried, p.endpoint)
	return c.attach(conn, s), Choice{}
}

// Acquire gives the stream a connection to an endpoint that is not among
// tried: an idle one, or a new one, which it waits for. fresh asks for a new
// one. The endpoint is added to tried, whether or not it can be reached. The
// stream is attached to the connection; Release gives it back.
func (c *Cluster) Acquire(s *stream.Stream, co *worker.Coroutine, tried *[]*cluster.Endpoint, fresh bool, choice Choice) (*Conn, error) {
	pended := false
	defer func() {
		if pended {
			c.unqueue(co)
		}
	}()
	for {
		if c.closed {
			return nil, c.unavailable(stream.NoCluster, errRemoved)
		}
		c.refresh()
		p := choice.pool
		choice = Choice{}
		if p == nil || p.endpoint.Gone() {
			var err error
			if p, err = c.pick(*tried); err != nil {
				return nil, err
			}
		}
		if pended || len(c.waiting) == 0 { // else those who wait come first
			if !fresh {
				if conn := p.takeIdle(s); conn != nil {
					*tried = append(*tried, p.endpoint)
					return c.attach(conn, s), nil
				}
			}
			if c.shared.TryConnection() || c.closeOneIdle() && c.shared.TryConnection() {
				*tried = append(*tried, p.endpoint)
				if pended {
					c.unqueue(co)
					pended = false
				}
				return c.dialHTTP1(s, co, p)
			}
		}
		if !pended && !c.shared.TryPending() {
			c.Stats.Overflows[metrics.LimitPending].Inc()
			return nil, c.unavailable(stream.UpstreamOverflow, errConnections)
		}
		if !pended {
			pended = true
			shared := c.shared
			c.Stats.RequestsPending.Inc()
			defer func() {
				shared.ReleasePending()
				c.Stats.RequestsPending.Dec()
			}()
			c.waiting = append(c.waiting, co)
		}
		if err := c.await(s, co); err != nil {
			return nil, err
		}
	}
}

// pick chooses an endpoint that is not among tried.
func (c *Cluster) pick(tried []*cluster.Endpoint) (*pool, error) {
	var i int
	if len(tried) == 0 {
		i = c.balancer.Pick(nil)
	} else {
		i = c.pickOther(tried)
	}
	switch {
	case i >= 0:
		return c.usable[i], nil
	case len(c.usable) == 0:
		return nil, c.unavailable(stream.NoHealthyUpstream, errNoEndpoint)
	}
	return nil, c.unavailable(stream.UpstreamRetryLimit, errNoOther)
}

func (c *Cluster) pickOther(tried []*cluster.Endpoint) int {
	return c.balancer.Pick(func(i int) bool {
		for _, e := range tried {
			if c.usable[i].endpoint == e {
				return true
			}
		}
		return false
	})
}

// HasOther reports whether there is an endpoint that is not among tried.
func (c *Cluster) HasOther(tried []*cluster.Endpoint) bool {
	for _, p := range c.usable {
		if !slices.Contains(tried, p.endpoint) {
			return true
		}
	}
	return false
}

// closeOneIdle closes an idle connection, so that a new one fits into the
// cluster's limit, and reports whether there was one.
func (c *Cluster) closeOneIdle() bool {
	for _, p := range c.pools {
		if p != nil && p.idle != nil {
			p.idle.discard()
			return true
		}
	}
	return false
}

// takeIdle returns the idle connection that was used last and fits the stream,
// or nil.
func (p *pool) takeIdle(s *stream.Stream) *http1Conn {
	for conn := p.idle; conn != nil; {
		next := conn.next
		switch {
		case !conn.usable():
			conn.discard()
		case conn.fits(s):
			conn.take()
			return conn
		}
		conn = next
	}
	return nil
}

func (c *Cluster) attach(h1 *http1Conn, s *stream.Stream) *Conn {
	h1.client.Attach(s)
	conn := &h1.Conn
	conn.counted = conn.pool.enter()
	return conn
}

// detach ends what attach began.
func (c *Cluster) detach(conn *Conn) (reusable bool) {
	conn.pool.leave(conn.counted)
	return conn.Detach()
}

// enter counts one more request that is at the endpoint, or on its way there.
// What it returns is to be given to leave.
func (p *pool) enter() (counted bool) {
	c := p.cluster
	c.Stats.RequestsActive.Inc()
	if c.config.Balance != cluster.LeastRequest {
		return false
	}
	p.endpoint.Active.Add(1)
	return true
}

// leave ends what enter began.
func (p *pool) leave(counted bool) {
	p.cluster.Stats.RequestsActive.Dec()
	if counted {
		p.endpoint.Active.Add(-1)
	}
}

// await waits until a connection may have become free.
func (c *Cluster) await(s *stream.Stream, co *worker.Coroutine) error {
	if c.worker.Starved != nil && !c.poll.Armed() { // once in each pollEvery
		c.worker.Starved(c.shared)
	}
	c.worker.loop.ArmBy(&c.poll, pollEvery)
	return s.Wait(co)
}

// unqueue takes co out of those that wait, and lets the first of the others
// look: what it was woken for may be there for more than one.
func (c *Cluster) unqueue(co *worker.Coroutine) {
	if i := slices.Index(c.waiting, co); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	c.wakeFirst()
}

func (c *Cluster) unavailable(flag stream.Flag, cause error) *stream.Error {
	return &stream.Error{Side: stream.Upstream, Phase: stream.PhasePick, Flag: flag, Status: 503,
		Cause: fmt.Errorf("cluster %s: %w", c.config.Name, cause)}
}
