package metrics

// TLSStats is what one worker counts of a listener's handshakes.
type TLSStats struct {
	Handshakes [TLSVersionCount]Counter // completed, by TLSVersion
	Resumed    Counter                  // of them, with the session of an earlier connection
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
