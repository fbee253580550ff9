package record

import (
	"crypto/hkdf"
)

// takeSecret computes key and IV from the traffic secret (RFC 8446 §7.3) and begins to count.
func (h *Half) takeSecret() {
	h.expand("key", h.key[:h.suite.keySize])
	h.expand("iv", h.iv[:])
	h.seq = 0
	h.Release()
}

// update goes on to the next traffic secret (RFC 8446 §7.2). The one before is overwritten.
func (h *Half) update() {
	h.expand("traffic upd", h.secret)
	h.takeSecret()
}

// expand fills out with HKDF-Expand-Label of the traffic secret with an empty context
// (RFC 8446 §7.1).
func (h *Half) expand(label string, out []byte) {
	info := append(make([]byte, 0, 32), byte(len(out)>>8), byte(len(out)), byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "...), label...)
	key, err := hkdf.Expand(h.suite.newHash, h.secret, string(append(info, 0)), len(out))
	if err != nil {
		panic("record: " + err.Error()) // the sizes are ours
	}
	copy(out, key)
	clear(key)
}
