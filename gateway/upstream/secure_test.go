package upstream

import (
	"fmt"
	"io"
	"testing"

	"longmen/gateway/telemetry/metrics"
	"longmen/tls/handshake"
)

func TestTLSFailure(t *testing.T) {
	for _, c := range []struct {
		err  error
		want metrics.UpstreamTLSFailure
	}{
		{io.ErrUnexpectedEOF, metrics.UpstreamTLSClosed},
		{&handshake.Error{Alert: handshake.HandshakeFailure, Received: true}, metrics.UpstreamTLSAlert},
		{fmt.Errorf("TLS: %w", &handshake.Error{Alert: handshake.BadCertificate, Sent: true}), metrics.UpstreamTLSRefused},
	} {
		if got := failure(c.err); got != c.want {
			t.Errorf("%v counts as %s, not %s", c.err, got, c.want)
		}
	}
}
