package record

import (
	"crypto/hmac"
	"hash"
)

// takeSecret computes key and IV from the traffic secret (RFC 8446 §7.3) and begins to count.
func (h *Half) takeSecret() {
	mac := hmac.New(h.suite.newHash, h.secret)
	expandLabel(mac, "key", h.key[:h.suite.keySize])
	expandLabel(mac, "iv", h.iv[:])
	h.seq = 0
	h.Release()
}

// update goes on to the next traffic secret (RFC 8446 §7.2). The one before is overwritten.
func (h *Half) update() {
	expandLabel(hmac.New(h.suite.newHash, h.secret), "traffic upd", h.secret)
	h.takeSecret()
}

// expandLabel fills out with HKDF-Expand-Label under an empty context (RFC 8446 §7.1). mac is the
// HMAC of the secret. out is not longer than a hash, so that HKDF-Expand is one HMAC (RFC 5869 §2.3).
func expandLabel(mac hash.Hash, label string, out []byte) {
	const prefix = "tls13 "
	info := make([]byte, 0, 64)
	info = append(info, byte(len(out)>>8), byte(len(out)), byte(len(prefix)+len(label)))
	info = append(append(info, prefix...), label...)
	info = append(info, 0, 1) // no context; the first block
	mac.Reset()
	mac.Write(info)
	sum := mac.Sum(info[:0])
	copy(out, sum)
	clear(sum)
}
