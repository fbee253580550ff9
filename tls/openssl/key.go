//go:build cgo && !noopenssl

package openssl

/*
#cgo LDFLAGS: -lcrypto
#cgo noescape longmen_sign_rsa
#cgo nocallback longmen_sign_rsa
#cgo noescape longmen_sign_ec
#cgo nocallback longmen_sign_ec
#cgo noescape longmen_sign_message
#cgo nocallback longmen_sign_message
#include <stdlib.h>
#include <openssl/crypto.h>
#include "evp.h"
*/
import "C"

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Available reports whether this build has OpenSSL in it.
func Available() bool { return true }

// Version is the text by which libcrypto names itself, as
// "OpenSSL 3.0.19 27 Jan 2026".
func Version() string { return C.GoString(C.OpenSSL_version(C.OPENSSL_VERSION)) }

// Bounds of an RSA modulus, in bits. crypto/rsa has the same lower one.
const (
	minRSA = 1024
	maxRSA = 16384
)

// maxDER bounds a private key's encoding, in bytes; one of RSA-16384 has 9,300.
const maxDER = 1 << 16

// A Key is a private key that OpenSSL holds: RSA, ECDSA on P-256, P-384 or
// P-521, or Ed25519. Several goroutines may use it at once. It is freed by
// Close, or when it is garbage.
type Key struct {
	held   *held
	public crypto.PublicKey
	kind   C.int
	size   int // of the longest signature, bytes
}

// Load gives OpenSSL the private key in der: PKCS#8 (RFC 5958, not encrypted),
// PKCS#1 (RFC 8017) or SEC 1 (RFC 5915). The numbers of the key must belong
// together, and RSA must have two primes. der is not kept; wiping it is the
// caller's duty. It takes some 0.2 ms. Errors other than
// ErrSecureHeapFull say in words what is wrong with the key.
func Load(der []byte) (*Key, error) {
	if len(der) == 0 || len(der) > maxDER {
		return nil, fmt.Errorf("openssl: a private key of %d bytes", len(der))
	}
	return newKey(C.longmen_load((*C.uchar)(unsafe.Pointer(unsafe.SliceData(der))), C.size_t(len(der)), secureReserve))
}

// newKey makes a Key of what C loaded.
func newKey(loaded C.longmen_key) (*Key, error) {
	if loaded.secure_heap_full != 0 {
		return nil, ErrSecureHeapFull
	}
	if err := takeError(loaded.error); err != nil {
		return nil, err
	}
	h := hold(loaded.key, loaded.engine)
	spki := C.GoBytes(unsafe.Pointer(loaded.spki), loaded.spki_len)
	C.longmen_free_bytes(unsafe.Pointer(loaded.spki))
	public, err := parsePublic(spki)
	if err != nil {
		h.close()
		return nil, err
	}
	k := &Key{held: h, public: public, kind: loaded.kind, size: int(loaded.size)}
	runtime.AddCleanup(k, (*held).close, h)
	return k, nil
}

func parsePublic(spki []byte) (crypto.PublicKey, error) {
	public, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, fmt.Errorf("openssl: the public key: %w", err)
	}
	switch p := public.(type) {
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < minRSA || n > maxRSA {
			return nil, fmt.Errorf("openssl: an RSA key of %d bits; allowed are %d to %d", n, minRSA, maxRSA)
		}
	case *ecdsa.PublicKey:
		if c := p.Curve; c != elliptic.P256() && c != elliptic.P384() && c != elliptic.P521() {
			return nil, fmt.Errorf("openssl: an ECDSA key on %s; allowed are P-256, P-384 and P-521", c.Params().Name)
		}
	}
	return public, nil
}

// takeError makes a Go error of one that C returned, and frees that.
func takeError(text *C.char) error {
	if text == nil {
		return nil
	}
	err := errors.New("openssl: " + C.GoString(text))
	C.free(unsafe.Pointer(text))
	return err
}

// Public returns the public half: *rsa.PublicKey, *ecdsa.PublicKey or
// ed25519.PublicKey.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Close frees the key; a signature under way ends first. Every later Sign
// fails with ErrClosed. Closing twice is allowed.
func (k *Key) Close() { k.held.close() }
