package upstream

import (
	"net/netip"
	"slices"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/ledger"
)

// An account is what one worker has at one address of a cluster: the ledger's
// line. It is written on the worker's loop only, in plain integers, and read there
// when somebody asks. An endpoint whose address becomes another (LogicalDNS) gets
// a new account; the connections to the address before stay in theirs.
type account struct {
	pool    *pool
	address netip.AddrPort
	streams int   // tries that are at the address or on their way there, tunnels among them
	open    int   // connections, those in the making among them
	idle    int   // of those, the ones without streams
	tries   *Conn // those of streams that have a connection; the last that began is the first
	watched bool  // Vacated is to be called when no stream is left
	listed  bool  // it is in Worker.accounts
}

// place is the pool's account of the address where new connections go.
func (p *pool) place() *account {
	if at := p.endpoint.Address(); p.account == nil || p.account.address != at {
		p.account = &account{pool: p, address: at}
	}
	return p.account
}

// opened counts a connection.
func (a *account) opened() {
	a.open++
	a.pool.cluster.Stats.ConnectionsActive.Inc()
	if !a.listed {
		a.listed = true
		accounts := a.pool.cluster.worker.accounts
		accounts[a.address] = append(accounts[a.address], a)
	}
}

// closed ends what opened began.
func (a *account) closed() {
	a.open--
	a.pool.cluster.Stats.ConnectionsActive.Dec()
	if a.open == 0 && a.streams == 0 {
		a.emptied()
	}
}

// emptied is told when there is no stream at the address, or not even a
// connection.
func (a *account) emptied() {
	w := a.pool.cluster.worker
	if a.open == 0 && a.listed {
		a.listed = false
		w.unlist(a)
	}
	if a.watched {
		a.watched = false
		if w.Vacated != nil {
			w.Vacated(a.address)
		}
	}
}

// unlist takes an account out of those where something is.
func (w *Worker) unlist(a *account) {
	rest := w.accounts[a.address]
	for i := range rest {
		if rest[i] == a {
			rest[i] = rest[len(rest)-1]
			rest[len(rest)-1] = nil
			rest = rest[:len(rest)-1]
			break
		}
	}
	if len(rest) == 0 {
		delete(w.accounts, a.address)
		return
	}
	w.accounts[a.address] = rest
}

// pickable reports whether a stream may come to be at the address: the endpoint
// is among those that requests go to, and new connections go to the address or
// one to it is open still.
func (a *account) pickable() bool {
	return a.pool.pickable() && (a.open > 0 || a.address == a.pool.endpoint.Address())
}

// pickable reports whether requests go to the endpoint.
func (p *pool) pickable() bool {
	return !p.cluster.closed && !p.endpoint.Gone() && p.cluster.hosts.Picks(p.endpoint)
}

// begin counts the try, which has its connection now.
func (c *Conn) begin() {
	a := c.account
	c.begun, c.sent, c.told = c.loop().Now(), 0, false
	if c.later = a.tries; c.later != nil {
		c.later.earlier = c
	}
	a.tries = c
	c.counted = c.pool.enter(a)
}

// over ends what begin began.
func (c *Conn) over() {
	a := c.account
	if c.earlier != nil {
		c.earlier.later = c.later
	} else {
		a.tries = c.later
	}
	if c.later != nil {
		c.later.earlier = c.earlier
	}
	c.earlier, c.later = nil, nil
	c.pool.leave(a, c.counted)
}

// oldest is for how long the try that began first has been under way.
func (a *account) oldest() time.Duration {
	first := a.pool.cluster.worker.loop.Now()
	for c := a.tries; c != nil; c = c.later {
		first = min(first, c.begun)
	}
	return time.Duration(a.pool.cluster.worker.loop.Now() - first)
}

// Leaving are the addresses, at most most, where something is left of endpoints that
// get no new requests: they are gone, or drain.
func (w *Worker) Leaving(most int) []netip.AddrPort {
	var all []netip.AddrPort
	for at, accounts := range w.accounts {
		if len(all) == most {
			break
		}
		if slices.ContainsFunc(accounts, func(a *account) bool {
			return a.pool.cluster.closed || a.pool.endpoint.Gone() || a.pool.endpoint.Config().Draining
		}) {
			all = append(all, at)
		}
	}
	return all
}

// HostsVersion is the version of the host set that requests are balanced over.
func (c *Cluster) HostsVersion() uint64 { return c.hosts.Version }

// Place is an endpoint of the cluster in a slot.
type Place struct {
	Slot     int
	Endpoint *cluster.Endpoint
}

// Holdings says what the worker has at an address: for each cluster that has an
// endpoint there, one of places, or something left from when it had. If watch is
// set and there are streams, Vacated is called when the last of them has ended.
func (w *Worker) Holdings(at netip.AddrPort, places []Place, watch bool) []ledger.Holding {
	for _, c := range w.clusters {
		if c != nil {
			c.refresh() // what is said is of now
		}
	}
	var all []ledger.Holding
	for _, a := range w.accounts[at] {
		a.watched = a.watched || watch && a.streams > 0
		all = append(all, ledger.Holding{
			Cluster: a.pool.cluster.config.Name, Hosts: a.pool.cluster.hosts.Version, Pickable: a.pickable(),
			Streams: a.streams, Connections: a.open, Idle: a.idle, Oldest: ledger.Seconds(a.oldest()),
		})
	}
	for _, place := range places {
		c := w.Cluster(place.Slot)
		if c == nil {
			continue
		}
		e, id := place.Endpoint, int(place.Endpoint.ID)
		if e.Gone() {
			continue
		}
		if id < len(c.pools) && c.pools[id] != nil && c.pools[id].endpoint == e {
			if a := c.pools[id].account; a != nil && a.address == at && a.listed {
				continue // said above
			}
		}
		all = append(all, ledger.Holding{Cluster: c.config.Name, Hosts: c.hosts.Version, Pickable: !c.closed && c.hosts.Picks(e)})
	}
	return all
}
