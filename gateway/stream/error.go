package stream

import (
	"errors"
	"fmt"
)

// Side says where an error arose.
type Side uint8

// The sides.
const (
	Downstream Side = iota // the client, or its connection
	Upstream               // an endpoint, or the connection to it
	Local                  // the gateway itself: no route, a limit, a filter, a panic
)

func (s Side) String() string { return [...]string{"downstream", "upstream", "local"}[s] }

// Phase says what was going on.
type Phase uint8

// The phases of a stream, in their order.
const (
	PhaseRequestHead Phase = iota
	PhaseRoute
	PhasePick    // cluster, endpoint, pool
	PhaseConnect // dialing upstream
	PhaseRequestBody
	PhaseResponseHead
	PhaseResponseBody
	PhaseTunnel
)

func (p Phase) String() string {
	return [...]string{"request-head", "route", "pick", "connect", "request-body", "response-head", "response-body", "tunnel"}[p]
}

// Flag is the response flag of the access log, in Envoy's short names.
type Flag uint8

// The flags (Envoy's %RESPONSE_FLAGS% names).
const (
	FlagNone                Flag = iota
	NoRoute                      // NR
	NoCluster                    // NC
	NoHealthyUpstream            // UH
	UpstreamConnectFailure       // UF
	UpstreamOverflow             // UO: a pool or pending limit
	UpstreamTimeout              // UT: the route's or a try's timeout
	UpstreamRemoteReset          // UR
	UpstreamConnectionEnd        // UC
	UpstreamProtocolError        // UPE
	UpstreamRetryLimit           // URX
	DownstreamConnectionEnd      // DC
	DownstreamProtocolError      // DPE
	StreamIdleTimeout            // SI
	DurationTimeout              // DT: the request took too long to arrive
	LocalReset                   // LR: the gateway gave up (drain deadline)
	LocalError                   // LE: a filter panicked or failed
	LoopDetected                 // LD: the request came round; no name of Envoy's
	Overloaded                   // OM: the overload manager, or the listener's limit of requests
	flagCount
)

func (f Flag) String() string {
	return [...]string{"-", "NR", "NC", "UH", "UF", "UO", "UT", "UR", "UC", "UPE", "URX", "DC", "DPE", "SI", "DT", "LR", "LE", "LD", "OM"}[f]
}

// Flags lists every flag but FlagNone, for metrics.
func Flags() []Flag {
	all := make([]Flag, 0, flagCount-1)
	for f := FlagNone + 1; f < flagCount; f++ {
		all = append(all, f)
	}
	return all
}

// Error is why a stream failed. The access log, the metrics, the response flag
// and the status the client sees all come from this one value.
type Error struct {
	Side   Side
	Phase  Phase
	Flag   Flag
	Status int // what the client is told when nothing has been sent yet; 0: nothing can be said, close
	// Sent is true when the request, or a part of it, may have reached an
	// endpoint's application: repeating it is then safe only if it is
	// idempotent (RFC 9110 section 9.2.2).
	Sent  bool
	Cause error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %v", e.Side, e.Phase, e.Cause)
}

func (e *Error) Unwrap() error { return e.Cause }

// AsError finds the *Error in err. An error of another kind is the gateway's
// own failure: a 500.
func AsError(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Side: Local, Phase: PhaseRoute, Flag: LocalError, Status: 500, Cause: err}
}
