package metrics

// UpstreamHTTP2Stats is what one worker counts of a cluster's connections that
// speak HTTP/2. The pool counts connections and streams, the codec the frames.
type UpstreamHTTP2Stats struct {
	ConnectionsActive Gauge
	Streams           Counter // opened
	StreamsActive     Gauge

	ResetsReceived Counter // RST_STREAM frames
	ResetsSent     Counter
	// Refused are streams of which the endpoint said that it did not process
	// them: REFUSED_STREAM, or above the last one of its GOAWAY.
	Refused         Counter
	GoAwaysReceived Counter
	PingTimeouts    Counter // connections ended because a PING was not answered
}
