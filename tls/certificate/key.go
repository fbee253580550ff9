package certificate

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"longmen/tls/openssl"
)

// A readyKey is a private key as it was read, with its public half, by which it is compared.
type readyKey struct {
	pkcs8  []byte // DER
	uri    string // instead of pkcs8: a PKCS#11 URI
	public []byte // the content of SubjectPublicKeyInfo's bit string; nil for a URI
	words  string // what it is, for messages
}

// readKey finds the private key in a PEM file, or takes a URI as it is.
func readKey(pair Pair) (*readyKey, error) {
	if len(pair.Key) > maxPEM {
		return nil, fmt.Errorf("%s: more than %d bytes", pair.KeyFrom, maxPEM)
	}
	text := bytes.TrimSpace(pair.Key)
	if bytes.HasPrefix(text, []byte("pkcs11:")) {
		if err := openssl.CheckURI(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", pair.KeyFrom, err)
		}
		return &readyKey{uri: string(text), words: "in a token"}, nil
	}
	var otherType string
	for rest := text; ; {
		rest = passOver(rest, isPrivateKey, &otherType)
		block, after := pem.Decode(rest)
		if block == nil {
			return nil, noKey(pair, text, otherType)
		}
		rest = after
		if !isPrivateKey(block.Type) {
			otherType = block.Type
			continue
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, fmt.Errorf("%s: the key is encrypted with a passphrase; write it without one (openssl pkey -in FILE -out NEW, mode 0600), or keep it in a token and give its pkcs11: URI", pair.KeyFrom)
		}
		key, err := scanKey(block)
		if err != nil || &key.pkcs8[0] != &block.Bytes[0] {
			clear(block.Bytes)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pair.KeyFrom, err)
		}
		return key, nil
	}
}

func isPrivateKey(blockType string) bool { return strings.HasSuffix(blockType, "PRIVATE KEY") }

func noKey(pair Pair, text []byte, otherType string) error {
	switch {
	case len(text) == 0:
		return fmt.Errorf("%s: no private key, it is empty", pair.KeyFrom)
	case otherType == "CERTIFICATE":
		return fmt.Errorf("%s: a certificate where the private key should be; are the two swapped?", pair.KeyFrom)
	case otherType == "PUBLIC KEY":
		return fmt.Errorf("%s: a public key where the private key should be", pair.KeyFrom)
	case otherType != "":
		return fmt.Errorf("%s: no private key, only a block of type %q", pair.KeyFrom, clip(otherType))
	case text[0] == 0x30:
		return fmt.Errorf("%s: not PEM, it looks like DER; convert it with: openssl pkey -inform der -in FILE -out FILE.pem", pair.KeyFrom)
	}
	return fmt.Errorf(`%s: no private key: nothing in it begins with "-----BEGIN PRIVATE KEY-----"`, pair.KeyFrom)
}

// scanKey reads as much of a key as tells its public half; errors hold nothing of the key. PKCS#8
// is kept where it is.
func scanKey(block *pem.Block) (*readyKey, error) {
	switch block.Type {
	case "PRIVATE KEY":
		return scanPKCS8(block.Bytes)
	case "RSA PRIVATE KEY":
		return scanPKCS8(wrap(block.Bytes, oidRSA, nil))
	case "EC PRIVATE KEY":
		sec1, ok := readSEC1(block.Bytes)
		if !ok || sec1.curve == nil {
			return nil, errBrokenKey
		}
		return scanPKCS8(wrap(block.Bytes, oidEC, sec1.curve))
	}
	return nil, fmt.Errorf("a key of type %q; RSA, ECDSA, Ed25519 and SM2 keys in PKCS#8, PKCS#1 or SEC 1 can be used", clip(block.Type))
}

// scanPKCS8 reads RFC 5958's OneAsymmetricKey.
func scanPKCS8(der []byte) (*readyKey, error) {
	input := cryptobyte.String(der)
	var outer, algorithm, parameters, private cryptobyte.String
	var version int
	var oid []byte
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1Integer(&version) || !outer.ReadASN1(&algorithm, asn1.SEQUENCE) ||
		!algorithm.ReadASN1Bytes(&oid, asn1.OBJECT_IDENTIFIER) || !outer.ReadASN1(&private, asn1.OCTET_STRING) {
		return nil, errBrokenKey
	}
	parameters = algorithm
	key := &readyKey{pkcs8: der}
	ok := false
	switch string(oid) {
	case oidRSA:
		key.words = "rsa"
		key.public, ok = rsaPublic(private)
	case oidEC, oidSM2:
		var curve []byte
		if !parameters.ReadASN1Bytes(&curve, asn1.OBJECT_IDENTIFIER) {
			return nil, errBrokenKey
		}
		if key.words = curveWords(curve); key.words == "" {
			return nil, errUnknownCurve
		}
		key.public, ok = ecPublic(private, curve)
	case oidEd25519:
		key.words = "ed25519"
		key.public, ok = ed25519Public(private)
	default:
		return nil, errUnknownKey
	}
	if !ok {
		return nil, errBrokenKey
	}
	return key, nil
}

// wrap puts a PKCS#1 or SEC 1 key into PKCS#8; parameters is the content of a curve's object
// identifier, or nil for RSA's NULL.
func wrap(private []byte, oid string, parameters []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(oid)) })
			if parameters == nil {
				b.AddASN1NULL()
			} else {
				b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(parameters) })
			}
		})
		b.AddASN1OctetString(private)
	})
	return b.BytesOrPanic() // only lengths over 4 GB fail, and the input is bounded
}

// owner finds the certificate that the key belongs to. A key in a token is not asked for its
// public half here: its certificate has to be the first.
func (k *readyKey) owner(links []*link, pair Pair) (*link, error) {
	if k.public == nil {
		return links[0], nil
	}
	for _, l := range links {
		if bits, ok := publicBits(l.publicKey); ok && bytes.Equal(bits, k.public) {
			return l, nil
		}
	}
	return nil, fmt.Errorf("%s: the key (%s) is not that of the certificate for %q in %s; give the key that its certificate request was made with", pair.KeyFrom, k.words, commonName(links[0]), pair.CertFrom)
}

// publicBits gives the bit string of a SubjectPublicKeyInfo.
func publicBits(info []byte) ([]byte, bool) {
	input := cryptobyte.String(info)
	var outer cryptobyte.String
	var bits []byte
	ok := input.ReadASN1(&outer, asn1.SEQUENCE) && outer.SkipASN1(asn1.SEQUENCE) && outer.ReadASN1BitStringAsBytes(&bits)
	return bits, ok
}
