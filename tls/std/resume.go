package std

import (
	"bytes"
	"crypto/tls"
	"time"
)

// crypto/tls writes no key log line when a session of TLS 1.2 is resumed: the master secret is
// that of the first connection. So it is put beside the session where that is kept, as
// SessionState.Extra is meant for: in the server's ticket, and in the client's cache. Both hold
// it already, in a form that is not for others to read.

// extraMaster begins the Extra that is a master secret.
const extraMaster = "longmen/tls/std master secret\x00"

const masterSize = 48

// keep puts the master secret into a session of TLS 1.2.
func (k *keyLog) keep(state *tls.SessionState) {
	if k.master != nil && kept(state) == nil {
		state.Extra = append(state.Extra, append([]byte(extraMaster), k.master...))
	}
}

// kept gives the master secret in a session, nil if there is none.
func kept(state *tls.SessionState) []byte {
	for _, extra := range state.Extra {
		if secret, ok := bytes.CutPrefix(extra, []byte(extraMaster)); ok && len(secret) == masterSize {
			return secret
		}
	}
	return nil
}

// Tickets seals and opens session tickets; package ticket's Keys does.
type Tickets interface {
	Seal(dst, content []byte, now time.Time) ([]byte, error)
	// Open tells with renew that the key is not the one that seals any more. Who opens a ticket
	// may change content.
	Open(ticket []byte, now time.Time) (content []byte, renew bool, err error)
}

// sealRoom is how much longer than its content a ticket is, or somewhat less.
const sealRoom = 64

// keepInTickets puts itself before the way that config, the template of c, has of sealing
// tickets.
func (k *keyLog) keepInTickets(c, config *tls.Config) {
	wrap, unwrap := config.WrapSession, config.UnwrapSession
	if wrap == nil {
		wrap = config.EncryptTicket
	}
	if unwrap == nil {
		unwrap = config.DecryptTicket
	}
	c.WrapSession = func(connection tls.ConnectionState, state *tls.SessionState) ([]byte, error) {
		k.keep(state)
		return wrap(connection, state)
	}
	c.UnwrapSession = func(identity []byte, connection tls.ConnectionState) (*tls.SessionState, error) {
		state, err := unwrap(identity, connection)
		if err != nil || state == nil {
			return state, err
		}
		return k.resume(state, connection.Version), nil
	}
}

// sealTickets has t seal the tickets of TLS 1.2. A session of it stays what it is when it is
// resumed: its new ticket, which crypto/tls always gives so that no observer can follow a client
// by it, has the content of the old one, sealed anew.
func (k *keyLog) sealTickets(c *tls.Config, t Tickets, now time.Time) {
	wrap, unwrap := c.WrapSession, c.UnwrapSession // of TLS 1.3
	var resumed []byte                             // the content of the session that the client offers
	c.WrapSession = func(connection tls.ConnectionState, state *tls.SessionState) (ticket []byte, err error) {
		if connection.Version != tls.VersionTLS12 {
			return wrap(connection, state)
		}
		content := resumed
		if !connection.DidResume {
			k.keep(state)
			if content, err = state.Bytes(); err != nil {
				return nil, err
			}
		}
		return t.Seal(make([]byte, 0, len(content)+sealRoom), content, now)
	}
	c.UnwrapSession = func(identity []byte, connection tls.ConnectionState) (*tls.SessionState, error) {
		if connection.Version != tls.VersionTLS12 {
			return unwrap(identity, connection)
		}
		content, _, err := t.Open(identity, now)
		if err != nil {
			return nil, nil // of keys that are gone, or of nobody: a full handshake
		}
		state, err := tls.ParseSessionState(content)
		if err != nil {
			return nil, nil
		}
		resumed = content
		return k.resume(state, connection.Version), nil
	}
}

// resume notes the master secret of a session of TLS 1.2 that the client offers. It is nil if the
// session has none: it is of somebody else who has our keys, and there is a full handshake.
func (k *keyLog) resume(state *tls.SessionState, version uint16) *tls.SessionState {
	if version != tls.VersionTLS12 {
		return state
	}
	if k.master = kept(state); k.master == nil {
		return nil
	}
	return state
}

// A sessionCache is the cache of a client's handshake.
type sessionCache struct {
	tls.ClientSessionCache
	log *keyLog
}

// Get finds a session. If it is one of TLS 1.2, its master secret will be the connection's if
// the server agrees.
func (c sessionCache) Get(key string) (*tls.ClientSessionState, bool) {
	session, ok := c.ClientSessionCache.Get(key)
	if !ok || session == nil {
		return nil, false
	}
	_, state, err := session.ResumptionState()
	if err != nil || state == nil {
		return nil, false
	}
	c.log.master = kept(state)
	return session, true
}

// Put keeps a session, or drops it if session is nil.
func (c sessionCache) Put(key string, session *tls.ClientSessionState) {
	if session != nil && c.log.master != nil {
		ticket, state, err := session.ResumptionState()
		if err != nil || state == nil {
			return
		}
		c.log.keep(state)
		if session, err = tls.NewResumptionState(ticket, state); err != nil {
			return
		}
	}
	c.ClientSessionCache.Put(key, session)
}
