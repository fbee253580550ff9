// Package health checks endpoints actively, over HTTP, gRPC or TCP. One Scheduler
// serves a whole process, with a bounded number of checks at once.
//
// An endpoint is Unchecked at first, and whoever asks decides what that means;
// its first check decides its state at once. After that a state changes only
// when as many checks in a row as the thresholds ask for say so.
//
// Every check makes a fresh connection and closes it, unless Config.Reuse says
// otherwise: a check on a kept connection would not notice that new ones are refused.
package health

import (
	"cmp"
	"time"
)

// Config is one active health check. At most one of HTTP, GRPC and TCP is set;
// without any, connecting is the check. Zero numbers and durations mean the
// defaults. Names are those of config.core.v3.HealthCheck where they differ.
type Config struct {
	HTTP *HTTP
	GRPC *GRPC
	TCP  *TCP

	Every     time.Duration // from the start of one check to the next's (interval); default 5 s
	Timeout   time.Duration // of a whole check; default 1 s
	Healthy   int           // successes in a row until an endpoint is up; default 2
	Unhealthy int           // failures in a row until it is down; default 3

	// InitialJitter is a random delay of the first check, up to this; default none.
	InitialJitter time.Duration
	// Jitter is a random addition to each interval, up to this, and JitterPercent is
	// another one, up to this share of the interval; default none.
	Jitter        time.Duration
	JitterPercent int

	// NoTraffic is the interval while the gateway has never connected to the cluster for a
	// request, and NoTrafficHealthy that of endpoints which are up then. They go before the
	// others. Defaults: none (Envoy: 60 s), and NoTraffic.
	NoTraffic, NoTrafficHealthy time.Duration
	// UnhealthyInterval is the interval while an endpoint is down; default Every.
	UnhealthyInterval time.Duration
	// UnhealthyEdge is the interval after a check of an endpoint that is up has failed, and
	// HealthyEdge that after a check of one that is down has passed, when the threshold
	// asks for more of them; defaults UnhealthyInterval and Every.
	UnhealthyEdge, HealthyEdge time.Duration

	// Reuse keeps the connection for the next check, where the protocol allows it
	// (reuse_connection). Default false, other than Envoy's: a check on a kept connection
	// does not notice that new ones are refused.
	Reuse bool

	// ALPN is what is offered in the TLS handshake (tls_options); nil: what fits the check.
	ALPN []string

	// EventLog is a file that gets a JSON line for each change of an endpoint's state
	// (event_log_path); "": none. The process log has them anyway. LogFailures and LogSuccesses
	// add a line for each check that fails, or passes (always_log_health_check_failures and
	// always_log_health_check_success).
	EventLog                  string
	LogFailures, LogSuccesses bool
}

// HTTP expects a status from GET (or another method) of a path.
type HTTP struct {
	Path   string // default "/"
	Host   string // Host header; "" is the endpoint's name or address
	Method string // default GET
	Codec  Codec
	// Expected are the statuses that pass; default 200..299.
	Expected []Statuses
	// Retriable are statuses that count as one failure of Unhealthy. With any, another
	// status that is not expected means down at once; without, all of them count
	// as one failure. (With Envoy it is down at once in that case too.)
	Retriable []Statuses
	Headers   map[string]string
	Body      []byte // of the request; empty: none
	// Expect are texts that the first 64 KiB of the response's body must contain, one after the
	// other (receive); empty: it is not read.
	Expect [][]byte
}

// Statuses is a range of HTTP statuses: Low <= status < High.
type Statuses struct{ Low, High int }

// Codec is the protocol of an HTTP check.
type Codec uint8

// The codecs.
const (
	ClusterCodec Codec = iota // HTTP/2 to a cluster of HTTP/2 alone, else HTTP/1.1
	HTTP1Codec
	HTTP2Codec // without TLS by prior knowledge
)

// GRPC asks the service grpc.health.v1.Health over HTTP/2 (by prior knowledge, or
// over the TLS of Target.Secure) how a service is. SERVING is healthy, and nothing
// else.
type GRPC struct {
	Service   string            // "" is the server as a whole
	Authority string            // "" is the endpoint's name or address
	Metadata  map[string]string // sent with the call (initial_metadata)
}

// TCP connects, sends Send if any, and expects the first 64 KiB of the answer to
// contain the texts of Receive, one after the other.
type TCP struct {
	Send    []byte
	Receive [][]byte
}

// alpn is what a check over TLS must agree on, whatever is spoken to the cluster
// otherwise; nil: nothing particular.
func (t *Target) alpn() []string {
	switch {
	case t.Config.ALPN != nil:
		return t.Config.ALPN
	case t.Config.GRPC != nil, t.Config.HTTP != nil && t.http2():
		return []string{"h2"}
	case t.Config.HTTP != nil:
		return []string{"http/1.1"}
	}
	return nil
}

// http2 tells what a check of HTTP speaks.
func (t *Target) http2() bool {
	return t.Config.HTTP.Codec == HTTP2Codec || t.Config.HTTP.Codec == ClusterCodec && t.HTTP2
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
