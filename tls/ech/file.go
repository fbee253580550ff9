package ech

import (
	"bytes"
	"crypto/ecdh"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
)

const (
	// maxPEM bounds a file, in bytes.
	maxPEM = 1 << 16
	// MaxKeys bounds the keys of a listener: every one whose id fits is tried.
	MaxKeys = 16

	typePrivate = "PRIVATE KEY"
	typeConfig  = "ECHCONFIG"
)

// Parse reads the keys of a PEM file (RFC 9934): a "PRIVATE KEY" (PKCS#8, X25519) and the
// "ECHCONFIG" that follows it, an ECHConfigList; such pairs may follow one another. Of a list
// it takes what is of RFC 9849 with X25519. Errors hold nothing of the private key.
func Parse(text []byte) ([]*Key, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("more than %d bytes", maxPEM)
	}
	var keys []*Key
	var private *ecdh.PrivateKey
	for rest := text; ; {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = after
		switch block.Type {
		case typePrivate:
			if private != nil {
				return nil, errors.New("two private keys without an ECHCONFIG between them")
			}
			var err error
			if private, err = readPrivate(block.Bytes); err != nil {
				return nil, err
			}
		case typeConfig:
			if private == nil {
				return nil, errors.New("an ECHCONFIG without a private key before it (RFC 9934)")
			}
			of, err := readList(block.Bytes, private)
			if err != nil {
				return nil, err
			}
			if keys, private = append(keys, of...), nil; len(keys) > MaxKeys {
				return nil, fmt.Errorf("more than %d keys", MaxKeys)
			}
		default:
			return nil, fmt.Errorf("a block of type %q among ECH keys: they are PRIVATE KEY and ECHCONFIG (RFC 9934)", clip(block.Type))
		}
	}
	switch {
	case private != nil:
		return nil, errors.New("a private key without an ECHCONFIG behind it (RFC 9934)")
	case len(keys) == 0:
		return nil, errors.New("no ECH key: want PRIVATE KEY and ECHCONFIG in PEM (RFC 9934), as longmen cert --ech makes them")
	}
	return keys, nil
}

func readPrivate(der []byte) (*ecdh.PrivateKey, error) {
	defer clear(der) // a copy of our own, out of PEM
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("the private key is no PKCS#8")
	}
	if private, ok := parsed.(*ecdh.PrivateKey); ok && private.Curve() == ecdh.X25519() {
		return private, nil
	}
	return nil, errors.New("a private key of another kind: those of ECH are X25519")
}

// readList reads an ECHConfigList.
func readList(list []byte, private *ecdh.PrivateKey) ([]*Key, error) {
	s := cryptobyte.String(list)
	var configs cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&configs) || !s.Empty() || configs.Empty() {
		return nil, errors.New("a malformed ECHConfigList")
	}
	var keys []*Key
	for !configs.Empty() {
		whole := configs
		var v uint16
		var contents cryptobyte.String
		if !configs.ReadUint16(&v) || !configs.ReadUint16LengthPrefixed(&contents) {
			return nil, errors.New("a malformed ECHConfigList")
		}
		k, err := readConfig(bytes.Clone(whole[:4+len(contents)]))
		if err == errOther {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(k.public(), private.PublicKey().Bytes()) {
			return nil, fmt.Errorf("the private key is not that of the ECHCONFIG for %s", k.PublicName)
		}
		k.private = private
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errOther
	}
	return keys, nil
}

// PEM is the key as Parse reads it.
func (k *Key) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: typePrivate, Bytes: der})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: typeConfig, Bytes: k.List()})...), nil
}
