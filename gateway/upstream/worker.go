// Package upstream is one worker's connections to endpoints: which endpoint a
// request gets, the pools of idle connections, and dialing. Nothing in it is
// shared between workers but the cluster's own limits.
package upstream

import (
	"longmen/gateway/cluster"
	"longmen/gateway/protocol/http1"
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
	dials    []*dial    // to be used again
	clusters []*Cluster // by router.ClusterRef.Slot; nil where there is none

	// Starved, if not nil, is called while a stream waits because the cluster's
	// limit of connections is reached: other workers shall Spare.
	Starved func(shared *cluster.Cluster)
}

// NewWorker makes the worker's side of no cluster at all. limits bound
// response heads; seed must differ between workers.
func NewWorker(l *worker.Loop, m *metrics.Worker, limits *http1.Limits, seed uint64) *Worker {
	return &Worker{loop: l, metrics: m, limits: limits, seed: seed}
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
			c.closeOneIdle()
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
