// Package filter says what a filter is and how filters stand in a row.
//
// A filter has the shape of a round tripper: it is handed a stream and what
// comes after it, and returns the response. So the way back needs no second
// mechanism, and a filter that waits is straight code:
//
//	func (f *deny) Serve(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
//		if !f.allows(s) {
//			return s.Respond(403, "", nil), nil // before next: the way there
//		}
//		resp, err := next(s)
//		if err == nil {
//			resp.Header.AddString("x-checked", "1") // after it: the way back
//		}
//		return resp, err
//	}
//
// Streams of routes without filters know nothing of all this: they run on the
// loop's own stack (see stream.Inline). A stream with filters has a coroutine.
package filter

import "longmen/gateway/stream"

// Filter stands before the next handler. One value serves all streams of all
// workers at once, and lives as long as a snapshot refers to it, so what Serve
// changes must be safe for that; most filters change nothing.
//
// Serve runs on the stream's coroutine (Stream.Co) and must not block its worker:
// what blocks or burns CPU goes through Stream.Await. It may answer without next,
// call next, or call it again after a try that failed. The request it passes on is
// Stream.Request, which it may change: header, path, method, and the body by
// another stream.Body around it; a length that is not known any more is -1. The
// same holds for the response on the way back, whose Body is pulled after Serve
// has returned.
//
// An error of next is one that no response was made of yet. Who wants the local
// reply that the client will be given calls Answer in place of next.
type Filter interface {
	Serve(s *stream.Stream, next stream.Handler) (*stream.Response, error)
}

// Max is how many filters a listener and its routes can have between them.
const Max = 64

// Step is a filter in a chain.
type Step struct {
	// Name is that of the filter in http_filters ("envoy.filters.http.cors").
	Name string
	// Place orders the filters of a listener, from 0 to Max-1; in all its chains a
	// filter has the same.
	Place  int
	Filter Filter
}

// Chain is the filters of a route, in the order in which requests pass them:
// their places grow. It is nil where there are none, and never changes.
type Chain []Step

// Answer calls next, and makes of its error the local reply that the client would
// be given, so that a filter can change what it says. The error stays in the
// stream's record. It is returned where nothing can be said any more.
func Answer(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
	resp, err := next(s)
	if err == nil {
		return resp, nil
	}
	e := stream.AsError(err)
	if e.Status == 0 || s.Replier == nil {
		return nil, err
	}
	s.Record.Err = e
	return s.Replier.LocalReply(s, e), nil
}
