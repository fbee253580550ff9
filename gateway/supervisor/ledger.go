package supervisor

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/ledger"
	"longmen/gateway/snapshot"
	"longmen/gateway/upstream"
)

const (
	// answerLimit is how long a worker may take to answer before it counts as silent.
	answerLimit = time.Second
	// lookAgain is how often who waits looks although nothing was told: an address of
	// a LogicalDNS endpoint changes without a new host set.
	lookAgain = time.Second
	// mostAskers bounds those who wait at once; the others get their answer at once.
	mostAskers = 128
	// mostLeaving bounds the endpoints on their way out that are told of at once.
	mostLeaving = 1000
)

// desk is where those wait who ask for endpoints to be gone.
type desk struct {
	mu     sync.Mutex
	askers map[*asker]struct{}
}

// asker waits for endpoints to be gone.
type asker struct {
	at       []netip.AddrPort
	clusters []string      // that have them, as of the last look; nil: it has not looked
	news     chan struct{} // holds one: something may have changed
}

// Ledger says what there is of each endpoint; of none: of those on their way out. With wait it
// answers when all of them are gone, at the latest when wait is over or ctx ends.
func (s *Supervisor) Ledger(ctx context.Context, at []netip.AddrPort, wait time.Duration) []ledger.Entry {
	if len(at) == 0 {
		at = s.leaving()
	}
	entries := s.entries(at, false)
	if wait <= 0 || allGone(entries) {
		return entries
	}
	a := s.desk.join(at)
	if a == nil {
		return entries
	}
	defer s.desk.leave(a)
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		entries = s.entries(at, true)
		if allGone(entries) {
			return entries
		}
		s.desk.looked(a, entries)
		select {
		case <-a.news:
		case <-again.C:
		case <-deadline.C:
			return entries
		case <-ctx.Done():
			return entries
		case <-s.stop:
			return entries
		}
	}
}

// leaving are the endpoints that drain, and those that are gone where something is
// left; not more than mostLeaving.
func (s *Supervisor) leaving() []netip.AddrPort {
	found := map[netip.AddrPort]bool{}
	s.eachCluster(func(c *cluster.Cluster) {
		for _, e := range c.Hosts().Endpoints {
			if e.Config().Draining && len(found) < mostLeaving {
				found[e.Address()] = true
			}
		}
	})
	left := make(chan []netip.AddrPort, len(s.workers))
	for _, w := range s.workers {
		w.loop.Post(func() { left <- w.upstream.Leaving(mostLeaving) })
	}
	limit := time.NewTimer(answerLimit)
	defer limit.Stop()
	for range s.workers {
		select {
		case all := <-left:
			for _, at := range all {
				if len(found) < mostLeaving {
					found[at] = true
				}
			}
		case <-limit.C:
		case <-s.stop:
		}
	}
	return slices.SortedFunc(maps.Keys(found), netip.AddrPort.Compare)
}

func allGone(entries []ledger.Entry) bool {
	return !slices.ContainsFunc(entries, func(e ledger.Entry) bool { return !e.Gone })
}

// join makes an asker of who waits; nil when there are too many.
func (d *desk) join(at []netip.AddrPort) *asker {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.askers) >= mostAskers {
		return nil
	}
	if d.askers == nil {
		d.askers = map[*asker]struct{}{}
	}
	a := &asker{at: at, news: make(chan struct{}, 1)}
	d.askers[a] = struct{}{}
	return a
}

func (d *desk) leave(a *asker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.askers, a)
}

// looked notes which clusters had the asker's endpoints.
func (d *desk) looked(a *asker, entries []ledger.Entry) {
	clusters := []string{}
	for i := range entries {
		for _, s := range entries[i].Clusters {
			if s.Left.IsZero() {
				clusters = append(clusters, s.Cluster)
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	a.clusters = clusters
}

// applied has all look again: there is another configuration.
func (d *desk) applied() { d.tell(func(*asker) bool { return true }) }

// vacated has those look again who wait for the address.
func (d *desk) vacated(at netip.AddrPort) {
	d.tell(func(a *asker) bool { return slices.Contains(a.at, at) })
}

// changed has those look again who wait for an endpoint that the cluster has, or had.
func (d *desk) changed(c *cluster.Cluster) {
	name, hosts := c.Config().Name, c.Hosts()
	d.tell(func(a *asker) bool {
		return a.clusters == nil || slices.Contains(a.clusters, name) ||
			slices.ContainsFunc(a.at, func(at netip.AddrPort) bool { return hosts.Find(at) != nil })
	})
}

// tell has those look again whom it concerns.
func (d *desk) tell(concerns func(*asker) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for a := range d.askers {
		if !concerns(a) {
			continue
		}
		select {
		case a.news <- struct{}{}:
		default:
		}
	}
}

// entries says what there is now. watch asks the workers to tell the desk when the
// last stream has left an endpoint.
//
// The clusters are looked at before the workers are asked, and each worker follows
// its clusters before it answers: what no cluster had then, no worker may pick
// afterwards. A snapshot that is being applied shows in the workers' answers.
func (s *Supervisor) entries(at []netip.AddrPort, watch bool) []ledger.Entry {
	received := ""
	if r := s.received.Load(); r != nil {
		received = *r
	}
	current := s.current.Load()
	inUse := ""
	if current != nil {
		inUse = current.Version
	} else {
		current = &snapshot.Snapshot{}
	}
	q := question{at: at, watch: watch, places: make([][]upstream.Place, len(at)), slots: make([]map[string]int, len(at))}
	entries := make([]ledger.Entry, len(at))
	for i := range entries {
		entries[i] = ledger.Entry{Endpoint: at[i], Configuration: ledger.Configuration{Received: received, InUse: inUse}}
		s.stand(&entries[i], current, &q, i)
	}
	answers := s.ask(&q)
	if s.current.Load() != current {
		current = nil // meanwhile another snapshot: no answer is of the one in use
	}
	for i := range entries {
		for id, a := range answers {
			entries[i].Workers = append(entries[i].Workers, a.of(id, i, current))
		}
		entries[i].Judge()
	}
	return entries
}

// stand finds what an endpoint is to the clusters, and was.
func (s *Supervisor) stand(e *ledger.Entry, current *snapshot.Snapshot, q *question, i int) {
	q.slots[i] = map[string]int{}
	for slot, c := range current.Clusters {
		if c == nil {
			continue
		}
		hosts := c.Hosts()
		endpoint := find(c, hosts, e.Endpoint)
		if endpoint == nil {
			continue
		}
		name := c.Config().Name
		q.places[i] = append(q.places[i], upstream.Place{Slot: slot, Endpoint: endpoint})
		q.slots[i][name] = slot
		e.Clusters = append(e.Clusters, ledger.Standing{Cluster: name, State: stateOf(endpoint), Hosts: hosts.Version, Origin: endpoint.Config().Origin})
	}
	for _, d := range s.clusters.History().Of(e.Endpoint) {
		if _, stands := q.slots[i][d.Cluster]; stands {
			continue
		}
		standing := ledger.Standing{Cluster: d.Cluster, State: ledger.Departed, Left: d.At}
		if slot, seen := current.ClusterSlots[d.Cluster]; seen && current.Clusters[slot] != nil {
			q.slots[i][d.Cluster] = slot
			standing.Hosts = current.Clusters[slot].Hosts().Version
		}
		e.Clusters = append(e.Clusters, standing)
	}
}

// find finds an endpoint of a cluster by its address, or returns nil.
func find(c *cluster.Cluster, hosts *cluster.HostSet, at netip.AddrPort) *cluster.Endpoint {
	if c.Config().Discovery != cluster.LogicalDNS {
		return hosts.Find(at)
	}
	for _, e := range hosts.Endpoints { // a few, whose addresses change
		if e.Address() == at {
			return e
		}
	}
	return nil
}

func stateOf(e *cluster.Endpoint) ledger.State {
	switch {
	case e.Config().Draining:
		return ledger.Draining
	case e.Usable():
		return ledger.Serving
	case !e.Healthy() || e.Config().Down:
		return ledger.Unhealthy
	}
	return ledger.Ejected
}

// question is what every worker is asked.
type question struct {
	at     []netip.AddrPort
	watch  bool
	places [][]upstream.Place
	slots  []map[string]int // the clusters whose host sets' versions are wanted
}

// answer is a worker's; nil when it is silent.
type answer struct {
	adopted  *snapshot.Snapshot
	holdings [][]ledger.Holding
	hosts    []map[string]uint64
}

// ask asks every worker.
func (s *Supervisor) ask(q *question) []*answer {
	type said struct {
		worker int
		*answer
	}
	answered := make(chan said, len(s.workers))
	for i, w := range s.workers {
		w.loop.Post(func() { answered <- said{i, w.answer(q)} })
	}
	answers := make([]*answer, len(s.workers))
	limit := time.NewTimer(answerLimit)
	defer limit.Stop()
	for range s.workers {
		select {
		case a := <-answered:
			answers[a.worker] = a.answer
		case <-limit.C:
			return answers
		case <-s.stop:
			return answers
		}
	}
	return answers
}

// answer is what this worker has to say; on its loop.
func (w *edgeWorker) answer(q *question) *answer {
	a := &answer{adopted: w.adopted}
	for i, at := range q.at {
		a.holdings = append(a.holdings, w.upstream.Holdings(at, q.places[i], q.watch))
		hosts := map[string]uint64{}
		for name, slot := range q.slots[i] {
			if c := w.upstream.Cluster(slot); c != nil {
				hosts[name] = c.HostsVersion()
			}
		}
		a.hosts = append(a.hosts, hosts)
	}
	return a
}

// of is what the answer says of the i-th endpoint.
func (a *answer) of(id, i int, current *snapshot.Snapshot) ledger.Worker {
	w := ledger.Worker{ID: id}
	if a == nil {
		w.Silent = true
		return w
	}
	if a.adopted != nil {
		w.Configuration = a.adopted.Version
	}
	w.Current = a.adopted != nil && a.adopted == current
	w.Hosts, w.Holdings = a.hosts[i], a.holdings[i]
	return w
}
