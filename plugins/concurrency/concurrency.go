// Package concurrency bounds the requests of a route by how fast they are answered:
// when answers take longer than they do without load, fewer are let through (the
// gradient controller of Envoy's adaptive_concurrency).
package concurrency

import (
	"fmt"
	"sync"
	"time"

	"longmen/gateway/filter"
	"longmen/gateway/stream"
)

// limiter is the filter. Each route has a controller of its own.
type limiter struct {
	routes *routes
	clock  func() int64 // ns since the limiter was made, the same on all workers
	units  sync.Pool    // of *unit
}

func newLimiter(s *settings) *limiter {
	began := time.Now()
	f := &limiter{
		routes: newRoutes(s),
		clock:  func() int64 { return int64(time.Since(began)) },
	}
	f.units.New = func() any { return new(unit) }
	return f
}

// Serve lets the request through, or refuses it. It is under way until its response
// is over; how long its endpoint took is known when the response's head is there.
func (f *limiter) Serve(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
	key := s.Record.Route
	if key == "" {
		key = s.Record.RouteOrigin
	}
	begun := f.clock()
	c := f.routes.controller(key, begun)
	if !c.enter(begun) {
		return nil, c.refusal()
	}
	held := true
	defer func() { // also when the stream's coroutine is unwound
		if held {
			c.leave()
		}
	}()
	resp, err := next(s)
	switch {
	case err != nil:
		if stream.AsError(err).Flag == stream.UpstreamTimeout {
			now := f.clock()
			c.sample(begun, now)
		}
	case s.End == nil: // no endpoint was asked
	default:
		c.sample(begun, f.clock())
		if resp.Upgraded == nil { // a tunnel's length says nothing of its endpoint
			u := f.units.Get().(*unit)
			u.limiter, u.controller, u.inner = f, c, s.End
			s.End = u
			held = false
		}
	}
	return resp, err
}

// refusal is the error of a request beyond the limit. It is made once for a limit.
func (c *controller) refusal() *stream.Error {
	limit, measuring := c.limit.Load(), c.measuring.Load()
	if r := c.refused.Load(); r != nil && r.limit == limit && r.measuring == measuring {
		return &r.Error
	}
	r := &refusal{limit: limit, measuring: measuring, Error: stream.Error{Side: stream.Local, Phase: stream.PhasePick, Flag: stream.UpstreamOverflow, Status: c.settings.status}}
	if measuring {
		r.Cause = fmt.Errorf("adaptive concurrency: %d requests at once, while min_rtt is measured", limit)
	} else {
		r.Cause = fmt.Errorf("adaptive concurrency: %d requests at once, which is the limit now", limit)
	}
	c.refused.Store(r)
	return &r.Error
}

// refusal is made for a limit, and whether minRTT is measured.
type refusal struct {
	stream.Error
	limit     int64
	measuring bool
}

// unit is a request that is under way, and what else is to be done at its end.
type unit struct {
	limiter    *limiter
	controller *controller
	inner      stream.Ender
}

// EndStream ends it.
func (u *unit) EndStream(s *stream.Stream) {
	u.controller.leave()
	inner, f := u.inner, u.limiter
	*u = unit{}
	f.units.Put(u)
	inner.EndStream(s)
}

var _ filter.Filter = (*limiter)(nil)
