package transcode

import (
	"strings"

	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"longmen/gateway/protocol/grpc"
	"longmen/gateway/stream"
)

// httpStatus is the HTTP status of a gRPC status (google/rpc/code.proto).
func httpStatus(c grpc.Code) int {
	switch c {
	case grpc.OK:
		return 200
	case grpc.Cancelled:
		return 499
	case grpc.InvalidArgument, grpc.FailedPrecondition, grpc.OutOfRange:
		return 400
	case grpc.DeadlineExceeded:
		return 504
	case grpc.NotFound:
		return 404
	case grpc.AlreadyExists, grpc.Aborted:
		return 409
	case grpc.PermissionDenied:
		return 403
	case grpc.Unauthenticated:
		return 401
	case grpc.ResourceExhausted:
		return 429
	case grpc.Unimplemented:
		return 501
	case grpc.Unavailable:
		return 503
	}
	return 500
}

// outcome is how a call ended.
type outcome struct {
	code    grpc.Code
	message string
	details []byte // a google.rpc.Status; nil when there is none
}

// ended reads the status of a call from its trailers, or from the head that stands
// for them.
func ended(h *stream.Header) (o outcome, ok bool) {
	if h == nil {
		return outcome{}, false
	}
	value := h.Get("grpc-status")
	if value == nil {
		return outcome{}, false
	}
	if o.code, ok = grpc.ParseCode(value); !ok {
		o.code = grpc.Unknown
	}
	o.message = string(grpc.AppendDecoded(nil, h.Get("grpc-message")))
	if encoded := h.Get("grpc-status-details-bin"); encoded != nil {
		if p, err := decodeBase64(string(encoded)); err == nil {
			o.details = p
		}
	}
	return o, true
}

// answer makes the answer of a call that failed: a google.rpc.Status, if it is to be
// converted, with the HTTP status. Fields of resp's head stay.
func (t *transcoder) answer(s *stream.Stream, resp *stream.Response, status int, o outcome) *stream.Response {
	h := &resp.Header
	if resp.Body != nil {
		resp.Body.Stop()
	}
	for _, name := range []string{"content-type", "content-encoding", "grpc-encoding", "grpc-accept-encoding", "grpc-status-details-bin", "trailer"} {
		h.Remove(name)
	}
	h.Set("grpc-status", o.code.Append(nil))
	if o.message != "" {
		h.Set("grpc-message", grpc.AppendMessage(nil, o.message))
	}
	resp.Status, resp.Reason, resp.Body, resp.Length = status, nil, nil, 0
	if t.convertStatus {
		body := t.statusJSON(o)
		h.AddString("content-type", "application/json")
		resp.Body, resp.Length = stream.NewBytes(body), int64(len(body))
	}
	return resp
}

// statusJSON is a google.rpc.Status. Details whose types the descriptors lack are left
// out.
func (t *transcoder) statusJSON(o outcome) []byte {
	out := &status.Status{}
	if o.details == nil || proto.Unmarshal(o.details, out) != nil || out.GetCode() != int32(o.code) {
		out = &status.Status{}
	}
	if out.Code = int32(o.code); out.Message == "" {
		out.Message = strings.ToValidUTF8(o.message, "\uFFFD")
	}
	print := t.print
	print.Resolver = t.types
	text, err := t.json(out, print)
	if err != nil {
		out.Details = nil
		text, _ = t.json(out, protojson.MarshalOptions{})
	}
	return text
}

// refuse answers a request that cannot be transcoded.
func (t *transcoder) refuse(s *stream.Stream, status int, code grpc.Code, message string) *stream.Response {
	return t.answer(s, s.Respond(status, "", nil), status, outcome{code: code, message: message})
}
