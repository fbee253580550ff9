// Package upstream is one worker's connections to endpoints: which endpoint a
// request gets, the pools of idle connections, and dialing. Nothing in it is
// shared between workers but the cluster's own limits.
package upstream

import (
	"cmp"
	"net/netip"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/protocol/http2"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// Worker holds one worker's side of every cluster. Its methods must be called
// on the worker's loop.
type Worker struct {
	loop     *worker.Loop
	metrics  *metrics.Worker
	limits   *http1.Limits
	seed     uint64
	clock    clock
	http2    *http2.Worker
	dials    []*dial                       // to be used again
	conns    []*Conn                       // likewise, of streams of HTTP/2
	clusters []*Cluster                    // by router.ClusterRef.Slot; nil where there is none
	accounts map[netip.AddrPort][]*account // those with connections or streams

	// Starved, if not nil, is called while a stream waits because the cluster's
	// limit of connections is reached: other workers shall Spare.
	Starved func(shared *cluster.Cluster)
	// Freed, if not nil, is called when something that is limited has become free, for which
	// nobody here waits and somebody else does: other workers shall Look.
	Freed func(shared *cluster.Cluster)
	// Own, if not nil, tells whether the gateway itself listens at an address: no request goes there
	// because its connection was going there, or because a field says so.
	Own func(at netip.AddrPort) bool
	// Vacated, if not nil, is called when an address that Holdings was to watch has
	// no stream any more.
	Vacated func(at netip.AddrPort)
}

// NewWorker makes the worker's side of no cluster at all. limits bound
// response heads; seed must differ between workers.
func NewWorker(l *worker.Loop, m *metrics.Worker, limits *http1.Limits, seed uint64) *Worker {
	return &Worker{loop: l, metrics: m, limits: limits, seed: seed, clock: newClock(l.Clock()), http2: new(http2.Worker),
		accounts: map[netip.AddrPort][]*account{}}
}

// Adopt takes the clusters of a new snapshot. What is the same goes on as it
// is; a cluster that took the place of another keeps the connections to the
// endpoints that both have; the connections of one that is gone are closed as
// they become idle.
func (w *Worker) Adopt(clusters []*cluster.Cluster) {
	for slot, shared := range clusters {
		if slot >= len(w.clusters) {
			w.clusters = append(w.clusters, nil)
		}
		mine := w.clusters[slot]
		switch {
		case shared == nil:
			if mine != nil {
				mine.close()
				w.clusters[slot] = nil
			}
		case mine == nil:
			w.clusters[slot] = newCluster(w, shared)
		case mine.shared != shared:
			mine.adopt(shared)
		}
	}
	for slot := len(clusters); slot < len(w.clusters); slot++ {
		if mine := w.clusters[slot]; mine != nil {
			mine.close()
		}
	}
	w.clusters = w.clusters[:len(clusters)]
	w.resolve()
}

// Cluster is the worker's side of the cluster in that slot, or nil.
func (w *Worker) Cluster(slot int) *Cluster {
	if slot < 0 || slot >= len(w.clusters) {
		return nil
	}
	return w.clusters[slot]
}

// Changed closes idle connections to the endpoints that shared does not have
// any more. A cluster that requests go to notices by itself; this is for those
// that none goes to.
func (w *Worker) Changed(shared *cluster.Cluster) {
	for _, c := range w.clusters {
		if c != nil && c.shared == shared {
			c.refresh()
		}
	}
}

// Spare closes an idle connection of shared's, for which another worker waits.
func (w *Worker) Spare(shared *cluster.Cluster) {
	for _, c := range w.clusters {
		if c != nil && c.shared == shared {
			c.spare()
		}
	}
}

// Look lets the first stream that waits for a connection of shared's look for one.
func (w *Worker) Look(shared *cluster.Cluster) {
	for _, c := range w.clusters {
		if c != nil && c.shared == shared {
			c.wakeFirst()
		}
	}
}

// Close closes all idle connections; those in use follow as they become idle.
func (w *Worker) Close() {
	for _, c := range w.clusters {
		if c != nil {
			c.close()
		}
	}
	w.clusters = nil
}

// keepConns is how many Conns are kept to be used again.
const keepConns = 1024

// conn makes a Conn for a stream of HTTP/2.
func (w *Worker) conn() *Conn {
	if n := len(w.conns); n > 0 {
		c := w.conns[n-1]
		w.conns = w.conns[:n-1]
		return c
	}
	c := new(Conn)
	c.timer.Init(c)
	return c
}

// released gives back what conn made.
func (w *Worker) released(c *Conn) {
	if len(w.conns) >= keepConns {
		w.loop.Drop(&c.timer)
		return
	}
	w.loop.Disarm(&c.timer)
	c.Exchange, c.h2, c.pool, c.account, c.agreed = nil, nil, nil, nil, nil
	w.conns = append(w.conns, c)
}

// http2Config is how connections of HTTP/2 are used with a cluster's settings.
func (w *Worker) http2Config(h *cluster.HTTP2, stats *metrics.ClusterStats) *http2.ClientConfig {
	each, all := cmp.Or(h.StreamWindow, 64<<10), cmp.Or(h.ConnWindow, 1<<20)
	most := max(cmp.Or(h.MaxWindow, 4<<20), each)
	return &http2.ClientConfig{
		Shared:     w.http2,
		MaxStreams: h.MaxStreams, StreamWindow: each, ConnWindow: all,
		MaxStreamWindow: most, MaxConnWindow: max(4*most, all),
		HeaderTable: h.HeaderTable, MaxHead: w.limits.Head, MaxFields: w.limits.Fields,
		PingInterval: h.PingInterval, PingTimeout: h.PingTimeout,
		Stats: &stats.HTTP2,
	}
}
