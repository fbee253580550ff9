//go:build !cgo || noopenssl

package openssl

import (
	"crypto"
	"io"
)

// Available reports whether this build has OpenSSL in it.
func Available() bool { return false }

// Version is the text by which libcrypto names itself, "" without it.
func Version() string { return "" }

// InitSecureHeap fails: there is no OpenSSL.
func InitSecureHeap(keys int) (SecureHeap, error) { return SecureHeap{}, ErrUnavailable }

// SecureHeapUsed is 0: there is no OpenSSL.
func SecureHeapUsed() int { return 0 }

// A Key cannot be had in this build.
type Key struct{ public crypto.PublicKey }

// Load fails: there is no OpenSSL.
func Load(der []byte) (*Key, error) { return nil, ErrUnavailable }

// LoadPKCS11 fails: there is no OpenSSL.
func LoadPKCS11(uri string, t Token) (*Key, error) { return nil, ErrUnavailable }

// Public returns the public half of the key.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign fails: there is no OpenSSL.
func (k *Key) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return nil, ErrUnavailable
}

// Close does nothing.
func (k *Key) Close() {}
