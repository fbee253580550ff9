package upstream

import (
	"time"

	"longmen/gateway/protocol/http1"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
	"longmen/tls/client"
)

// http1Conn is a connection of HTTP/1, with the Conn of the try that has it.
type http1Conn struct {
	Conn
	client     http1.Client
	unit       unit       // of the limits of connections
	next, prev *http1Conn // in the pool's list of idle ones
	born       int64
	security   *client.Config // what it was made with; nil: plain
	name       string         // the server name of its handshake
	idling     bool
}

// newHTTP1 makes a connection of one that was dialed.
func newHTTP1(d *dial) *http1Conn {
	c := &http1Conn{unit: d.unit, born: d.begun, security: d.security, name: d.name}
	c.Exchange, c.h1, c.pool, c.account, c.agreed = &c.client, c, d.pool, d.account, d.agreed
	c.timer.Init(c)
	c.client.Take(&d.Conn, c.pool.cluster.worker.limits, c)
	return c
}

// dialHTTP1 makes a new connection for the stream alone and waits for it. A unit of
// the limit of connections is taken already.
func (c *Cluster) dialHTTP1(s *stream.Stream, co *worker.Coroutine, p *pool, u unit) (*Conn, error) {
	d := c.worker.dialing(p, serverName(c.config.TLS, p, s), u)
	defer c.worker.dialed(d)
	d.s, d.alpn = s, c.http1ALPN(s)
	counted := p.enter(d.account)
	defer p.leave(d.account, counted) // when the stream counts by its Conn
	if e := d.connect(co); e != nil {
		d.giveUp()
		return nil, e
	}
	return newHTTP1(d).attach(s), nil
}

// ClientIdle is told that the endpoint closed an idle connection, or sent
// something on it unasked.
func (c *http1Conn) ClientIdle(*http1.Client) {
	if c.idling && !c.client.Settle() {
		c.discard()
	}
}

// Expire ends a wait for a response head, or an idle connection's time.
func (c *http1Conn) Expire(*worker.Timer) {
	switch {
	case !c.idling:
		c.headLate()
	case c.pool.staysWarm(c.born) && c.usable():
		c.loop().Arm(&c.timer, c.pool.cluster.config.Pool.IdleTimeout)
	default:
		c.discard()
	}
}

// release keeps the connection for another stream when its state, the cluster's
// settings and its endpoint allow it.
func (c *http1Conn) release() {
	reusable := c.detach()
	c.pooled = true
	if !reusable || !c.keep() {
		c.destroy()
	}
}

// keep makes the connection an idle one, if there is a use for it.
func (c *http1Conn) keep() bool {
	p := c.pool
	config := p.cluster.config
	limits := &config.Pool
	wait := limits.IdleTimeout
	if limits.MaxAge > 0 {
		wait = min(wait, limits.MaxAge-time.Duration(c.loop().Now()-c.born))
	}
	if c.security != config.TLS || p.cluster.closed || p.endpoint.Gone() || wait <= 0 ||
		limits.MaxRequests > 0 && c.client.Served() >= limits.MaxRequests || !p.hasRoom() {
		return false
	}
	c.idling = true
	c.next = p.idle
	if c.next != nil {
		c.next.prev = c
	}
	p.idle = c
	p.rest(c.account)
	c.loop().Arm(&c.timer, wait)
	p.cluster.wakeFirst()
	return true
}

// attach gives the connection to the stream.
func (c *http1Conn) attach(s *stream.Stream) *Conn {
	c.client.Attach(s)
	c.begin()
	return &c.Conn
}

// usable reports whether an idle connection's end was not reported in this very
// turn, and its settings are those of now.
func (c *http1Conn) usable() bool {
	k := &c.client
	return (!k.MayRead() || k.Settle()) && k.Err() == nil && c.security == c.pool.cluster.config.TLS
}

// take removes an idle connection from its pool's list.
func (c *http1Conn) take() {
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
	p.wake(c.account)
	c.loop().Disarm(&c.timer)
}

// discard closes an idle connection.
func (c *http1Conn) discard() {
	c.take()
	c.destroy()
}

// destroy closes the connection and gives back its unit of the limit.
func (c *http1Conn) destroy() {
	c.loop().Drop(&c.timer)
	c.client.Part()
	c.unit.release(c.pool.cluster)
	c.account.closed()
	c.pool.cluster.wakeFirst()
}
