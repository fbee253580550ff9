package std

import (
	"bytes"
	"crypto/tls"
	"errors"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

// ticketMessage is a NewSessionTicket with an extension that crypto/tls does not write.
func ticketMessage(ticket []byte) []byte {
	var b cryptobyte.Builder
	b.AddUint8(4)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint32(3600)
		b.AddUint32(7)
		b.AddUint8LengthPrefixed(func(*cryptobyte.Builder) {})
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(ticket) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint16(42)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint32(16384) })
		})
	})
	return b.BytesOrPanic()
}

// A server's ticket of TLS 1.3 is replaced by another one, with the PSK that the client has for
// it, in every suite; without one, or in TLS 1.2, it is crypto/tls's.
func TestTicketIsReplaced(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue(t, false)
	for _, c := range []struct {
		name    string
		version uint16
		none    bool
		err     error
		want    bool
	}{
		{"TLS 1.3", tls.VersionTLS13, false, nil, true},
		{"none", tls.VersionTLS13, true, nil, false},
		{"an error", tls.VersionTLS13, false, errors.New("no ticket today"), false},
		{"TLS 1.2", tls.VersionTLS12, false, nil, false},
	} {
		near, far := pair(t)
		cache := &keptSessions{}
		theirs := tls.Client(far, &tls.Config{RootCAs: ca.pool, ServerName: testName, MaxVersion: c.version, ClientSessionCache: cache, NextProtos: []string{"a", "b"}})
		done := make(chan error, 1)
		go func() { done <- theirs.Handshake() }()
		var made *Session
		ticket := bytes.Repeat([]byte("a ticket of ours "), 100)
		result, err := Server(near, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"b"}}, Options{
			Ticket: func(s Session) ([]byte, []byte, error) {
				s.PSK = bytes.Clone(s.PSK)
				made = &s
				if c.none {
					return nil, nil, nil
				}
				return ticketMessage(ticket), ticket, c.err
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		ours := &secured{Conn: near, Result: result}
		exchange(t, theirs, ours, messages[:3]...)
		if cache.last == nil {
			t.Fatalf("%s: the client has no ticket", c.name)
		}
		got, state, err := cache.last.ResumptionState()
		if err != nil || bytes.Equal(got, ticket) != c.want {
			t.Fatalf("%s: %d bytes, %v", c.name, len(got), err)
		}
		if (made != nil) != (c.version == tls.VersionTLS13) {
			t.Fatalf("%s: asked %v", c.name, made)
		}
		if made == nil {
			continue
		}
		b, err := state.Bytes()
		if err != nil || !bytes.Contains(b, made.PSK) || made.Suite != result.Suite || made.ServerName != testName || made.Protocol != "b" {
			t.Fatalf("%s: %v, %v %q %q", c.name, err, made.Suite, made.ServerName, made.Protocol)
		}
	}
}

// keptSessions keeps the last session.
type keptSessions struct{ last *tls.ClientSessionState }

func (k *keptSessions) Get(string) (*tls.ClientSessionState, bool)    { return nil, false }
func (k *keptSessions) Put(_ string, session *tls.ClientSessionState) { k.last = session }
