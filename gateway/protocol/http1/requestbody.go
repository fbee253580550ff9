package http1

import (
	"fmt"
	"io"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// requestBody is a serverStream as the Body of its request.
type requestBody serverStream

// Next returns the next piece of the body.
func (b *requestBody) Next(co *worker.Coroutine) ([]byte, error) {
	st := (*serverStream)(b)
	c := st.conn
	r := &st.body
	r.release()
	if st.bodyBegan == 0 {
		st.bodyBegan = st.Loop.Now()
		st.goOn()
	}
	for {
		if st.bodyStopped {
			return nil, stream.ErrStopped
		}
		p, m := r.peek()
		switch {
		case m != nil:
			return nil, st.bodyError(m.Status, stream.DownstreamProtocolError, m)
		case len(p) > 0:
			st.active = st.Loop.Now()
			return r.take(p), nil
		case r.done:
			return nil, io.EOF
		}
		switch err := c.Fill(bodyRead); err {
		case nil:
		case connection.ErrWait:
			if err := st.waitBody(co); err != nil {
				return nil, err
			}
		default:
			return nil, st.bodyError(400, stream.DownstreamConnectionEnd, fmt.Errorf("%w: %w", errCut, err))
		}
	}
}

// goOn tells a client that waits for it to send its body, unless it was told,
// or sends already.
func (st *serverStream) goOn() {
	if st.Request.ExpectContinue && !st.continued && st.conn.Buffered() == 0 {
		var none stream.Header
		st.Inform(100, &none)
	}
}

func (st *serverStream) waitBody(co *worker.Coroutine) error {
	st.bodyWaiter, st.bodySince = co, st.Loop.Now()
	st.armBody()
	err := st.Wait(co)
	st.bodyWaiter, st.bodySince = nil, 0
	return err
}

func (st *serverStream) bodyError(status int, flag stream.Flag, cause error) *stream.Error {
	return &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestBody, Flag: flag, Status: status, Sent: true, Cause: cause}
}

// Buffered returns what is at hand of the body.
func (b *requestBody) Buffered() ([]byte, bool) { return b.body.buffered() }

// Stop ends the pulling.
func (b *requestBody) Stop() {
	b.bodyStopped = true
	if b.bodyWaiter != nil {
		b.bodyWaiter.Wake()
	}
}

// Trailer is the trailer section, nil when there was none.
func (b *requestBody) Trailer() *stream.Header { return b.body.fields() }
