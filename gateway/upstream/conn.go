package upstream

import (
	"errors"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/client"
	"longmen/tls/handshake"
)

// Conn is a connection to an endpoint.
type Conn struct {
	http1.Client
	pool       *pool
	shared     *cluster.Cluster // whose limit it counts against
	next, prev *Conn            // in the pool's list of idle ones
	timer      worker.Timer
	born       int64
	security   *client.Config // what it was made with; nil: plain
	name       string         // the server name of its handshake
	agreed     *handshake.Result
	idling     bool
	connecting bool
	limit      metrics.UpstreamTimeout // that of AwaitHead
	counted    bool                    // in Endpoint.Active
	pooled     bool                    // it carried a stream before the present one
}

var (
	errConnectTimeout = errors.New("connecting took too long")
	errAwaitTimeout   = errors.New("the endpoint did not answer in time")
)

// Endpoint is where the connection goes.
func (c *Conn) Endpoint() *cluster.Endpoint { return c.pool.endpoint }

// Agreed is what the connection's TLS handshake came to; nil when it is plain.
func (c *Conn) Agreed() *handshake.Result { return c.agreed }

// Pooled reports whether the connection carried streams before: the endpoint
// may have closed it just now.
func (c *Conn) Pooled() bool { return c.pooled }

// ClientIdle is told that the endpoint closed an idle connection, or sent
// something on it unasked.
func (c *Conn) ClientIdle(*http1.Client) {
	if c.idling && !c.Settle() {
		c.discard()
	}
}

// Expire ends a connect that lasts too long, a wait for a response head, or an
// idle connection's time.
func (c *Conn) Expire(*worker.Timer) {
	switch {
	case c.idling:
		c.discard()
	case c.connecting:
		c.pool.cluster.Stats.ConnectTimeouts.Inc()
		c.Fail(&stream.Error{Side: stream.Upstream, Phase: stream.PhaseConnect, Flag: stream.UpstreamConnectFailure, Status: 504, Cause: errConnectTimeout})
	default:
		c.pool.cluster.Stats.Timeouts[c.limit].Inc()
		c.Fail(&stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamTimeout, Status: 504, Sent: true, Cause: errAwaitTimeout})
	}
}

// AwaitHead bounds the wait for the response head from now on. limit is what
// the time belongs to.
func (c *Conn) AwaitHead(d time.Duration, limit metrics.UpstreamTimeout) {
	c.limit = limit
	c.loop().Arm(&c.timer, d)
}

// HeadCame ends what AwaitHead began.
func (c *Conn) HeadCame() { c.loop().Disarm(&c.timer) }

func (c *Conn) loop() *worker.Loop { return c.pool.cluster.worker.loop }

// Release gives the connection back after its stream. It is kept for another
// one when its state, the cluster's settings and its endpoint allow it.
func (c *Conn) Release() {
	p := c.pool
	config := p.cluster.config
	reusable := p.cluster.detach(c)
	c.pooled = true
	limits := &config.Pool
	wait := limits.IdleTimeout
	if limits.MaxAge > 0 {
		wait = min(wait, limits.MaxAge-time.Duration(c.loop().Now()-c.born))
	}
	keep := reusable && c.security == config.TLS && !p.cluster.closed && !p.endpoint.Gone() && p.hasRoom() && wait > 0 &&
		(limits.MaxRequests == 0 || c.Served() < limits.MaxRequests)
	if !keep {
		c.destroy()
		return
	}
	c.idling = true
	c.next = p.idle
	if c.next != nil {
		c.next.prev = c
	}
	p.idle = c
	p.count++
	p.cluster.Stats.ConnectionsIdle.Inc()
	c.loop().Arm(&c.timer, wait)
	p.cluster.wakeFirst()
}

// take removes an idle connection from its pool's list.
func (c *Conn) take() {
	p := c.pool
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		p.idle = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev, c.idling = nil, nil, false
	p.count--
	p.cluster.Stats.ConnectionsIdle.Dec()
	c.loop().Disarm(&c.timer)
}

// discard closes an idle connection.
func (c *Conn) discard() {
	c.take()
	c.destroy()
}

// destroy closes the connection and gives back its unit of the limit.
func (c *Conn) destroy() {
	c.loop().Drop(&c.timer)
	c.Part()
	c.shared.ReleaseConnection()
	c.pool.cluster.Stats.ConnectionsActive.Dec()
	c.pool.cluster.wakeFirst()
}
