package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"github.com/emmansun/gmsm/sm3"
	"github.com/emmansun/gmsm/sm4"
	"golang.org/x/crypto/chacha20poly1305"
)

// Versions as on the wire.
const (
	VersionTLCP  = 0x0101 // GB/T 38636
	VersionTLS12 = 0x0303 // RFC 5246
	VersionTLS13 = 0x0304 // RFC 8446; its records say 0x0303
)

// A suite is what a cipher suite means to its records.
type suite struct {
	id       uint16
	version  uint16
	newHash  func() hash.Hash                      // TLS 1.3: of the key schedule; else nil
	newAEAD  func(key []byte) (cipher.AEAD, error) // nil: SM4-CBC with HMAC-SM3
	hashSize int                                   // of newHash
	keySize  int
	ivSize   int    // of what the key block or the key schedule gives
	explicit int    // bytes of nonce or IV in each record
	macSize  int    // CBC only
	limit    uint64 // records of data under one key
}

// gcmLimit bounds the records under one key of an AES or SM4 in GCM: RFC 8446 §5.5 allows
// 2^24.5 of full size.
const gcmLimit = 1 << 24

// lastSequence is the last sequence number that a half uses (the standards' is 2^64-1). Nothing
// gets there: at ten million records a second it takes 14,000 years.
const lastSequence = 1 << 62

const tagSize = 16 // of every AEAD here

// The suites, each also the name of one or two key exchanges.
var suites = []*suite{
	{id: 0x1301, version: VersionTLS13, newHash: sha256.New, hashSize: sha256.Size, newAEAD: newAESGCM, keySize: 16, ivSize: 12, limit: gcmLimit},
	{id: 0x1302, version: VersionTLS13, newHash: sha512.New384, hashSize: sha512.Size384, newAEAD: newAESGCM, keySize: 32, ivSize: 12, limit: gcmLimit},
	{id: 0x1303, version: VersionTLS13, newHash: sha256.New, hashSize: sha256.Size, newAEAD: chacha20poly1305.New, keySize: 32, ivSize: 12, limit: lastSequence},
	{id: 0x00c6, version: VersionTLS13, newHash: sm3.New, hashSize: sm3.Size, newAEAD: newSM4GCM, keySize: 16, ivSize: 12, limit: gcmLimit}, // RFC 8998

	{id: 0x009c, version: VersionTLS12, newAEAD: newAESGCM, keySize: 16, ivSize: 4, explicit: 8, limit: lastSequence}, // RSA (RFC 5288)
	{id: 0x009d, version: VersionTLS12, newAEAD: newAESGCM, keySize: 32, ivSize: 4, explicit: 8, limit: lastSequence},
	{id: 0xc02b, version: VersionTLS12, newAEAD: newAESGCM, keySize: 16, ivSize: 4, explicit: 8, limit: lastSequence}, // ECDHE_ECDSA (RFC 5289)
	{id: 0xc02c, version: VersionTLS12, newAEAD: newAESGCM, keySize: 32, ivSize: 4, explicit: 8, limit: lastSequence},
	{id: 0xc02f, version: VersionTLS12, newAEAD: newAESGCM, keySize: 16, ivSize: 4, explicit: 8, limit: lastSequence}, // ECDHE_RSA
	{id: 0xc030, version: VersionTLS12, newAEAD: newAESGCM, keySize: 32, ivSize: 4, explicit: 8, limit: lastSequence},
	{id: 0xcca8, version: VersionTLS12, newAEAD: chacha20poly1305.New, keySize: 32, ivSize: 12, limit: lastSequence}, // ECDHE_RSA (RFC 7905)
	{id: 0xcca9, version: VersionTLS12, newAEAD: chacha20poly1305.New, keySize: 32, ivSize: 12, limit: lastSequence}, // ECDHE_ECDSA

	{id: 0xe051, version: VersionTLCP, newAEAD: newSM4GCM, keySize: 16, ivSize: 4, explicit: 8, limit: lastSequence},             // ECDHE_SM4_GCM_SM3
	{id: 0xe053, version: VersionTLCP, newAEAD: newSM4GCM, keySize: 16, ivSize: 4, explicit: 8, limit: lastSequence},             // ECC_SM4_GCM_SM3
	{id: 0xe011, version: VersionTLCP, keySize: 16, ivSize: 16, explicit: sm4.BlockSize, macSize: sm3.Size, limit: lastSequence}, // ECDHE_SM4_CBC_SM3
	{id: 0xe013, version: VersionTLCP, keySize: 16, ivSize: 16, explicit: sm4.BlockSize, macSize: sm3.Size, limit: lastSequence}, // ECC_SM4_CBC_SM3
}

// suiteOf finds a suite. The versions matter: nothing else tells a suite of TLS 1.2 from one
// of another version with keys of the same sizes.
func suiteOf(version, id uint16) (*suite, error) {
	for _, s := range suites {
		if s.id == id && s.version == version {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no record protection for cipher suite %#04x of version %#04x", id, version)
}

// Supported reports whether a Half can be made for the suite in this version.
func Supported(version, id uint16) bool {
	_, err := suiteOf(version, id)
	return err == nil
}

// KeySizes gives the bytes of MAC key, key and IV that one direction of a suite of TLS 1.2 or
// TLCP takes from the key block (RFC 5246 §6.3, GB/T 38636 §6.5.2.3).
func KeySizes(version, id uint16) (mac, key, iv int, err error) {
	s, err := suiteOf(version, id)
	if err != nil {
		return 0, 0, 0, err
	}
	return s.macSize, s.keySize, s.ivSize, nil
}

func newAESGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func newSM4GCM(key []byte) (cipher.AEAD, error) {
	block, err := sm4.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
