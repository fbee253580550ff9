// Package sign holds the private keys of TLS and the threads that sign with
// the dear ones.
//
// [Load] puts a key where its signatures are cheapest: OpenSSL or Go. An RSA
// signature takes a quarter of a millisecond and more, which a worker's loop
// must not spend; [Pool] makes it on threads of the lowest priority, with a
// bounded queue that is fair between keys. [Key.Inline] says which way a key
// goes.
package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"longmen/tls/openssl"
)

// A Policy says where private keys may be held.
type Policy uint8

// The policies, as tls.crypto names them.
const (
	Auto    Policy = iota // where that type of key is fastest; Go when OpenSSL is not in the build
	OpenSSL               // in OpenSSL, or not at all
	Go                    // in Go
)

// ParsePolicy reads "auto", "openssl" or "go".
func ParsePolicy(s string) (Policy, error) {
	switch s {
	case "auto":
		return Auto, nil
	case "openssl":
		return OpenSSL, nil
	case "go":
		return Go, nil
	}
	return 0, fmt.Errorf("%q is none of auto, openssl, go", s)
}

// String is the policy's name, as ParsePolicy reads it.
func (p Policy) String() string { return [...]string{"auto", "openssl", "go"}[p] }

// A Key is a private key: a crypto.Signer for crypto/tls, and for the Pool a
// flow of its own. Its signatures are safe for use by several goroutines.
type Key struct {
	signer  crypto.Signer
	backend string
	name    string
	inline  bool
	brief   bool
	flow    Flow
}

// Load reads a private key, PEM (the first block that is one) or DER, in PKCS#8
// (not encrypted), PKCS#1 or SEC 1 form: RSA of 1024 to 16384 bits, ECDSA on
// P-256, P-384 or P-521, or Ed25519. encoded is not kept. Errors say what is
// wrong and never cite the key. It takes some 0.2 ms for a key that OpenSSL gets.
//
// When OpenSSL's secure heap is full, Auto puts the key in Go.
func Load(encoded []byte, p Policy) (*Key, error) {
	der, err := decode(encoded)
	if err != nil {
		return nil, err
	}
	if &der[0] != &encoded[0] {
		defer clear(der) // a copy of our own, out of PEM
	}
	t, err := typeOf(der)
	if err != nil {
		return nil, err
	}
	if p == OpenSSL || p == Auto && t.openssl() && openssl.Available() {
		k, err := openssl.Load(der)
		switch {
		case err == nil:
			return newKey(k, "openssl"), nil
		case p == OpenSSL || !errors.Is(err, openssl.ErrSecureHeapFull):
			return nil, err
		}
		// One key more than the secure heap was made for serves all the same,
		// in Go; Backend tells.
	}
	signer, err := parse(der)
	if err != nil {
		return nil, err
	}
	return newKey(signer, "go"), nil
}

// LoadPKCS11 takes a key of a PKCS#11 token by its URI (RFC 7512). Its
// signatures may wait for a device, so they are the Pool's.
func LoadPKCS11(uri string, t openssl.Token) (*Key, error) {
	signer, err := openssl.LoadPKCS11(uri, t)
	if err != nil {
		return nil, err
	}
	k := newKey(signer, "pkcs11")
	k.inline, k.brief = false, false
	return k, nil
}

func newKey(signer crypto.Signer, backend string) *Key {
	k := &Key{signer: signer, backend: backend, brief: true}
	switch p := signer.Public().(type) {
	case *rsa.PublicKey:
		k.name = fmt.Sprintf("RSA-%d", p.N.BitLen())
		k.brief = p.N.BitLen() <= 2048 && backend != "go"
	case *ecdsa.PublicKey:
		k.name = "ECDSA " + p.Curve.Params().Name
		k.inline = p.Curve == elliptic.P256()
	case ed25519.PublicKey:
		k.name = "Ed25519"
		k.inline = true
	}
	return k
}

// Public returns the public half: *rsa.PublicKey, *ecdsa.PublicKey or
// ed25519.PublicKey.
func (k *Key) Public() crypto.PublicKey { return k.signer.Public() }

// Sign signs digest, on the calling thread, as crypto.Signer says.
func (k *Key) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.signer.Sign(rand, digest, opts)
}

// Backend says who holds the key: "openssl", "go" or "pkcs11".
func (k *Key) Backend() string { return k.backend }

// Inline reports whether a signature is so cheap (P-256 some 20 µs, Ed25519 16)
// that a worker's loop had better make it itself: the way to the Pool and back
// costs some 4 µs of CPU and, more, a wait at the lowest priority.
func (k *Key) Inline() bool { return k.inline }

// Brief reports whether a signature takes less than half a millisecond, so that
// a worker's loop had better make it itself, when other work has had its turn:
// handing it to the Pool and back costs a third as much again. RSA keys of more than
// 2048 bits, and keys in devices, are the Pool's.
func (k *Key) Brief() bool { return k.brief }

// Flow is the queue of the key's own work in the Pool.
func (k *Key) Flow() *Flow { return &k.flow }

// Close frees what the key holds outside Go, if anything; later signatures
// may fail. What is not closed is freed when it is garbage.
func (k *Key) Close() {
	if c, ok := k.signer.(interface{ Close() }); ok {
		c.Close()
	}
}

// String is the key's type and who holds it, as "RSA-2048 (openssl)".
func (k *Key) String() string { return k.name + " (" + k.backend + ")" }

// Format writes String for every verb: no way of printing shows the key.
func (k *Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }
