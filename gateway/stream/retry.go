package stream

// RetryReason is why a request was tried again.
type RetryReason uint8

// The reasons; most are conditions of retries, as Envoy names them.
const (
	NotRetried       RetryReason = iota
	RetryConnect                 // the connection could not be made
	RetryRefused                 // the endpoint surely did not process the request
	RetryReset                   // it ended the connection, or the stream, without a response
	RetryStale                   // a kept connection had been closed meanwhile; no attempt was counted
	RetryTimeout                 // the time of a try was over
	RetryIdle                    // nothing came for too long
	RetryStatus                  // the response's status
	RetryHeaders                 // a field of the response
	RetryRateLimited             // the response was the rate limit of another proxy
	RetryGRPC                    // the status of the gRPC call
	Hedged                       // another try was begun beside the one under way
)

func (r RetryReason) String() string {
	return [...]string{"-", "connect-failure", "refused-stream", "reset", "stale-connection", "per-try-timeout", "per-try-idle-timeout",
		"status", "retriable-headers", "envoy-ratelimited", "grpc-status", "hedged"}[r]
}

// RetryEnd is why a request whose last try failed was not tried again, although
// its route asks for that.
type RetryEnd uint8

// The reasons.
const (
	RetryWentOn   RetryEnd = iota
	RetryAttempts          // URX: all attempts of the route were made
	RetryOverflow          // UO: the cluster's limit or budget of retries is reached
	RetryUnsafe            // the request may have run, and is not idempotent
	RetryBodySent          // a part of the request's body is gone, which nobody kept
	RetryTooLate           // the endpoint asked for more time than is left
	RetryNobody            // there is no endpoint to try
	RetryNoHeader          // the request has none of the fields that the route asks for
	RetryEndCount          // how many there are
)

func (r RetryEnd) String() string {
	return [...]string{"-", "attempts", "overflow", "may-have-run", "body-sent", "too-late", "no-endpoint", "request-headers"}[r]
}

// Flag is the response flag that tells of r, FlagNone if there is none.
func (r RetryEnd) Flag() Flag {
	switch r {
	case RetryAttempts:
		return UpstreamRetryLimit
	case RetryOverflow:
		return UpstreamOverflow
	}
	return FlagNone
}
