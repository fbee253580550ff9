package tls13

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"longmen/tls/handshake"

	"github.com/emmansun/gmsm/smx509"
)

// A resumption is a pair that has a session, and is then changed.
type resumption struct {
	*pair
	tickets *plainTickets
	now     time.Time
}

func newResumption(t testing.TB) *resumption {
	t.Helper()
	r := &resumption{pair: newPair(t), tickets: &plainTickets{}, now: noon}
	r.server.Tickets, r.client.Sessions = r.tickets, NewSessions(8)
	clock := func() time.Time { return r.now }
	r.server.Time, r.client.Time = clock, clock
	return r
}

func TestResumption(t *testing.T) {
	r := newResumption(t)
	for i, want := range []bool{false, true, true, true} {
		client, server := r.mustShake(t)
		if client.Resumed != want || server.Resumed != want {
			t.Errorf("connection %d: resumed %v and %v", i, client.Resumed, server.Resumed)
		}
		if !client.PeerVerified || !sameChain(client.PeerChain, r.server.Certificate.Certificate) {
			t.Errorf("connection %d: the client does not know the server", i)
		}
		if client.ServerName != "server.test" || server.ServerName != "server.test" {
			t.Errorf("connection %d: names %q and %q", i, client.ServerName, server.ServerName)
		}
		if n := r.client.Sessions.all.Len(); n != 1 {
			t.Errorf("connection %d: %d sessions are kept", i, n)
		}
	}
}

func TestMutualResumption(t *testing.T) {
	r := newResumption(t)
	r.server.ClientAuth, r.server.ClientCAs = ClientAuthRequire, r.authority.pool
	asked := 0
	r.server.VerifyPeer = func([]*smx509.Certificate) error { asked++; return nil }
	r.client.Certificate = r.authority.issue(t, "client.test", newKey(t), nil)
	for i, want := range []bool{false, true, true} {
		_, server := r.mustShake(t)
		if server.Resumed != want || !server.PeerVerified || !sameChain(server.PeerChain, r.client.Certificate.Certificate) || asked != i+1 {
			t.Errorf("connection %d: resumed %v, verified %v, asked %d times", i, server.Resumed, server.PeerVerified, asked)
		}
	}
}

// TestNotResumed has a session and then something that forbids to take it up. The handshake is a
// full one, or fails as that fails.
func TestNotResumed(t *testing.T) {
	stranger := newAuthority(t, "stranger")
	cases := map[string]struct {
		mutual bool // the session is with a client that is known
		change func(t *testing.T, r *resumption)
		alert  handshake.Alert // of the server; 0: a full handshake that succeeds
	}{
		"no tickets":       {false, func(t *testing.T, r *resumption) { r.server.Tickets = nil }, 0},
		"other keys":       {false, func(t *testing.T, r *resumption) { r.tickets.refuse = true }, 0},
		"no sessions":      {false, func(t *testing.T, r *resumption) { r.client.Sessions = nil }, 0},
		"too old":          {false, func(t *testing.T, r *resumption) { r.now = noon.Add(25 * time.Hour) }, 0},
		"shorter lifetime": {false, func(t *testing.T, r *resumption) { r.server.TicketLifetime = time.Minute; r.now = noon.Add(time.Hour) }, 0},
		"other clock":      {false, func(t *testing.T, r *resumption) { r.server.Time = func() time.Time { return noon.Add(-time.Hour) } }, 0},
		"other name": {false, func(t *testing.T, r *resumption) {
			r.server.Certificate = r.authority.issue(t, "other.test", newKey(t), nil)
			r.client.SessionKey, r.client.ServerName = "server.test", "other.test"
		}, 0},
		"name on the server's side": {false, func(t *testing.T, r *resumption) {
			for e := r.client.Sessions.all.Front(); e != nil; e = e.Next() {
				one := e.Value.(*clientSession)
				old, _ := parseSession(one.ticket)
				old.serverName = "other.test"
				one.ticket = must(old.marshal())
			}
		}, 0},
		"suite on the server's side": {false, func(t *testing.T, r *resumption) {
			for e := r.client.Sessions.all.Front(); e != nil; e = e.Next() {
				one := e.Value.(*clientSession)
				old, _ := parseSession(one.ticket)
				old.suite = 0x1301
				one.ticket = must(old.marshal())
			}
		}, 0},
		"client unknown then": {false, func(t *testing.T, r *resumption) {
			r.server.ClientAuth, r.server.ClientCAs = ClientAuthRequire, r.authority.pool
		}, handshake.CertificateRequired},
		"client known then":       {true, func(t *testing.T, r *resumption) { r.server.ClientAuth = ClientAuthNone }, 0},
		"client no longer known":  {true, func(t *testing.T, r *resumption) { r.server.ClientCAs = stranger.pool }, handshake.UnknownCA},
		"client refused now":      {true, func(t *testing.T, r *resumption) { r.server.VerifyPeer = refuse }, handshake.AccessDenied},
		"server refused now":      {false, func(t *testing.T, r *resumption) { r.client.VerifyPeer = refuseOnce() }, 0},
		"server was not verified": {false, func(t *testing.T, r *resumption) { r.unverified() }, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newResumption(t)
			if c.mutual {
				r.server.ClientAuth, r.server.ClientCAs = ClientAuthRequire, r.authority.pool
				r.client.Certificate = r.authority.issue(t, "client.test", newKey(t), nil)
			}
			r.mustShake(t)
			if r.client.Sessions.all.Len() != 1 {
				t.Fatal("there is no session to take up")
			}
			c.change(t, r)
			if c.alert != 0 {
				client, server := r.shake(t)
				wantAlert(t, server.err, c.alert, false)
				wantSessionAlert(t, client, c.alert)
				return
			}
			if client, server := r.mustShake(t); client.Resumed || server.Resumed {
				t.Error("the session was taken up")
			}
		})
	}
}

func refuseOnce() func([]*smx509.Certificate) error {
	asked := false
	return func([]*smx509.Certificate) error {
		if asked {
			return nil
		}
		asked = true
		return errors.New("not now")
	}
}

// unverified makes the sessions ones of a client that verified nothing.
func (r *resumption) unverified() {
	for e := r.client.Sessions.all.Front(); e != nil; e = e.Next() {
		e.Value.(*clientSession).verified = false
	}
}

// TestSessionEnds: from ticket to ticket, a session ends seven days after its full handshake,
// and with the server's certificate.
func TestSessionEnds(t *testing.T) {
	r := newResumption(t)
	r.server.TicketLifetime = 48 * time.Hour
	r.mustShake(t)
	for day := 1; day <= 8; day++ {
		r.now = noon.Add(time.Duration(day) * 24 * time.Hour)
		_, server := r.mustShake(t)
		if want := day != 7; server.Resumed != want {
			t.Errorf("day %d: resumed %v", day, server.Resumed)
		}
	}
	r = newResumption(t)
	r.server.Certificate = r.authority.issue(t, "server.test", newKey(t), func(c *smx509.Certificate) { c.NotAfter = noon.Add(time.Hour) })
	r.mustShake(t)
	r.now = noon.Add(2 * time.Hour)
	client, _ := r.shake(t)
	wantAlert(t, client.err, handshake.CertificateExpired, false)
}

// TestTicketNeedsMode: a client that does not say how it would use a ticket gets none.
func TestTicketNeedsMode(t *testing.T) {
	r := newResumption(t)
	r.client.Sessions = nil // and so no psk_key_exchange_modes
	near, far := newWire(t)
	client, server := r.shakeOver(near, far)
	if client.err != nil || server.err != nil {
		t.Fatalf("client: %v, server: %v", client.err, server.err)
	}
	server.write(t, "at once")
	buffer := make([]byte, 4096)
	n, err := near.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	plain, used, err := client.result.Session.Open(buffer[:n])
	if err != nil || string(plain) != "at once" || used != n {
		t.Errorf("%q, %d of %d bytes, %v: a ticket came before", plain, used, n, err)
	}
}

// TestBigChain: a client whose chain would make its next hello too long gets no ticket.
func TestBigChain(t *testing.T) {
	r := newResumption(t)
	r.server.ClientAuth, r.server.ClientCAs = ClientAuthRequire, r.authority.pool
	r.client.Certificate = r.authority.issue(t, "client.test", newKey(t), func(c *smx509.Certificate) {
		c.IssuingCertificateURL = []string{"http://" + string(bytes.Repeat([]byte("x"), maxTicket)) + ".test"}
	})
	r.mustShake(t)
	if n := r.client.Sessions.all.Len(); n != 0 {
		t.Errorf("%d tickets", n)
	}
}

func TestSessionsBounds(t *testing.T) {
	s := NewSessions(3)
	put := func(key string, n uint32) {
		s.put(&clientSession{key: key, ageAdd: n, received: noon, expires: noon.Add(time.Hour)})
	}
	take := func(key string) uint32 {
		one := s.take(key, noon)
		if one == nil {
			return 0
		}
		return one.ageAdd
	}
	for n := range uint32(4) {
		put("a", n+1) // the first gives way
	}
	put("b", 5) // the second too
	for i, want := range []struct {
		key string
		n   uint32
	}{{"b", 5}, {"a", 4}, {"a", 3}, {"a", 0}, {"b", 0}} {
		if got := take(want.key); got != want.n {
			t.Errorf("%d: session %d of %q, want %d", i, got, want.key, want.n)
		}
	}
	s = NewSessions(100)
	for n := range uint32(perKey + 1) {
		put("a", n+1)
	}
	if n := s.all.Len(); n != perKey {
		t.Errorf("%d sessions under one key", n)
	}
	if s.take("a", noon.Add(time.Hour)) != nil || s.all.Len() != 0 || len(s.byKey) != 0 {
		t.Error("expired sessions are given out or kept")
	}
	s = NewSessions(0)
	put("a", 1)
	if take("a") != 0 {
		t.Error("a session where none is to be kept")
	}
}
