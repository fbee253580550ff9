package stream

import "longmen/gateway/worker"

// EarlyData is of a request that came, at least in part, before the TLS handshake of its
// connection was complete (0-RTT): whoever has seen it on the way can have sent it, once more and
// to another server (RFC 8470 section 2). It is complete when the client has proved that the
// connection is its own.
type EarlyData interface {
	// Confirmed reports whether the handshake is complete.
	Confirmed() bool
	// Confirm waits until it is, on the stream's coroutine.
	Confirm(co *worker.Coroutine) error
}
