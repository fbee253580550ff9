package metrics

import "longmen/gateway/stream"

// cacheLine keeps what one worker writes off the lines that another one does.
// Two lines, because processors fetch them in pairs.
type cacheLine [128]byte

// Traffic counts the bytes of connections, heads and framing included.
type Traffic struct {
	BytesReceived Counter
	BytesSent     Counter
}

// ListenerStats is what one worker counts for one listener.
type ListenerStats struct {
	_ cacheLine

	Connections       Counter // accepted
	ConnectionsActive Gauge
	Refused           [RefusalCount]Counter // connections closed right after accept, by Refusal
	Traffic                                 // with clients
	ProtocolErrors    Counter               // requests refused because they break the protocol's rules
	Timeouts          [TimeoutCount]Counter // by Timeout

	RequestsShed   [ShedCount]Counter // requests refused because there were too many, by Shed
	IdleShortened  Counter            // connections that were idle for less than their timeout, and ended (TimeoutIdle, too)
	RequestsActive Gauge
	Requests       ByClass   // requests by what the client was told
	Duration       Histogram // first byte of the request to last byte of the response
	TLS            TLSStats
	HTTP2          HTTP2Stats
	Tunnels        Counter // streams that became tunnels (Upgrade, CONNECT)
	TunnelsActive  Gauge

	flags []Counter // by stream.Flag
	_     cacheLine
}

func newListenerStats() *ListenerStats {
	// Allocated past the last flag's counter, so that no other worker's share its line.
	flags := make([]Counter, len(stream.Flags())+1, len(stream.Flags())+1+len(cacheLine{})/8)
	return &ListenerStats{flags: flags}
}

// Done counts a finished stream: its status, its flag and its duration.
func (l *ListenerStats) Done(r *stream.Record) {
	l.Requests.Count(r.Status)
	l.Duration.Observe(r.End - r.Begin)
	if r.Err != nil {
		l.flags[r.Err.Flag].Inc()
	}
}

// Flag is how many streams ended with the flag f.
func (l *ListenerStats) Flag(f stream.Flag) uint64 { return l.flags[f].Load() }

// ByClass counts by the class of a status code.
type ByClass [ClassCount]Counter

// Count counts one status code; 0 (or anything that is none) counts as "none".
func (c *ByClass) Count(status int) {
	class := uint(status) / 100
	if class >= ClassCount {
		class = 0
	}
	c[class].Inc()
}

// ClassCount is the number of classes: "none" (nothing was answered), 1xx to 5xx.
const ClassCount = 6

// ClassName is the label of a class.
func ClassName(class int) string {
	return [ClassCount]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[class]
}

// Refusal is why a connection was closed right after it was accepted.
type Refusal uint8

// The reasons.
const (
	RefusedListenerLimit Refusal = iota // the listener's max_connections
	RefusedGlobalLimit                  // the process's limit of connections
	RefusedRate                         // the listener's accept_rate
	RefusedNoFiles                      // out of file descriptors
	RefusedClientLimit                  // the listener's limit of one client's connections
	RefusedOverload                     // the overload manager
	RefusalCount                        // how many there are
)

func (r Refusal) String() string {
	return [...]string{"listener-limit", "global-limit", "rate", "no-files", "client-limit", "overload"}[r]
}

// Shed is why a request was refused that would have been served at another time.
type Shed uint8

// The reasons.
const (
	ShedOverload Shed = iota // the overload manager
	ShedLimit                // the listener's limit of requests at once
	ShedCount                // how many there are
)

func (s Shed) String() string { return [...]string{"overload", "listener-limit"}[s] }

// Timeout is a limit of time that a client ran into.
type Timeout uint8

// The kinds. TimeoutIdle, between two requests, is how keep-alive connections
// ordinarily end; the others are failures.
const (
	TimeoutIdle       Timeout = iota // between two requests
	TimeoutHeader                    // request head not complete in time
	TimeoutBody                      // between two pieces of a request body
	TimeoutRequest                   // whole request not received in time
	TimeoutWrite                     // the client takes no bytes
	TimeoutStreamIdle                // no byte in either direction
	TimeoutRate                      // slower than the minimum rate
	TimeoutCount                     // how many there are
)

func (t Timeout) String() string {
	return [...]string{"idle", "header", "body", "request", "write", "stream-idle", "rate"}[t]
}
