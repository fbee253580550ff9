package certificate

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"errors"

	sm2ecdh "github.com/emmansun/gmsm/ecdh"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Object identifiers, as the content of their DER.
const (
	oidRSA     = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01" // 1.2.840.113549.1.1.1, rsaEncryption
	oidEC      = "\x2a\x86\x48\xce\x3d\x02\x01"         // 1.2.840.10045.2.1, id-ecPublicKey
	oidSM2     = "\x2a\x81\x1c\xcf\x55\x01\x82\x2d"     // 1.2.156.10197.1.301, both the curve and, in some files, the algorithm
	oidEd25519 = "\x2b\x65\x70"                         // 1.3.101.112
	oidP256    = "\x2a\x86\x48\xce\x3d\x03\x01\x07"     // 1.2.840.10045.3.1.7
	oidP384    = "\x2b\x81\x04\x00\x22"                 // 1.3.132.0.34
	oidP521    = "\x2b\x81\x04\x00\x23"                 // 1.3.132.0.35
)

// What may be wrong with a key. None of them tells anything of the key.
var (
	errBrokenKey    = errors.New("the private key is damaged: its structure cannot be read")
	errUnknownKey   = errors.New("a private key of an unknown kind; RSA, ECDSA (P-256, P-384, P-521), Ed25519 and SM2 can be used")
	errUnknownCurve = errors.New("a private key on an unknown curve; P-256, P-384, P-521 and SM2 can be used")
)

func curveWords(oid []byte) string {
	switch string(oid) {
	case oidP256:
		return "ecdsa P-256"
	case oidP384:
		return "ecdsa P-384"
	case oidP521:
		return "ecdsa P-521"
	case oidSM2:
		return "sm2"
	}
	return ""
}

// rsaPublic makes PKCS#1's RSAPublicKey of its RSAPrivateKey (RFC 8017, appendix A.1).
func rsaPublic(private cryptobyte.String) ([]byte, bool) {
	var key, modulus, exponent cryptobyte.String
	var version int
	if !private.ReadASN1(&key, asn1.SEQUENCE) || !key.ReadASN1Integer(&version) ||
		!key.ReadASN1Element(&modulus, asn1.INTEGER) || !key.ReadASN1Element(&exponent, asn1.INTEGER) {
		return nil, false
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(modulus)
		b.AddBytes(exponent)
	})
	public, err := b.Bytes()
	return public, err == nil
}

// A sec1Key is SEC 1's ECPrivateKey (RFC 5915).
type sec1Key struct {
	scalar, curve, point []byte // curve and point may be missing
}

func readSEC1(der []byte) (k sec1Key, ok bool) {
	input := cryptobyte.String(der)
	var outer, explicit cryptobyte.String
	var version int
	var present bool
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !outer.ReadASN1Integer(&version) || version != 1 ||
		!outer.ReadASN1Bytes(&k.scalar, asn1.OCTET_STRING) ||
		!outer.ReadOptionalASN1(&explicit, &present, asn1.Tag(0).ContextSpecific().Constructed()) {
		return k, false
	}
	if present && !explicit.ReadASN1Bytes(&k.curve, asn1.OBJECT_IDENTIFIER) {
		return k, false
	}
	if !outer.ReadOptionalASN1(&explicit, &present, asn1.Tag(1).ContextSpecific().Constructed()) {
		return k, false
	}
	if present && !explicit.ReadASN1BitStringAsBytes(&k.point) {
		return k, false
	}
	return k, true
}

// ecPublic gives the uncompressed public point: as it is written in the key, else multiplied
// out (10 µs on P-256).
func ecPublic(private cryptobyte.String, curve []byte) ([]byte, bool) {
	k, ok := readSEC1(private)
	if !ok || len(k.scalar) == 0 || (k.curve != nil && string(k.curve) != string(curve)) {
		return nil, false
	}
	size := map[string]int{oidP256: 32, oidP384: 48, oidP521: 66, oidSM2: 32}[string(curve)]
	if len(k.point) == 1+2*size && k.point[0] == 4 {
		return k.point, true
	}
	if len(k.scalar) > size { // some writers put zeros in front, some leave them out
		k.scalar = k.scalar[len(k.scalar)-size:]
	}
	scalar := make([]byte, size)
	defer clear(scalar)
	copy(scalar[size-len(k.scalar):], k.scalar)
	if string(curve) == oidSM2 {
		key, err := sm2ecdh.P256().NewPrivateKey(scalar)
		if err != nil {
			return nil, false
		}
		return key.PublicKey().Bytes(), true
	}
	key, err := stdCurve(curve).NewPrivateKey(scalar)
	if err != nil {
		return nil, false
	}
	return key.PublicKey().Bytes(), true
}

func stdCurve(oid []byte) ecdh.Curve {
	switch string(oid) {
	case oidP384:
		return ecdh.P384()
	case oidP521:
		return ecdh.P521()
	}
	return ecdh.P256()
}

// ed25519Public derives the public key of RFC 8410's CurvePrivateKey.
func ed25519Public(private cryptobyte.String) ([]byte, bool) {
	var seed []byte
	if !private.ReadASN1Bytes(&seed, asn1.OCTET_STRING) || len(seed) != ed25519.SeedSize {
		return nil, false
	}
	key := ed25519.NewKeyFromSeed(seed)
	defer clear(key)
	return append([]byte(nil), key[ed25519.SeedSize:]...), true
}
