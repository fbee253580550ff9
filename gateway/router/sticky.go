package router

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
)

// A sticky cookie is the base64url of AES-256-GCM, with a random nonce, of
//
//	version (1 byte), cluster (8), expiry (4), port (2), IP address (4 or 16)
//
// with the cookie's name as additional data, so that one is not taken for another.

// StickyKey seals what sticky cookies say. Make it by NewStickyKey.
type StickyKey struct{ aead cipher.AEAD }

// minStickySecret is how long a configured secret must be, in bytes.
const minStickySecret = 16

var errShortSecret = fmt.Errorf("a key for sticky sessions has at least %d bytes, for example from: openssl rand -hex 32", minStickySecret)

// NewStickyKey makes a key of a configured secret of any form, at least 16
// bytes of it.
func NewStickyKey(secret []byte) (StickyKey, error) {
	if len(secret) < minStickySecret {
		return StickyKey{}, errShortSecret
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "longmen sticky session", 32)
	if err != nil {
		return StickyKey{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return StickyKey{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return StickyKey{aead}, err
}

// Format writes what the key is, never the key.
func (k StickyKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "sticky session key") }

// Session is what a sticky cookie says.
type Session struct {
	Cluster  uint64         // ClusterID of the target's name
	Endpoint netip.AddrPort // without a zone
	Expires  uint32         // in seconds since 1970; 0: never
}

// ClusterID is what stands for a cluster's name in a Session (64-bit FNV-1a).
func ClusterID(name string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 0x100000001b3
	}
	return h
}

const (
	sessionVersion = 1
	sessionFixed   = 1 + 8 + 4 + 2
	maxSession     = sessionFixed + 16
	sealing        = 12 + 16 // nonce and tag
	// MaxSessionCookie is how long a sticky cookie's value is at most.
	MaxSessionCookie = (maxSession + sealing + 2) / 3 * 4
)

// Seal appends the cookie's value. It uses as much of dst behind the value again.
func (k *Sticky) Seal(dst []byte, s Session) []byte {
	var plain [maxSession]byte
	p := append(plain[:0], sessionVersion)
	p = binary.BigEndian.AppendUint64(p, s.Cluster)
	p = binary.BigEndian.AppendUint32(p, s.Expires)
	p = binary.BigEndian.AppendUint16(p, s.Endpoint.Port())
	if a := s.Endpoint.Addr().Unmap(); a.Is4() {
		bytes := a.As4()
		p = append(p, bytes[:]...)
	} else {
		bytes := a.As16()
		p = append(p, bytes[:]...)
	}
	sealed := k.Keys[0].aead.Seal(make([]byte, 0, maxSession+sealing), nil, p, []byte(k.Name))
	return base64.RawURLEncoding.AppendEncode(dst, sealed)
}

// Open reads a cookie's value, of which nothing is believed that was not sealed by
// one of the keys. now is in seconds since 1970. It allocates nothing if scratch,
// whose content is lost, has room for twice MaxSessionCookie.
func (k *Sticky) Open(scratch, value []byte, now int64) (Session, bool) {
	if len(value) > MaxSessionCookie {
		return Session{}, false
	}
	sealed, err := base64.RawURLEncoding.AppendDecode(scratch[:0], value)
	if err != nil {
		return Session{}, false
	}
	name := append(sealed[len(sealed):], k.Name...)
	plain := name[len(name):]
	for i := range k.Keys {
		if p, err := k.Keys[i].aead.Open(plain, nil, sealed, name); err == nil {
			return parseSession(p, now)
		}
	}
	return Session{}, false
}

func parseSession(p []byte, now int64) (s Session, ok bool) {
	if len(p) < sessionFixed || p[0] != sessionVersion {
		return s, false
	}
	s.Cluster, s.Expires = binary.BigEndian.Uint64(p[1:]), binary.BigEndian.Uint32(p[9:])
	address, ok := netip.AddrFromSlice(p[sessionFixed:])
	s.Endpoint = netip.AddrPortFrom(address, binary.BigEndian.Uint16(p[13:]))
	return s, ok && (s.Expires == 0 || now < int64(s.Expires))
}
