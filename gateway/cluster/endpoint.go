package cluster

import (
	"cmp"
	"net/netip"
	"sync/atomic"
	"time"

	"longmen/gateway/cluster/balance"
	"longmen/gateway/cluster/health"
	"longmen/gateway/cluster/outlier"
)

// Endpoint is one address of a cluster. It lives as long as the address is
// among the cluster's, through new resolutions and configurations, and with it
// its health and every worker's connections to it.
type Endpoint struct {
	// ID is a small number, unique among the endpoints of the cluster that are
	// not gone: an index for a worker's table of pools. When an endpoint is
	// gone, a later one may get its ID, so a table must hold the Endpoint too
	// and compare it:
	//
	//	pool := pools[e.ID]
	//	if pool == nil || pool.endpoint != e {
	//		pool = newPool(e) // the other one's endpoint is gone
	//	}
	ID uint32

	key     key
	address atomic.Pointer[netip.AddrPort]
	config  atomic.Pointer[EndpointConfig]
	gone    atomic.Bool
	health  atomic.Pointer[Health]

	connectFailures    atomic.Uint64
	lastConnectFailure atomic.Int64 // Unix nanoseconds

	// Under the cluster's mutex:
	checks  []*health.Check
	states  []health.State // one for each of Config.Health
	wasDown bool           // what unchecked states stand for, after the checks themselves changed
	places  []place
	listed  bool          // it was usable when that was looked at last
	began   time.Time     // its slow start
	percent atomic.Uint32 // of its weight that it has in that

	used atomic.Int64 // of OriginalDst: when a worker picked it last, in Unix seconds

	// What is known of it by what requests to it came to.
	outlier outlier.Host

	_ [64]byte // all above is seldom written; what all workers write has a cache line of its own

	// Active is the number of requests under way over all workers, with Config.CountsActive.
	Active atomic.Int64
	// Connections is the number of connections of all workers, with a limit of them.
	Connections atomic.Int64
	// Latency is what PeakEWMA goes by.
	Latency balance.Latency
	_       [32]byte
}

// key tells endpoints apart: by address, or with LogicalDNS by name and port.
type key struct {
	address netip.AddrPort
	name    string
}

// HealthState is what the active checks say of an endpoint.
type HealthState = health.State

// Health is what is known of an endpoint's health.
type Health struct {
	Healthy bool        // may be used
	State   HealthState // unchecked endpoints are taken for healthy
	Since   time.Time   // when Healthy changed last; zero: never
	Reason  string      // what the last deciding check found
}

// Address is where new connections go. It changes during an endpoint's life
// only with LogicalDNS.
func (e *Endpoint) Address() netip.AddrPort { return *e.address.Load() }

// Config is the endpoint's current configuration. Endpoints of one DNS name
// share it.
func (e *Endpoint) Config() *EndpointConfig { return e.config.Load() }

// Hostname is the name that stands for the endpoint in a Host field; "" when
// only its address is known.
func (e *Endpoint) Hostname() string {
	config := e.Config()
	if config.Hostname != "" {
		return config.Hostname
	}
	if _, err := netip.ParseAddr(config.Host); err == nil {
		return ""
	}
	return config.Host
}

// Gone tells that the endpoint is not the cluster's any more, forever: its idle
// connections are to be closed, and those in use when they become idle.
func (e *Endpoint) Gone() bool { return e.gone.Load() }

// Healthy tells whether the active checks allow its use.
func (e *Endpoint) Healthy() bool { return e.health.Load().Healthy }

// Health says more than Healthy.
func (e *Endpoint) Health() Health { return *e.health.Load() }

// ReportConnectFailure notes that a connection could not be made.
func (e *Endpoint) ReportConnectFailure(now time.Time) {
	e.connectFailures.Add(1)
	e.lastConnectFailure.Store(now.UnixNano())
}

// ConnectFailures is how often ReportConnectFailure was called, and when last
// (zero: never).
func (e *Endpoint) ConnectFailures() (count uint64, last time.Time) {
	if at := e.lastConnectFailure.Load(); at != 0 {
		last = time.Unix(0, at)
	}
	return e.connectFailures.Load(), last
}

// Usable tells whether new requests may go to the endpoint, but for panic.
func (e *Endpoint) Usable() bool {
	config := e.Config()
	return e.Healthy() && !config.Draining && !config.Down && !e.outlier.Ejected()
}

// Percent is how much of its weight the endpoint has in its slow start; 100 else.
func (e *Endpoint) Percent() uint32 { return e.percent.Load() }

// hashKey is what stands for the endpoint where hashes decide.
func (e *Endpoint) hashKey() string {
	if key := e.Config().HashKey; key != "" {
		return key
	}
	return e.key.String()
}

// weight is the share of requests, at least 1.
func (e *Endpoint) weight() uint32 { return max(e.Config().Weight, 1) }

// forget makes all checks unchecked, as the checks are others now. Until the
// first of them has finished the endpoint stays what it was.
func (e *Endpoint) forget(checks int) {
	e.wasDown = checks > 0 && !e.Healthy()
	e.states = make([]health.State, checks)
	e.judge(time.Now(), e.Health().Reason)
}

// judge draws the conclusion from the states of the checks.
func (e *Endpoint) judge(now time.Time, reason string) {
	last := e.health.Load()
	next := &Health{Healthy: true, State: health.Up, Reason: reason, Since: last.Since}
	for _, state := range e.states {
		if state == health.Down || state == health.Unchecked && e.wasDown {
			next.Healthy = false
		}
		switch {
		case state == health.Down:
			next.State = health.Down
		case state == health.Unchecked && next.State == health.Up:
			next.State = health.Unchecked
		}
	}
	if len(e.states) == 0 {
		next.State = health.Unchecked
	}
	if next.Healthy != last.Healthy {
		next.Since = now
	}
	e.health.Store(next)
}

// checked tells whether every check has finished once.
func (e *Endpoint) checked() bool {
	for _, state := range e.states {
		if state == health.Unchecked {
			return false
		}
	}
	return true
}

// ids hands out numbers. It reuses those of endpoints that are gone, so they
// stay below the largest number of endpoints that ever were there at once.
type ids struct {
	free []uint32
	next uint32
}

func (i *ids) take() uint32 {
	if last := len(i.free) - 1; last >= 0 {
		id := i.free[last]
		i.free = i.free[:last]
		return id
	}
	i.next++
	return i.next - 1
}

func (i *ids) put(id uint32) { i.free = append(i.free, id) }

func newEndpoint(id uint32, k key, address netip.AddrPort, config *EndpointConfig, checks int) *Endpoint {
	e := &Endpoint{ID: id, key: k, states: make([]health.State, checks)}
	e.address.Store(&address)
	e.config.Store(config)
	e.health.Store(&Health{Healthy: true})
	e.percent.Store(fullWeight)
	e.listed = true
	e.outlier.Owner = e
	return e
}

// String names the endpoint in logs.
func (e *Endpoint) String() string { return e.key.String() }

func (k key) String() string { return cmp.Or(k.name, k.address.String()) }
