// Package transcode lets HTTP and JSON clients call gRPC servers: requests become
// calls as the google.api.http options of a descriptor set say
// (google/api/http.proto), answers become JSON (AIP-127; ProtoJSON).
package transcode

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/dynamicpb"

	"longmen/gateway/filter"
	"longmen/gateway/protocol/grpc"
	"longmen/gateway/stream"
)

// transcoder is the filter.
type transcoder struct {
	tree  tree
	types *dynamicpb.Types
	print protojson.MarshalOptions

	whitespace    bool
	delimiter     delimiter
	convertStatus bool
	keepRoute     bool
	unescape      unescaping
	plusIsSpace   bool // in a query

	ignoredQuery     []string
	ignoreUnknown    bool // of a query
	rejectQuery      bool // else such a request passes as it is
	rejectMethod     bool
	rejectCollisions bool

	maxRequest, maxAnswer int // bytes of a message
}

// Serve transcodes requests that have a binding; others pass.
func (t *transcoder) Serve(s *stream.Stream, next stream.Handler) (*stream.Response, error) {
	r := &s.Request
	if r.GRPC() || string(r.Method) == "CONNECT" || r.Upgrade != nil {
		return next(s)
	}
	b, segments := t.tree.find(string(r.Method), string(r.Path))
	if b == nil {
		if t.rejectMethod {
			return t.refuse(s, 404, grpc.NotFound, "no method is called so"), nil
		}
		return next(s)
	}
	c := &call{config: t, binding: b, contentType: string(r.Header.Get("content-type"))}
	for i, v := range b.template.variables {
		c.path = append(c.path, value{name: v.field, field: b.fields[i], text: t.variable(&v, segments)})
	}
	if unknown, err := t.query(c, string(r.Query)); err != nil {
		if unknown && !t.rejectQuery {
			return next(s)
		}
		return t.refuse(s, 400, grpc.InvalidArgument, err.Error()), nil
	}
	if coding := r.Header.Get("content-encoding"); r.Body != nil && coding != nil && !strings.EqualFold(string(coding), "identity") {
		return t.refuse(s, 415, grpc.InvalidArgument, fmt.Sprintf("the body has the encoding %q", clip(string(coding)))), nil
	}
	if resp, err := t.request(s, c); resp != nil || err != nil {
		return resp, err
	}
	t.head(s, b)
	resp, err := next(s)
	if err != nil {
		return t.failed(s, err)
	}
	return t.response(s, b, resp)
}

// variable is the text of a path's variable.
func (t *transcoder) variable(v *variable, segments []string) string {
	to := v.to
	if v.rest {
		to = len(segments)
	}
	how := allCharacters
	if v.multi() {
		how = t.unescape
	}
	return unescape(strings.Join(segments[min(v.from, to):to], "/"), how)
}

const maxQuery = 256 // parameters

// query binds the query's parameters. unknown tells an error about a parameter that
// no field is called like.
func (t *transcoder) query(c *call, raw string) (unknown bool, err error) {
	n := 0
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if n++; n > maxQuery {
			return false, fmt.Errorf("more than %d query parameters", maxQuery)
		}
		name, text, _ := strings.Cut(pair, "=")
		if name, err = t.unquery(name); err == nil {
			text, err = t.unquery(text)
		}
		if err != nil {
			return false, fmt.Errorf("the query has a malformed percent-encoding: %q", clip(pair))
		}
		if slices.Contains(t.ignoredQuery, name) {
			continue
		}
		field, err := findField(c.binding.method.Input(), name)
		if err != nil {
			if t.ignoreUnknown {
				continue
			}
			return true, fmt.Errorf("query parameter %w", err)
		}
		bound := value{name: name, field: field, text: text}
		// It is tried here, so that what is wrong is told before any body is read.
		if err := bound.set(dynamicpb.NewMessage(c.binding.method.Input())); err != nil {
			return false, fmt.Errorf("query parameter %w", err)
		}
		c.query = append(c.query, bound)
	}
	return false, nil
}

func (t *transcoder) unquery(text string) (string, error) {
	if t.plusIsSpace {
		return url.QueryUnescape(text)
	}
	return url.PathUnescape(text)
}

// head makes the request's head that of the call.
func (t *transcoder) head(s *stream.Stream, b *binding) {
	r := &s.Request
	r.Method, r.Path, r.Query, r.HasQuery = []byte("POST"), []byte(b.path), nil, false
	h := &r.Header
	h.Set("content-type", []byte(grpc.ContentType))
	h.Remove("content-encoding")
	h.Remove("grpc-accept-encoding") // compressed messages could not be read
	h.Remove("grpc-encoding")
	r.Trailers = true
	s.Reroute = !t.keepRoute
}

// failed answers for what did not reach the server, or got no answer.
func (t *transcoder) failed(s *stream.Stream, err error) (*stream.Response, error) {
	e := stream.AsError(err)
	if e.Status == 0 {
		return nil, err
	}
	s.Record.Err = e
	code, message := e.GRPC(), stream.StatusText(e.Status)
	var bad *contentError
	if errors.As(err, &bad) {
		code, message = grpc.InvalidArgument, bad.Error()
	}
	return t.refuse(s, e.Status, code, message), nil
}

// contentError is what is wrong with the content of a request.
type contentError struct{ error }

func badContent(err error) *stream.Error {
	status := 400
	if errors.Is(err, errTooLong) {
		status = 413
	}
	return &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestBody, Flag: stream.DownstreamProtocolError, Status: status, Sent: true, Cause: &contentError{err}}
}

// request makes the call's messages of the request's content. A response says what
// is wrong with it.
func (t *transcoder) request(s *stream.Stream, c *call) (*stream.Response, error) {
	r := &s.Request
	if c.binding.method.IsStreamingClient() && r.Body != nil && c.binding.hasBody {
		r.Body, r.Length = newUpload(r.Body, c), -1
		return nil, nil
	}
	var content []byte
	if r.Body != nil {
		var err error
		if content, err = t.readAll(s, r.Body, r.Length); err != nil {
			return t.failed(s, err)
		}
	}
	var message []byte
	if err := apart(s.Co, len(content), func() (err error) { message, err = c.message(content); return err }); err != nil {
		return t.failed(s, badContent(err))
	}
	if e := s.Aborted(); e != nil {
		return nil, e
	}
	r.Body, r.Length, r.ExpectContinue = stream.NewBytes(message), int64(len(message)), false
	return nil, nil
}

// readAll reads a body of at most maxRequest bytes.
func (t *transcoder) readAll(s *stream.Stream, body stream.Body, length int64) ([]byte, error) {
	if length > int64(t.maxRequest) {
		return nil, badContent(errTooLong)
	}
	var content []byte
	for {
		p, err := body.Next(s.Co)
		switch {
		case err == io.EOF:
			return content, nil
		case err != nil:
			return nil, err
		case len(content)+len(p) > t.maxRequest:
			return nil, badContent(errTooLong)
		}
		content = append(content, p...)
	}
}

var _ filter.Filter = (*transcoder)(nil)
