package http2

import "encoding/binary"

// prioritize takes the value of a priority field (RFC 9218 section 4): u=0 to 7,
// and i. A client that says nothing has no wish for one response to come before
// another, so without a field its streams share, as if it had said i.
func (f *flow) prioritize(value []byte) {
	urgency, incremental := uint8(defaultUrgency), false
	for k := 0; k < len(value); {
		b := value[k]
		rest := value[k+1:]
		switch {
		case b == 'u' && len(rest) > 1 && rest[0] == '=' && '0' <= rest[1] && rest[1] <= '7':
			urgency = rest[1] - '0'
		case b == 'i' && (len(rest) == 0 || rest[0] == ',' || rest[0] == ' ' || rest[0] == ';'):
			incremental = true
		case b == 'i' && len(rest) > 2 && rest[0] == '=' && rest[1] == '?':
			incremental = rest[2] == '1'
		}
		for k < len(value) && value[k] != ',' {
			k++
		}
		for k++; k < len(value) && (value[k] == ' ' || value[k] == '\t'); k++ {
		}
	}
	if f.queued && urgency != f.urgency {
		q := &f.conn.queue
		q.remove(f)
		f.urgency, f.incremental = urgency, incremental
		q.push(f, false)
		return
	}
	f.urgency, f.incremental = urgency, incremental
}

// onPriorityUpdate takes a PRIORITY_UPDATE frame (RFC 9218 section 7.1).
func (c *serverConn) onPriorityUpdate(h frameHeader, p []byte) *ConnError {
	switch {
	case h.id != 0:
		return broke(CodeProtocol, "PRIORITY_UPDATE on a stream")
	case len(p) < 4:
		return broke(CodeFrameSize, "PRIORITY_UPDATE is too short")
	}
	id := binary.BigEndian.Uint32(p) & maxID
	if id == 0 || id%2 == 0 {
		return broke(CodeProtocol, "PRIORITY_UPDATE for what is no request")
	}
	if f := c.flows.find(id); f != nil {
		f.prioritize(p[4:])
	}
	return c.accompanies()
}
