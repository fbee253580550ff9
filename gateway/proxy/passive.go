package proxy

import (
	"errors"

	"longmen/gateway/protocol/grpc"
	"longmen/gateway/stream"
)

// tell reports to outlier detection, and to the balancer, what a try came to, of whose
// endpoint there is a connection: what became of connecting is reported where that is done.
func (x *exchange) tell(resp *stream.Response, err error) {
	if x.conn == nil {
		return
	}
	monitor := x.conn.Monitor()
	if monitor == nil && !x.conn.Measured() {
		return
	}
	if err == nil {
		status := x.statusOf(resp)
		monitor.Status(status)
		x.conn.Outcome(status >= 500 && status != 501)
		return
	}
	e := stream.AsError(err)
	switch {
	case e.Side != stream.Upstream || errors.Is(e.Cause, errCallTimeout): // the client set the time
	case x.stale(e) || x.unprocessed(e): // the endpoint did nothing wrong
	case e.Flag == stream.UpstreamTimeout:
		monitor.Timeout()
		x.conn.Outcome(true)
	case broken(e):
		monitor.Reset()
		x.conn.Outcome(true)
	}
}

// tellEnd reports that a response broke off after its head.
func (x *exchange) tellEnd(e *stream.Error) {
	if x.answered && x.conn != nil && e != nil && broken(e) {
		x.conn.Monitor().Reset()
	}
}

// broken reports whether the endpoint broke off, or broke the protocol's rules.
func broken(e *stream.Error) bool {
	switch e.Flag {
	case stream.UpstreamConnectionEnd, stream.UpstreamRemoteReset, stream.UpstreamProtocolError:
		return e.Side == stream.Upstream
	}
	return false
}

// statusOf is the response's status, or what that of gRPC stands for when it comes with
// the head. One that comes in the trailers is not waited for.
func (x *exchange) statusOf(resp *stream.Response) int {
	if x.s.Request.GRPC() {
		if value := resp.Header.GetKnown(stream.GrpcStatus); value != nil {
			if code, ok := grpc.ParseCode(value); ok {
				return code.HTTP()
			}
		}
	}
	return resp.Status
}
