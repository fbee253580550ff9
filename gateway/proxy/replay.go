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
	x     *exchange
	given bool // up: it is too long, or nobody will send it again
	whole bool // all of it is in the exchange's copied
}

// Next returns the next piece.
func (r *recorder) Next(co *worker.Coroutine) ([]byte, error) {
	p, err := r.Body.Next(co)
	x := r.x
	switch {
	case r.given:
	case err == io.EOF:
		r.whole = r.Body.Trailer() == nil
	case len(x.copied)+len(p) > maxReplay:
		r.give()
	default:
		x.copied = append(x.copied, p...)
	}
	return p, err
}

// give gives up recording.
func (r *recorder) give() {
	if r.x != nil && !r.given {
		r.given, r.whole = true, false
		r.x.forget()
	}
}

// forget empties the copy of the request's body.
func (x *exchange) forget() {
	if x.copied = x.copied[:0]; cap(x.copied) > keepCopy {
		x.copied = nil
	}
}
