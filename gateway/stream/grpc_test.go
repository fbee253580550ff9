package stream

import (
	"errors"
	"strings"
	"testing"

	"longmen/gateway/protocol/grpc"
)

// call is a stream of a gRPC request.
func call(contentType string) *Stream {
	s := &Stream{}
	s.Request.Method, s.Request.Major = []byte("POST"), 2
	if contentType != "" {
		s.Request.Header.AddString("content-type", contentType)
	}
	return s
}

func TestGRPCStatus(t *testing.T) {
	answer := func(status int, fields ...string) *Response {
		r := &Response{Status: status}
		for i := 0; i < len(fields); i += 2 {
			r.Header.AddString(fields[i], fields[i+1])
		}
		return r
	}
	failed := func(flag Flag, status int) *Error {
		return &Error{Flag: flag, Status: status, Cause: errors.New("x")}
	}
	for _, c := range []struct {
		name        string
		contentType string
		trailer     string
		resp        *Response
		err         *Error
		want        grpc.Code
		none        bool
	}{
		{name: "trailers", contentType: "application/grpc", trailer: "5", resp: answer(200), want: grpc.NotFound},
		{name: "trailers over head", contentType: "application/grpc", trailer: "0", resp: answer(200, "grpc-status", "5"), want: grpc.OK},
		{name: "trailers-only", contentType: "application/grpc+proto", resp: answer(200, "grpc-status", "14"), want: grpc.Unavailable},
		{name: "a code without a name", contentType: "application/grpc", trailer: "77", resp: answer(200), want: 77},
		{name: "no number", contentType: "application/grpc", trailer: "x", resp: answer(200), want: grpc.Unknown},
		{name: "none", contentType: "application/grpc", resp: answer(200), want: grpc.Unknown},
		{name: "an answer of another program", contentType: "application/grpc", resp: answer(404), want: grpc.Unimplemented},
		{name: "broken off by the endpoint", contentType: "application/grpc", resp: answer(200), err: failed(UpstreamRemoteReset, 0), want: grpc.Unavailable},
		{name: "no endpoint", contentType: "application/grpc", err: failed(NoHealthyUpstream, 503), want: grpc.Unavailable},
		{name: "no route", contentType: "application/grpc", err: failed(NoRoute, 404), want: grpc.Unimplemented},
		{name: "timeout", contentType: "application/grpc", err: failed(UpstreamTimeout, 504), want: grpc.DeadlineExceeded},
		{name: "slow to connect", contentType: "application/grpc", err: failed(UpstreamConnectFailure, 504), want: grpc.Unavailable},
		{name: "cancelled", contentType: "application/grpc", resp: answer(200), err: failed(DownstreamConnectionEnd, 0), want: grpc.Cancelled},
		{name: "too large", contentType: "application/grpc", err: failed(DownstreamProtocolError, 413), want: grpc.ResourceExhausted},
		{name: "our own fault", contentType: "application/grpc", err: failed(LocalError, 500), want: grpc.Internal},
		{name: "a status told in spite of a failure", contentType: "application/grpc", resp: answer(200, "grpc-status", "4"), err: failed(NoRoute, 404), want: grpc.DeadlineExceeded},
		{name: "nothing at all", contentType: "application/grpc", want: grpc.Unknown},
		{name: "gRPC-Web", contentType: "application/grpc-web", trailer: "0", resp: answer(200), none: true},
		{name: "another request", contentType: "", trailer: "0", resp: answer(200, "grpc-status", "1"), none: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := call(c.contentType)
			if c.trailer != "" {
				s.Trailer.AddString("grpc-status", c.trailer)
			}
			s.Record.Err = c.err
			got, ok := s.GRPCStatus(c.resp)
			if ok == c.none || got != c.want {
				t.Errorf("%v, %v; want %v", got, ok, c.want)
			}
		})
	}
}

func TestFormatGRPC(t *testing.T) {
	s := call("application/grpc")
	s.Trailer.AddString("grpc-status", "4")
	s.Trailer.AddString("grpc-message", "too late")
	resp := &Response{Status: 200}
	const all = "%GRPC_STATUS% %GRPC_STATUS(CAMEL_STRING)% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER%"
	for _, c := range []struct{ format, want string }{
		{all, "DeadlineExceeded DeadlineExceeded DEADLINE_EXCEEDED 4 4"},
		{"%TRAILER(GRPC-MESSAGE)% %TRAILER(X?GRPC-MESSAGE):3% %TRAILER(X)%", "too late too -"},
		{"%PROTOCOL%", "HTTP/2"},
	} {
		if got := string(mustFormat(t, c.format).Append(nil, s, resp)); got != c.want {
			t.Errorf("%s gives %q, want %q", c.format, got, c.want)
		}
	}
	object, err := NewJSONFormat([]JSONField{{"number", "%GRPC_STATUS_NUMBER%"}, {"n", "%GRPC_STATUS(NUMBER)%"}, {"name", "%GRPC_STATUS%"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(object.Append(nil, s, resp)); got != `{"number":4,"n":4,"name":"DeadlineExceeded"}` {
		t.Error(got)
	}
	text := mustFormat(t, all+"%TRAILER(grpc-message)%")
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { buf = text.Append(buf[:0], s, resp) }); n != 0 {
		t.Errorf("%v allocations", n)
	}

	s.Request.Header.Reset()
	if got := string(mustFormat(t, all).Append(nil, s, resp)); got != "- - - - -" {
		t.Errorf("of another request %q", got)
	}
	if got := string(object.Append(nil, s, resp)); got != `{"number":null,"n":null,"name":null}` {
		t.Error(got)
	}
	s.Request.Major = 3
	if got := string(mustFormat(t, "%PROTOCOL%").Append(nil, s, nil)); got != "HTTP/3" {
		t.Error(got)
	}
	s.Reset()
	if s.Trailer.Count() != 0 {
		t.Error("a stream that begins has trailers")
	}
	for format, want := range map[string]string{
		"%GRPC_STATUS()%":         "must be CAMEL_STRING, SNAKE_STRING or NUMBER",
		"%GRPC_STATUS_NUMBER(X)%": "takes no argument",
		"%TRAILER%":               "needs a header's name: %TRAILER(X-NAME)%",
		"%TRAILER(:status)%":      "unknown pseudo header",
		"%GRPC_STATUS:3%":         "takes no length",
	} {
		if _, err := ParseFormat(format); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", format, err)
		}
	}
}
