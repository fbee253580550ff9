package std

import (
	"bytes"
	"crypto/tls"
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
		if err != nil || state == nil || connection.Version != tls.VersionTLS12 {
			return state, err
		}
		if k.master = kept(state); k.master == nil {
			return nil, nil // of somebody else who has our keys: a full handshake
		}
		return state, nil
	}
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
