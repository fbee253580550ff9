package grpcweb

import (
	"encoding/base64"
	"encoding/binary"
	"io"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// trailerFlag marks the frame that holds the trailers.
const trailerFlag = 0x80

// encoder is the body of an answer: that of a gRPC answer, with its trailers as a
// last frame. In the text form each piece is encoded by itself, padding and all, so
// that it goes out when it comes.
type encoder struct {
	stream.Body
	text bool
	buf  []byte
	done bool // the trailers were given
}

// Next gives the next piece.
func (e *encoder) Next(co *worker.Coroutine) ([]byte, error) {
	if e.done {
		return nil, io.EOF
	}
	p, err := e.Body.Next(co)
	switch {
	case err == io.EOF:
		e.done = true
		p = appendTrailers(nil, e.Body.Trailer())
	case err != nil:
		return nil, err
	}
	if !e.text {
		return p, nil
	}
	e.buf = base64.StdEncoding.AppendEncode(e.buf[:0], p)
	return e.buf, nil
}

// appendTrailers appends the frame of the trailers: lines of HTTP/1.
func appendTrailers(dst []byte, t *stream.Header) []byte {
	dst = append(dst, trailerFlag, 0, 0, 0, 0)
	start := len(dst)
	if t != nil {
		dst = t.AppendLines(dst, 0)
	}
	binary.BigEndian.PutUint32(dst[start-4:], uint32(len(dst)-start))
	return dst
}

// Buffered knows nothing: everything passes through Next.
func (e *encoder) Buffered() ([]byte, bool) { return nil, false }

// Trailer is nil: the trailers are in the body.
func (e *encoder) Trailer() *stream.Header { return nil }
