package filter

import "longmen/gateway/stream"

// Target is what comes after the filters of a stream.
type Target interface {
	// Last answers the stream, or sends it on its way.
	Last(s *stream.Stream) (*stream.Response, error)
	// Route finds the stream's route again and gives the filters of that.
	Route(s *stream.Stream) Chain
}

// Run is one stream's way through its filters. It may be used for one stream
// after the other.
type Run struct {
	target Target
	next   stream.Handler // r.step, made once
	chain  Chain
	ran    uint64 // places of the filters that serve the stream, as next finds them
}

// NewRun makes a Run before the target.
func NewRun(t Target) *Run {
	r := &Run{target: t}
	r.next = r.step
	return r
}

// Serve sends the stream through the chain to the target.
//
// A filter that changes what routes match may set Stream.Reroute: the route is
// found again then, before the next filter. The filters of the new route that do
// not serve the stream yet come next, also those that stood before; so a change of
// route never leads around a filter. One that serves it already does not see it
// again, and keeps the settings of the route before.
func (r *Run) Serve(s *stream.Stream, chain Chain) (*stream.Response, error) {
	r.chain, r.ran = chain, 0
	resp, err := r.step(s)
	r.chain = nil
	return resp, err
}

// step calls the next filter, or the target.
func (r *Run) step(s *stream.Stream) (*stream.Response, error) {
	if s.Reroute {
		s.Reroute = false
		r.chain = r.target.Route(s)
	}
	for i := range r.chain {
		step := &r.chain[i]
		if r.ran>>step.Place&1 != 0 {
			continue
		}
		before := r.ran // whoever wants another try calls next again
		r.ran |= 1 << step.Place
		resp, err := step.Filter.Serve(s, r.next)
		r.ran = before
		return resp, err
	}
	return r.target.Last(s)
}
