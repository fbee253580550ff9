package tls13

import (
	"bytes"
	"container/list"
	"slices"
	"sync"
	"time"

	"longmen/tls/record"

	"github.com/emmansun/gmsm/smx509"
)

// Sessions keeps what clients need to resume sessions with servers that they were connected
// to. It may be used by handshakes that run at once. Each ticket is used once, so that nobody
// on the way can tell two connections for one client's (RFC 8446 §C.4).
type Sessions struct {
	limit int

	mu    sync.Mutex
	all   *list.List // of *clientSession, the newest first
	byKey map[string][]*list.Element
}

// perKey bounds the sessions kept under one key.
const perKey = 8

// NewSessions keeps limit sessions at most; of more, the newest.
func NewSessions(limit int) *Sessions {
	return &Sessions{limit: limit, all: list.New(), byKey: map[string][]*list.Element{}}
}

// A clientSession is a ticket and what goes with it.
type clientSession struct {
	key           string
	ticket        []byte
	psk           []byte
	ageAdd        uint32
	received      time.Time
	expires       time.Time
	authenticated time.Time // of the full handshake that the session began with
	serverName    string
	verifyName    string
	chain         [][]byte // of the server
	verified      bool
}

func (s *Sessions) put(one *clientSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if same := s.byKey[one.key]; len(same) == perKey {
		s.remove(same[0])
	}
	if s.all.Len() >= s.limit && s.all.Len() > 0 {
		s.remove(s.all.Back())
	}
	if s.limit > 0 {
		s.byKey[one.key] = append(s.byKey[one.key], s.all.PushFront(one))
	}
}

// take removes and gives the newest session of key that is still good.
func (s *Sessions) take(key string, now time.Time) *clientSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.byKey[key]) > 0 {
		same := s.byKey[key]
		one := s.remove(same[len(same)-1])
		if now.Before(one.expires) && !now.Before(one.received) {
			return one
		}
	}
	return nil
}

func (s *Sessions) remove(e *list.Element) *clientSession {
	one := s.all.Remove(e).(*clientSession)
	rest := slices.DeleteFunc(s.byKey[one.key], func(other *list.Element) bool { return other == e })
	if s.byKey[one.key] = rest; len(rest) == 0 {
		delete(s.byKey, one.key)
	}
	return one
}

func (c *ClientConfig) sessionKey() string {
	if c.SessionKey != "" {
		return c.SessionKey
	}
	return c.ServerName
}

// offerSession puts a session's ticket into the hello, if there is one that this config would
// come by itself.
func (c *client) offerSession() {
	if c.config.Sessions == nil {
		return
	}
	c.hello.pskModes = []byte{pskDHE} // which is also what tickets are given for
	one := c.config.Sessions.take(c.config.sessionKey(), c.now)
	if one == nil || !c.acceptSession(one) {
		return
	}
	c.offered = one
	c.hello.psks = []offeredPSK{{
		identity:      one.ticket,
		obfuscatedAge: uint32(c.now.Sub(one.received).Milliseconds()) + one.ageAdd,
		binder:        make([]byte, c.profile.newHash().Size()),
	}}
}

// acceptSession reports whether one is of a server that this config would accept.
func (c *client) acceptSession(one *clientSession) bool {
	if one.serverName != c.config.ServerName || one.verifyName != c.config.verifyName() ||
		!one.verified && !c.config.Insecure {
		return false
	}
	if c.config.VerifyPeer == nil {
		return true
	}
	certificates, err := parseChain(one.chain)
	return err == nil && c.config.VerifyPeer(certificates) == nil
}

// bind writes the PSK's binder into the marshalled hello, over all before it.
func (c *client) bind() {
	schedule := newKeySchedule(c.profile.newHash, c.offered.psk)
	sum := c.transcript.sumTruncated(c.hello.truncated())
	binder := finishedMAC(c.profile.newHash, schedule.binderKey(), sum)
	copy(c.hello.raw[len(c.hello.raw)-len(binder):], binder)
}

// keepTickets has session put the tickets that come into config.Sessions.
func (c *client) keepTickets(session *record.Session) {
	if c.config.Sessions == nil {
		return
	}
	next := clientSession{
		key:           c.config.sessionKey(),
		authenticated: c.now,
		serverName:    c.config.ServerName,
		verifyName:    c.config.verifyName(),
		chain:         c.result.PeerChain,
		verified:      c.result.PeerVerified,
	}
	if c.resumed {
		next.authenticated = c.offered.authenticated
	}
	until, ok := chainEnds(next.chain)
	if !ok {
		return
	}
	// What stays with the connection until its first data is this alone, not the handshake.
	sessions, now, newHash := c.config.Sessions, c.config.Time, c.profile.newHash
	resumption := c.secrets.derive(resumptionMaster, c.transcript.sum())
	session.OnTicket(func(message []byte) {
		ticket, err := parseNewSessionTicket(bytes.Clone(message))
		if err != nil || len(ticket.ticket) > maxKeptTicket {
			return // a session less; the connection itself is not concerned
		}
		one := next
		one.ticket, one.ageAdd = ticket.ticket, ticket.ageAdd
		one.psk = resumptionPSK(newHash, resumption, ticket.nonce)
		one.received = clock(now)
		one.expires = earliest(until,
			one.received.Add(time.Duration(ticket.lifetime)*time.Second),
			one.authenticated.Add(maxLifetime*time.Second))
		if one.received.Before(one.expires) {
			sessions.put(&one)
		}
	})
}

// maxKeptTicket bounds the tickets that are kept: a hello with a longer one would be refused
// by some.
const maxKeptTicket = 12 << 10

func earliest(a time.Time, others ...time.Time) time.Time {
	for _, b := range others {
		if b.Before(a) {
			a = b
		}
	}
	return a
}

// chainEnds is when the first certificate of a chain expires: a session does not outlive what
// it was authenticated by.
func chainEnds(chain [][]byte) (time.Time, bool) {
	certificates, err := parseChain(chain)
	if err != nil || len(certificates) == 0 {
		return time.Time{}, false
	}
	first := slices.MinFunc(certificates, func(a, b *smx509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return first.NotAfter, true
}
