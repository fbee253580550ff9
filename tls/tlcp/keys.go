package tlcp

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"io"

	"github.com/emmansun/gmsm/ecdh"
	"github.com/emmansun/gmsm/sm2"
)

// Certificate is what one side shows and proves: a pair of certificates and their keys.
// The keys may be in a device: all that is asked of them is in their interfaces.
type Certificate struct {
	// Chain is in DER: the signing leaf, the encryption leaf, then the intermediates of
	// both. A client for the ECC suites may have the signing leaf and intermediates alone.
	Chain [][]byte

	// Sign is the SM2 key of Chain[0]. It is asked for the signature, in DER, of a digest of
	// 32 bytes that stands for the message and the signer (SM3(Z || M), GB/T 32918.2 §6.1),
	// with opts.HashFunc() == 0. *sm2.PrivateKey is one.
	Sign crypto.Signer

	// Encrypt is the SM2 key of Chain[1]. It is asked to decrypt a ciphertext in DER
	// (GB/T 35276 §7.2) with nil options. *sm2.PrivateKey is one. The ECDHE suites need it
	// to be an AgreementKey too, or an *sm2.PrivateKey.
	Encrypt crypto.Decrypter
}

// AgreementKey is an SM2 key that takes part in key agreements (GB/T 32918.3).
type AgreementKey interface {
	// Agree begins a key agreement with a new ephemeral key.
	Agree(rand io.Reader) (Agreement, error)
}

// Agreement is one run of SM2's key agreement, of the side that began it.
type Agreement interface {
	// Ephemeral is our ephemeral public key, uncompressed: 65 bytes.
	Ephemeral() []byte
	// Secret is what both sides share, n bytes, from the peer's static and ephemeral public
	// keys, uncompressed. Both sides go by the identity 1234567812345678. initiator tells
	// the two roles apart: TLCP's server is the initiator.
	Secret(peerStatic, peerEphemeral []byte, initiator bool, n int) ([]byte, error)
}

// agreementKey is the certificate's key for ECDHE, nil if it cannot do that.
func (c *Certificate) agreementKey() AgreementKey {
	if c == nil {
		return nil
	}
	switch key := any(c.Encrypt).(type) {
	case AgreementKey:
		return key
	case *sm2.PrivateKey:
		return softKey{key}
	}
	return nil
}

// softKey is an AgreementKey in memory.
type softKey struct{ *sm2.PrivateKey }

// Agree implements AgreementKey.
func (k softKey) Agree(rand io.Reader) (Agreement, error) {
	static, err := k.PrivateKey.ECDH()
	if err != nil {
		return nil, err
	}
	ephemeral, err := ecdh.P256().GenerateKey(rand)
	if err != nil {
		return nil, err
	}
	return &softAgreement{static, ephemeral}, nil
}

type softAgreement struct{ static, ephemeral *ecdh.PrivateKey }

// Ephemeral implements Agreement.
func (a *softAgreement) Ephemeral() []byte { return a.ephemeral.PublicKey().Bytes() }

// Secret implements Agreement.
func (a *softAgreement) Secret(peerStatic, peerEphemeral []byte, initiator bool, n int) ([]byte, error) {
	static, err := ecdh.P256().NewPublicKey(peerStatic)
	if err != nil {
		return nil, err
	}
	ephemeral, err := ecdh.P256().NewPublicKey(peerEphemeral)
	if err != nil {
		return nil, err
	}
	point, err := a.static.SM2MQV(a.ephemeral, static, ephemeral)
	if err != nil {
		return nil, err
	}
	return point.SM2SharedKey(!initiator, n, a.static.PublicKey(), static, nil, nil)
}

// sign signs message, as the owner of the signing key.
func (c *Certificate) sign(rand io.Reader, message []byte) ([]byte, error) {
	public, ok := c.Sign.Public().(*ecdsa.PublicKey)
	if !ok || !sm2.IsSM2PublicKey(public) {
		return nil, errors.New("the signing key is not an SM2 key")
	}
	digest, err := sm2.CalculateSM2Hash(public, message, nil)
	if err != nil {
		return nil, err
	}
	return c.Sign.Sign(rand, digest, crypto.Hash(0))
}

// verify reports whether signature is that of message by the owner of public.
func verify(public *ecdsa.PublicKey, message, signature []byte) bool {
	return sm2.VerifyASN1WithSM2(public, nil, message, signature)
}
