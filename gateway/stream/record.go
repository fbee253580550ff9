package stream

import (
	"net/netip"
	"time"

	"longmen/tls/handshake"
)

// Record is what the access log and the metrics say about a stream. Each part
// of the engine fills in what it knows; times come from the worker's clock,
// which is read once a turn.
type Record struct {
	Start time.Time // wall clock when the first byte of the request was read

	// Monotonic worker time in nanoseconds; 0 when it did not happen.
	Begin         int64 // first byte of the request
	HeadDone      int64 // request head complete
	UpstreamBegin int64 // the last try was sent
	UpstreamHead  int64 // response head received
	End           int64

	Listener string
	// Route names the rule that answered ("public[0].rules[1]") and
	// RouteOrigin says where it was written ("gateway.yaml:16:11").
	Route       string
	RouteOrigin string
	Cluster     string
	Endpoint    netip.AddrPort // zero when no endpoint was chosen
	Tries       int            // times the request was given to an endpoint
	// Retried is why it was tried again, the last time; RetryEnd why it was not any more.
	Retried  RetryReason
	RetryEnd RetryEnd
	// UpstreamTLS is what the endpoint's connection agreed on; nil when it is
	// plain, or there is none.
	UpstreamTLS *handshake.Result

	Status        int   // what the client was told; 0 when nothing
	RequestBytes  int64 // body bytes received
	ResponseBytes int64 // body bytes sent

	// Err is why the stream failed, nil when it went well. A stream can have
	// a status and an error (a response cut in its middle).
	Err *Error
}

// Flag is the response flag, FlagNone when all went well.
func (r *Record) Flag() Flag {
	if r.Err == nil {
		return FlagNone
	}
	return r.Err.Flag
}
