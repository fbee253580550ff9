//go:build cgo && !noopenssl

package openssl

// #include "evp.h"
import "C"

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"
)

// Sign signs digest as the crypto.Signer of Go's key of that type does: RSA
// by PKCS#1 v1.5, or by PSS when opts is *rsa.PSSOptions; ECDSA in ASN.1 form;
// Ed25519 with opts.HashFunc() == 0 and the message itself for digest. Hashes:
// SHA-1, SHA-256, SHA-384, SHA-512, and MD5SHA1 for RSA by PKCS#1 v1.5; the
// digest must have its hash's length. The source of randomness is OpenSSL's; the
// argument is ignored.
func (k *Key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil {
		return nil, errors.New("openssl: no hash named")
	}
	hash := opts.HashFunc()
	if k.kind != C.longmen_ed25519 {
		if !known(hash) {
			return nil, fmt.Errorf("openssl: no signatures with the hash %v", hash)
		}
		if len(digest) != hash.Size() {
			return nil, fmt.Errorf("openssl: a digest of %d bytes, %v has %d", len(digest), hash, hash.Size())
		}
	}
	if !k.held.use() {
		return nil, ErrClosed
	}
	defer runtime.KeepAlive(k)
	defer k.held.release()
	switch k.kind {
	case C.longmen_rsa:
		return k.signRSA(digest, hash, opts)
	case C.longmen_ec:
		return k.signEC(digest, hash)
	default:
		return k.signMessage(digest, hash)
	}
}

func known(hash crypto.Hash) bool {
	switch hash {
	case crypto.MD5SHA1, crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512:
		return true
	}
	return false
}

func (k *Key) signRSA(digest []byte, hash crypto.Hash, opts crypto.SignerOpts) ([]byte, error) {
	salt := -1
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		var err error
		if salt, err = k.salt(pss, hash); err != nil {
			return nil, err
		}
	}
	sig := make([]byte, k.size)
	return result(sig, C.longmen_sign_rsa(k.held.key, C.int(hash.Size()*8), C.int(salt), data(digest), C.size_t(len(digest)), data(sig), C.size_t(len(sig))))
}

// salt is the length of the salt that opts ask for, in bytes.
func (k *Key) salt(opts *rsa.PSSOptions, hash crypto.Hash) (int, error) {
	if hash == crypto.MD5SHA1 {
		return 0, errors.New("openssl: no PSS with MD5SHA1")
	}
	room := (k.public.(*rsa.PublicKey).N.BitLen()-1+7)/8 - 2 - hash.Size() // RFC 8017 section 9.1.1
	salt := opts.SaltLength
	switch salt {
	case rsa.PSSSaltLengthAuto:
		salt = room
	case rsa.PSSSaltLengthEqualsHash:
		salt = hash.Size()
	}
	if salt < 0 || salt > room {
		return 0, fmt.Errorf("openssl: a salt of %d bytes with %v, the key has room for %d", salt, hash, room)
	}
	return salt, nil
}

func (k *Key) signEC(digest []byte, hash crypto.Hash) ([]byte, error) {
	if hash == crypto.MD5SHA1 {
		return nil, errors.New("openssl: no ECDSA with MD5SHA1")
	}
	sig := make([]byte, k.size)
	done := C.longmen_sign_ec(k.held.key, k.held.context(), data(digest), C.size_t(len(digest)), data(sig), C.size_t(len(sig)))
	k.held.putContext(done.context)
	return result(sig, done)
}

func (k *Key) signMessage(message []byte, hash crypto.Hash) ([]byte, error) {
	if hash != 0 {
		return nil, errors.New("openssl: Ed25519 signs messages, not digests")
	}
	sig := make([]byte, k.size)
	return result(sig, C.longmen_sign_message(k.held.key, data(message), C.size_t(len(message)), data(sig), C.size_t(len(sig))))
}

func data(b []byte) *C.uchar { return (*C.uchar)(unsafe.Pointer(unsafe.SliceData(b))) }

func result(sig []byte, done C.longmen_signature) ([]byte, error) {
	if err := takeError(done.error); err != nil {
		return nil, err
	}
	return sig[:done.len], nil
}
