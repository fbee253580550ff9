package proxy

import (
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// boundedBody refuses a request body of unknown length when it grows too large.
type boundedBody struct {
	stream.Body
	left int64
}

func tooLarge() *stream.Error {
	return &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestBody, Flag: stream.DownstreamProtocolError, Status: 413, Sent: true, Cause: errBodyLarge}
}

// Next returns the next piece.
func (b *boundedBody) Next(co *worker.Coroutine) ([]byte, error) {
	p, err := b.Body.Next(co)
	if b.left -= int64(len(p)); b.left < 0 {
		return nil, tooLarge()
	}
	return p, err
}

// Buffered returns what is at hand, unless it is too much: Next says so then.
func (b *boundedBody) Buffered() ([]byte, bool) {
	p, last := b.Body.Buffered()
	if int64(len(p)) > b.left {
		return nil, false
	}
	return p, last
}
