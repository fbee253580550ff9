package record

const (
	// smallPayload fits, with all headers, into one packet of nearly every path, so that a
	// receiver can use it when that packet is there.
	smallPayload = 1300
	// smallUntil is how many bytes are sent in small records: a few initial congestion
	// windows. After them large ones cost both sides less.
	smallUntil = 32 << 10
)

// ResetRecordSize begins with small records again. It is for a connection that was idle for
// about a second: its congestion window has shrunk.
func (s *Session) ResetRecordSize() { s.sent = 0 }

// HasReply reports whether there is something to send that the caller did not ask for. It can
// wait until what was written before has left: one answer is enough for all that the peer asks
// meanwhile, so a peer that does not read cannot make replies pile up.
func (s *Session) HasReply() bool { return !s.finished && (s.answer || s.refusal || s.fatal) }

// AppendReply appends the records that the session itself must send: the answer to a key
// update, the alert that Open's error calls for. After a fatal one nothing more can be sent.
func (s *Session) AppendReply(dst []byte) []byte {
	if !s.HasReply() {
		return dst
	}
	if s.answer && !s.fatal {
		dst = s.updateKey(dst)
	}
	if s.refusal && !s.fatal {
		dst = s.appendAlert(dst, levelWarning, alertNoRenegotiation)
	}
	if s.fatal {
		dst = s.appendAlert(dst, levelFatal, s.alert)
	}
	s.answer, s.refusal, s.fatal, s.finished = false, false, false, s.fatal
	return dst
}

// AppendClose appends close_notify: this side sends no more. The peer may go on.
func (s *Session) AppendClose(dst []byte) []byte {
	dst = s.AppendReply(dst)
	if s.finished {
		return dst
	}
	s.finished = true
	return s.appendAlert(dst, levelWarning, alertCloseNotify)
}

func (s *Session) appendAlert(dst []byte, level, description byte) []byte {
	return s.out.Seal(dst, TypeAlert, []byte{level, description})
}

// Seal appends as many records as p needs to dst, after what HasReply speaks of. dst must not
// overlap p. When AppendClose was called, or a fatal alert was sent or received, nothing is
// appended.
func (s *Session) Seal(dst, p []byte) []byte {
	dst = s.AppendReply(dst)
	for len(p) > 0 && !s.finished {
		switch {
		case s.out.seq < s.out.suite.limit:
		case s.Version() == VersionTLS13:
			dst = s.updateKey(dst)
		default: // TLS 1.2 and TLCP cannot change keys without a new handshake
			s.end(errExhausted)
			return s.AppendReply(dst)
		}
		n := min(len(p), s.payloadSize())
		dst = s.out.Seal(dst, TypeApplicationData, p[:n])
		p = p[n:]
		s.sent = min(s.sent+n, smallUntil)
	}
	return dst
}

// SealedSize is how many bytes Seal would append now for n bytes of data: never less than it
// does, and more only when a key is about to be changed.
func (s *Session) SealedSize(n int) int {
	size := 0
	if s.HasReply() {
		size = 3 * s.out.sealedSize(messageHeaderSize+1) // each at most that
	}
	if s.finished {
		return size
	}
	small := 0
	if s.sent < smallUntil {
		most := smallUntil - s.sent + smallPayload - 1
		small = min(n, most-most%smallPayload)
	}
	size += s.out.sealedSizes(small, smallPayload) + s.out.sealedSizes(n-small, MaxPayload)
	if records := small/smallPayload + n/MaxPayload + 2; s.out.seq+uint64(records) > s.out.suite.limit {
		size += s.out.sealedSize(messageHeaderSize + 1)
	}
	return size
}

// sealedSizes is the size of n bytes in records of so many each.
func (h *Half) sealedSizes(n, each int) int {
	size := n / each * h.sealedSize(each)
	if rest := n % each; rest > 0 {
		size += h.sealedSize(rest)
	}
	return size
}

// payloadSize is how much the next record holds.
func (s *Session) payloadSize() int {
	if s.sent < smallUntil {
		return smallPayload
	}
	return MaxPayload
}
