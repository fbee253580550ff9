package tls13

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// A session is what a server's ticket holds: all that a resumption needs to know of the
// handshakes before it.
type session struct {
	suite         uint16
	created       time.Time // of the ticket; milliseconds
	authenticated time.Time // of the full handshake that the session began with; seconds
	psk           []byte
	serverName    string
	chain         [][]byte // of the client, DER, leaf first
	early         earlySession
}

// The first byte of a session's encoding, which tells it from another protocol's ticket of
// the same keys, and another version's.
const sessionFormat = 0xC7

func (s *session) marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddUint8(sessionFormat)
	b.AddUint16(s.suite)
	b.AddUint64(uint64(s.created.UnixMilli()))
	b.AddUint64(uint64(s.authenticated.Unix()))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.psk) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.serverName)) })
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, der := range s.chain {
			b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(der) })
		}
	})
	s.early.add(&b)
	return b.Bytes()
}

// parseSession takes what Tickets vouches for, and yet nothing on trust: keys are shared with
// other protocols and other nodes' versions.
func parseSession(plaintext []byte) (*session, bool) {
	s := cryptobyte.String(plaintext)
	var format uint8
	var created, authenticated uint64
	var psk, name, chain cryptobyte.String
	out := &session{}
	if !s.ReadUint8(&format) || format != sessionFormat || !s.ReadUint16(&out.suite) ||
		!s.ReadUint64(&created) || !s.ReadUint64(&authenticated) ||
		!s.ReadUint8LengthPrefixed(&psk) || psk.Empty() || !s.ReadUint8LengthPrefixed(&name) ||
		!s.ReadUint24LengthPrefixed(&chain) || !out.early.read(&s) || !s.Empty() {
		return nil, false
	}
	out.created, out.authenticated = time.UnixMilli(int64(created)), time.Unix(int64(authenticated), 0)
	out.psk, out.serverName = psk, string(name)
	for !chain.Empty() {
		var der cryptobyte.String
		if !chain.ReadUint24LengthPrefixed(&der) || der.Empty() || len(out.chain) == maxChain {
			return nil, false
		}
		out.chain = append(out.chain, der)
	}
	return out, true
}

// clockSkew is how far the clocks of the nodes that share ticket keys may differ.
const clockSkew = time.Minute

// fresh reports whether a ticket of s, with this lifetime, is still good.
func (s *session) fresh(now time.Time, lifetime time.Duration) bool {
	within := func(since time.Time, limit time.Duration) bool {
		age := now.Sub(since)
		return age >= -clockSkew && age < limit
	}
	return within(s.created, lifetime) && within(s.authenticated, maxLifetime*time.Second)
}
