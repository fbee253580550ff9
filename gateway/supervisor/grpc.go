package supervisor

import (
	"longmen/gateway/protocol/grpc"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
)

// countCall adds a finished gRPC call to the figures of its method. Calls that no
// route matched are not counted, and there is a method of that name when an
// endpoint has answered by something else than that there is none.
func countCall(calls *metrics.GRPCStats, s *stream.Stream, resp *stream.Response) {
	rec := &s.Record
	if rec.Route == "" {
		return
	}
	if code, ok := s.GRPCStatus(resp); ok {
		exists := rec.Endpoint.IsValid() && rec.Err == nil && code != grpc.Unimplemented
		calls.Done(s.Request.Path, code, exists, rec.End-rec.Begin)
	}
}
