package http2

import "longmen/gateway/worker"

// earlyStream is a stream whose request came as early data (RFC 8470), as its handler sees that.
type earlyStream serverStream

// Confirmed reports whether the handshake is complete by now.
func (e *earlyStream) Confirmed() bool { return !e.conn.Early() }

// Confirm waits for that. The connection reads on meanwhile.
func (e *earlyStream) Confirm(co *worker.Coroutine) error {
	st := (*serverStream)(e)
	if !st.conn.Early() {
		return nil
	}
	st.conn.unconfirmed = append(st.conn.unconfirmed, co)
	if st.bodyBegan == 0 {
		st.bodyBegan = st.Loop.Now()
	}
	for st.conn.Early() {
		if err := st.waitContent(co); err != nil {
			return err
		}
	}
	return nil
}

// confirmed lets streams go on that wait for the handshake, once it is complete. Some may have
// ended, and have had their coroutines taken up by others, who look again what they wait for.
func (c *serverConn) confirmed() {
	if len(c.unconfirmed) == 0 || c.Early() {
		return
	}
	all := c.unconfirmed
	c.unconfirmed = nil
	for _, co := range all {
		co.Wake()
	}
}
