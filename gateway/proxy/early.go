package proxy

import (
	"longmen/gateway/router"
	"longmen/gateway/stream"
)

// A detour is what a stream does on a coroutine before its route's turn comes: its End until then.
type detour interface {
	stream.Ender
	// resume goes on with the stream, with the results of Edge.route.
	resume(e *Edge, s *stream.Stream) (*stream.Response, error)
}

// early prepares a request that came as early data (0-RTT). It reports whether it may go on
// before the handshake is complete: one that changes nothing, if its route says so, and its
// endpoint is told (RFC 8470 section 5.1).
func (e *Edge) early(s *stream.Stream, route *router.Route) bool {
	if s.Early.Confirmed() {
		return true
	}
	if route == nil || !route.EarlyData || !replayable(&s.Request) {
		return false
	}
	s.Request.Header.Set("early-data", []byte{'1'})
	return true
}

// replayable reports whether a request may come twice without harm as far as HTTP can tell
// (RFC 9110 section 9.2.1): what it does to the application is for the route to know.
func replayable(r *stream.Request) bool {
	switch string(r.Method) {
	case "GET", "HEAD", "OPTIONS":
		return r.Body == nil && r.Upgrade == nil
	}
	return false
}

// unconfirmed is a stream's while it waits for its connection's handshake.
type unconfirmed struct{}

// EndStream is called when the stream ends: nothing is held.
func (unconfirmed) EndStream(*stream.Stream) {}

// resume waits; then the request goes its way.
func (unconfirmed) resume(e *Edge, s *stream.Stream) (*stream.Response, error) {
	s.End = nil
	if err := s.Early.Confirm(s.Co); err != nil {
		return nil, err
	}
	return e.route(s)
}
