package record

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
)

// Half protects one direction of a connection: it seals what one side sends, or opens it at
// the other. It is for one user at a time.
type Half struct {
	suite   *suite
	version uint16 // in the headers

	seq    uint64      // of the next record
	aead   cipher.AEAD // nil: not made yet, or released
	cbc    *cbcMAC     // likewise
	key    [32]byte    // the first suite.keySize bytes
	iv     [12]byte    // the first suite.ivSize bytes; what nonces are made of
	secret []byte      // TLS 1.3: the traffic secret; CBC: the MAC key

	nonce  [12]byte // of the record under way; here, since arguments of an AEAD escape to the heap
	header [13]byte // the additional data, likewise
}

// NewTLS13 is a half with the keys of a traffic secret (RFC 8446 §7.3), of the handshake or of
// the application data. It copies secret.
func NewTLS13(id uint16, secret []byte) (*Half, error) {
	s, err := suiteOf(VersionTLS13, id)
	if err != nil {
		return nil, err
	}
	if len(secret) != s.hashSize {
		return nil, errors.New("a traffic secret is as long as the suite's hash")
	}
	h := &Half{suite: s, version: VersionTLS12, secret: append([]byte(nil), secret...)}
	h.takeSecret()
	if err := h.prepare(); err != nil {
		return nil, err
	}
	return h, nil
}

// NewTLS12 is a half with a key and an IV of the key block (RFC 5246 §6.3). It copies both.
func NewTLS12(id uint16, key, iv []byte) (*Half, error) {
	return newKeyed(VersionTLS12, id, nil, key, iv)
}

// NewTLCP is a half with a MAC key (of the CBC suites only), a key and an IV of the key block
// (GB/T 38636 §6.5.2.3). It copies them.
func NewTLCP(id uint16, mac, key, iv []byte) (*Half, error) {
	return newKeyed(VersionTLCP, id, mac, key, iv)
}

func newKeyed(version, id uint16, mac, key, iv []byte) (*Half, error) {
	s, err := suiteOf(version, id)
	if err != nil {
		return nil, err
	}
	if len(mac) != s.macSize || len(key) != s.keySize || len(iv) != s.ivSize {
		return nil, errors.New("keys of another cipher suite's sizes")
	}
	h := &Half{suite: s, version: version}
	if s.macSize > 0 {
		h.secret = append([]byte(nil), mac...) // CBC takes a new IV for each record
	} else {
		copy(h.iv[:], iv)
	}
	copy(h.key[:], key)
	if err := h.prepare(); err != nil {
		return nil, err
	}
	return h, nil
}

// Sequence is the number of the next record.
func (h *Half) Sequence() uint64 { return h.seq }

// SetSequence says that so many records went by under this key before.
func (h *Half) SetSequence(n uint64) { h.seq = n }

// Release drops what was computed from the keys (0.8 KB with AES). The next record computes
// it again, in about a microsecond.
func (h *Half) Release() { h.aead, h.cbc = nil, nil }

// prepare computes what Release drops.
func (h *Half) prepare() error {
	key := h.key[:h.suite.keySize]
	var err error
	if h.suite.newAEAD == nil {
		h.cbc, err = newCBCMAC(key, h.secret)
	} else {
		h.aead, err = h.suite.newAEAD(key)
	}
	return err
}

func (h *Half) ensure() {
	if h.aead != nil || h.cbc != nil {
		return
	}
	if err := h.prepare(); err != nil {
		panic("record: " + err.Error()) // it went well when the half was made
	}
}

// Length is the size of the record at the front of p with its header, once the header is
// there; 0 before. It is at most MaxSize. The error is an *AlertError.
func (h *Half) Length(p []byte) (int, error) {
	if len(p) < HeaderSize {
		return 0, nil
	}
	limit := maxCiphertext
	if h.suite.version == VersionTLS13 {
		limit = maxCiphertext13
	}
	n := int(binary.BigEndian.Uint16(p[3:]))
	switch {
	case binary.BigEndian.Uint16(p[1:]) != h.version:
		return 0, errVersion
	case n > limit:
		return 0, errLength
	}
	return HeaderSize + n, nil
}

// sealedSize is the size of the record that Seal makes of n bytes.
func (h *Half) sealedSize(n int) int {
	switch {
	case h.suite.version == VersionTLS13:
		return HeaderSize + n + 1 + tagSize
	case h.suite.macSize > 0:
		return HeaderSize + h.suite.explicit + paddedSize(n+h.suite.macSize)
	}
	return HeaderSize + h.suite.explicit + n + tagSize
}

// before is how much of a record is before its payload, once it is opened.
func (h *Half) before() int { return HeaderSize + h.suite.explicit }

// Seal appends one record of typ to dst. payload is at most MaxPayload and may be empty; it
// must not overlap dst.
func (h *Half) Seal(dst []byte, typ byte, payload []byte) []byte {
	if len(payload) > MaxPayload || h.seq > 2*lastSequence {
		panic("record: a payload that no record holds, or a half that is used up")
	}
	start := len(dst)
	n := h.sealedSize(len(payload)) - HeaderSize
	dst = append(dst, typ, byte(h.version>>8), byte(h.version), byte(n>>8), byte(n))
	if h.suite.version == VersionTLS13 {
		dst = h.seal13(dst, typ, payload)
	} else {
		dst = h.seal12(dst, start, typ, payload)
	}
	h.seq++
	return dst
}

// seal13 goes on with the inner plaintext (RFC 8446 §5.2) and encrypts it where it is.
func (h *Half) seal13(dst []byte, typ byte, payload []byte) []byte {
	h.ensure()
	start := len(dst)
	dst[start-HeaderSize] = TypeApplicationData
	dst = append(append(dst, payload...), typ)
	return h.aead.Seal(dst[:start], h.xorNonce(), dst[start:], dst[start-HeaderSize:start])
}

func (h *Half) seal12(dst []byte, start int, typ byte, payload []byte) []byte {
	h.ensure()
	ad := h.pseudoHeader(typ, len(payload))
	if h.cbc != nil {
		return h.cbc.seal(dst, ad, payload)
	}
	nonce := h.xorNonce()
	if h.suite.explicit > 0 {
		dst = binary.BigEndian.AppendUint64(dst, h.seq) // never used twice: RFC 5288 §3
		nonce = h.explicitNonce(dst[start+HeaderSize:])
	}
	return h.aead.Seal(dst, nonce, payload, ad)
}

// Open takes one whole record with its header, of the size that Length says, and decrypts it
// in place. The payload is part of rec. The error is an *AlertError; rec is then spoilt, and the
// record is not counted.
func (h *Half) Open(rec []byte) (typ byte, payload []byte, err error) {
	if n, err := h.Length(rec); err != nil {
		return 0, nil, err
	} else if n == 0 || n != len(rec) {
		return 0, nil, errLength
	}
	if h.seq > lastSequence {
		return 0, nil, errExhausted
	}
	if h.suite.version == VersionTLS13 {
		typ, payload, err = h.open13(rec)
	} else {
		typ = rec[0]
		payload, err = h.open12(rec)
	}
	if err != nil {
		return 0, nil, err
	}
	if len(payload) > MaxPayload {
		return 0, nil, errLength
	}
	h.seq++
	return typ, payload, nil
}

func (h *Half) open13(rec []byte) (typ byte, payload []byte, err error) {
	if rec[0] != TypeApplicationData {
		return 0, nil, errOuterType
	}
	h.ensure()
	body := rec[HeaderSize:]
	plain, err := h.aead.Open(body[:0], h.xorNonce(), body, rec[:HeaderSize])
	if err != nil {
		return 0, nil, errBadRecordMAC
	}
	if len(plain) > MaxPayload+1 { // padding counts (RFC 8446 §5.4)
		return 0, nil, errLength
	}
	for i := len(plain) - 1; i >= 0; i-- {
		if plain[i] != 0 {
			return plain[i], plain[:i], nil
		}
	}
	return 0, nil, errNoInnerType
}

func (h *Half) open12(rec []byte) ([]byte, error) {
	h.ensure()
	body := rec[HeaderSize:]
	if h.cbc != nil {
		return h.cbc.open(h.pseudoHeader(rec[0], 0), body)
	}
	if len(body) < h.suite.explicit+tagSize {
		return nil, errBadRecordMAC
	}
	nonce := h.xorNonce()
	if h.suite.explicit > 0 {
		nonce = h.explicitNonce(body)
		body = body[h.suite.explicit:]
	}
	plain, err := h.aead.Open(body[:0], nonce, body, h.pseudoHeader(rec[0], len(body)-tagSize))
	if err != nil {
		return nil, errBadRecordMAC
	}
	return plain, nil
}

// xorNonce is the record's nonce in TLS 1.3 and in ChaCha20 suites (RFC 8446 §5.3, RFC 7905 §2).
func (h *Half) xorNonce() []byte {
	h.nonce = h.iv
	low := binary.BigEndian.Uint64(h.iv[4:]) ^ h.seq
	binary.BigEndian.PutUint64(h.nonce[4:], low)
	return h.nonce[:]
}

// explicitNonce is the record's nonce in the GCM suites of TLS 1.2 and TLCP: four bytes of the
// key block and eight from the record (RFC 5288 §3).
func (h *Half) explicitNonce(explicit []byte) []byte {
	copy(h.nonce[:4], h.iv[:4])
	copy(h.nonce[4:], explicit[:8])
	return h.nonce[:]
}

// pseudoHeader is what a MAC or an AEAD covers beside the payload (RFC 5246 §6.2.3.1, §6.2.3.3).
func (h *Half) pseudoHeader(typ byte, n int) []byte {
	binary.BigEndian.PutUint64(h.header[:], h.seq)
	h.header[8] = typ
	binary.BigEndian.PutUint16(h.header[9:], h.version)
	binary.BigEndian.PutUint16(h.header[11:], uint16(n))
	return h.header[:]
}
