package tls13

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/tls"
	"errors"
	"io"
)

var errShare = errors.New("not a share of the group")

// newShare is a server's part in a key exchange of one of the groups of standardGroup.
func newShare(group uint16, random io.Reader) (share, error) {
	curve := ecdh.X25519()
	switch tls.CurveID(group) {
	case tls.CurveP256:
		curve = ecdh.P256()
	case tls.CurveP384:
		curve = ecdh.P384()
	case tls.CurveP521:
		curve = ecdh.P521()
	}
	key, err := curve.GenerateKey(random)
	if err != nil {
		return nil, err
	}
	if tls.CurveID(group) == tls.X25519MLKEM768 {
		return &hybridShare{x25519: curveShare{key}}, nil
	}
	return curveShare{key}, nil
}

// curveShare is a part in ECDH (RFC 8446 §4.2.8.2, §7.4.2).
type curveShare struct{ key *ecdh.PrivateKey }

func (s curveShare) public() []byte { return s.key.PublicKey().Bytes() }

func (s curveShare) shared(peer []byte) ([]byte, error) {
	public, err := s.key.Curve().NewPublicKey(peer)
	if err != nil {
		return nil, errShare
	}
	return s.key.ECDH(public) // fails for a point of small order
}

// hybridShare is a server's part in X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem): ML-KEM's comes
// first in all that is sent and shared. Its public part answers the client's, and is there once
// shared was called.
type hybridShare struct {
	x25519     curveShare
	ciphertext []byte
}

func (s *hybridShare) public() []byte { return append(s.ciphertext, s.x25519.public()...) }

func (s *hybridShare) shared(peer []byte) ([]byte, error) {
	if len(peer) != mlkem.EncapsulationKeySize768+32 {
		return nil, errShare
	}
	key, err := mlkem.NewEncapsulationKey768(peer[:mlkem.EncapsulationKeySize768])
	if err != nil {
		return nil, errShare
	}
	classic, err := s.x25519.shared(peer[mlkem.EncapsulationKeySize768:])
	if err != nil {
		return nil, err
	}
	secret, ciphertext := key.Encapsulate()
	s.ciphertext = ciphertext
	return append(secret, classic...), nil
}
