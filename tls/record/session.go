package record

import (
	"errors"
	"io"
)

// Session is a connection after its handshake. It has no buffer, but for parts of a handshake
// message that came in several records. It is for one user at a time.
type Session struct {
	in, out *Half
	client  bool
	tickets func(message []byte)
	early   *early // nil once the handshake is complete

	err error // what ended the input; io.EOF after close_notify

	hand    []byte // the first bytes of a handshake message whose rest has not come
	skip    int    // bytes of a refused handshake message that have not come
	useless uint16 // records in a row that brought no data
	updates uint16 // key updates of the peer's, each many points; data takes points away

	sent     int  // bytes since the connection began or rested, up to smallUntil
	answer   bool // a KeyUpdate is to be sent
	refusal  bool // a no_renegotiation is to be sent
	fatal    bool // alert is to be sent
	alert    uint8
	finished bool // close_notify or a fatal alert was sent
}

// NewSession makes a session of the halves that a handshake ended in: in opens what the peer
// sends, out seals what this side does. client says which side this is. The halves are the
// session's from here on.
func NewSession(in, out *Half, client bool) (*Session, error) {
	if in.suite != out.suite {
		return nil, errors.New("a session needs two halves of one cipher suite")
	}
	return &Session{in: in, out: out, client: client}, nil
}

// Version is 0x0304, 0x0303 or 0x0101.
func (s *Session) Version() uint16 { return s.in.suite.version }

// Suite is the cipher suite as on the wire.
func (s *Session) Suite() uint16 { return s.in.suite.id }

// OnTicket has a TLS 1.3 client call f with each NewSessionTicket message, header included,
// until the first application data comes; servers send their tickets before. f must not keep
// message, nor use the session. Without it, tickets are skipped.
func (s *Session) OnTicket(f func(message []byte)) { s.tickets = f }

// Release drops what was computed from the keys, to have an idle connection keep the keys
// alone. The next record computes it again.
func (s *Session) Release() {
	s.in.Release()
	s.out.Release()
}

// Open decrypts the whole records at the front of p, in place. plain is what they carried, in
// one piece within p, and may be empty; used is how many bytes of p they were. What is left is
// the beginning of a record: of MaxSize at most. The error is io.EOF after the peer's
// close_notify and an *AlertError if the connection is broken; plain is valid beside it, and
// all later calls return it again. After each call HasReply may be true.
func (s *Session) Open(p []byte) (plain []byte, used int, err error) {
	start, end := 0, 0 // of plain in p
	for s.err == nil {
		n, err := s.in.Length(p[used:])
		if err == nil && (n == 0 || len(p)-used < n) {
			break
		}
		if err == nil && s.early != nil && s.early.compatible(p[used:used+n]) {
			used += n
			continue
		}
		var typ byte
		var payload []byte
		if err == nil {
			typ, payload, err = s.in.Open(p[used : used+n])
		}
		if err == nil {
			err = s.accept(typ, payload)
		}
		if err != nil {
			s.end(err)
			break
		}
		used += n
		if s.err != nil || typ != TypeApplicationData || len(payload) == 0 {
			continue
		}
		if end == 0 { // the others are moved to it
			start = used - n + s.in.before()
			end = start + len(payload)
			continue
		}
		end += copy(p[end:], payload)
	}
	return p[start:end], used, s.err
}

// accept takes a record that was opened. Its error is the connection's end.
func (s *Session) accept(typ byte, payload []byte) error {
	if typ == TypeApplicationData && len(payload) > 0 {
		s.useless = 0
		s.updates -= min(s.updates, 1)
		s.tickets = nil
	} else if s.useless++; s.useless > maxUseless {
		return errUseless
	}
	if s.early != nil {
		return s.acceptEarly(typ, payload)
	}
	if typ != TypeHandshake && (len(s.hand) > 0 || s.skip > 0) {
		return errInterleaved // RFC 8446 §5.1
	}
	switch typ {
	case TypeApplicationData:
		return nil
	case TypeAlert:
		return s.acceptAlert(payload)
	case TypeHandshake:
		if len(payload) == 0 {
			return errEmpty
		}
		return s.acceptHandshake(payload)
	}
	return errType // change_cipher_spec too: the handshake is over
}

// maxUseless bounds the records in a row that bring no data: they cost us more than the peer.
const maxUseless = 32

// acceptAlert takes an alert (RFC 8446 §6, RFC 5246 §7.2).
func (s *Session) acceptAlert(payload []byte) error {
	switch {
	case len(payload) == 0:
		return errEmpty
	case len(payload) != 2:
		return errAlertForm
	case payload[1] == alertCloseNotify:
		s.err = io.EOF
		return nil
	case s.Version() == VersionTLS13:
		if payload[1] == alertUserCanceled {
			return nil // a close_notify follows it
		}
	case payload[0] == levelWarning:
		return nil
	case payload[0] != levelFatal:
		return errAlertLevel
	}
	s.finished = true // nobody reads on
	return &AlertError{Alert: payload[1], Received: true}
}

// end makes err the input's end, and has it told to the peer if it is the peer's fault.
func (s *Session) end(err error) {
	s.err, s.hand, s.tickets = err, nil, nil
	if e, ok := err.(*AlertError); ok && !e.Received {
		s.alert, s.fatal = e.Alert, true
	}
}
