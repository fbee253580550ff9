// Package openssl holds private keys in OpenSSL's libcrypto and signs with
// them there: a thin binding of EVP by cgo, for libcrypto 3.0 and later.
//
// A [Key] is a crypto.Signer, so crypto/tls uses it like any other. What it
// adds over Go's own keys: RSA and P-256 signatures are cheaper, the private
// numbers never stand in Go's heap and may stand in OpenSSL's secure heap
// ([InitSecureHeap]), and a key may live in a PKCS#11 token ([LoadPKCS11]).
// Only signatures are offered: no decryption, so the RSA key exchange of
// TLS 1.2, which is weak anyway, is never chosen with such keys.
//
// Two builds lack it: with CGO_ENABLED=0, and with the build tag "noopenssl",
// which is for machines with a C compiler but without OpenSSL's headers.
// There [Available] is false and every load fails with [ErrUnavailable].
package openssl

import "errors"

var (
	// ErrUnavailable says that this build has no OpenSSL in it.
	ErrUnavailable = errors.New("openssl: not in this build (it was made without cgo, or with the build tag noopenssl)")
	// ErrClosed says that a key was used after its Close.
	ErrClosed = errors.New("openssl: the key is closed")
	// ErrSecureHeapFull says that OpenSSL's secure heap has no room for one
	// more key. It cannot grow: give InitSecureHeap a greater number.
	ErrSecureHeapFull = errors.New("openssl: the secure heap is full")
)

// SecureHeap describes OpenSSL's secure heap: memory of the process for the
// numbers of private keys, between guard pages, locked (it is never written
// to swap), left out of core dumps and wiped when it is freed.
type SecureHeap struct {
	Size   int  // bytes; 0 when there is none
	Locked bool // false: the system refused mlock or a guard page
}

// Bounds of the secure heap's size, in bytes, and what is reckoned for one key:
// RSA-4096 takes 1,792 bytes of it, RSA-2048 896, P-256 32.
const (
	minSecureHeap = 1 << 20
	maxSecureHeap = 1 << 28
	secureKeySize = 2 << 10
	// What Load leaves free: signatures take their temporary numbers, and each
	// thread its random generators, from the secure heap, and fail when it is full.
	secureReserve = 64 << 10
)

// secureHeapSize is the secure heap for that many keys: a power of two, as
// OpenSSL demands.
func secureHeapSize(keys int) int {
	size := minSecureHeap
	for size < maxSecureHeap && (size-secureReserve)/secureKeySize < keys {
		size *= 2
	}
	return size
}

// A Token says how keys in a PKCS#11 token are reached.
type Token struct {
	// Module is the token's PKCS#11 library, as /usr/lib/softhsm/libsofthsm2.so.
	// Empty: the one that the URI (module-path), else OpenSSL's configuration names. An ENGINE has one module
	// a process: that of the first key counts. A provider takes its module from
	// OpenSSL's configuration alone.
	Module string
	// PIN is used when the URI names neither pin-value nor pin-source. The first
	// key that comes opens its token for the process.
	PIN string
	// Refused remembers the PINs that tokens refused, which are not tried again:
	// another one is, that stands in the same file by then. Nil remembers none.
	Refused *RefusedPINs
}
