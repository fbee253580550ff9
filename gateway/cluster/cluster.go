package cluster

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"longmen/gateway/cluster/health"
	"longmen/gateway/cluster/outlier"
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
//		// close the idle connections to the endpoints that are gone since, and
//		// make balancers for the groups of hosts.All that are others than before:
//		mine.balancer = balance.New(config.Balance, balance.Options{Table: group.Table, Weights: group.Weights, ...})
//	}
//	group := hosts.All.Groups[hosts.All.At(random)]
//	i := mine.balancer.Pick(nil)   // -1: there is none
//	pool := mine.pools[group.Usable.At(i).ID]
//
// A worker without requests to the cluster does not look at it; Runtime's
// Changed is there to tell it that connections are to be closed.
type Cluster struct {
	config *Config
	hosts  atomic.Pointer[HostSet] // nil: nobody has looked yet

	breakers [2]Breakers // of default and high priority
	standby  *standby.Switch
	entered  *counter // requests at endpoints; nil: not counted

	ready     chan struct{}
	readyOnce sync.Once
	changed   chan struct{}  // holds one: something was noted below that is not published
	doubts    chan *Endpoint // connections to them have failed
	used      atomic.Bool    // a connection for a request was begun
	zones     atomic.Bool    // where the gateways are has changed
	work      sync.WaitGroup

	mu        sync.Mutex
	runtime   *Runtime        // nil: not started
	home      *Runtime        // the same, or that of the version before
	history   *ledger.History // of endpoints that left; nil before the start
	stop      context.CancelFunc
	ended     bool
	ids       *ids
	version   uint64
	sources   []*source
	stale     bool              // the sources have changed since the endpoints were made
	endpoints map[key]*Endpoint // made anew when it changes
	order     []*Endpoint
	group     *health.Group // nil: no checks
	// What was checked by the clusters of the same name before.
	checkedBefore health.Stats
	outliers      *outlier.Detector // nil: none
	isSettled     bool

	divisions []*division // the first is that of all endpoints
	subsets   *subsets
	arranged  bool        // divisions are to be looked at as a whole
	changes   []*Endpoint // whose state or weight has changed
	beginners []*Endpoint // in their slow start
	// Of OriginalDst, those that are or will be among endpoints.
	destinations map[key]*Endpoint

	removed []*Endpoint // the last that have gone
	goneBy  uint64      // how many have gone
}

// New makes a cluster from a checked configuration, which it keeps. It does no
// input or output. Its endpoints are made when somebody looks at them first: most clusters of a
// new configuration are as before, and are thrown away.
func New(config *Config) *Cluster {
	return &Cluster{
		config:   config,
		breakers: [2]Breakers{newBreakers(&config.Limits), newBreakers(&config.HighLimits)},
		standby:  newStandby(config),
		entered:  newEntered(config),
		ready:    make(chan struct{}),
		changed:  make(chan struct{}, 1),
		doubts:   make(chan *Endpoint, maxDoubts),
		outliers: newOutliers(config),
		ids:      &ids{},
		sources:  newSources(config),

		destinations: map[key]*Endpoint{},
	}
}

// Config is the configuration that the cluster was made from; it must not be changed.
func (c *Cluster) Config() *Config { return c.config }

// Hosts is the current host set: one atomic load, never nil.
func (c *Cluster) Hosts() *HostSet {
	if hosts := c.hosts.Load(); hosts != nil {
		return hosts
	}
	return c.firstHosts()
}

func (c *Cluster) firstHosts() *HostSet {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first()
	return c.hosts.Load()
}

// first makes the endpoints, unless they have been made.
func (c *Cluster) first() {
	if c.hosts.Load() == nil {
		c.reconcile()
		c.publish()
	}
}

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
	previous.hosts.CompareAndSwap(nil, noHosts()) // nobody looked, and it makes none now
	for i := range c.breakers {
		c.breakers[i].inherit(&previous.breakers[i])
	}
	if c.entered != nil && previous.entered != nil {
		c.entered = previous.entered
	}
	c.ids, c.version, c.history = previous.ids, previous.version, previous.history
	c.removed, c.goneBy = previous.removed, previous.goneBy
	c.checkedBefore = previous.healthStats()
	if c.config.Discovery == OriginalDst {
		c.destinations = previous.destinations
	}
	c.endpoints, previous.endpoints = previous.endpoints, nil
	c.inheritOutliers(previous)
	c.used.Store(previous.used.Load())
	if c.config.TCP != previous.config.TCP {
		clear(c.destinations)
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
	c.home = previous.home
	c.divisions = nil // their groups were made with other settings
	c.reconcile()
	c.inheritBeginners(previous)
	c.publish()
}

// Close ends the cluster's goroutines, waits for them, and marks its endpoints
// as gone. It may be called at any time, and again.
func (c *Cluster) Close() {
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hosts.CompareAndSwap(nil, noHosts())
	c.releaseAll()
	if c.runtime != nil {
		c.runtime.ended(c)
	}
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

// HealthStats counts the checks of the clusters of one name.
func (c *Cluster) HealthStats() health.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.healthStats()
}

func (c *Cluster) healthStats() health.Stats {
	if c.group == nil {
		return c.checkedBefore
	}
	return c.checkedBefore.Add(c.group.Stats())
}

// settled tells that all names and endpoints have had their first result.
func (c *Cluster) settled() bool {
	if c.isSettled {
		return true
	}
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
	c.isSettled = true
	return true
}

func (c *Cluster) setReady() { c.readyOnce.Do(func() { close(c.ready) }) }

const (
	readyLimit = 5 * time.Second
	// settle is the least time between two host sets: when many endpoints
	// change at once, workers need not make a balancer for each of them.
	settle = 10 * time.Millisecond
	// settleFactor times what making the last one took is another bound: large tables of
	// hashes shall not take more than a tenth of a processor.
	settleFactor = 9
)

// run publishes what changes, until ctx is done.
func (c *Cluster) run(ctx context.Context) {
	limit := time.NewTimer(readyLimit)
	defer limit.Stop()
	step := time.NewTimer(0) // of slow starts, and to forget destinations
	defer step.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
			c.setReady()
			continue
		case <-step.C:
		case e := <-c.doubts:
			c.doubt(e)
			continue
		case <-c.changed:
		}
		c.mu.Lock()
		now := time.Now()
		c.forgetDestinations(now)
		if c.stale {
			c.reconcile()
		}
		c.grow(now)
		began := time.Now()
		news, settled := c.publish(), c.settled()
		rest := max(settle, settleFactor*time.Since(began))
		if wait := c.wait(); wait > 0 {
			step.Reset(wait)
		}
		c.mu.Unlock()
		if news {
			c.runtime.published(c)
		}
		if settled {
			c.setReady()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

// wait is after how long run has something to do by itself; 0: it has not.
func (c *Cluster) wait() time.Duration {
	switch {
	case len(c.beginners) > 0:
		return c.config.SlowStart.step()
	case c.config.Discovery == OriginalDst && len(c.order) > 0:
		return c.config.OriginalDestination.unused()
	}
	return 0
}

// touch notes that an endpoint may be usable, or not any more.
func (c *Cluster) touch(e *Endpoint) {
	c.mu.Lock()
	c.changes = append(c.changes, e)
	c.mu.Unlock()
	c.note()
}

// note has run look at what changed.
func (c *Cluster) note() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
