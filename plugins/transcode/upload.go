package transcode

import (
	"io"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// upload is the content of a client-streaming call: each JSON value of the request's
// body is a message, or each piece, if the messages are google.api.HttpBody.
type upload struct {
	stream.Body
	call  *call
	split splitter
	piece []byte // the body's last one, copied
	rest  []byte // of it
	done  bool
}

func newUpload(body stream.Body, c *call) *upload {
	return &upload{Body: body, call: c, split: splitter{limit: c.config.maxRequest}}
}

// Next gives the next message.
func (u *upload) Next(co *worker.Coroutine) ([]byte, error) {
	if u.done {
		return nil, io.EOF
	}
	content, err := u.content(co)
	if err != nil {
		return nil, err
	}
	var message []byte
	if err := apart(co, len(content), func() (err error) { message, err = u.call.message(content); return err }); err != nil {
		return nil, badContent(err)
	}
	return message, nil
}

// content gives what the next message is made of.
func (u *upload) content(co *worker.Coroutine) ([]byte, error) {
	for {
		if len(u.rest) > 0 {
			n, value, err := u.split.next(u.rest)
			if u.rest = u.rest[n:]; err != nil {
				return nil, badContent(err)
			}
			if len(value) > 0 {
				return value, nil
			}
			continue
		}
		p, err := u.Body.Next(co)
		if err == io.EOF {
			u.done = true
			last, err := u.split.end()
			if err != nil {
				return nil, badContent(err)
			}
			if last == nil {
				return nil, io.EOF
			}
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		if u.piece = append(u.piece[:0], p...); u.call.binding.raw && len(p) > 0 {
			return u.piece, nil
		}
		u.rest = u.piece
	}
}

// Buffered knows nothing: everything passes through Next.
func (u *upload) Buffered() ([]byte, bool) { return nil, false }

// Trailer is nil: gRPC has none in this direction.
func (u *upload) Trailer() *stream.Header { return nil }
