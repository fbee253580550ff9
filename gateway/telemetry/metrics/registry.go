// Package metrics counts what the engine does, at the price of an ordinary
// addition: every worker counts in its own memory, and whoever wants to know adds
// up over the workers. It knows no format; package exposition does.
package metrics

import (
	"maps"
	"slices"
	"sync"
	"time"

	"longmen/gateway/worker"
)

// Registry holds the numbers of a process.
type Registry struct {
	Reloads Reloads
	OCSP    OCSP

	mu      sync.Mutex
	workers []*Worker
}

// NewRegistry makes an empty registry.
func NewRegistry() *Registry { return new(Registry) }

// NewWorker adds a worker. Its loop's stats may be nil.
func (r *Registry) NewWorker(loop *worker.Stats) *Worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &Worker{
		id: len(r.workers), loop: loop,
		listeners: map[string]*ListenerStats{}, clusters: map[string]*ClusterStats{},
		grpc: newGRPCStats(),
	}
	r.workers = append(r.workers, w)
	return w
}

// Retain calls Retain on every worker.
func (r *Registry) Retain(listener, cluster func(name string) bool) {
	for _, w := range r.snapshot() {
		w.Retain(listener, cluster)
	}
}

func (r *Registry) snapshot() []*Worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.workers)
}

// Named is one name's stats, of every worker that has them.
type Named[T any] struct {
	Name    string
	Workers []*T
}

// Listeners are the stats of all listeners, by name.
func (r *Registry) Listeners() []Named[ListenerStats] {
	return gather(r.snapshot(), func(w *Worker) map[string]*ListenerStats { return w.listeners })
}

// Clusters are the stats of all clusters, by name.
func (r *Registry) Clusters() []Named[ClusterStats] {
	return gather(r.snapshot(), func(w *Worker) map[string]*ClusterStats { return w.clusters })
}

func gather[T any](workers []*Worker, of func(*Worker) map[string]*T) []Named[T] {
	all := map[string][]*T{}
	for _, w := range workers {
		w.mu.Lock()
		for name, stats := range of(w) {
			all[name] = append(all[name], stats)
		}
		w.mu.Unlock()
	}
	named := make([]Named[T], 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		named = append(named, Named[T]{name, all[name]})
	}
	return named
}

// Loops are the stats of the loops, by the worker's number; nil where a worker has none.
func (r *Registry) Loops() []*worker.Stats {
	var loops []*worker.Stats
	for _, w := range r.snapshot() {
		loops = append(loops, w.loop)
	}
	return loops
}

// Reloads says how the configuration came to be what it is. Any goroutine may use it.
type Reloads struct {
	mu    sync.Mutex
	state ReloadState
}

// ReloadState is the state of Reloads at one moment.
type ReloadState struct {
	Version     string // of the configuration that serves; "" before the first one
	Succeeded   uint64 // the first load included
	Failed      uint64
	LastSuccess time.Time // zero: never
	LastFailure time.Time
}

// Succeeded notes that a new version serves.
func (r *Reloads) Succeeded(version string, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Version, r.state.LastSuccess = version, at
	r.state.Succeeded++
}

// Failed notes that a new configuration was refused; the old one goes on serving.
func (r *Reloads) Failed(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.LastFailure = at
	r.state.Failed++
}

// State is the current state.
func (r *Reloads) State() ReloadState {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}
