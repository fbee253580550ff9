package std

import (
	"crypto/tls"
	"encoding/binary"
	"slices"

	"longmen/tls/record"
)

// crypto/tls gives out no tickets of TLS 1.3 that allow early data over TCP. So its ticket is
// replaced by the wire, before anybody has seen it: it is the last record of the server's flight,
// the first under the application's key, and in no transcript (RFC 8446 §4.4.1).

// A Session is what a ticket of TLS 1.3 is for.
type Session struct {
	Suite      uint16
	PSK        []byte // secret; of the ticket with an empty nonce
	ServerName string
	Protocol   string
}

// A replacement is a NewSessionTicket to be sent in place of crypto/tls's.
type replacement struct {
	message []byte // nil: there is none
	suite   uint16
}

// replaceTickets has make give the tickets of TLS 1.3, where it has one.
func (w *wire) replaceTickets(c *tls.Config, make func(Session) (message, ticket []byte, err error)) {
	wrap := c.WrapSession
	c.WrapSession = func(connection tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
		if connection.Version != tls.VersionTLS13 {
			return wrap(connection, state)
		}
		psk, ok := pskOf(state)
		if !ok {
			return wrap(connection, state)
		}
		message, ticket, err := make(Session{connection.CipherSuite, psk, connection.ServerName, connection.NegotiatedProtocol})
		if err != nil || message == nil {
			return wrap(connection, state)
		}
		w.ticket = replacement{message, connection.CipherSuite}
		return ticket, nil
	}
}

// pskOf reads the PSK from the encoding of a server's session: version (2 bytes), type (1), suite
// (2), time (8), secret (with a length of one byte).
func pskOf(state *tls.SessionState) ([]byte, bool) {
	const before, server = 2 + 1 + 2 + 8, 1
	b, err := state.Bytes()
	if err != nil || len(b) <= before || binary.BigEndian.Uint16(b) != tls.VersionTLS13 || b[2] != server {
		return nil, false
	}
	n := int(b[before])
	if len(b) < before+1+n || n != 32 && n != 48 {
		return nil, false
	}
	return b[before+1 : before+1+n], true
}

// reticketed is p, a write of crypto/tls, with the replacement in the place of its ticket. If that
// is not found, p is what it was: its ticket is good, but not for early data.
func (w *wire) reticketed(p []byte) []byte {
	last := 0
	for at := 0; len(p)-at >= record.HeaderSize; {
		last = at
		at += record.HeaderSize + int(binary.BigEndian.Uint16(p[at+3:]))
	}
	half, err := record.NewTLS13(w.ticket.suite, w.log.server)
	if err != nil {
		return p
	}
	typ, payload, err := half.Open(slices.Clone(p[last:]))
	if err != nil || typ != record.TypeHandshake || len(payload) == 0 || payload[0] != 4 { // new_session_ticket
		return p
	}
	half.SetSequence(0) // the record of crypto/tls's that has it is never sent
	return half.Seal(slices.Clone(p[:last]), record.TypeHandshake, w.ticket.message)
}
