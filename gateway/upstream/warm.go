package upstream

import (
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/worker"
	"longmen/tls/client"
)

// warmth is what keeps connections to a cluster's endpoints open although no
// request may need them for long: those of the two sides of a standby, so that
// switching over begins with no storm of connects and handshakes. A cluster
// without it has a zero one.
type warmth struct {
	connections int           // to each endpoint; 0: none are kept
	every       time.Duration // how often it is looked whether they are there
	timer       worker.Timer
	at          int // the endpoint that is looked at next
}

// mostWarmed is how many connections one look makes. The next look goes on from there.
const mostWarmed = 64

// wish asks for connections to be kept. What most is asked for counts.
func (w *warmth) wish(connections int, every time.Duration) {
	if connections <= 0 {
		return
	}
	if w.connections == 0 || every < w.every {
		w.every = every
	}
	w.connections = max(w.connections, connections)
}

// warmTimer looks after a cluster's connections.
type warmTimer Cluster

// Expire makes those that are not there.
func (t *warmTimer) Expire(*worker.Timer) {
	c := (*Cluster)(t)
	c.warmUp()
	c.worker.loop.Arm(&c.warm.timer, c.warm.every)
}

// beWarm begins or ends keeping connections, as the wishes are.
func (c *Cluster) beWarm() {
	switch w := &c.warm; {
	case w.connections == 0 || c.closed || c.config.Discovery == cluster.OriginalDst:
		c.worker.loop.Disarm(&w.timer)
	case !w.timer.Armed():
		c.worker.loop.Arm(&w.timer, 0)
	default:
		c.worker.loop.ArmBy(&w.timer, w.every)
	}
}

// warmUp makes connections to endpoints that have too few. They take what is left of
// the limits: none is closed for them.
func (c *Cluster) warmUp() {
	if tls := c.config.TLS; tls != nil && tls.Name == client.NameRequest {
		return // the name to ask for is that of a request
	}
	c.refresh()
	wanted := min(c.warm.connections, c.config.Pool.Idle) // more would not be kept
	i, made := 0, 0
	for _, g := range c.hosts.All.Groups {
		for e := range g.Usable.All() {
			if i++; i <= c.warm.at {
				continue
			}
			for p := c.pool(e); p.place().open < wanted; made++ {
				if made == mostWarmed {
					c.warm.at = i - 1
					return
				}
				u, err := p.spare(c.shared.Breakers(false))
				if err != nil {
					break
				}
				p.preconnect(u)
			}
		}
	}
	c.warm.at = 0
}

// preconnect makes a connection that is idle at first.
func (p *pool) preconnect(u unit) {
	c := p.cluster
	name := ""
	if tls := c.config.TLS; tls != nil {
		name = tls.NameFor(p.endpoint.Hostname(), p.endpoint.Address().Addr(), nil)
	}
	if p.multiplexes() {
		p.dial(name, u)
		return
	}
	d := c.worker.dialing(p, name, u)
	if c.config.TLS != nil {
		d.alpn = c.config.TLS.ALPN
	}
	p.dialing = append(p.dialing, d) // so that it ends with the cluster
	d.co = c.worker.loop.GoLater((*preconnection)(d))
}

// preconnection is a dial of HTTP/1 that no stream waits for.
type preconnection dial

// Run makes the connection.
func (pre *preconnection) Run(co *worker.Coroutine) {
	d := (*dial)(pre)
	p := d.pool
	defer p.cluster.worker.dialed(d)
	if d.canceled {
		return
	}
	e := d.connect(co)
	if d.canceled {
		return
	}
	p.dialed(d)
	switch {
	case e != nil:
		d.giveUp()
	default:
		if conn := newHTTP1(d); !conn.keep() {
			conn.destroy()
		}
	}
	d.serveAll(errAgain) // the cluster's protocol has become another meanwhile
}

// staysWarm tells whether an idle connection whose time is over is to be kept all the
// same.
func (p *pool) staysWarm(born int64) bool {
	c := p.cluster
	limit := c.config.Pool.MaxAge
	return c.warm.connections > 0 && p.resting <= c.warm.connections && !c.closed && !p.endpoint.Gone() && p.endpoint.Usable() &&
		(limit == 0 || c.worker.loop.Now()-born < int64(limit))
}
