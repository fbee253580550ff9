// Package ticket keeps the keys of session tickets (RFC 5077, section 4; RFC 8446, section
// 4.6.1) and seals the tickets of the project's own handshakes.
//
// Keys are not stored: each period has its own, derived from a secret. All workers, and all
// nodes that are given the same secret, agree on them without talking, and who learns the key
// of one period cannot tell those of others. Without a shared secret, a random one is made: it
// dies with the process. Explicit keys, as Envoy's SDS or nginx's files bring them, have no
// periods; who rotates the files rotates the keys.
//
// Each context, for example a domain with its client CA, has keys of its own, so that a ticket
// of one does not resume at another: whoever proved himself there has not done so here.
//
// Nothing here reads the clock or runs by itself: callers pass the time.
package ticket

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// Bounds and defaults.
const (
	DefaultPeriod = time.Hour
	DefaultKeep   = 3
	MinSecret     = 32 // bytes of a shared secret

	minPeriod   = time.Minute
	maxLifetime = 7 * 24 * time.Hour // RFC 8446, section 4.6.1
	maxKeep     = 48
	maxExplicit = 16
)

// Options say how keys rotate. The zero value has the defaults.
type Options struct {
	Period time.Duration // a key seals for so long; at least a minute; 0 is DefaultPeriod
	Keep   int           // keys that open tickets, with the one that seals: 1 to 48; 0 is DefaultKeep
}

// A Source is a secret from which the keys of all contexts come. It is immutable.
type Source struct {
	secrets [][]byte // one, or the explicit keys, of which the first seals
	period  time.Duration
	keep    int // 0: explicit keys, no periods
}

// Shared makes keys of a secret that all nodes know: at least MinSecret bytes that nobody can
// guess. Nodes whose clocks differ by less than a period open each other's tickets.
func Shared(secret []byte, o Options) (*Source, error) {
	if len(secret) < MinSecret {
		return nil, fmt.Errorf("the secret of session tickets has %d bytes; it needs at least %d, for example from: openssl rand -hex 32", len(secret), MinSecret)
	}
	if o.Period == 0 {
		o.Period = DefaultPeriod
	}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	switch {
	case o.Period < minPeriod:
		return nil, fmt.Errorf("a key of session tickets lives for %s; the least is %s", o.Period, minPeriod)
	case o.Keep < 1 || o.Keep > maxKeep:
		return nil, fmt.Errorf("%d keys of session tickets are kept; 1 to %d can be", o.Keep, maxKeep)
	case o.Period > maxLifetime/time.Duration(o.Keep):
		return nil, fmt.Errorf("session tickets would live for %d times %s; RFC 8446 allows 7 days", o.Keep, o.Period)
	}
	master, err := hkdf.Extract(sha256.New, secret, []byte("longmen session tickets"))
	if err != nil {
		return nil, err
	}
	return &Source{secrets: [][]byte{master}, period: o.Period, keep: o.Keep}, nil
}

// Random makes keys that only this process knows.
func Random(o Options) (*Source, error) {
	secret := make([]byte, MinSecret)
	if _, err := io.ReadFull(rand.Reader, secret); err != nil {
		return nil, err
	}
	return Shared(secret, o)
}

// errKeyLength says what an explicit key must be, and nothing of what it was.
var errKeyLength = errors.New("a session ticket key has 80 bytes (or 48), for example from: openssl rand 80")

// Explicit takes keys of 80 bytes (Envoy's session_ticket_keys, nginx's ssl_session_ticket_key
// for AES-256) or 48 bytes (nginx's for AES-128). The first seals, all open. They agree
// between nodes that are given the same ones; tickets are not those of Envoy or nginx.
func Explicit(keys [][]byte) (*Source, error) {
	if len(keys) == 0 || len(keys) > maxExplicit {
		return nil, fmt.Errorf("%d session ticket keys; 1 to %d can be given", len(keys), maxExplicit)
	}
	s := &Source{}
	for i, key := range keys {
		if len(key) != 80 && len(key) != 48 {
			return nil, fmt.Errorf("key %d has %d bytes: %w", i+1, len(key), errKeyLength)
		}
		master, err := hkdf.Extract(sha256.New, key, []byte("longmen session ticket key"))
		if err != nil {
			return nil, err
		}
		s.secrets = append(s.secrets, master)
	}
	return s, nil
}

// Lifetime is how long a ticket may be opened after it was sealed at the latest, and what its
// ticket_lifetime says: with periods, a ticket sealed at the end of one opens for Keep-1 more.
// It is at most 7 days and at least a minute.
func (s *Source) Lifetime() time.Duration {
	if s.keep == 0 {
		return 24 * time.Hour // how long who gives explicit keys will keep them is not known
	}
	return max(minPeriod, s.period*time.Duration(s.keep-1))
}

// Context returns the keys of a context. What must not share sessions must have different
// labels: all that the client's authentication depends on (the client CA, whether a
// certificate is required) and the domain belong in it. Equal labels give equal keys.
func (s *Source) Context(label string) *Keys {
	return &Keys{source: s, label: label}
}

// derive makes the 32 bytes of one purpose.
func (s *Source) derive(secret int, period uint64, label, purpose string) []byte {
	info := make([]byte, 0, 32+len(label))
	info = binary.BigEndian.AppendUint64(info, period)
	info = binary.BigEndian.AppendUint32(info, uint32(len(purpose)))
	info = append(append(info, purpose...), label...)
	key, err := hkdf.Expand(sha256.New, s.secrets[secret], string(info), 32)
	if err != nil {
		panic("ticket: HKDF refused 32 bytes: " + err.Error()) // only FIPS-only mode or a wrong length could
	}
	return key
}

// String tells nothing of the secret.
func (s *Source) String() string { return "session ticket keys" }

// Format keeps the secret out of every way of printing.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }
