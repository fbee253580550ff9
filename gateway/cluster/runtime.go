package cluster

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"longmen/gateway/cluster/dns"
	"longmen/gateway/cluster/eventlog"
	"longmen/gateway/cluster/health"
	"longmen/gateway/ledger"
)

// Runtime is what all clusters of a process share while they run: the resolver
// of names and the scheduler of health checks.
type Runtime struct {
	resolver resolver
	checks   *health.Scheduler
	dialer   func(*TCP) health.Dialer
	log      *slog.Logger
	events   *eventlog.Log
	changed  func(*Cluster)
	history  ledger.History
	locality Locality
	gateways string // the cluster that they are

	mu       sync.Mutex
	clusters map[string]*Cluster // that have been started, by name; a later one of a name counts
}

type resolver interface {
	Watch(ctx context.Context, name string, config *dns.Config, update func(dns.Result))
}

// NewRuntime starts the parts that clusters share. changed, if not nil, is
// called after a cluster has published a new HostSet, from one goroutine a
// cluster; it must not block, and not call back into the cluster's life (Close,
// Inherit). It is what tells workers to close connections to endpoints that are
// gone.
func NewRuntime(log *slog.Logger, changed func(*Cluster)) *Runtime {
	return &Runtime{
		resolver: dns.NewResolver("/etc/hosts", "/etc/resolv.conf"),
		checks:   health.NewScheduler(health.DefaultLimit),
		dialer:   dialer,
		log:      log,
		events:   eventlog.New(log),
		changed:  changed,
	}
}

// Locate says where the gateway itself is, for LocalityZoneAware, and which cluster's endpoints
// are the gateways (Envoy's local_cluster_name): how many of them each locality has decides what it
// can send. Without such a cluster the gateways are taken for spread as the endpoints are,
// so that each locality keeps to itself. It is to be called before the first cluster is started.
func (r *Runtime) Locate(locality Locality, gateways string) {
	r.locality, r.gateways = locality, gateways
}

// started notes a cluster, and has those follow that look at its endpoints.
func (r *Runtime) started(c *Cluster) {
	r.mu.Lock()
	if r.clusters == nil {
		r.clusters = map[string]*Cluster{}
	}
	r.clusters[c.config.Name] = c
	r.mu.Unlock()
	r.tellFollowers(c)
}

// ended forgets a cluster.
func (r *Runtime) ended(c *Cluster) {
	r.mu.Lock()
	if r.clusters[c.config.Name] == c {
		delete(r.clusters, c.config.Name)
	}
	r.mu.Unlock()
	r.tellFollowers(c)
}

// cluster finds a cluster that has been started.
func (r *Runtime) cluster(name string) *Cluster {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clusters[name]
}

// published tells whom a new host set concerns.
func (r *Runtime) published(c *Cluster) {
	if r.changed != nil {
		r.changed(c)
	}
	r.tellFollowers(c)
}

// tellFollowers has the clusters look again whose zones depend on c's endpoints.
func (r *Runtime) tellFollowers(c *Cluster) {
	if r.gateways == "" || c.config.Name != r.gateways {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, other := range r.clusters {
		if other.config.Spread.Localities == LocalityZoneAware {
			other.zones.Store(true)
			other.note()
		}
	}
}

// History remembers the endpoints that left clusters.
func (r *Runtime) History() *ledger.History { return &r.history }

// Close ends the runtime. Its clusters must be closed before.
func (r *Runtime) Close() {
	r.checks.Close()
	r.events.Close()
}

// dialer makes connections of health checks as requests' are made.
func dialer(tcp *TCP) health.Dialer {
	d := &net.Dialer{KeepAlive: -1}
	if tcp.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(tcp.Source, 0))
	}
	return d
}

// Start begins to resolve names and to check endpoints. A cluster in which nothing
// changes by itself needs no goroutine.
func (c *Cluster) Start(r *Runtime) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || c.runtime != nil {
		return
	}
	c.runtime, c.home, c.history = r, r, &r.history
	c.first()
	defer r.started(c)
	if c.subsets != nil && c.subsets.left > 0 {
		r.log.Warn("some combinations of labels have no subset: there are too many", "cluster", c.config.Name, "left out", c.subsets.left, "most", mostSubsets)
	}
	names := c.names()
	if len(names) == 0 && !c.changesByItself() {
		c.setReady()
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	if len(c.config.Health) > 0 {
		c.group = r.checks.Group(r.dialer(&c.config.TCP))
		c.addChecks()
	}
	for _, name := range names {
		c.work.Go(func() {
			r.resolver.Watch(ctx, name, &c.config.DNS, func(result dns.Result) { c.resolved(name, result) })
		})
	}
	if c.outliers != nil {
		c.work.Go(func() { c.outliers.Run(ctx, c.ejected) })
	}
	c.zones.Store(true)
	c.work.Go(func() { c.run(ctx) })
	c.note()
}

// changesByItself tells whether the state of the cluster's endpoints can change without another
// configuration and another answer of a name server.
func (c *Cluster) changesByItself() bool {
	config := c.config
	return len(config.Health) > 0 || config.Outlier != nil || len(c.beginners) > 0 ||
		config.Discovery == OriginalDst || config.Spread.Localities == LocalityZoneAware
}
