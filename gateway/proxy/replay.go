package proxy

import (
	"io"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// A recorder keeps what passes of a request's body, up to maxReplay, so that it
// can be sent again once all of it has passed.
type recorder struct {
	stream.Body
	x       *exchange
	tooLong bool
	whole   bool // all of it is in the exchange's copied
}

// Next returns the next piece.
func (r *recorder) Next(co *worker.Coroutine) ([]byte, error) {
	p, err := r.Body.Next(co)
	x := r.x
	switch {
	case r.tooLong:
	case err == io.EOF:
		r.whole = r.Body.Trailer() == nil
	case len(x.copied)+len(p) > maxReplay:
		r.tooLong, x.copied = true, x.copied[:0]
	default:
		x.copied = append(x.copied, p...)
	}
	return p, err
}
