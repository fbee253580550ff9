package stream

import "longmen/gateway/protocol/grpc"

// GRPC reports whether the request is a gRPC call, by its content type.
func (r *Request) GRPC() bool { return grpc.IsContentType(r.Header.GetKnown(ContentType)) }

// GRPC is the status of a gRPC call that ended with e.
func (e *Error) GRPC() grpc.Code {
	switch e.Flag {
	case UpstreamTimeout, StreamIdleTimeout, DurationTimeout:
		return grpc.DeadlineExceeded
	case NoHealthyUpstream, UpstreamConnectFailure, UpstreamOverflow, UpstreamRemoteReset, UpstreamConnectionEnd, LocalReset:
		return grpc.Unavailable
	case DownstreamConnectionEnd:
		return grpc.Cancelled
	}
	return grpc.FromLocal(e.Status)
}

// GRPCStatus is the status that a gRPC call ended with, once the stream is over:
// that of the trailers or, when there were no messages, of the head. An answer
// without one, which a client takes for what its HTTP status stands for, counts as
// that; a call that broke off, as the stream's error. ok is false when the request
// is no gRPC call. resp may be nil.
func (s *Stream) GRPCStatus(resp *Response) (c grpc.Code, ok bool) {
	if !s.Request.GRPC() {
		return 0, false
	}
	if c, ok := grpc.ParseCode(s.Trailer.GetKnown(GrpcStatus)); ok {
		return c, true
	}
	if resp != nil {
		if c, ok := grpc.ParseCode(resp.Header.GetKnown(GrpcStatus)); ok {
			return c, true
		}
	}
	switch {
	case s.Record.Err != nil:
		return s.Record.Err.GRPC(), true
	case resp != nil:
		return grpc.FromHTTP(resp.Status), true
	}
	return grpc.Unknown, true
}
