package proxy

import (
	"testing"

	"longmen/gateway/router"
	"longmen/gateway/stream"
)

// What an endpoint surely did not process, as REFUSED_STREAM of HTTP/2 says, is
// tried again for whom asks for that, and for whom asks for nothing at all.
func TestRefusedStreamsAreWanted(t *testing.T) {
	refused := &stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamConnectionEnd, Status: 502}
	processed := *refused
	processed.Sent = true
	var x exchange
	for _, test := range []struct {
		retry              *router.Retry
		refused, processed bool
	}{
		{nil, true, false},
		{&router.Retry{On: router.OnRefusedStream}, true, false},
		{&router.Retry{On: router.OnResetBeforeRequest}, true, false},
		{&router.Retry{On: router.OnReset}, true, true},
		{&router.Retry{On: router.OnConnectFailure}, false, false},
	} {
		if x.wanted(test.retry, nil, refused) != test.refused || x.wanted(test.retry, nil, &processed) != test.processed {
			t.Errorf("%+v", test.retry)
		}
	}
}
