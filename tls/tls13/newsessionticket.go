package tls13

import (
	"longmen/tls/handshake"

	"golang.org/x/crypto/cryptobyte"
)

// A newSessionTicket is a NewSessionTicket (RFC 8446 §4.6.1).
type newSessionTicket struct {
	lifetime uint32 // seconds; 0: do not use it
	ageAdd   uint32
	nonce    []byte
	ticket   []byte
	early    uint32 // max_early_data_size; 0: no early data with it
}

// maxLifetime is the longest life of a ticket, in seconds: seven days.
const maxLifetime = 7 * 24 * 60 * 60

func parseNewSessionTicket(message []byte) (*newSessionTicket, error) {
	const name = "NewSessionTicket"
	s, err := bodyOf(message, handshake.NewSessionTicket, name)
	if err != nil {
		return nil, err
	}
	t := &newSessionTicket{}
	var nonce, ticket cryptobyte.String
	if !s.ReadUint32(&t.lifetime) || !s.ReadUint32(&t.ageAdd) || !s.ReadUint8LengthPrefixed(&nonce) ||
		!s.ReadUint16LengthPrefixed(&ticket) || ticket.Empty() {
		return nil, malformed(name)
	}
	t.nonce, t.ticket = nonce, ticket
	// The others are unknown: to be ignored.
	err = readExtensions(&s, name, func(typ uint16, data cryptobyte.String) error {
		if typ == extEarlyData && (!data.ReadUint32(&t.early) || !data.Empty()) {
			return malformed(name)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case !s.Empty():
		return nil, malformed(name)
	case t.lifetime > maxLifetime:
		return nil, illegal("a ticket for more than seven days")
	}
	return t, nil
}

func (t *newSessionTicket) marshal() ([]byte, error) {
	return newMessage(handshake.NewSessionTicket, func(b *cryptobyte.Builder) {
		b.AddUint32(t.lifetime)
		b.AddUint32(t.ageAdd)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(t.nonce) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(t.ticket) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			if t.early > 0 {
				addExtension(b, extEarlyData, func(b *cryptobyte.Builder) { b.AddUint32(t.early) })
			}
		})
	})
}
