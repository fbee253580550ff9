package upstream

import (
	"net/netip"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/http2"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// Cluster is one worker's side of a cluster.
type Cluster struct {
	worker *Worker
	shared *cluster.Cluster
	config *cluster.Config
	http2  *http2.ClientConfig // of connections made now; nil: HTTP/2 is not spoken
	hosts  *cluster.HostSet
	pools  []*pool // by Endpoint.ID; nil: no request went there yet
	Stats  *metrics.ClusterStats

	all      selection
	single   *group                 // that every pick is from, by the balancer alone; nil: there is more to it
	divided  bool                   // into subsets:
	subsets  map[int]*selection     // by their numbers
	matches  map[*cluster.Match]int // what hosts.Resolve said
	bounded  bool                   // endpoints may have no room
	counts   bool                   // requests are counted at endpoints
	limited  bool                   // connections have limits
	turn     uint64                 // of random
	choosing choosing
	plain    Pick // that of a request that asks for nothing
	// Of OriginalDst, what the cluster said of destinations.
	destinations map[netip.AddrPort]*cluster.Endpoint

	waiting []*worker.Coroutine // for a connection, when a limit is reached; the first came first
	poll    worker.Timer        // looks for connections that other workers freed
	closed  bool
	token   bool    // requests carry the gateway's token in CDN-Loop
	onward  *onward // nil: requests go nowhere else
	warm    warmth
}

func newCluster(w *Worker, shared *cluster.Cluster) *Cluster {
	c := &Cluster{worker: w, shared: shared, Stats: w.metrics.Cluster(shared.Config().Name)}
	c.poll.Init((*pollTimer)(c))
	c.warm.timer.Init((*warmTimer)(c))
	c.choosing.exclude = c.excluded
	c.turn = w.seed ^ nameHash(shared.Config().Name)
	c.configure(shared.Config())
	c.refresh()
	return c
}

// adopt takes another version of the cluster.
func (c *Cluster) adopt(shared *cluster.Cluster) {
	c.shared, c.hosts = shared, nil
	c.configure(shared.Config())
	c.refresh()
	for _, p := range c.pools {
		if p != nil {
			p.retirePast()
		}
	}
	c.wakeWaiting()
}

// configure takes the settings for connections that are made from now on.
func (c *Cluster) configure(config *cluster.Config) {
	before := c.config
	c.config = config
	c.all = selection{}
	c.divided, c.subsets, c.matches = config.Subsets != nil, nil, nil
	c.bounded = config.HTTP2.MaxConnections > 0 || config.EndpointLimits != cluster.EndpointLimits{}
	c.counts = config.CountsActive()
	c.limited = config.Limits.Connections > 0 || config.HighLimits.Connections > 0 || config.EndpointLimits.Connections > 0
	switch {
	case config.Protocol == cluster.HTTP1:
		c.http2 = nil
	case c.http2 == nil || config.HTTP2 != before.HTTP2:
		c.http2 = c.worker.http2Config(&config.HTTP2, c.Stats)
	}
}

// Config is the cluster's current configuration.
func (c *Cluster) Config() *cluster.Config { return c.config }

// Shared is what all workers have of the cluster.
func (c *Cluster) Shared() *cluster.Cluster { return c.shared }

// refresh follows the cluster's endpoints.
func (c *Cluster) refresh() {
	if hosts := c.shared.Hosts(); hosts != c.hosts {
		c.follow(hosts)
	}
}

// follow takes another host set. Its work is in proportion to what is new in it.
func (c *Cluster) follow(hosts *cluster.HostSet) {
	before := c.hosts
	c.hosts = hosts
	c.all.follow(hosts.All)
	if c.divided && (before == nil || !hosts.SameSubsets(before)) {
		c.subsets, c.matches = map[int]*selection{}, map[*cluster.Match]int{}
	}
	c.leaveGone(before)
	if c.single = nil; len(c.all.groups) == 1 && !c.divided && !c.bounded && c.config.Discovery != cluster.OriginalDst {
		c.single = &c.all.groups[0]
		if c.single.balancer == nil {
			c.single.balancer = c.balancer(c.single.of)
		}
	}
}

// leaveGone ends the connections to the endpoints that have gone since before.
func (c *Cluster) leaveGone(before *cluster.HostSet) {
	if before != nil {
		if gone, ok := c.hosts.Since(before.Removed); ok {
			for _, e := range gone {
				c.leave(e.ID, e)
			}
			return
		}
	}
	for id, p := range c.pools {
		if p != nil && p.endpoint.Gone() {
			c.leave(uint32(id), p.endpoint)
		}
	}
}

// leave gives up the pool of an endpoint that has gone.
func (c *Cluster) leave(id uint32, e *cluster.Endpoint) {
	if int(id) < len(c.pools) && c.pools[id] != nil && c.pools[id].endpoint == e {
		c.pools[id].retire()
		c.pools[id] = nil
	}
	if len(c.destinations) > 0 {
		delete(c.destinations, e.Address())
	}
}

// pool finds or makes the pool of an endpoint.
func (c *Cluster) pool(e *cluster.Endpoint) *pool {
	if int(e.ID) < len(c.pools) {
		if p := c.pools[e.ID]; p != nil && p.endpoint == e {
			return p
		}
	}
	return c.makePool(e)
}

func (c *Cluster) makePool(e *cluster.Endpoint) *pool {
	for int(e.ID) >= len(c.pools) {
		c.pools = append(c.pools, nil)
	}
	p := c.pools[e.ID]
	if p == nil || p.endpoint != e {
		if p != nil {
			p.retire()
		}
		p = newPool(c, e)
		c.pools[e.ID] = p
	}
	return p
}

func (c *Cluster) close() {
	c.closed = true
	for _, p := range c.pools {
		if p != nil {
			p.retire()
			p.cancelDials()
		}
	}
	c.worker.loop.Drop(&c.poll)
	c.worker.loop.Drop(&c.warm.timer)
	c.wakeWaiting()
}

// closeOneIdle closes an idle connection, so that a new one fits into the
// cluster's limit, and reports whether there was one that counts against that.
func (c *Cluster) closeOneIdle(b *cluster.Breakers) bool {
	for _, p := range c.pools {
		if p != nil && (p.closeIdleHTTP1(b) || p.closeIdleHTTP2(b)) {
			return true
		}
	}
	return false
}

// spare closes an idle connection for which another worker waits.
func (c *Cluster) spare() {
	for _, high := range [...]bool{false, true} {
		if b := c.shared.Breakers(high); b.ConnectionsFull() {
			c.closeOneIdle(b)
		}
	}
}
