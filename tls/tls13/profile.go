package tls13

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"hash"
	"io"

	"longmen/tls/record"

	"github.com/emmansun/gmsm/ecdh"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
)

// A profile is the set of algorithms that a handshake uses. The protocol around them is that
// of RFC 8446 whatever they are; the tests run it with those of crypto/tls too, to have it
// judged by an implementation that is not ours.
type profile struct {
	suite  uint16
	group  uint16
	scheme uint16

	newHash  func() hash.Hash // of the transcript and the key schedule
	newShare func(random io.Reader) (share, error)
	half     func(trafficSecret []byte) (*record.Half, error)

	// sign signs message, which is not hashed yet.
	sign func(random io.Reader, key crypto.Signer, message []byte) ([]byte, error)
	// verify reports whether signature is key's on message. A key of another kind has none.
	verify func(key crypto.PublicKey, message, signature []byte) bool
}

// A share is one side's part of a key exchange.
type share interface {
	// public is what the other side is sent.
	public() []byte
	// shared is the secret that comes of it and the other side's part; an error if that
	// is not a valid one.
	shared(peer []byte) ([]byte, error)
}

// shangMi is the profile of RFC 8998.
func shangMi() *profile {
	return &profile{
		suite:    SuiteSM4GCMSM3,
		group:    GroupCurveSM2,
		scheme:   SchemeSM2SM3,
		newHash:  sm3.New,
		newShare: newSM2Share,
		half:     sm4Half,
		sign:     signSM2,
		verify:   verifySM2,
	}
}

func sm4Half(trafficSecret []byte) (*record.Half, error) {
	return record.NewTLS13(SuiteSM4GCMSM3, trafficSecret)
}

// signerID is the identity that a handshake's SM2 signatures are made under (RFC 8998 §3.2.1).
// The ones inside certificates use the default identity instead.
const signerID = "TLSv1.3+GM+Cipher+Suite"

func signSM2(random io.Reader, key crypto.Signer, message []byte) ([]byte, error) {
	return key.Sign(random, message, sm2.NewSM2SignerOption(true, []byte(signerID)))
}

func verifySM2(key crypto.PublicKey, message, signature []byte) bool {
	public, ok := key.(*ecdsa.PublicKey)
	return ok && sm2.IsSM2PublicKey(public) && sm2.VerifyASN1WithSM2(public, []byte(signerID), message, signature)
}

// sm2Share is a part in ECDH on curveSM2: public parts are uncompressed points, the secret is
// the x coordinate (RFC 8998 §3.2.2, RFC 8446 §4.2.8.2 and §7.4.2).
type sm2Share struct{ key *ecdh.PrivateKey }

func newSM2Share(random io.Reader) (share, error) {
	key, err := ecdh.P256().GenerateKey(random)
	return sm2Share{key}, err
}

func (s sm2Share) public() []byte { return s.key.PublicKey().Bytes() }

func (s sm2Share) shared(peer []byte) ([]byte, error) {
	public, err := ecdh.P256().NewPublicKey(peer)
	if err != nil {
		return nil, errors.New("not a point on curveSM2")
	}
	return s.key.ECDH(public)
}
