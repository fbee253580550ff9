package upstream

import (
	"longmen/gateway/cluster"
	"longmen/gateway/cluster/balance"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/client"
)

// Cluster is one worker's side of a cluster.
type Cluster struct {
	worker   *Worker
	shared   *cluster.Cluster
	config   *cluster.Config
	hosts    *cluster.HostSet
	balancer balance.Balancer
	pools    []*pool // by Endpoint.ID
	usable   []*pool // by index in hosts.Usable
	Stats    *metrics.ClusterStats
	waiting  []*worker.Coroutine // for a connection, when a limit is reached; the first came first
	poll     worker.Timer        // looks for connections that other workers freed
	closed   bool
}

// pool holds the connections to one endpoint.
type pool struct {
	cluster  *Cluster
	endpoint *cluster.Endpoint
	idle     *http1Conn // the one used last first
	count    int        // idle ones
}

func newCluster(w *Worker, shared *cluster.Cluster) *Cluster {
	c := &Cluster{worker: w, shared: shared, config: shared.Config(), Stats: w.metrics.Cluster(shared.Config().Name)}
	c.poll.Init((*pollTimer)(c))
	c.refresh()
	return c
}

// adopt takes another version of the cluster.
func (c *Cluster) adopt(shared *cluster.Cluster) {
	c.shared, c.config, c.hosts = shared, shared.Config(), nil
	c.refresh()
	c.wakeWaiting()
}

// Config is the cluster's current configuration.
func (c *Cluster) Config() *cluster.Config { return c.config }

// Shared is what all workers have of the cluster.
func (c *Cluster) Shared() *cluster.Cluster { return c.shared }

// refresh follows the cluster's endpoints.
func (c *Cluster) refresh() {
	hosts := c.shared.Hosts()
	if hosts == c.hosts {
		return
	}
	c.hosts = hosts
	c.usable = c.usable[:0]
	for _, e := range hosts.Endpoints {
		c.pool(e)
	}
	for _, e := range hosts.Usable {
		c.usable = append(c.usable, c.pool(e))
	}
	for id, p := range c.pools {
		if p != nil && p.endpoint.Gone() {
			p.closeIdle()
			c.pools[id] = nil
		}
	}
	c.balancer = balance.New(c.config.Balance, balance.Options{
		Weights: hosts.Weights,
		Choices: c.config.Choices,
		Load:    c.load,
		Seed:    c.worker.seed ^ c.hosts.Version<<32,
	})
}

// load is what LeastRequest compares: requests of all workers.
func (c *Cluster) load(i int) int64 { return c.usable[i].endpoint.Active.Load() }

// pool finds or makes the pool of an endpoint.
func (c *Cluster) pool(e *cluster.Endpoint) *pool {
	for int(e.ID) >= len(c.pools) {
		c.pools = append(c.pools, nil)
	}
	p := c.pools[e.ID]
	if p == nil || p.endpoint != e {
		if p != nil {
			p.closeIdle()
		}
		p = &pool{cluster: c, endpoint: e}
		c.pools[e.ID] = p
	}
	return p
}

func (c *Cluster) close() {
	c.closed = true
	for _, p := range c.pools {
		if p != nil {
			p.closeIdle()
		}
	}
	c.worker.loop.Drop(&c.poll)
	c.wakeWaiting()
}

// wakeFirst tells who has waited longest that there may be a connection.
func (c *Cluster) wakeFirst() {
	if len(c.waiting) > 0 {
		c.waiting[0].Wake()
	}
}

func (c *Cluster) wakeWaiting() {
	for _, co := range c.waiting {
		co.Wake()
	}
}

// hasRoom reports whether one more idle connection may be kept. Where each is for
// one server name alone, the one that was not used for longest makes room: the
// names of now would find no place among those of before.
func (p *pool) hasRoom() bool {
	config := p.cluster.config
	if p.count < config.Pool.Idle {
		return true
	}
	if p.idle == nil || config.TLS == nil || config.TLS.Name != client.NameRequest {
		return false
	}
	last := p.idle
	for last.next != nil {
		last = last.next
	}
	last.discard()
	return p.count < config.Pool.Idle
}

func (p *pool) closeIdle() {
	for p.idle != nil {
		p.idle.discard()
	}
}

// pollTimer lets streams that wait for a connection look again: one may have
// been freed by another worker.
type pollTimer Cluster

// Expire wakes who waits.
func (t *pollTimer) Expire(*worker.Timer) { (*Cluster)(t).wakeWaiting() }
