package tlsclient

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
)

const (
	groupX25519 uint16 = 0x001d
	groupP256   uint16 = 0x0017
	groupSM2    uint16 = 0x0029 // RFC 8998 section 3.2.1
)

// A suite is what differs between the protocols.
type suite struct {
	version    uint16 // negotiated
	record     uint16 // in the headers of records
	ids        []uint16
	signatures []uint16
	groups     []uint16
	sm         bool
	hash       func() hash.Hash
	block      func([]byte) (cipher.Block, error)
	noPSK      []byte // TLS 1.3: the secret "derived" from an early secret without PSK
}

// 32 bytes of hash and 16 of key hold for every suite here.
const (
	hashSize = 32
	keySize  = 16
)

var suites = map[Protocol]*suite{
	TLS13: withoutPSK(&suite{
		version: 0x0304, record: 0x0303, ids: []uint16{0x1301}, groups: []uint16{groupX25519, groupP256},
		signatures: []uint16{0x0403, 0x0804, 0x0401}, hash: sha256.New, block: aes.NewCipher,
	}),
	TLS12: {
		version: 0x0303, record: 0x0303, ids: []uint16{0xc02b, 0xc02f}, groups: []uint16{groupX25519, groupP256},
		signatures: []uint16{0x0403, 0x0804, 0x0401}, hash: sha256.New, block: aes.NewCipher,
	},
	TLCP: {version: 0x0101, record: 0x0101, ids: []uint16{0xe053}, sm: true, hash: sm3.New, block: sm4.NewCipher},
	RFC8998: withoutPSK(&suite{
		version: 0x0304, record: 0x0303, ids: []uint16{0x00c6}, groups: []uint16{groupSM2},
		signatures: []uint16{0x0708}, sm: true, hash: sm3.New, block: sm4.NewCipher,
	}),
}

func newX25519() (keyShare, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return keyShare{}, err
	}
	return keyShare{groupX25519, key.PublicKey().Bytes(), func(peer []byte) ([]byte, error) {
		public, err := ecdh.X25519().NewPublicKey(peer)
		if err != nil {
			return nil, err
		}
		return key.ECDH(public)
	}}, nil
}

func (s *suite) mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(s.hash, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func (s *suite) digest(p []byte) []byte {
	h := s.hash()
	h.Write(p)
	return h.Sum(nil)
}

// expand is HKDF-Expand-Label (RFC 8446 section 7.1) of at most one hash.
func (s *suite) expand(secret []byte, label string, context []byte, size int) []byte {
	info := make([]byte, 0, 64)
	info = binary.BigEndian.AppendUint16(info, uint16(size))
	info = append(info, byte(6+len(label)))
	info = append(info, "tls13 "...)
	info = append(info, label...)
	info = append(info, byte(len(context)))
	info = append(info, context...)
	info = append(info, 1)
	return s.mac(secret, info)[:size]
}

// prf is the PRF of TLS 1.2 (RFC 5246 section 5) and TLCP.
func (s *suite) prf(secret []byte, label string, size int, seeds ...[]byte) []byte {
	seed := []byte(label)
	for _, p := range seeds {
		seed = append(seed, p...)
	}
	var out []byte
	for a := s.mac(secret, seed); len(out) < size; a = s.mac(secret, a) {
		out = append(out, s.mac(secret, a, seed)...)
	}
	return out[:size]
}

func withoutPSK(s *suite) *suite {
	zero := make([]byte, hashSize)
	s.noPSK = s.expand(s.mac(zero, zero), "derived", s.digest(nil), hashSize)
	return s
}

// half protects one direction. It is in the clear until it has a cipher.
type half struct {
	aead     cipher.AEAD
	iv       [12]byte
	number   uint64
	explicit bool // 8 bytes of the nonce go before each record (TLS 1.2, TLCP)
}

func (s *suite) half(key, iv []byte) (half, error) {
	block, err := s.block(key)
	if err != nil {
		return half{}, err
	}
	h := half{explicit: len(iv) == 4}
	copy(h.iv[:], iv)
	h.aead, err = cipher.NewGCM(block)
	return h, err
}

// half13 protects by a traffic secret of TLS 1.3.
func (s *suite) half13(secret []byte) (half, error) {
	return s.half(s.expand(secret, "key", nil, keySize), s.expand(secret, "iv", nil, 12))
}

// nonce is that of the next record.
func (h *half) nonce() (nonce [12]byte) {
	nonce = h.iv
	if h.explicit {
		binary.BigEndian.PutUint64(nonce[4:], h.number)
		return nonce
	}
	n := binary.BigEndian.Uint64(nonce[4:])
	binary.BigEndian.PutUint64(nonce[4:], n^h.number)
	return nonce
}
