package proxy

import (
	"errors"
	"time"

	"longmen/gateway/protocol/grpc"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
)

// What a proxy does for gRPC beside forwarding: it knows the client's deadline,
// may repeat what an endpoint refused, and its own answers have a status that
// gRPC's clients understand.

var errCallTimeout = errors.New("the deadline of the gRPC call has passed")

// maxCallTime bounds the deadlines of calls: what is longer is that long.
const maxCallTime = 365 * 24 * time.Hour

// minTold is by how much the time that is left must differ from what the client
// wrote for the endpoint to be told.
const minTold = time.Millisecond

// callTime is the deadline of a gRPC call.
type callTime struct {
	until int64         // by the worker's clock; 0: there is none
	asked time.Duration // what the client wrote, at most maxCallTime
	alone bool          // the route's timeout does not count beside it
}

// over reports whether the deadline has passed.
func (c *callTime) over(now int64) bool { return c.until != 0 && now >= c.until }

// timeOfCall reads the deadline that the client of a gRPC call set, as the route
// takes it. One that has passed is an error.
func timeOfCall(s *stream.Stream, f *router.Forward) (callTime, error) {
	value := s.Request.Header.GetKnown(stream.GrpcTimeout)
	if value == nil || !s.Request.GRPC() {
		return callTime{}, nil
	}
	asked, ok := grpc.ParseTimeout(value)
	if !ok {
		return callTime{}, nil // the endpoint will say what it thinks of it
	}
	asked = min(asked, maxCallTime)
	d, g := asked, f.GRPCTimeout
	if g != nil {
		if d -= g.Margin; g.Max > 0 {
			d = min(d, g.Max)
		}
	}
	c := callTime{until: s.Record.HeadDone + int64(d), asked: asked, alone: g != nil}
	if c.over(s.Loop.Now()) {
		return c, local(stream.PhasePick, stream.UpstreamTimeout, 504, errCallTimeout)
	}
	return c, nil
}

// tellTime writes into the request how much of the call's time is left, so that
// an endpoint does not work on for a client that has gone. What is as the client
// wrote it stays so.
func (x *exchange) tellTime() {
	if x.call.until == 0 {
		return
	}
	s := x.s
	left := time.Duration(x.call.until - s.Loop.Now())
	if x.call.asked-left < minTold {
		return
	}
	s.Request.Header.Set("grpc-timeout", grpc.AppendTimeout(s.Room(16), left))
}

// earlyClock is how much before the deadline an endpoint may take it for passed.
const earlyClock = 5 * time.Millisecond

// overdue gives the error of a try. An endpoint that was told the deadline resets
// the call when it passes, often before our own timer has fired: that is the
// deadline, and no failure of the endpoint.
func (x *exchange) overdue(err error) error {
	if err == nil || !x.call.over(x.s.Loop.Now()+int64(earlyClock)) {
		return err
	}
	e := stream.AsError(err)
	if e.Side != stream.Upstream || e.Flag != stream.UpstreamRemoteReset || !e.Sent {
		return err
	}
	x.cluster.Stats.Timeouts[metrics.UpstreamTimeoutCall].Inc()
	return &stream.Error{Side: stream.Upstream, Phase: e.Phase, Flag: stream.UpstreamTimeout, Status: 504, Sent: true, Cause: errCallTimeout}
}

// refused reports whether an endpoint answered a gRPC call with nothing but a
// status that the conditions name: neither messages nor trailers follow.
func (x *exchange) refused(on router.RetryOn, resp *stream.Response) bool {
	if resp.Body != nil || !x.s.Request.GRPC() {
		return false
	}
	code, ok := grpc.ParseCode(resp.Header.GetKnown(stream.GrpcStatus))
	return ok && on.GRPC(code)
}

// replyGRPC makes a local reply for a gRPC client: a status without messages,
// which is a response's head and nothing else (Trailers-Only).
func replyGRPC(s *stream.Stream, code grpc.Code, message string) *stream.Response {
	resp := s.Respond(200, "", nil)
	h := &resp.Header
	h.AddString("content-type", grpc.ContentType)
	h.Add("grpc-status", code.Append(s.Room(10)))
	if message != "" {
		h.Add("grpc-message", grpc.AppendMessage(s.Room(3*len(message)), message))
	}
	return resp
}

// maxMessage bounds the grpc-message that is made of a direct response's body, in
// bytes before they are encoded.
const maxMessage = 1024

// respond makes what a route answers by itself. For a gRPC call that is a status,
// unless it is a success: whoever writes such a route means its fields.
func respond(s *stream.Stream, status int, contentType string, body []byte) *stream.Response {
	if status < 300 || !s.Request.GRPC() {
		return s.Respond(status, contentType, body)
	}
	message := stream.StatusText(status)
	if len(body) > 0 {
		message = string(body[:min(len(body), maxMessage)])
	}
	return replyGRPC(s, grpc.FromLocal(status), message)
}

// speakGRPC makes a status of what a filter refused a gRPC call with.
func speakGRPC(s *stream.Stream, resp *stream.Response) {
	h := &resp.Header
	if resp.Status < 300 || h.HasKnown(stream.GrpcStatus) {
		return
	}
	message := stream.StatusText(resp.Status)
	if resp.Body != nil {
		if p, _ := resp.Body.Buffered(); len(p) > 0 {
			message = string(p[:min(len(p), maxMessage)])
		}
	}
	h.Remove("content-encoding")
	h.Set("content-type", []byte(grpc.ContentType))
	h.Set("grpc-status", grpc.FromLocal(resp.Status).Append(s.Room(10)))
	h.Set("grpc-message", grpc.AppendMessage(s.Room(3*len(message)), message))
	resp.Status, resp.Reason, resp.Body, resp.Length = 200, nil, nil, 0
}

// messageOf tells a gRPC client what went wrong, without what is none of its
// business.
func messageOf(e *stream.Error) string {
	switch e.Flag {
	case stream.NoRoute:
		return "no route matches the call"
	case stream.NoCluster:
		return "the route leads to no cluster"
	case stream.NoHealthyUpstream:
		return "no healthy endpoint"
	case stream.UpstreamConnectFailure:
		return "no connection to an endpoint"
	case stream.UpstreamOverflow:
		return "too many calls or connections"
	case stream.UpstreamTimeout:
		return "no complete answer in time"
	case stream.UpstreamRemoteReset, stream.UpstreamConnectionEnd:
		return "the endpoint broke off"
	case stream.UpstreamProtocolError:
		return "the endpoint broke the protocol's rules"
	case stream.StreamIdleTimeout, stream.DurationTimeout:
		return "the call took too long"
	case stream.Overloaded:
		return "the gateway is overloaded"
	}
	return stream.StatusText(e.Status)
}
