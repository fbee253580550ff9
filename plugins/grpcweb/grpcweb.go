// Package grpcweb lets browsers call gRPC servers: it translates gRPC-Web (the gRPC
// project's doc/PROTOCOL-WEB.md), binary and text, into gRPC and back, message by
// message.
package grpcweb

import (
	"bytes"
	"strings"

	grpcweb "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_web/v3"
	"google.golang.org/protobuf/proto"

	"longmen/gateway/filter"
	"longmen/gateway/protocol/grpc"
	"longmen/gateway/stream"
)

// Kind is the filter's entry in the list of filters.
func Kind() *filter.Kind {
	return &filter.Kind{
		Name: "grpc_web", XDS: "envoy.filters.http.grpc_web",
		Meaning:  "gRPC-Web, binary and text, to gRPC.",
		Example:  "{}",
		Messages: []proto.Message{(*grpcweb.GrpcWeb)(nil)},
		Message:  func(filter.Values) proto.Message { return &grpcweb.GrpcWeb{} },
		Values:   func(proto.Message) filter.Values { return filter.Values{} },
		Compile: func(at filter.Scope, m proto.Message) filter.Filter {
			at.Only(m)
			return translator{}
		},
	}
}

// translator is the filter. It has no settings.
type translator struct{}

const (
	binaryType = "application/grpc-web"
	textType   = "application/grpc-web-text"
)

// media splits a content type of gRPC-Web: whether it is the text form, and what
// the messages are ("+proto"; "" is not said).
func media(value []byte) (text bool, messages string, ok bool) {
	kind, _, _ := strings.Cut(string(value), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	kind, messages, plus := strings.Cut(kind, "+")
	if plus {
		messages = "+" + messages
	}
	return kind == textType, messages, kind == textType || kind == binaryType
}

// wantsText reports which form the answer shall have: the first one that Accept
// names, or else that of the request.
func wantsText(accept []byte, request bool) bool {
	for member := range bytes.SplitSeq(accept, []byte(",")) {
		if text, _, ok := media(member); ok {
			return text
		}
	}
	return request
}

// Serve translates a gRPC-Web call; everything else passes.
func (translator) Serve(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
	r := &s.Request
	text, messages, ok := media(r.Header.Get("content-type"))
	if !ok || string(r.Method) != "POST" {
		return next(s)
	}
	answerText := wantsText(r.Header.Get("accept"), text)
	if text && r.Body != nil {
		r.Body, r.Length = &decoder{Body: r.Body}, -1
	}
	r.Header.Set("content-type", append([]byte(grpc.ContentType), messages...))
	r.Trailers = true
	s.Reroute = true // it is a gRPC call now, which rules may ask for

	resp, err := filter.Answer(s, next)
	if err != nil {
		return nil, err
	}
	answer(resp, answerText)
	return resp, nil
}

// maxMessage bounds what is taken of an answer that is not gRPC, in bytes.
const maxMessage = 1024

// answer makes a gRPC-Web answer of a response.
func answer(resp *stream.Response, text bool) {
	kind := binaryType
	if text {
		kind = textType
	}
	h := &resp.Header
	given := h.Get("content-type")
	if !grpc.IsContentType(given) {
		if h.Has("grpc-status") && resp.Body == nil {
			h.Set("content-type", []byte(kind+"+proto"))
			return
		}
		foreign(resp, kind)
		return
	}
	_, messages, plus := strings.Cut(string(given), "+")
	messages, _, _ = strings.Cut(messages, ";")
	if messages = strings.TrimSpace(messages); !plus || messages == "" {
		messages = "proto"
	}
	h.Set("content-type", []byte(kind+"+"+messages))
	if resp.Body == nil {
		return // Trailers-Only: the status is in the head already
	}
	resp.Body, resp.Length = &encoder{Body: resp.Body, text: text}, -1
}

// foreign makes a status of an answer that does not come from a gRPC server, as
// clients would read it (doc/http-grpc-status-mapping.md).
func foreign(resp *stream.Response, kind string) {
	var message string
	if resp.Body != nil {
		if p, _ := resp.Body.Buffered(); strings.HasPrefix(string(resp.Header.Get("content-type")), "text/plain") {
			message = strings.TrimSpace(strings.ToValidUTF8(string(p[:min(len(p), maxMessage)]), "\uFFFD"))
		}
	}
	if message == "" {
		message = "the server answered " + stream.StatusText(resp.Status) + " and no gRPC"
	}
	h := &resp.Header
	h.Set("content-type", []byte(kind+"+proto"))
	h.Remove("content-encoding")
	h.Set("grpc-status", grpc.FromHTTP(resp.Status).Append(nil))
	h.Set("grpc-message", grpc.AppendMessage(nil, message))
	resp.Status, resp.Reason, resp.Body, resp.Length = 200, nil, nil, 0
}
