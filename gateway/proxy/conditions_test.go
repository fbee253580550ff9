package proxy

import (
	"errors"
	"testing"

	"longmen/gateway/router"
	"longmen/gateway/stream"
)

// Each condition of retries holds for what Envoy's holds for.
func TestConditions(t *testing.T) {
	failed := func(phase stream.Phase, flag stream.Flag, sent bool, cause error) *stream.Error {
		return &stream.Error{Side: stream.Upstream, Phase: phase, Flag: flag, Status: 502, Sent: sent, Cause: cause}
	}
	cause := errors.New("why")
	errs := []struct {
		name string
		e    *stream.Error
		on   router.RetryOn
		why  stream.RetryReason
		free bool // without a policy too
	}{
		{"no connection", failed(stream.PhaseConnect, stream.UpstreamConnectFailure, false, cause),
			router.On5xx | router.OnGatewayError | router.OnReset | router.OnResetBeforeRequest | router.OnConnectFailure, stream.RetryConnect, true},
		{"refused", failed(stream.PhaseResponseHead, stream.UpstreamRemoteReset, false, cause),
			router.On5xx | router.OnGatewayError | router.OnReset | router.OnResetBeforeRequest | router.OnRefusedStream, stream.RetryRefused, true},
		{"reset", failed(stream.PhaseResponseHead, stream.UpstreamConnectionEnd, true, cause), router.On5xx | router.OnGatewayError | router.OnReset, stream.RetryReset, false},
		{"broken head", failed(stream.PhaseResponseHead, stream.UpstreamProtocolError, true, cause), router.On5xx | router.OnGatewayError | router.OnReset, stream.RetryReset, false},
		{"out of time", failed(stream.PhaseResponseHead, stream.UpstreamTimeout, true, cause), router.On5xx | router.OnGatewayError | router.OnReset, stream.RetryTimeout, false},
		{"silent", failed(stream.PhaseResponseHead, stream.UpstreamTimeout, true, errTryIdle), router.On5xx | router.OnGatewayError | router.OnReset, stream.RetryIdle, false},
		{"overflow", failed(stream.PhasePick, stream.UpstreamOverflow, false, cause), 0, 0, false},
		{"nobody", failed(stream.PhasePick, stream.NoHealthyUpstream, false, cause), 0, 0, false},
		{"our own fault", stream.AsError(cause), 0, 0, false},
	}
	type answer struct {
		name   string
		status int
		fields []string // name, value
		on     router.RetryOn
		why    stream.RetryReason
	}
	const listed = router.OnRetriableStatusCodes
	answers := []answer{
		{"200", 200, nil, 0, 0},
		{"404", 404, nil, 0, 0},
		{"409", 409, nil, router.OnRetriable4xx, stream.RetryStatus},
		{"429", 429, nil, listed, stream.RetryStatus},
		{"500", 500, nil, router.On5xx, stream.RetryStatus},
		{"502", 502, nil, router.On5xx | router.OnGatewayError, stream.RetryStatus},
		{"503", 503, nil, router.On5xx | router.OnGatewayError | listed, stream.RetryStatus},
		{"504", 504, nil, router.On5xx | router.OnGatewayError, stream.RetryStatus},
		{"505", 505, nil, router.On5xx, stream.RetryStatus},
		{"with a field", 200, []string{"x-again", "yes"}, router.OnRetriableHeaders, stream.RetryHeaders},
		{"with another value", 200, []string{"x-again", "no"}, 0, 0},
		{"rate limited by another proxy", 429, []string{"x-envoy-ratelimited", "true"}, router.OnEnvoyRateLimited, stream.RetryRateLimited},
		{"likewise, with 503", 503, []string{"x-envoy-ratelimited", "true"}, router.OnEnvoyRateLimited, stream.RetryRateLimited},
		{"gRPC's 14", 200, []string{"grpc-status", "14"}, 0, 0}, // the request is none of gRPC
	}
	var x exchange
	x.s = new(stream.Stream)
	for bit := range 16 {
		on := router.RetryOn(1) << bit
		policy := &router.Retry{On: on, Codes: []int{429, 503}, Headers: []router.ValueMatch{{Name: "x-again", Kind: router.Exact, Value: "yes"}}}
		for _, test := range errs {
			want := stream.NotRetried
			if test.on&on != 0 {
				want = test.why
			}
			if got := x.reason(policy, nil, test.e); got != want {
				t.Errorf("condition %d, %s: %v, want %v", bit, test.name, got, want)
			}
		}
		for _, test := range answers {
			resp := &stream.Response{Status: test.status}
			for i := 0; i < len(test.fields); i += 2 {
				resp.Header.AddString(test.fields[i], test.fields[i+1])
			}
			want := stream.NotRetried
			if test.on&on != 0 {
				want = test.why
			}
			if got := x.reason(policy, resp, nil); got != want {
				t.Errorf("condition %d, %s: %v, want %v", bit, test.name, got, want)
			}
		}
	}
	for _, test := range errs {
		if got := x.reason(nil, nil, test.e); (got != stream.NotRetried) != test.free {
			t.Errorf("no policy, %s: %v", test.name, got)
		}
	}
	if x.reason(nil, &stream.Response{Status: 503}, nil) != stream.NotRetried {
		t.Error("no policy: 503")
	}
	// Too early is the client's who sent the request too early.
	early := &router.Retry{On: listed, Codes: []int{425}}
	if x.reason(early, &stream.Response{Status: 425}, nil) != stream.RetryStatus {
		t.Error("425 is not listed")
	}
	x.s.Request.Header.AddString("early-data", "1")
	if x.reason(early, &stream.Response{Status: 425}, nil) != stream.NotRetried {
		t.Error("425 to early data is retried")
	}
}
