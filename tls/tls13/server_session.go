package tls13

import (
	"encoding/binary"
	"slices"
	"time"

	"longmen/tls/handshake"
)

const (
	// maxPSKs bounds the tickets of one hello that are tried: each costs a decryption.
	maxPSKs = 4
	// maxTicket bounds what tickets hold, since a hello has to hold them: a client with a
	// longer chain authenticates itself each time.
	maxTicket = 8 << 10

	defaultTicketLifetime = 24 * time.Hour
)

func (c *ServerConfig) ticketLifetime() time.Duration {
	if c.TicketLifetime <= 0 {
		return defaultTicketLifetime
	}
	return min(c.TicketLifetime, maxLifetime*time.Second)
}

// chooseSession takes up the first of the client's tickets that is good, and begins the key
// schedule with it, or without one. A binder that is not right ends the handshake (RFC 8446
// §4.2.11).
func (s *server) chooseSession() error {
	s.psk = -1
	if s.config.Tickets != nil && slices.Contains(s.hello.pskModes, pskDHE) {
		for i, offered := range s.hello.psks[:min(len(s.hello.psks), maxPSKs)] {
			resumed, ok := s.openTicket(offered.identity)
			if !ok {
				continue
			}
			s.secrets = newKeySchedule(s.profile.newHash, resumed.psk)
			want := finishedMAC(s.profile.newHash, s.secrets.binderKey(), s.transcript.sumTruncated(s.hello.truncated()))
			if !equalMAC(want, offered.binder) {
				return handshake.Errorf(handshake.DecryptError, "a PSK binder is not right")
			}
			s.resumed, s.psk = resumed, i
			return nil
		}
	}
	if !slices.Contains(s.hello.schemes, s.profile.scheme) {
		if s.hello.schemes == nil {
			return handshake.Errorf(handshake.MissingExtension, "ClientHello has no signature_algorithms")
		}
		return handshake.Errorf(handshake.HandshakeFailure, "the client does not offer the signature scheme %#04x", s.profile.scheme)
	}
	s.secrets = newKeySchedule(s.profile.newHash, nil)
	return nil
}

// openTicket gives the session of a ticket if it is one for this handshake: of this suite and
// server name, in time, and with a client that this config still takes.
func (s *server) openTicket(ticket []byte) (*session, bool) {
	content, _, err := s.config.Tickets.Open(ticket, s.now) // every handshake gives a new ticket
	if err != nil {
		return nil, false
	}
	old, ok := parseSession(content)
	if !ok || old.suite != s.profile.suite || old.serverName != s.hello.serverName ||
		!old.fresh(s.now, s.config.ticketLifetime()) {
		return nil, false
	}
	switch known := len(old.chain) != 0; {
	case known && s.config.ClientAuth == ClientAuthNone, !known && s.config.ClientAuth == ClientAuthRequire:
		return nil, false
	case known && s.acceptClient(old.chain) != nil:
		return nil, false // the full handshake says what is wrong
	}
	return old, true
}

// sendTicket gives the client a ticket for its next connection (RFC 8446 §4.6.1), if it can
// use one.
func (s *server) sendTicket() error {
	if s.config.Tickets == nil || !slices.Contains(s.hello.pskModes, pskDHE) {
		return nil
	}
	next := &session{
		suite:         s.profile.suite,
		created:       s.now,
		authenticated: s.now,
		serverName:    s.hello.serverName,
		chain:         s.result.PeerChain,
	}
	lifetime := s.config.ticketLifetime()
	if !s.full() {
		next.authenticated = s.resumed.authenticated
		lifetime = min(lifetime, next.authenticated.Add(maxLifetime*time.Second).Sub(s.now))
	}
	if lifetime < time.Second {
		return nil
	}
	// The client has one ticket of each connection: the nonce need not tell it from another.
	nonce := []byte{0}
	next.psk = resumptionPSK(s.profile.newHash, s.secrets.derive(resumptionMaster, s.transcript.sum()), nonce)
	ticket, err := s.config.seal(next, s.result.Protocol, nonce, lifetime)
	if err != nil || ticket == nil {
		return err
	}
	message, err := ticket.marshal()
	if err != nil {
		return err
	}
	s.conn.Write(message)
	return s.conn.Flush()
}

// seal makes the ticket of a session, whose PSK is that of nonce; nil if it would be too long.
func (c *ServerConfig) seal(next *session, protocol string, nonce []byte, lifetime time.Duration) (*newSessionTicket, error) {
	ageAdd, err := randomBytes(source(c.Rand), 4)
	if err != nil {
		return nil, err
	}
	ticket := &newSessionTicket{lifetime: uint32(lifetime / time.Second), ageAdd: binary.BigEndian.Uint32(ageAdd), nonce: nonce}
	next.early = c.earlySession(protocol, ticket.ageAdd)
	ticket.early = next.early.most
	content, err := next.marshal()
	if err != nil || len(content) > maxTicket {
		return nil, err
	}
	ticket.ticket, err = c.Tickets.Seal(nil, content, next.created)
	return ticket, err
}
