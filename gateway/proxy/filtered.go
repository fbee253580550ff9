package proxy

import (
	"longmen/gateway/filter"
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

// filtered is a stream's while its filters serve it, on a coroutine. After them
// comes what any other stream begins with: what the route says.
type filtered struct {
	edge  *Edge
	run   *filter.Run
	route *router.Route // nil: none matches
	rnd   uint32
	chain filter.Chain
}

// filtered makes the way of a stream through the filters of its route.
func (p *Proxy) filtered(e *Edge, route *router.Route, rnd uint32, chain filter.Chain) *filtered {
	var f *filtered
	if n := len(p.freeFiltered); n > 0 {
		f = p.freeFiltered[n-1]
		p.freeFiltered = p.freeFiltered[:n-1]
	} else {
		f = &filtered{}
		f.run = filter.NewRun(f)
	}
	f.edge, f.route, f.rnd, f.chain = e, route, rnd, chain
	return f
}

func (f *filtered) free() {
	p := f.edge.proxy
	f.edge, f.route, f.chain = nil, nil, nil
	if len(p.freeFiltered) < keepFiltered {
		p.freeFiltered = append(p.freeFiltered, f)
	}
}

const keepFiltered = 256

// EndStream is called for a stream that ends before its filters began.
func (f *filtered) EndStream(*stream.Stream) { f.free() }

// chain gives the filters of a route; nil is what no route matches.
func (e *Edge) chain(route *router.Route) filter.Chain {
	if route == nil {
		return e.listener.Unrouted
	}
	return e.listener.Chains[route.Index]
}

// serve answers the stream. What the listener does to every response comes last.
func (f *filtered) serve(s *stream.Stream) (*stream.Response, error) {
	s.End, s.Replier = nil, f.edge
	var forward *router.Forward
	if f.route != nil {
		forward = f.route.Forward
	}
	e := f.edge
	call := s.Request.GRPC() // filters may make one of it, and answer otherwise
	err := e.boundBody(s, forward)
	var resp *stream.Response
	if err == nil {
		resp, err = f.run.Serve(s, f.chain)
	}
	f.free()
	if err != nil {
		return nil, err
	}
	if s.End == nil {
		if call {
			speakGRPC(s, resp)
		}
		if !resp.Header.HasKnown(stream.Server) {
			e.ours(resp)
		}
	}
	e.finish(s, resp)
	return resp, nil
}

// Route finds the route of a stream that a filter has changed.
func (f *filtered) Route(s *stream.Stream) filter.Chain {
	f.rnd = uint32(f.edge.proxy.random.Uint64())
	s.Record.Route, s.Record.RouteOrigin = "", ""
	f.route = f.edge.find(s, f.rnd)
	return f.edge.chain(f.route)
}

// Last is what comes after the filters. A filter may come here again after a try
// that failed.
func (f *filtered) Last(s *stream.Stream) (*stream.Response, error) {
	if before := s.End; before != nil {
		s.End = nil
		before.EndStream(s)
	}
	if s.Early != nil && (f.route == nil || !f.route.EarlyData) { // it is another route's now
		if err := s.Early.Confirm(s.Co); err != nil {
			return nil, err
		}
	}
	resp, err := f.edge.act(s, f.route, f.rnd)
	if err != stream.ErrParked && err != stream.ErrCoroutine {
		return resp, err
	}
	x := s.End.(*exchange)
	if resp, err = x.finish(s.Co); err != nil {
		return nil, err
	}
	f.edge.edit(s, x, resp)
	return resp, nil
}
