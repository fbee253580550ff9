package http1

import (
	"fmt"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// earlyStream is a stream whose request came as early data (RFC 8470), as its handler sees that.
type earlyStream serverStream

// Confirmed reports whether the handshake is complete by now.
func (e *earlyStream) Confirmed() bool { return !e.conn.Early() }

// Confirm waits for that. What comes meanwhile is kept: no more than early data may be, and a
// read.
func (e *earlyStream) Confirm(co *worker.Coroutine) error {
	st := (*serverStream)(e)
	c := st.conn
	for c.Early() {
		switch err := c.Fill(headRead); {
		case err == nil || !c.Early():
		case err == connection.ErrWait:
			if st.bodyBegan == 0 {
				st.bodyBegan = st.Loop.Now()
			}
			if err := st.waitBody(co); err != nil {
				return err
			}
		default:
			return st.clientGone(stream.PhaseRequestHead, fmt.Errorf("%w: %w", errUnconfirmed, err))
		}
	}
	return nil
}
