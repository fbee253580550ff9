package metrics

import (
	"sync/atomic"
	"time"
)

// TLSStats is what one worker counts of a listener's handshakes.
type TLSStats struct {
	Handshakes [TLSVersionCount]Counter // completed, by TLSVersion
	Resumed    Counter                  // of them, with the session of an earlier connection
	EarlyData  [EarlyDataCount]Counter  // of them, by EarlyData
	Failures   [TLSFailureCount]Counter // by TLSFailure
	Active     Gauge                    // under way, those that wait for their turn included
	Duration   Histogram                // of completed ones, from the accepted connection on
}

// TLSVersion is what a handshake agreed on.
type TLSVersion uint8

// The versions.
const (
	TLS12 TLSVersion = iota
	TLS13
	TLS13SM // RFC 8998
	TLCP
	TLSVersionCount // how many there are
)

// TLSVersionOf is what a version and a cipher suite, as on the wire, count as.
func TLSVersionOf(version, suite uint16) TLSVersion {
	switch {
	case version == 0x0101:
		return TLCP
	case suite == 0x00c6:
		return TLS13SM
	case version == 0x0304:
		return TLS13
	}
	return TLS12
}

func (v TLSVersion) String() string {
	return [...]string{"TLSv1.2", "TLSv1.3", "TLSv1.3-SM", "TLCP"}[v]
}

// TLSFailure is why a connection ended before its handshake did.
type TLSFailure uint8

// The reasons.
const (
	TLSClosed       TLSFailure = iota // the client closed or reset the connection
	TLSTimeout                        // not complete in time
	TLSNotTLS                         // no ClientHello came first
	TLSProtocol                       // the client broke the protocol, or offers nothing that is served
	TLSName                           // no certificate covers the name that was asked for
	TLSAlert                          // the client ended it with an alert
	TLSOverload                       // too many were under way, or signatures waiting
	TLSInternal                       // ours
	TLSFailureCount                   // how many there are
)

func (f TLSFailure) String() string {
	return [...]string{"closed", "timeout", "not-tls", "protocol", "name", "alert", "overload", "internal"}[f]
}

// EarlyData is what became of a client's early data (0-RTT), in the order of
// handshake.EarlyData.
type EarlyData uint8

// What became of it; all but the first two say why it was not accepted.
const (
	EarlyDataNone EarlyData = iota // none was sent
	EarlyDataAccepted
	EarlyDataOff
	EarlyDataTicket
	EarlyDataChanged
	EarlyDataAge
	EarlyDataReplay
	EarlyDataFull
	EarlyDataRetry
	EarlyDataCount // how many there are
)

func (e EarlyData) String() string {
	return [...]string{"none", "accepted", "off", "ticket", "changed", "age", "replay", "full", "retry"}[e]
}

// UpstreamTLSStats is what one worker counts of the handshakes with a cluster's
// endpoints.
type UpstreamTLSStats struct {
	Handshakes [TLSVersionCount]Counter // completed, by TLSVersion
	Resumed    Counter                  // of them, with the session of an earlier connection
	Failures   [UpstreamTLSFailureCount]Counter
}

// UpstreamTLSFailure is why a handshake with an endpoint failed.
type UpstreamTLSFailure uint8

// The reasons.
const (
	UpstreamTLSClosed       UpstreamTLSFailure = iota // the connection ended, or time was up
	UpstreamTLSRefused                                // what the endpoint showed was refused: its certificate, most often
	UpstreamTLSAlert                                  // the endpoint ended it with an alert
	UpstreamTLSFailureCount                           // how many there are
)

func (f UpstreamTLSFailure) String() string {
	return [...]string{"closed", "refused", "alert"}[f]
}

// Certificate says until when a certificate of the gateway's own is good.
type Certificate struct {
	Name              string // of its secret
	Listener, Cluster string // which shows it to its peers; the other is ""
	NotAfter          time.Time
}

// TLSPool is what is told of the threads for signatures and other dear work of
// handshakes.
type TLSPool struct {
	Queued, Running                  int64         // tasks, now
	Done, Refused, Expired, Canceled uint64        // tasks
	Panics                           uint64        // of tasks, which count as done
	Busy, Waited                     time.Duration // of all threads, and all tasks, together
}

// ACME is what is told of certificates that the gateway orders by itself.
type ACME struct {
	Ordered, Renewed, Failed uint64 // tries, by what came of them
	Issued, Pending          int    // names that have a certificate, and that have none yet
}

// OCSP counts the OCSP responses that were asked for. Any goroutine may count.
type OCSP struct {
	Good    atomic.Uint64 // to be stapled
	Revoked atomic.Uint64 // they say that the certificate is not good any more
	Failed  atomic.Uint64 // there was none, or it could not be used
}
