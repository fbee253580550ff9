package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
)

// ParseKeyPin reads a pinned key as HTTP Public Key Pinning writes it (RFC 7469,
// 2.4): the SHA-256 of its SubjectPublicKeyInfo in base64.
func ParseKeyPin(text string) (pin [32]byte, err error) {
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(sum) != len(pin) {
		return pin, errors.New("a pinned key is no SHA-256 in base64")
	}
	return [32]byte(sum), nil
}

// ParseCertificatePin reads the SHA-256 of a certificate in 64 hex digits, with or
// without colons between the bytes.
func ParseCertificatePin(text string) (pin [32]byte, err error) {
	if len(text) == 3*len(pin)-1 {
		for i := 2; i < len(text); i += 3 {
			if text[i] != ':' {
				return pin, errCertificatePin
			}
		}
		text = strings.ReplaceAll(text, ":", "")
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != len(pin) {
		return pin, errCertificatePin
	}
	return [32]byte(sum), nil
}

var errCertificatePin = errors.New("a pinned certificate is no SHA-256 in hex")

// pinned says whether the leaf is among the pinned ones, if there are any.
func (p *Policy) pinned(leaf *certificate) bool {
	c := &p.config
	return len(c.Keys)+len(c.Certificates) == 0 ||
		len(c.Keys) > 0 && slices.Contains(c.Keys, sha256.Sum256(leaf.rawKey)) ||
		len(c.Certificates) > 0 && slices.Contains(c.Certificates, sha256.Sum256(leaf.raw))
}
