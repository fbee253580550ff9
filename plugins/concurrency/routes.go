package concurrency

import (
	"maps"
	"sync"
	"sync/atomic"
)

// routes are the controllers by route. They are made when a route's first request
// comes, and stay as long as the filter does: from snapshot to snapshot while its
// settings are the same.
type routes struct {
	settings *settings
	found    atomic.Pointer[map[string]*controller] // never changed; replaced
	mu       sync.Mutex                             // held to replace it
}

// maxRoutes bounds the controllers; further routes share one.
const maxRoutes = 1024

func newRoutes(s *settings) *routes {
	r := &routes{settings: s}
	r.found.Store(&map[string]*controller{})
	return r
}

// controller is that of a route.
func (r *routes) controller(route string, now int64) *controller {
	if c := (*r.found.Load())[route]; c != nil {
		return c
	}
	return r.add(route, now)
}

func (r *routes) add(route string, now int64) *controller {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := *r.found.Load()
	if len(before) >= maxRoutes && before[route] == nil {
		route = ""
	}
	if c := before[route]; c != nil {
		return c
	}
	c := newController(r.settings, now)
	after := maps.Clone(before)
	after[route] = c
	r.found.Store(&after)
	return c
}
