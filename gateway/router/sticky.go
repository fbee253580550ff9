package router

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"io"
)

// StickyKey seals what sticky cookies say. Make it by NewStickyKey.
type StickyKey struct{ aead cipher.AEAD }

// minStickySecret is how long a configured secret must be, in bytes.
const minStickySecret = 16

var errShortSecret = fmt.Errorf("a key for sticky sessions has at least %d bytes", minStickySecret)

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
	aead, err := cipher.NewGCM(block)
	return StickyKey{aead}, err
}

// AEAD is AES-256-GCM with the key.
func (k StickyKey) AEAD() cipher.AEAD { return k.aead }

// Format writes what the key is, never the key.
func (k StickyKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "sticky session key") }
