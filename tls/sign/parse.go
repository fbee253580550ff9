package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxEncoded bounds a private key's encoding, in bytes.
const maxEncoded = 1 << 16

var errNoKey = errors.New("no private key in PKCS#8, PKCS#1 or SEC 1 form")

// decode returns the DER of a key that is PEM or DER already.
func decode(encoded []byte) ([]byte, error) {
	if len(encoded) == 0 || len(encoded) > maxEncoded {
		return nil, fmt.Errorf("a private key of %d bytes; allowed are 1 to %d", len(encoded), maxEncoded)
	}
	if encoded[0] == 0x30 { // SEQUENCE
		return encoded, nil
	}
	for rest := encoded; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errNoKey
		}
		switch block.Type {
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the private key is encrypted")
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, errors.New("the private key is encrypted")
			}
			if len(block.Bytes) == 0 {
				return nil, errNoKey
			}
			return block.Bytes, nil
		}
	}
}

// A keyType is what the outer layers of an encoded key say of it.
type keyType uint8

const (
	other keyType = iota // what only a full parse can tell
	rsaKey
	p256Key
	p521Key
)

// openssl reports whether OpenSSL 3.0 signs faster than Go with such a key.
// Measured: RSA-2048 3 times, P-521 twice, P-256 1.2 times as fast; with P-384 Go
// is 3 times, with Ed25519 5 times as fast.
func (t keyType) openssl() bool { return t != other }

var (
	oidRSA  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidEC   = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidP256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}
	oidP521 = asn1.ObjectIdentifier{1, 3, 132, 0, 35}
)

// typeOf reads as much of a key as its type needs, so that the numbers of a
// key for OpenSSL never become Go values.
func typeOf(der []byte) (keyType, error) {
	in := cryptobyte.String(der)
	var key, algorithm, params cryptobyte.String
	var version int
	if !in.ReadASN1(&key, cbasn1.SEQUENCE) || !in.Empty() {
		return 0, errNoKey
	}
	if key.PeekASN1Tag(cbasn1.SEQUENCE) {
		return 0, errors.New("the private key is encrypted") // RFC 5958 section 3
	}
	if !key.ReadASN1Integer(&version) {
		return 0, errNoKey
	}
	switch {
	case key.PeekASN1Tag(cbasn1.INTEGER): // PKCS#1: the modulus follows
		return rsaKey, nil
	case key.PeekASN1Tag(cbasn1.OCTET_STRING): // SEC 1: the number, then [0] the curve
		if key.SkipASN1(cbasn1.OCTET_STRING) && key.ReadASN1(&params, cbasn1.Tag(0).Constructed().ContextSpecific()) {
			return curve(params), nil
		}
		return other, nil
	case key.ReadASN1(&algorithm, cbasn1.SEQUENCE): // PKCS#8
		var id asn1.ObjectIdentifier
		if !algorithm.ReadASN1ObjectIdentifier(&id) {
			return 0, errNoKey
		}
		if id.Equal(oidRSA) {
			return rsaKey, nil
		}
		if id.Equal(oidEC) {
			return curve(algorithm), nil
		}
		return other, nil
	}
	return 0, errNoKey
}

func curve(params cryptobyte.String) keyType {
	var id asn1.ObjectIdentifier
	switch {
	case !params.ReadASN1ObjectIdentifier(&id):
		return other
	case id.Equal(oidP256):
		return p256Key
	case id.Equal(oidP521):
		return p521Key
	}
	return other
}

// parse makes a Go key of DER.
func parse(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if k, e := x509.ParsePKCS1PrivateKey(der); e == nil {
			key, err = k, nil
		} else if k, e := x509.ParseECPrivateKey(der); e == nil {
			key, err = k, nil
		}
	}
	if err != nil {
		return nil, errNoKey
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if n := k.N.BitLen(); n < 1024 || n > 16384 {
			return nil, fmt.Errorf("an RSA key of %d bits; allowed are 1024 to 16384", n)
		}
		return k, nil
	case *ecdsa.PrivateKey:
		if c := k.Curve; c != elliptic.P256() && c != elliptic.P384() && c != elliptic.P521() {
			return nil, fmt.Errorf("an ECDSA key on %s; allowed are P-256, P-384 and P-521", c.Params().Name)
		}
		return k, nil
	case crypto.Signer:
		return k, nil
	}
	return nil, fmt.Errorf("a private key of type %T does not sign", key)
}
