package metrics

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"longmen/gateway/protocol/grpc"
)

// MaxGRPCMethods bounds the gRPC methods that a worker counts by name; calls of
// others are counted together, as OtherGRPC.
const MaxGRPCMethods = 256

// OtherGRPC is the name that other methods, and their services, are counted by.
const OtherGRPC = "other"

// maxGRPCPath bounds the names in bytes.
const maxGRPCPath = 256

// GRPCStats is what one worker counts of gRPC calls.
type GRPCStats struct {
	mu      sync.Mutex             // held to add a method, and by readers
	methods map[string]*GRPCMethod // by path; only the owning loop adds, and so reads without the lock
	other   GRPCMethod
	last    *GRPCMethod // most calls are of the same method as the one before
}

// GRPCMethod is what one worker counts for one method.
type GRPCMethod struct {
	Service, Method string
	path            string
	Codes           [grpc.CodeCount + 1]Counter // calls by status; the last one is those without a name
	Duration        Histogram                   // first byte of the call to last byte of its answer
}

func newGRPCStats() *GRPCStats {
	return &GRPCStats{methods: map[string]*GRPCMethod{}, other: GRPCMethod{Service: OtherGRPC, Method: OtherGRPC}}
}

// Done counts a call to path ("/package.Service/Method") that took ns and ended
// with c. exists is whether it is known that there is such a method: no other one
// is given a place by its name, so that who calls methods that do not exist cannot
// use up the places. Only the owning loop may call it.
func (g *GRPCStats) Done(path []byte, c grpc.Code, exists bool, ns int64) {
	m := g.find(path, exists)
	m.Codes[min(c, grpc.CodeCount)].Inc()
	m.Duration.Observe(ns)
}

func (g *GRPCStats) find(path []byte, exists bool) *GRPCMethod {
	if g.last != nil && string(path) == g.last.path {
		return g.last
	}
	m := g.methods[string(path)]
	if m == nil {
		if m = g.add(path, exists); m == nil {
			return &g.other
		}
	}
	g.last = m
	return m
}

// add gives a method its place; nil when it gets none.
func (g *GRPCStats) add(path []byte, exists bool) *GRPCMethod {
	if !exists || len(g.methods) >= MaxGRPCMethods || len(path) > maxGRPCPath {
		return nil
	}
	service, method, ok := grpc.SplitPath(path)
	if !ok || !grpc.IsName(string(service)) || !grpc.IsName(string(method)) {
		return nil
	}
	m := &GRPCMethod{Service: string(service), Method: string(method), path: string(path)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.methods[m.path] = m
	return m
}

// GRPC are the counts of all gRPC methods, each under its service's name, in the
// order of their names.
func (r *Registry) GRPC() []Named[GRPCMethod] {
	all := map[string][]*GRPCMethod{}
	for _, w := range r.snapshot() {
		for _, m := range w.grpc.all() {
			name := m.Service + "/" + m.Method
			all[name] = append(all[name], m)
		}
	}
	named := make([]Named[GRPCMethod], 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		service, _, _ := strings.Cut(name, "/")
		named = append(named, Named[GRPCMethod]{service, all[name]})
	}
	return named
}

// all are the methods that were called.
func (g *GRPCStats) all() []*GRPCMethod {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := slices.Collect(maps.Values(g.methods))
	if g.other.Duration.buckets.Load() != nil {
		list = append(list, &g.other)
	}
	return list
}
