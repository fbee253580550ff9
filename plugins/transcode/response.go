package transcode

import (
	"bytes"
	"errors"
	"io"

	"longmen/gateway/protocol/grpc"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// delimiter is how the messages of a server stream are told apart.
type delimiter uint8

const (
	asArray delimiter = iota // [{...},{...}]
	asLines                  // one a line
	asSSE                    // Server-Sent Events: "data: {...}" and an empty line
)

// response makes the answer's JSON.
func (t *transcoder) response(s *stream.Stream, b *binding, resp *stream.Response) (*stream.Response, error) {
	h := &resp.Header
	if resp.Upgraded != nil || !grpc.IsContentType(h.Get("content-type")) {
		return resp, nil // it is no gRPC server that answers
	}
	if resp.Body == nil {
		o, ok := ended(h)
		if !ok {
			o = outcome{code: grpc.FromHTTP(resp.Status), message: "the server said no status"}
		}
		if o.code != grpc.OK || !b.method.IsStreamingServer() {
			return t.finished(s, b, resp, o)
		}
	}
	in := &frames{body: resp.Body, limit: t.maxAnswer}
	if b.method.IsStreamingServer() {
		return t.stream(s, b, resp, in)
	}
	message, err := in.next(s.Co)
	var o outcome
	switch {
	case err == nil:
		var content []byte
		contentType := "application/json"
		// It is converted before more is read, which takes its place.
		failed := apart(s.Co, len(message), func() (err error) { contentType, content, err = t.unary(b, message); return err })
		if _, err = in.next(s.Co); err == nil {
			failed = errors.New("the server sent more than one message")
		} else if err != io.EOF {
			return t.broken(s, resp, err)
		}
		if o, err = t.status(resp); err != nil {
			return t.broken(s, resp, err)
		}
		if o.code != grpc.OK {
			break
		}
		if failed != nil {
			return t.broken(s, resp, failed)
		}
		t.headOf(resp, contentType)
		resp.Body, resp.Length = nil, int64(len(content))
		if len(content) > 0 {
			resp.Body = stream.NewBytes(content)
		}
		return resp, nil
	case err != io.EOF:
		return t.broken(s, resp, err)
	default:
		if o, err = t.status(resp); err != nil {
			return t.broken(s, resp, err)
		}
	}
	return t.finished(s, b, resp, o)
}

// finished answers for a call that ended without a message.
func (t *transcoder) finished(s *stream.Stream, b *binding, resp *stream.Response, o outcome) (*stream.Response, error) {
	if o.code == grpc.OK {
		return t.broken(s, resp, errors.New("the server said OK and sent no message"))
	}
	return t.answer(s, resp, httpStatus(o.code), o), nil
}

var errNoStatus = errors.New("the server's answer has no status")

// status is that of a call whose body has ended.
func (t *transcoder) status(resp *stream.Response) (outcome, error) {
	o, ok := ended(resp.Body.Trailer())
	if !ok {
		o, ok = ended(&resp.Header)
	}
	if !ok {
		return o, errNoStatus
	}
	return o, nil
}

// broken answers for a server whose answer cannot be understood, or broke off.
func (t *transcoder) broken(s *stream.Stream, resp *stream.Response, err error) (*stream.Response, error) {
	var e *stream.Error
	if !errors.As(err, &e) {
		e = badAnswer(err)
	}
	if e.Status == 0 && e.Side == stream.Upstream {
		e.Status = 502 // nothing was sent yet
	}
	if e.Status == 0 {
		return nil, e
	}
	s.Record.Err = e
	return t.answer(s, resp, e.Status, outcome{code: grpc.Internal, message: e.Cause.Error()}), nil
}

func badAnswer(err error) *stream.Error {
	return &stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseBody, Flag: stream.UpstreamProtocolError, Status: 502, Sent: true, Cause: err}
}

// unary is the content of an answer with one message.
func (t *transcoder) unary(b *binding, message []byte) (contentType string, content []byte, err error) {
	if b.rawReply {
		return b.httpBody(message)
	}
	content, err = t.answerJSON(b, message)
	return "application/json", content, err
}

// headOf makes the head that of a converted answer.
func (t *transcoder) headOf(resp *stream.Response, contentType string) {
	h := &resp.Header
	for _, name := range []string{"content-type", "grpc-encoding", "grpc-accept-encoding", "grpc-status", "grpc-message", "trailer"} {
		h.Remove(name)
	}
	if contentType != "" && fieldText(contentType) {
		h.AddString("content-type", contentType)
	}
}

// fieldText reports whether what a server says may stand in a field.
func fieldText(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// stream makes the answer of a server stream, whose messages go out as they come.
func (t *transcoder) stream(s *stream.Stream, b *binding, resp *stream.Response, in *frames) (*stream.Response, error) {
	d := &download{config: t, binding: b, resp: resp, in: in}
	contentType := "application/json"
	switch {
	case resp.Body == nil: // a stream of nothing
		d.over = true
	case b.rawReply:
		// The first message says what all are.
		message, err := in.next(s.Co)
		if err == io.EOF {
			o, err := t.status(resp)
			if err != nil {
				return t.broken(s, resp, err)
			}
			if o.code != grpc.OK {
				return t.finished(s, b, resp, o)
			}
			d.over, contentType = true, ""
			break
		}
		if err != nil {
			return t.broken(s, resp, err)
		}
		if contentType, d.first, err = b.httpBody(message); err != nil {
			return t.broken(s, resp, err)
		}
	case t.delimiter == asSSE:
		contentType = "text/event-stream"
	}
	t.headOf(resp, contentType)
	resp.Body, resp.Length = d, -1
	return resp, nil
}

// download is the content of a server stream. When the call fails in its middle, the
// answer breaks off, so that no client takes it for whole.
type download struct {
	config  *transcoder
	binding *binding
	resp    *stream.Response
	in      *frames
	first   []byte // of google.api.HttpBody: read already
	buf     []byte
	begun   bool
	over    bool // the call has ended
	ended   bool // all was given
}

// Next gives the next message in its form.
func (d *download) Next(co *worker.Coroutine) ([]byte, error) {
	for {
		if d.ended {
			return nil, io.EOF
		}
		if len(d.first) > 0 {
			p := d.first
			d.first = nil
			return p, nil
		}
		p, err := d.message(co)
		if err != nil {
			return nil, err
		}
		if len(p) > 0 {
			return p, nil
		}
	}
}

func (d *download) message(co *worker.Coroutine) ([]byte, error) {
	var message []byte
	err := io.EOF
	if !d.over {
		message, err = d.in.next(co)
	}
	if err == io.EOF {
		return d.end()
	}
	if err != nil {
		return nil, d.fail(err)
	}
	var content []byte
	if err := apart(co, len(message), func() (err error) { _, content, err = d.config.unary(d.binding, message); return err }); err != nil {
		return nil, d.fail(err)
	}
	if d.binding.rawReply {
		return content, nil
	}
	d.buf = d.buf[:0]
	switch {
	case d.config.delimiter == asLines:
		d.buf = append(append(d.buf, oneLine(content)...), '\n')
	case d.config.delimiter == asSSE:
		d.buf = append(append(append(d.buf, "data: "...), oneLine(content)...), "\n\n"...)
	case d.begun:
		d.buf = append(append(d.buf, ','), content...)
	default:
		d.buf = append(append(d.buf, '['), content...)
	}
	d.begun = true
	return d.buf, nil
}

// oneLine takes the line breaks out that whitespace has put between values.
func oneLine(content []byte) []byte { return bytes.ReplaceAll(content, []byte("\n"), nil) }

// end gives what stands behind the last message.
func (d *download) end() ([]byte, error) {
	d.ended = true
	if d.in.body != nil {
		o, err := d.status()
		if err != nil {
			return nil, d.fail(err)
		}
		if o.code != grpc.OK {
			return nil, d.fail(errors.New("the call ended with " + o.code.String() + ": " + o.message))
		}
	}
	switch {
	case d.binding.rawReply || d.config.delimiter != asArray:
		return nil, nil
	case d.begun:
		return []byte("]"), nil
	}
	return []byte("[]"), nil
}

func (d *download) status() (outcome, error) {
	o, ok := ended(d.in.body.Trailer())
	if !ok {
		return o, errNoStatus
	}
	return o, nil
}

func (d *download) fail(err error) error {
	d.ended = true
	var e *stream.Error
	if errors.As(err, &e) {
		return e
	}
	return badAnswer(err)
}

// Buffered knows nothing: everything passes through Next.
func (d *download) Buffered() ([]byte, bool) { return nil, false }

// Stop ends the pulling.
func (d *download) Stop() {
	if d.in.body != nil {
		d.in.body.Stop()
	}
}

// Trailer is nil: what the trailers say was converted.
func (d *download) Trailer() *stream.Header { return nil }
