package tlcp

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"longmen/tls/handshake"
)

// Session is what a later connection can take up of one that completed its handshake. It
// holds the master secret, so nothing of it is printed.
type Session struct {
	id         []byte
	suite      uint16
	master     []byte
	serverName string
	context    string   // ServerConfig.Context, or the name that a client verified
	chain      [][]byte // the peer's
	verified   bool
	created    time.Time
}

// Format prints none of it.
func (s *Session) Format(f fmt.State, _ rune) { io.WriteString(f, "TLCP session") }

// SessionCache keeps sessions: a server's by their id, a client's by the server's name. It
// is asked by many handshakes at once.
type SessionCache interface {
	// Load gives the session of that key, nil if there is none or it is too old.
	Load(key string, now time.Time) *Session
	// Store keeps s, perhaps in the place of another.
	Store(key string, s *Session)
	// Remove forgets the session of that key: its connection failed.
	Remove(key string)
}

// fits reports whether the session may go on under what a new ClientHello says.
func (s *Session) fits(h *clientHello, context string, suites []uint16) bool {
	return s.context == context && s.serverName == h.serverName &&
		slices.Contains(h.suites, s.suite) && slices.Contains(suites, s.suite)
}

// endsSession reports whether no further connection may take up the session of one that
// ended so: after an alert (GB/T 38636 §6.4.2), not after a network that failed.
func endsSession(err error) bool {
	_, alert := errors.AsType[*handshake.Error](err)
	return alert
}

// equal compares secrets.
func equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
