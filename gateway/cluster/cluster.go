package cluster

import (
	"context"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"longmen/gateway/cluster/health"
	"longmen/gateway/ledger"
	"longmen/gateway/standby"
)

// Cluster is one version of a cluster. Its life:
//
//	c := New(config)       // usable offline; static endpoints are there
//	c.Inherit(previous)    // when it takes the place of one of the same name
//	c.Start(runtime)       // names are resolved, endpoints are checked
//	<-c.Ready()            // optional: their first results are there
//	c.Close()              // unless another one inherits from it
//
// A worker holds, for each cluster, the HostSet that it knows and a balancer
// made for it:
//
//	hosts := c.Hosts()
//	if hosts != mine.hosts {
//		mine.hosts = hosts
//		mine.balancer = balance.New(config.Balance, balance.Options{Weights: hosts.Weights, ...})
//		// and close the idle connections of every pool whose endpoint is Gone
//	}
//	i := mine.balancer.Pick(nil)   // -1: there is none
//	pool := mine.pools[hosts.Usable[i].ID]
//
// A worker without requests to the cluster does not look at it; Runtime's
// Changed is there to tell it that connections are to be closed.
type Cluster struct {
	config *Config
	hosts  atomic.Pointer[HostSet]

	breakers [2]Breakers // of default and high priority
	standby  *standby.Switch

	ready     chan struct{}
	readyOnce sync.Once
	changed   chan struct{} // holds one: something was noted below that is not published
	work      sync.WaitGroup

	mu        sync.Mutex
	runtime   *Runtime        // nil: not started
	history   *ledger.History // of endpoints that left; nil before the start
	stop      context.CancelFunc
	ended     bool
	ids       *ids
	version   uint64
	sources   []*source
	stale     bool // the sources have changed since the endpoints were made
	endpoints map[key]*Endpoint
	order     []*Endpoint
	group     *health.Group // nil: no checks
}

// New makes a cluster from a checked configuration, which it keeps. It does no
// input or output.
func New(config *Config) *Cluster {
	c := &Cluster{
		config:   config,
		breakers: [2]Breakers{newBreakers(&config.Limits), newBreakers(&config.HighLimits)},
		standby:  newStandby(config),
		ready:    make(chan struct{}),
		changed:  make(chan struct{}, 1),
		ids:      &ids{},
		sources:  newSources(config),
	}
	c.hosts.Store(&HostSet{})
	c.reconcile()
	c.publish()
	return c
}

// Config is the configuration that the cluster was made from; it must not be changed.
func (c *Cluster) Config() *Config { return c.config }

// Hosts is the current host set: one atomic load, never nil.
func (c *Cluster) Hosts() *HostSet { return c.hosts.Load() }

// Ready is closed when every name was resolved and every endpoint checked once,
// whatever came out, or 5 s after Start, or when the cluster ends. A cluster
// without names and checks is ready at its Start.
func (c *Cluster) Ready() <-chan struct{} { return c.ready }

// Inherit takes over what stays the same from the cluster that c, which is not
// started yet, replaces: endpoints with their health and IDs, addresses of
// names, units of limits in use. Endpoints that c does not have are gone, and
// all are if the socket options changed. previous is ended as by Close, but its
// HostSet stays usable for streams that began with it.
func (c *Cluster) Inherit(previous *Cluster) {
	previous.end()
	previous.mu.Lock()
	defer previous.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.breakers {
		c.breakers[i].inherit(&previous.breakers[i])
	}
	c.ids, c.version, c.history = previous.ids, previous.version, previous.history
	c.endpoints, previous.endpoints = previous.endpoints, nil
	if c.config.TCP != previous.config.TCP {
		c.releaseAll()
	}
	sameChecks := reflect.DeepEqual(c.config.Health, previous.config.Health)
	for _, e := range c.endpoints {
		e.checks = nil
		if !sameChecks {
			e.forget(len(c.config.Health))
		}
	}
	inheritSources(c, previous)
	c.inheritStandby(previous)
	c.reconcile()
	c.publish()
}

// Close ends the cluster's goroutines, waits for them, and marks its endpoints
// as gone. It may be called at any time, and again.
func (c *Cluster) Close() {
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseAll()
}

// end stops DNS and checks and waits for them.
func (c *Cluster) end() {
	c.setReady() // nobody shall wait for what will not come
	c.mu.Lock()
	c.ended = true
	stop, group := c.stop, c.group
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
	if group != nil {
		group.Close()
	}
	c.work.Wait()
}

// HealthStats counts the cluster's checks since its Start.
func (c *Cluster) HealthStats() health.Stats {
	c.mu.Lock()
	group := c.group
	c.mu.Unlock()
	if group == nil {
		return health.Stats{}
	}
	return group.Stats()
}

// reconcile makes the endpoints those that the sources have now.
func (c *Cluster) reconcile() {
	found := make(map[key]*Endpoint, len(c.endpoints))
	order := make([]*Endpoint, 0, len(c.endpoints))
	for _, s := range c.sources {
		for _, address := range s.addresses {
			at := netip.AddrPortFrom(address, s.config.Port)
			k := key{address: at}
			if s.logical {
				k = key{address: netip.AddrPortFrom(netip.Addr{}, s.config.Port), name: s.config.Host}
			}
			if found[k] != nil {
				continue // written twice, or of two names: the first counts
			}
			e := c.endpoints[k]
			if e == nil {
				e = newEndpoint(c.ids.take(), k, at, s.config, len(c.config.Health))
			}
			if old := e.Address(); old != at {
				c.history.Left(old, c.config.Name, time.Now())
				e.address.Store(&at)
			}
			e.config.Store(s.config)
			found[k] = e
			order = append(order, e)
		}
	}
	for k, e := range c.endpoints {
		if found[k] == nil {
			c.release(e)
		}
	}
	c.endpoints, c.order, c.stale = found, order, false
	c.addChecks()
}

// release lets go of an endpoint.
func (c *Cluster) release(e *Endpoint) {
	e.gone.Store(true)
	c.history.Left(e.Address(), c.config.Name, time.Now())
	for _, check := range e.checks {
		check.Remove()
	}
	c.ids.put(e.ID)
}

func (c *Cluster) releaseAll() {
	for _, e := range c.endpoints {
		c.release(e)
	}
	c.endpoints = nil
}

// publish makes the endpoints' state visible to workers, and tells whether
// there was anything new.
func (c *Cluster) publish() bool {
	next := newHostSet(c.order, c.config.PanicThreshold)
	if next.same(c.Hosts()) {
		return false
	}
	c.version++
	next.Version = c.version
	c.hosts.Store(next)
	return true
}

// settled tells that all names and endpoints have had their first result.
func (c *Cluster) settled() bool {
	for _, s := range c.sources {
		if !s.resolved {
			return false
		}
	}
	for _, e := range c.order {
		if !e.checked() {
			return false
		}
	}
	return true
}

func (c *Cluster) setReady() { c.readyOnce.Do(func() { close(c.ready) }) }

const (
	readyLimit = 5 * time.Second
	// settle is the least time between two host sets: when many endpoints
	// change at once, workers need not make a balancer for each of them.
	settle = 10 * time.Millisecond
)

// run publishes what changes, until ctx is done.
func (c *Cluster) run(ctx context.Context) {
	limit := time.NewTimer(readyLimit)
	defer limit.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			c.setReady()
			continue
		case <-c.changed:
		}
		c.mu.Lock()
		if c.stale {
			c.reconcile()
		}
		news, settled := c.publish(), c.settled()
		c.mu.Unlock()
		if news && c.runtime.changed != nil {
			c.runtime.changed(c)
		}
		if settled {
			c.setReady()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
	}
}

// note has run look at what changed.
func (c *Cluster) note() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
