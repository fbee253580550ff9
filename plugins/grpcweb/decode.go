package grpcweb

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// decoder is the body of a call in the text form: base64 (RFC 4648 section 4), in
// one or several pieces that each may end with padding wherever they end.
type decoder struct {
	stream.Body
	rest [4]byte // of a group that is not complete
	n    int     // bytes of it
	buf  []byte
}

var errBase64 = errors.New("the body is no base64 (RFC 4648 section 4)")

func malformed() *stream.Error {
	return &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestBody, Flag: stream.DownstreamProtocolError, Status: 400, Sent: true, Cause: errBase64}
}

// Next gives what the next pieces stand for.
func (d *decoder) Next(co *worker.Coroutine) ([]byte, error) {
	d.buf = d.buf[:0]
	for len(d.buf) == 0 {
		p, err := d.Body.Next(co)
		if err == io.EOF && d.n > 0 {
			return nil, malformed() // a group is missing its end
		}
		if err != nil {
			return nil, err
		}
		if !d.take(p) {
			return nil, malformed()
		}
	}
	return d.buf, nil
}

// take decodes a piece; what does not fill a group is kept.
func (d *decoder) take(p []byte) bool {
	var err error
	for len(p) > 0 {
		if d.n == 0 {
			// Whole groups at once, up to the padding that may end a piece.
			whole := groups(p)
			if d.buf, err = base64.StdEncoding.AppendDecode(d.buf, p[:whole]); err != nil {
				return false
			}
			p = p[whole:]
		}
		taken := copy(d.rest[d.n:], p)
		d.n, p = d.n+taken, p[taken:]
		if d.n < len(d.rest) {
			break
		}
		d.n = 0
		if bytes.ContainsAny(d.rest[:], "\r\n") {
			return false // the library would skip them
		}
		if d.buf, err = base64.StdEncoding.AppendDecode(d.buf, d.rest[:]); err != nil {
			return false
		}
	}
	return true
}

// groups is the length of the whole groups of four in p without padding.
func groups(p []byte) int {
	if i := bytes.IndexAny(p, "=\r\n"); i >= 0 {
		return i &^ 3
	}
	return len(p) &^ 3
}

// Buffered knows nothing: everything passes through Next.
func (d *decoder) Buffered() ([]byte, bool) { return nil, false }
