package ticket

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// A sealed ticket is
//
//	key name (16) | nonce (24) | XChaCha20-Poly1305 ciphertext and tag (16)
//
// with the key name as associated data. The nonce is random: with 24 bytes, tickets of one key
// never meet, even of an explicit key that lives for years on many nodes.
const (
	nameSize = 16
	// Overhead is how much longer a ticket is than its content.
	Overhead = nameSize + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
	// MaxTicket is the longest ticket that Open looks at (RFC 8446, section 4.6.1: 2^16-1).
	MaxTicket = 1<<16 - 1
)

// ErrTicket is why any ticket does not open: unknown or past key, cut, changed, another
// context's. A handshake goes on without resumption.
var ErrTicket = errors.New("the session ticket cannot be opened")

// Keys are the ticket keys of one context. They may be used by many goroutines.
type Keys struct {
	source  *Source
	label   string
	current atomic.Pointer[set] // that of the period when it was last asked for
}

// A set is the keys that seal and open during one period.
type set struct {
	period uint64
	keys   []sealKey // the first seals
}

type sealKey struct {
	name [nameSize]byte
	aead cipher.AEAD
}

// Seal appends to dst a ticket that holds content, sealed for the period of now. Content is at
// most MaxTicket-Overhead bytes.
func (k *Keys) Seal(dst, content []byte, now time.Time) ([]byte, error) {
	if len(content) > MaxTicket-Overhead {
		return dst, fmt.Errorf("a session of %d bytes does not fit into a ticket", len(content))
	}
	key := &k.at(now).keys[0]
	var nonce [chacha20poly1305.NonceSizeX]byte
	if _, err := io.ReadFull(rand.Reader, nonce[:]); err != nil {
		return dst, err
	}
	dst = append(append(dst, key.name[:]...), nonce[:]...)
	return key.aead.Seal(dst, nonce[:], content, key.name[:]), nil
}

// Open returns the content of a ticket in new memory. Renew is true if it was sealed with a
// key that is no longer the one that seals: the client should get a new ticket. The only error
// is ErrTicket. Who resumes must also check the age that the content tells.
func (k *Keys) Open(ticket []byte, now time.Time) (content []byte, renew bool, err error) {
	if len(ticket) < Overhead || len(ticket) > MaxTicket {
		return nil, false, ErrTicket
	}
	name, nonce := ticket[:nameSize], ticket[nameSize:nameSize+chacha20poly1305.NonceSizeX]
	set := k.at(now)
	for i := range set.keys {
		if string(set.keys[i].name[:]) != string(name) {
			continue
		}
		content, err = set.keys[i].aead.Open(nil, nonce, ticket[nameSize+chacha20poly1305.NonceSizeX:], name)
		if err != nil {
			return nil, false, ErrTicket
		}
		return content, i > 0, nil
	}
	return nil, false, ErrTicket
}

// For returns the keys for one purpose in the same context: tickets for another purpose, and those
// of k itself, do not open with them.
func (k *Keys) For(purpose string) *Keys {
	return k.source.Context(purpose + "\x00 for " + k.label)
}

// Standard returns the keys for crypto/tls's Config.SetSessionTicketKeys (the first seals, all
// open), and until when they stand: the caller asks again then. Until is the zero time for
// explicit keys, which stand for ever.
func (k *Keys) Standard(now time.Time) (keys [][32]byte, until time.Time) {
	period := k.source.periodAt(now)
	for _, at := range k.source.slots(period) {
		keys = append(keys, [32]byte(k.source.derive(at.secret, at.period, k.label, "crypto/tls")))
	}
	if k.source.keep == 0 {
		return keys, time.Time{}
	}
	return keys, time.Unix(0, 0).Add(time.Duration(period+1) * k.source.period)
}

// at returns the keys of a moment, derived anew when its period is not the last one's.
func (k *Keys) at(now time.Time) *set {
	period := k.source.periodAt(now)
	if last := k.current.Load(); last != nil && last.period == period {
		return last
	}
	made := &set{period: period}
	for _, at := range k.source.slots(period) {
		aead, err := chacha20poly1305.NewX(k.source.derive(at.secret, at.period, k.label, "seal"))
		if err != nil {
			panic("ticket: " + err.Error()) // only a wrong length could
		}
		key := sealKey{aead: aead}
		copy(key.name[:], k.source.derive(at.secret, at.period, k.label, "name"))
		made.keys = append(made.keys, key)
	}
	k.current.Store(made)
	return made
}

// A slot says which key is meant: of which secret, and of which period.
type slot struct {
	secret int
	period uint64
}

// slots lists the keys that stand in a period: its own, those before it, and the next one's,
// because another node's clock may be ahead.
func (s *Source) slots(period uint64) []slot {
	if s.keep == 0 {
		all := make([]slot, len(s.secrets))
		for i := range all {
			all[i].secret = i
		}
		return all
	}
	slots := make([]slot, 0, s.keep+1)
	for back := range uint64(s.keep) {
		if back <= period {
			slots = append(slots, slot{0, period - back})
		}
	}
	return append(slots, slot{0, period + 1})
}

// periodAt counts periods since 1970; a clock before that counts as 1970.
func (s *Source) periodAt(now time.Time) uint64 {
	if s.keep == 0 || now.Unix() < 0 {
		return 0
	}
	return uint64(now.UnixNano()) / uint64(s.period)
}

// Format keeps the keys out of every way of printing.
func (k *Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.source.String()) }
