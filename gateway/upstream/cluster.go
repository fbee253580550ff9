package upstream

import (
	"longmen/gateway/cluster"
	"longmen/gateway/cluster/balance"
	"longmen/gateway/protocol/http2"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// Cluster is one worker's side of a cluster.
type Cluster struct {
	worker   *Worker
	shared   *cluster.Cluster
	config   *cluster.Config
	http2    *http2.ClientConfig // of connections made now; nil: HTTP/2 is not spoken
	hosts    *cluster.HostSet
	balancer balance.Balancer
	pools    []*pool // by Endpoint.ID
	usable   []*pool // by index in hosts.Usable
	Stats    *metrics.ClusterStats
	waiting  []*worker.Coroutine // for a connection, when a limit is reached; the first came first
	poll     worker.Timer        // looks for connections that other workers freed
	closed   bool
	token    bool    // requests carry the gateway's token in CDN-Loop
	onward   *onward // nil: requests go nowhere else
}

func newCluster(w *Worker, shared *cluster.Cluster) *Cluster {
	c := &Cluster{worker: w, shared: shared, Stats: w.metrics.Cluster(shared.Config().Name)}
	c.poll.Init((*pollTimer)(c))
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
		p := c.pool(e)
		p.hosts = hosts
		c.usable = append(c.usable, p)
	}
	for id, p := range c.pools {
		if p != nil && p.endpoint.Gone() {
			p.retire()
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
	c.wakeWaiting()
}

// closeOneIdle closes an idle connection, so that a new one fits into the
// cluster's limit, and reports whether there was one.
func (c *Cluster) closeOneIdle() bool {
	for _, p := range c.pools {
		if p != nil && (p.closeIdleHTTP1() || p.closeIdleHTTP2()) {
			return true
		}
	}
	return false
}
