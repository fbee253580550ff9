package upstream

import (
	"errors"
	"fmt"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

var (
	errNoEndpoint  = errors.New("no healthy endpoint")
	errNoOther     = errors.New("no endpoint is left to try")
	errConnections = errors.New("the cluster's limit of connections is reached, and so is that of waiting requests")
	errPatience    = errors.New("no connection was free within the cluster's time for waiting requests")
	errSession     = errors.New("the endpoint of the session cannot be used")
	errOwn         = errors.New("the destination is the gateway itself: the connection was not redirected")
	errDestination = errors.New("the connection's destination is not known, or there are too many")
	errRemoved     = errors.New("the cluster was removed")
)

// Choice is an endpoint that AcquireIdle picked and had no connection to; the
// zero value is none.
type Choice struct {
	pool  *pool
	hosts *cluster.HostSet // that it was picked from
}

// Want is what a try needs of its connection.
type Want struct {
	Pick *Pick // nil: nothing is asked of the endpoint
	// Fresh asks for one that was not there yet when the try before began.
	Fresh bool
	// Upgrade asks for one that can switch to another protocol. Whether it wants a
	// tunnel says the stream itself.
	Upgrade bool
	Choice  Choice
}

// AcquireIdle is Acquire as far as it goes without waiting: it gives the stream
// an idle connection, or a stream of an open one, or nil, and then the Choice
// that Acquire shall keep to. The stream wants neither an upgrade nor a tunnel.
func (c *Cluster) AcquireIdle(s *stream.Stream, pick *Pick, tried *[]*cluster.Endpoint) (*Conn, Choice) {
	if c.closed || len(c.waiting) > 0 {
		return nil, Choice{} // those who wait come first
	}
	c.refresh()
	p, err := c.pick(s, pick, *tried)
	if err != nil {
		return nil, Choice{}
	}
	conn := p.attachIdle(s)
	if conn == nil {
		return nil, Choice{p, c.hosts}
	}
	*tried = append(*tried, p.endpoint)
	return conn, Choice{}
}

// attachIdle gives the stream what the pool has, or nil.
func (p *pool) attachIdle(s *stream.Stream) *Conn {
	if !p.reserve() {
		return nil
	}
	conn := p.atHand(s)
	p.unreserve()
	return conn
}

func (p *pool) atHand(s *stream.Stream) *Conn {
	if p.multiplexes() {
		if m := p.withRoom(s, 0); m != nil {
			return m.attach(s)
		}
		if p.cluster.config.Protocol == cluster.HTTP2Only {
			return nil
		}
	}
	if conn := p.takeIdle(s); conn != nil {
		return conn.attach(s)
	}
	return nil
}

// Acquire gives the stream what it wants of a connection to an endpoint that is
// not among tried: one that is there, or a new one, which it waits for. The
// endpoint is added to tried, whether or not it can be reached. Release of the
// Conn gives it back.
func (c *Cluster) Acquire(s *stream.Stream, co *worker.Coroutine, tried *[]*cluster.Endpoint, want Want) (*Conn, error) {
	a := acquisition{Cluster: c, Want: want, s: s, co: co, tried: tried, http1: s.Request.WantsTunnel()}
	if a.Pick == nil {
		a.Pick = &c.plain
	}
	defer a.leaveQueue()
	for {
		if c.closed {
			return nil, c.unavailable(stream.NoCluster, errRemoved)
		}
		c.refresh()
		p := a.Choice.pool
		if p == nil || a.Choice.hosts != c.hosts && !p.pickable() {
			var err error
			if p, err = c.pick(s, a.Pick, a.others()); err != nil {
				return nil, err
			}
		}
		a.Choice = Choice{}
		err := errFull
		if a.queued != nil || len(c.waiting) == 0 { // else those who wait come first
			var conn *Conn
			if conn, err = a.from(p); err == errAgain {
				a.Choice = Choice{p, c.hosts}
				continue
			}
			if err != errFull && err != errCrowded {
				return conn, err
			}
		}
		if err := a.wait(err == errFull); err != nil {
			return nil, err
		}
	}
}

// acquisition is one stream's Acquire.
type acquisition struct {
	*Cluster
	Want
	s      *stream.Stream
	co     *worker.Coroutine
	tried  *[]*cluster.Endpoint
	noted  bool              // the last of tried is ours
	http1  bool              // HTTP/2 does not do
	queued *cluster.Breakers // whose limit of those that wait it counts against; nil: it does not wait
	late   *impatience       // nil: it waits as long as it is let
}

var (
	// errFull and errCrowded say that a stream must wait: the cluster's limit of
	// connections is reached, or the endpoint has as many as it may have.
	errFull    = errors.New("the cluster's limit of connections is reached")
	errCrowded = errors.New("the connections to the endpoint have no room")
	// errAgain says that things have changed, and that it is to look again.
	errAgain = errors.New("look again")
)

// others are the endpoints of the tries before.
func (a *acquisition) others() []*cluster.Endpoint {
	if a.noted {
		return (*a.tried)[:len(*a.tried)-1]
	}
	return *a.tried
}

// note adds the endpoint to those that were tried.
func (a *acquisition) note(p *pool) {
	*a.tried = append(a.others(), p.endpoint)
	a.noted = true
}

// from gets a connection to the pool's endpoint. Besides those of Acquire its
// errors are the three above.
func (a *acquisition) from(p *pool) (*Conn, error) {
	if !p.reserve() {
		return nil, errCrowded
	}
	defer p.unreserve()
	if !a.http1 && p.multiplexes() {
		return a.fromShared(p)
	}
	if !a.Fresh {
		if conn := p.takeIdle(a.s); conn != nil {
			a.note(p)
			return conn.attach(a.s), nil
		}
	}
	u, err := p.mayConnect(a.Pick.High)
	if err != nil {
		return nil, err
	}
	a.note(p)
	a.leaveQueue()
	return a.dialHTTP1(a.s, a.co, p, u)
}

func (c *Cluster) unavailable(flag stream.Flag, cause error) *stream.Error {
	return &stream.Error{Side: stream.Upstream, Phase: stream.PhasePick, Flag: flag, Status: 503,
		Cause: fmt.Errorf("cluster %s: %w", c.config.Name, cause)}
}
