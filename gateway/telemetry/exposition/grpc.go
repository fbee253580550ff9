package exposition

import (
	"longmen/gateway/protocol/grpc"
	"longmen/gateway/telemetry/metrics"
)

// calls is what is told of each gRPC method.
var calls = []spec[metrics.GRPCMethod]{
	{"longmen_grpc_requests_total", "gRPC calls, by the status that they ended with; one without calls is left out.", CounterKind, "method,grpc_status",
		func(m *metrics.GRPCMethod, r *row) {
			for code := range m.Codes {
				r.count(&m.Codes[code], m.Method, codeName(code))
			}
		}},
	{"longmen_grpc_request_duration_seconds", "Time from the first byte of a gRPC call to the last byte of its answer.", HistogramKind, "method",
		func(m *metrics.GRPCMethod, r *row) { r.distribution(&m.Duration, m.Method) }},
}

func codeName(code int) string {
	if code == grpc.CodeCount {
		return "unnamed"
	}
	return grpc.Code(code).String()
}

// withoutZeros leaves out what was never counted: most methods end in few ways.
func withoutZeros(f Family) Family {
	kept := f.Samples[:0]
	for _, sample := range f.Samples {
		if sample.Distribution != nil || sample.Value != 0 {
			kept = append(kept, sample)
		}
	}
	f.Samples = kept
	return f
}
