// Package stream is one request and its response, as every protocol, filter
// and handler sees it. Nothing in it knows a wire format.
package stream

import (
	"net/netip"
	"time"

	"longmen/gateway/worker"
	"longmen/tls/handshake"
)

// Request is the head of a request and its body.
type Request struct {
	Method []byte // as sent; methods are case-sensitive
	Scheme string // "http" or "https": how the client reached the listener

	// Authority is host[:port] as it goes upstream; Host is its host in lower
	// case without port and without a trailing dot, what routes match.
	Authority []byte
	Host      []byte

	// Target is the request target as received, for the log. Path is the one
	// canonical path (percent-encoding normalised, dot segments resolved, by
	// the listener's policy) that router, filters and upstream all use; it
	// begins with "/" (or is "*", or empty for CONNECT). Query is what follows
	// "?", raw, without the "?"; HasQuery tells "" from absent.
	Target   []byte
	Path     []byte
	Query    []byte
	HasQuery bool

	Header Header // without hop-by-hop fields

	// Body is nil when the request has no content. Length is its
	// content-length, -1 when unknown (chunked), 0 without a body.
	Body   Body
	Length int64

	// Spliced is a connection whose bytes are passed on as they are: there is no
	// request, but its server name as Authority and Host.
	Spliced bool

	Major, Minor   uint8  // HTTP version; Minor is 0 but for HTTP/1.1
	Trailers       bool   // the client said that it takes trailers (TE: trailers)
	ExpectContinue bool   // the client waits for 100 before it sends its body
	Upgrade        []byte // the protocols offered by Upgrade, nil when none
}

// Response is the head of a response and its body.
type Response struct {
	Status int
	Reason []byte // HTTP/1 reason phrase as received; may be empty
	Header Header // without hop-by-hop fields

	// Body is nil when there is no content. Length is its content-length, -1
	// when unknown. A response to HEAD, and a 304, has a Length and no Body.
	Body   Body
	Length int64

	// Upgraded is set by a 101 or a successful CONNECT; Body is nil then.
	Upgraded Tunnel
	Protocol []byte // what a 101 switched to
}

// Reset makes r ready for another response and keeps its memory.
func (r *Response) Reset() {
	r.Status, r.Reason, r.Body, r.Length, r.Upgraded, r.Protocol = 0, nil, nil, 0, nil, nil
	r.Header.Reset()
}

// Handler answers one stream. It may wait, and must not block its worker.
// A returned error is turned into the local reply that its Status asks for.
type Handler func(s *Stream) (*Response, error)

// Stream is one request on its way. It is owned by one worker and used only
// from its coroutines.
type Stream struct {
	Request Request

	// Response is storage for the response, so that none is allocated: a
	// handler fills it and returns its address.
	Response Response

	Co   *worker.Coroutine // the coroutine that serves the stream; nil while none does
	Loop *worker.Loop
	// Parked goes on with a stream that has no coroutine (see Inline). It is nil
	// when the stream has one from its beginning.
	Parked Waker

	Remote netip.AddrPort // the client's connection
	Local  netip.AddrPort // the listener's side of it
	// Client is the client's address after trusted hops were taken from
	// X-Forwarded-For; equal to Remote's address without them.
	Client netip.Addr
	// TLS is what the client's connection agreed on; nil when it is plain.
	TLS *handshake.Result
	// Early is set when the request came before the handshake of TLS was complete;
	// nil otherwise, and for nearly all.
	Early EarlyData

	// IdleTimeout ends the stream when no byte moves in either direction for so
	// long; 0 is the listener's. Set it by SetIdle.
	IdleTimeout time.Duration
	// IdleTimer is the downstream codec's, which looks at IdleTimeout.
	IdleTimer *worker.Timer

	// Informational passes 1xx responses on to the client at once. Set by the
	// downstream codec; nil when the client cannot take them (HTTP/1.0).
	Informational Informer

	// Replier makes local replies for filters that change them; nil when the
	// stream has no filters.
	Replier Replier
	// Reroute is set by a filter that changed what routes match: the route is found
	// again before the next filter.
	Reroute bool

	// End, when set, is called once when the stream is over, after the last
	// byte of the response was handed to the connection or it failed. It gives
	// back what the handler holds, and may wait.
	End Ender

	Record Record
	// Trailer is a copy of the response's trailer section as the endpoint sent it,
	// for the record: who forwards the stream makes it when the stream is over.
	Trailer Header

	ID     uint64 // unique within the worker
	failed *Error // set by Abort
	reply  Bytes  // the body of Respond
	arena  []byte // what Room gives out
}

// SetIdle sets IdleTimeout.
func (s *Stream) SetIdle(d time.Duration) {
	s.IdleTimeout = d
	s.Loop.ArmBy(s.IdleTimer, d)
}

// Room returns an empty slice with room for n bytes, which live as long as the
// stream does.
func (s *Stream) Room(n int) []byte {
	used := len(s.arena)
	if cap(s.arena)-used < n {
		s.arena, used = make([]byte, 0, max(n, 2<<10)), 0
	}
	s.arena = s.arena[:used+n]
	return s.arena[used : used : used+n]
}

// Respond fills s.Response with a local reply: its status, and a body that must
// not change while the stream lives. An empty contentType with a body means
// text/plain.
func (s *Stream) Respond(status int, contentType string, body []byte) *Response {
	r := &s.Response
	r.Reset()
	r.Status = status
	if len(body) > 0 {
		if contentType == "" {
			contentType = "text/plain; charset=utf-8"
		}
		r.Header.AddString("content-type", contentType)
		s.reply = Bytes{body}
		r.Body, r.Length = &s.reply, int64(len(body))
	}
	return r
}

// Informer takes informational (1xx) responses.
type Informer interface {
	Inform(status int, header *Header)
}

// Replier makes the local reply that a client is given for an error.
type Replier interface {
	LocalReply(s *Stream, err *Error) *Response
}

// Ender ends what a handler began.
type Ender interface {
	EndStream(s *Stream)
}

// Abort marks the stream as failed from outside (its client is gone, its time
// is up) and wakes it; whatever it waits for returns e. The
// first call wins.
func (s *Stream) Abort(e *Error) {
	if s.failed == nil {
		s.failed = e
	}
	switch {
	case s.Co != nil:
		s.Co.Wake()
	case s.Parked != nil:
		s.Parked.Wake()
	}
}

// Aborted is the error given to Abort, or nil.
func (s *Stream) Aborted() *Error { return s.failed }

// Wait parks the coroutine until something wakes it (bytes, room, a timer,
// Abort). Wake-ups may be spurious: callers wait in a loop on their condition.
// It returns the error of Abort, if there is one.
func (s *Stream) Wait(co *worker.Coroutine) error {
	if s.failed != nil {
		return s.failed
	}
	co.Wait()
	if s.failed != nil {
		return s.failed
	}
	return nil
}

// Await runs f on a goroutine, where it may block or burn CPU, and returns its
// error on the stream's worker. f must not touch the stream: copy what it
// needs. When the stream is aborted meanwhile, Await still waits for f.
func (s *Stream) Await(f func() error) error { return s.Co.Await(f) }

// Reset makes s ready for another request and keeps its memory.
func (s *Stream) Reset() {
	r := &s.Request
	h := r.Header
	h.Reset()
	*r = Request{Header: h}
	s.Response.Reset()
	s.Co, s.Parked, s.Informational, s.End, s.failed = nil, nil, nil, nil, nil
	s.TLS, s.Early, s.IdleTimeout, s.Replier, s.Reroute = nil, nil, 0, nil, false
	s.Trailer.Reset()
	s.reply = Bytes{}
	s.arena = s.arena[:0]
	if cap(s.arena) > 16<<10 {
		s.arena = nil
	}
	s.Record = Record{}
}
