package metrics

// HTTP2Stats is what one worker counts of a listener's connections that speak
// HTTP/2.
type HTTP2Stats struct {
	Connections       Counter
	ConnectionsActive Gauge
	Refused           Counter // streams, with REFUSED_STREAM

	ResetsReceived [HTTP2CodeCount]Counter // RST_STREAM frames of clients, by code
	ResetsSent     [HTTP2CodeCount]Counter
	GoAways        [HTTP2CodeCount]Counter // connections that ended by a client's fault, by code
}

// HTTP2CodeCount is the number of error codes (RFC 9113 section 7), and one for
// all others.
const HTTP2CodeCount = 15

// Reset counts a stream that was reset.
func (s *HTTP2Stats) Reset(code uint32, received bool) {
	if received {
		s.ResetsReceived[min(code, HTTP2CodeCount-1)].Inc()
	} else {
		s.ResetsSent[min(code, HTTP2CodeCount-1)].Inc()
	}
}

// Ended counts a connection that ended by the client's fault.
func (s *HTTP2Stats) Ended(code uint32) { s.GoAways[min(code, HTTP2CodeCount-1)].Inc() }

// HTTP2CodeName is the label of a code.
func HTTP2CodeName(code int) string {
	return [HTTP2CodeCount]string{
		"no-error", "protocol-error", "internal-error", "flow-control-error", "settings-timeout", "stream-closed", "frame-size-error",
		"refused-stream", "cancel", "compression-error", "connect-error", "enhance-your-calm", "inadequate-security", "http-1-1-required", "other",
	}[code]
}
