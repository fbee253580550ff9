package listener

import (
	"testing"

	"longmen/gateway/telemetry/metrics"
	"longmen/tls/handshake"
)

// What is counted of early data is what handshakes tell.
func TestEarlyDataIsCounted(t *testing.T) {
	if int(metrics.EarlyDataCount) != int(handshake.EarlyDataCount) {
		t.Fatalf("%d and %d", metrics.EarlyDataCount, handshake.EarlyDataCount)
	}
	for e := range handshake.EarlyDataCount {
		if counted := metrics.EarlyData(e).String(); counted != e.String() {
			t.Errorf("%s is counted as %s", e, counted)
		}
	}
}
