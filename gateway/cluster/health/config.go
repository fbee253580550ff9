// Package health checks endpoints actively, over HTTP, gRPC or TCP. One Scheduler
// serves a whole process, with a bounded number of checks at once.
//
// An endpoint is Unchecked at first, and whoever asks decides what that means;
// its first check decides its state at once. After that a state changes only
// when as many checks in a row as the thresholds ask for say so.
//
// Every check makes a fresh connection and closes it: a check on a kept
// connection would not notice that new ones are refused.
package health

import (
	"cmp"
	"time"
)

// Config is one active health check. Exactly one of HTTP, GRPC and TCP is set. Zero
// numbers and durations mean the defaults, except Jitter's.
type Config struct {
	HTTP *HTTP
	GRPC *GRPC
	TCP  *TCP

	Every     time.Duration // from the start of one check to the next's; default 5 s
	Timeout   time.Duration // of a whole check; default 1 s
	Jitter    time.Duration // random addition to Every, up to this
	Healthy   int           // successes in a row until an endpoint is up; default 2
	Unhealthy int           // failures in a row until it is down; default 3
}

// HTTP expects a status from GET (or another method) of a path.
type HTTP struct {
	Path      string // default "/"
	Host      string // Host header; "" is the endpoint's name or address
	Method    string // default GET
	Low, High int    // accepted statuses: Low <= status < High; default 200..300
	Headers   map[string]string
	Expect    []byte // text that the first 64 KiB of the body must contain; empty: not read
}

// GRPC asks the service grpc.health.v1.Health over HTTP/2 (by prior knowledge, or
// over the TLS of Target.Secure) how a service is. SERVING is healthy, and nothing
// else.
type GRPC struct {
	Service   string // "" is the server as a whole
	Authority string // "" is the endpoint's name or address
}

// TCP connects, sends Send if any, and expects the first 64 KiB of the answer to
// contain Receive.
type TCP struct {
	Send    []byte
	Receive []byte
}

// alpn is what a check over TLS must agree on, whatever is spoken to the cluster
// otherwise; nil: nothing particular.
func (t *Target) alpn() []string {
	switch {
	case t.Config.GRPC != nil, t.Config.HTTP != nil && t.HTTP2:
		return []string{"h2"}
	case t.Config.HTTP != nil:
		return []string{"http/1.1"}
	}
	return nil
}

func (c *Config) every() time.Duration   { return positive(c.Every, 5*time.Second) }
func (c *Config) timeout() time.Duration { return positive(c.Timeout, time.Second) }
func (c *Config) healthy() int           { return positive(c.Healthy, 2) }
func (c *Config) unhealthy() int         { return positive(c.Unhealthy, 3) }

func positive[N cmp.Ordered](n, otherwise N) N {
	var zero N
	if n > zero {
		return n
	}
	return otherwise
}

// State is what the checks of an endpoint say.
type State uint8

// The states.
const (
	Unchecked State = iota // no check has finished yet
	Up
	Down
)

func (s State) String() string {
	switch s {
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "unchecked"
}

// Event is a change of state.
type Event struct {
	Old, New State
	Reason   string // what the deciding check found: "status 503 is not in 200..299", "2 checks passed"
}

// Stats count checks. A failure is a network failure too when no complete answer came.
type Stats struct {
	Attempts, Successes, Failures, NetworkFailures uint64
}
