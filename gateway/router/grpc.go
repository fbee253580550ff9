package router

import (
	"time"

	"longmen/gateway/protocol/grpc"
	"longmen/gateway/stream"
)

// GRPCTimeout says how long a gRPC call may take whose client set a deadline
// (grpc-timeout): as long as the client waits, within these bounds, in place of
// Forward.Timeout. Without a GRPCTimeout the lesser of both counts.
type GRPCTimeout struct {
	Max time.Duration // bounds what the client asks for; 0: it is not bounded
	// Margin is taken from what the client asks for, so that it hears of the
	// gateway that its time is up before it gives up itself. What leaves nothing
	// fails at once.
	Margin time.Duration
}

// OnGRPC are the conditions on the status of a gRPC call.
const OnGRPC = OnCancelled | OnDeadlineExceeded | OnInternal | OnResourceExhausted | OnUnavailable

// GRPC reports whether a gRPC call that ended with c may be tried again.
func (on RetryOn) GRPC(c grpc.Code) bool {
	switch c {
	case grpc.Cancelled:
		return on&OnCancelled != 0
	case grpc.DeadlineExceeded:
		return on&OnDeadlineExceeded != 0
	case grpc.Internal:
		return on&OnInternal != 0
	case grpc.ResourceExhausted:
		return on&OnResourceExhausted != 0
	case grpc.Unavailable:
		return on&OnUnavailable != 0
	}
	return false
}

// grpcHolds reports whether the request may be a gRPC call, when the rule wants
// one.
func (m *Match) grpcHolds(r *stream.Request) bool {
	return !m.GRPC || string(r.Method) == "POST" && r.GRPC()
}
