package std

import (
	"bytes"
	"crypto/tls"
	"testing"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/ticket"
)

// ticketed is a server whose tickets are sealed by Options.Tickets, and a client that comes back.
type ticketed struct {
	t       *testing.T
	config  *tls.Config
	client  *tls.Config
	options Options
}

func newTicketed(t *testing.T, v variant) *ticketed {
	ca := newAuthority(t)
	return &ticketed{
		t: t,
		config: v.limit(&tls.Config{
			Certificates: []tls.Certificate{ca.issue(t, v.rsa)}, NextProtos: []string{"http/1.1"},
		}),
		client: v.limit(&tls.Config{
			RootCAs: ca.pool, ServerName: testName, NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
		}),
		options: Options{Tickets: newKeys(t), Now: time.Now()},
	}
}

func newKeys(t *testing.T) *ticket.Keys {
	t.Helper()
	source, err := ticket.Random(ticket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return source.Context(testName)
}

// connect has one connection carry data both ways, and gives the ticket that the client has then.
func (s *ticketed) connect() (*handshake.Result, []byte) {
	s.t.Helper()
	near, far := pair(s.t)
	peer := tls.Client(near, s.client)
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	result, err := Server(far, s.config, s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := <-done; err != nil {
		s.t.Fatal(err)
	}
	exchange(s.t, peer, &secured{Conn: far, Result: result}, messages...)
	held, _ := s.client.ClientSessionCache.Get(testName)
	offered, _, err := held.ResumptionState()
	if err != nil {
		s.t.Fatal(err)
	}
	return result, offered
}

// Sessions are resumed again and again, each time with a ticket that nobody has seen; TLS 1.3 has
// the tickets of the configuration.
func TestTickets(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			s := newTicketed(t, v)
			s.config.SetSessionTicketKeys([][32]byte{{1}})
			var before []byte
			for i := range 4 {
				result, offered := s.connect()
				if result.Resumed != (i > 0) {
					t.Fatalf("connection %d: resumed is %v", i, result.Resumed)
				}
				if bytes.Equal(offered, before) {
					t.Fatalf("connection %d: the ticket is the one of before", i)
				}
				_, _, err := s.options.Tickets.Open(offered, s.options.Now)
				if sealed := err == nil; sealed != (v.version == tls.VersionTLS12) {
					t.Fatalf("connection %d: the ticket is of Tickets: %v", i, sealed)
				}
				before = offered
			}
		})
	}
}

// A ticket that does not open, or holds no session of ours, leads to a full handshake and a new one.
func TestTicketsOfOthers(t *testing.T) {
	s := newTicketed(t, variants()[1])
	s.connect()
	s.options.Tickets = newKeys(t)
	for i, resumed := range []bool{false, true} {
		if result, _ := s.connect(); result.Resumed != resumed {
			t.Fatalf("other keys, connection %d: resumed is %v", i, result.Resumed)
		}
	}
	good := s.options.Tickets
	_, offered := s.connect()
	content, _, err := good.Open(offered, s.options.Now)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(content) { // cut at every byte: none is resumed, and nothing else happens
		log := &keyLog{}
		c := &tls.Config{}
		log.keepInTickets(c, s.config)
		log.sealTickets(c, opened{content[:n]}, s.options.Now)
		state, err := c.UnwrapSession(offered, tls.ConnectionState{Version: tls.VersionTLS12})
		if state != nil || err != nil || log.master != nil {
			t.Fatalf("%d of %d bytes: %v, %v", n, len(content), state, err)
		}
	}
}

// opened has any ticket hold the same content.
type opened struct{ content []byte }

func (o opened) Seal(dst, _ []byte, _ time.Time) ([]byte, error) {
	return append(dst, o.content...), nil
}
func (o opened) Open([]byte, time.Time) ([]byte, bool, error) { return o.content, false, nil }

// Without tickets in the configuration there are none.
func TestNoTickets(t *testing.T) {
	s := newTicketed(t, variants()[1])
	s.config.SessionTicketsDisabled = true
	s.client.ClientSessionCache = nil
	near, far := pair(t)
	peer := tls.Client(near, s.client)
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	result, err := Server(far, s.config, s.options)
	if err != nil || <-done != nil || result.Resumed {
		t.Fatalf("%v, %v", result, err)
	}
	if peer.ConnectionState().DidResume {
		t.Error("resumed")
	}
}
