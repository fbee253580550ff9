package record

import (
	"bytes"
	"crypto/subtle"
	"errors"
)

// Early is how a server's session with 0-RTT (RFC 8446 §2.3) begins: the client's early data may
// still come, then its EndOfEarlyData, then its Finished. All of that is known before it comes,
// since no message of the client's has any choice in it.
type Early struct {
	Data      *Half  // opens early data: of client_early_traffic_secret
	Handshake *Half  // opens the client's Finished: of client_handshake_traffic_secret
	Finished  []byte // that message as it has to be, its header included
	Most      int    // bytes of early data, at most: max_early_data_size of the ticket
}

// endOfEarlyData is the message (RFC 8446 §4.5).
var endOfEarlyData = []byte{5, 0, 0, 0}

// early is what is left of an Early until the handshake is complete.
type early struct {
	Early
	after  *Half  // opens the application data that follows
	ended  bool   // EndOfEarlyData came
	hand   []byte // of the message that is due
	compat bool   // the change_cipher_spec of middlebox compatibility came
}

// NewEarlySession makes the session of a server that has accepted early data and has sent its
// Finished: what it opens is early data until the client's EndOfEarlyData, and what it seals goes
// out before the handshake is complete. Until then Session.Early is true, and everything that was
// opened may be an attacker's replay of what another connection sent. in and out are as in
// NewSession. The halves are the session's from here on.
func NewEarlySession(first Early, in, out *Half) (*Session, error) {
	if first.Data.suite != in.suite || first.Handshake.suite != in.suite || in.suite.version != VersionTLS13 {
		return nil, errors.New("early data is of the suite of its connection, in TLS 1.3")
	}
	s, err := NewSession(first.Data, out, false)
	if err != nil {
		return nil, err
	}
	s.early = &early{Early: first, after: in}
	return s, nil
}

// Early reports whether the handshake is not complete: the client that proves itself by its
// Finished may be another one than the sender of what Open gave, or there may be none.
func (s *Session) Early() bool { return s.early != nil }

// compatible reports whether rec is the one change_cipher_spec that a client may send within its
// early data (RFC 8446 §5, §D.4). It is not protected, and says nothing.
func (e *early) compatible(rec []byte) bool {
	if e.compat || rec[0] != TypeChangeCipherSpec || len(rec) != HeaderSize+1 || rec[HeaderSize] != 1 || len(e.hand) > 0 {
		return false
	}
	e.compat = true
	return true
}

// acceptEarly takes a record before the handshake is complete. Its error is the connection's end.
func (s *Session) acceptEarly(typ byte, payload []byte) error {
	e := s.early
	switch {
	case typ == TypeApplicationData && !e.ended && len(e.hand) == 0:
		if e.Most -= len(payload); e.Most < 0 {
			return errEarlyData
		}
		return nil
	case typ == TypeAlert && len(e.hand) == 0:
		return s.acceptAlert(payload)
	case typ != TypeHandshake:
		return errType
	case len(payload) == 0:
		return errEmpty
	}
	due := endOfEarlyData
	if e.ended {
		due = e.Finished
	}
	// Keys change behind each of them: nothing may follow in its record (RFC 8446 §5.1).
	if e.hand = append(e.hand, payload...); len(e.hand) > len(due) {
		return errMessage
	}
	if head := min(len(e.hand), messageHeaderSize); !bytes.Equal(e.hand[:head], due[:head]) {
		return errMessage
	}
	if len(e.hand) < len(due) {
		return nil
	}
	if subtle.ConstantTimeCompare(e.hand, due) == 0 {
		return errFinished
	}
	e.hand = nil
	if !e.ended {
		e.ended, s.in = true, e.Handshake
		return nil
	}
	s.in, s.early = e.after, nil
	return nil
}
