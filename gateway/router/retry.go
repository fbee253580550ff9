package router

import "time"

// Retry says when another endpoint may be tried. Endpoints that were tried are
// left out as long as there are others (previous_hosts, which is always on).
type Retry struct {
	Attempts int     // tries after the first
	On       RetryOn // conditions
	Codes    []int   // with OnRetriableStatusCodes
	// Headers are the fields of a response that ask for another try, any of them,
	// with OnRetriableHeaders.
	Headers []ValueMatch
	// RequestHeaders are the fields of a request that may be tried again, any of
	// them; none: every request (retriable_request_headers).
	RequestHeaders []ValueMatch

	// PerTry bounds each try, from when its request was sent to its response's
	// head; 0: none.
	PerTry time.Duration
	// PerTryIdle bounds how long nothing comes of a try's response, before its head
	// and after; 0: none.
	PerTryIdle time.Duration

	// Unsafe permits to repeat requests that are not idempotent although they
	// may have run. Off unless the route says so.
	Unsafe bool

	// Back-off before try n is random in [0, Base*2^(n-1)], at most Max.
	BackoffBase, BackoffMax time.Duration
	// After is the back-off that endpoints ask for themselves; nil: they are not
	// asked.
	After *RateLimitedBackoff

	// PreviousPriorities leaves out the priorities of the endpoints that were tried
	// after every so many tries, as long as there are others; 0: a retry
	// goes where a first try would (retry_priority previous_priorities, whose
	// update_frequency it is).
	PreviousPriorities int
}

// RateLimitedBackoff takes the time before the next try from the response that is
// to be tried again (rate_limited_retry_back_off): random from what the endpoint
// asks for up to half as much again. An answer that asks for more than what is left of
// the route's timeout is not tried again.
type RateLimitedBackoff struct {
	// Fields are looked for in order. The first that is there, can be understood and
	// is no more than Max counts; without one the common back-off does.
	Fields []ResetField
	Max    time.Duration // default 300 s
}

// ResetField is a response field that says when to come again.
type ResetField struct {
	Name   string // lower case: "retry-after"
	Format ResetFormat
}

// ResetFormat is how a ResetField is written.
type ResetFormat uint8

// The formats.
const (
	// ResetSeconds is a number of seconds from now; in "retry-after" it may be a
	// date too (RFC 9110 section 10.2.3).
	ResetSeconds ResetFormat = iota
	// ResetUnix is a moment in seconds since 1970.
	ResetUnix
)

// RetryOn is a set of retry conditions, named as Envoy names them.
type RetryOn uint16

// The conditions.
const (
	On5xx                  RetryOn = 1 << iota // any 5xx, or no response at all
	OnGatewayError                             // 502, 503, 504
	OnConnectFailure                           // the connection could not be made
	OnRefusedStream                            // the endpoint surely did not process the request
	OnReset                                    // no response: reset, closed, timed out
	OnResetBeforeRequest                       // reset before the request was sent
	OnRetriable4xx                             // 409
	OnRetriableStatusCodes                     // those of Codes

	// Of a gRPC call, the status of an answer that has no messages and no trailers
	// behind its head (Trailers-Only). They permit to repeat what they hold for.
	OnCancelled
	OnDeadlineExceeded
	OnInternal
	OnResourceExhausted
	OnUnavailable

	OnRetriableHeaders // a response with one of Headers
	OnEnvoyRateLimited // a response with the field x-envoy-ratelimited
)

// Hedge sends a request to several endpoints at once; the first good response is
// the client's, and the other tries are given up. It is for requests that may be
// sent again although they may have run: idempotent ones, or all if Retry is
// Unsafe; and whose body, if any, is at hand as a whole (Envoy's HedgePolicy).
// Every try after the first counts against the cluster's limit of retries.
type Hedge struct {
	// InitialRequests is how many tries begin at once; at least 1, at most MaxHedges.
	InitialRequests int
	// AdditionalChance, in millionths, is how likely one more begins with them.
	AdditionalChance uint32
	// OnPerTryTimeout begins another try when Retry.PerTry is over, and lets the
	// one that took so long go on: it ends no try then. It takes an attempt of the Retry.
	OnPerTryTimeout bool
}

// MaxHedges bounds the tries of one request that are under way at once.
const MaxHedges = 8
