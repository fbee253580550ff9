package metrics

import (
	"sync"

	"longmen/gateway/worker"
)

// Worker holds what one worker counts. Its loop finds the stats of listeners and
// clusters by name once, when it takes a new snapshot, and from then on counts
// through the pointers.
type Worker struct {
	id   int
	loop *worker.Stats

	mu        sync.Mutex // held when names are looked up, never when something is counted
	listeners map[string]*ListenerStats
	clusters  map[string]*ClusterStats
	grpc      *GRPCStats
}

// ID is the worker's number, from 0.
func (w *Worker) ID() int { return w.id }

// GRPC is the worker's stats of gRPC calls.
func (w *Worker) GRPC() *GRPCStats { return w.grpc }

// Listener is the worker's stats of a listener, made at the first call. Names
// that a snapshot no longer has are dropped by Retain only, so that a reload
// keeps the numbers.
func (w *Worker) Listener(name string) *ListenerStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.listeners[name]
	if l == nil {
		l = newListenerStats()
		w.listeners[name] = l
	}
	return l
}

// Cluster is the worker's stats of a cluster, made at the first call.
func (w *Worker) Cluster(name string) *ClusterStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clusters[name]
	if c == nil {
		c = new(ClusterStats)
		w.clusters[name] = c
	}
	return c
}

// Retain forgets the listeners and clusters whose names the functions do not
// keep. Streams that began before may go on counting into what is forgotten;
// nobody sees it.
func (w *Worker) Retain(listener, cluster func(name string) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name := range w.listeners {
		if !listener(name) {
			delete(w.listeners, name)
		}
	}
	for name := range w.clusters {
		if !cluster(name) {
			delete(w.clusters, name)
		}
	}
}
