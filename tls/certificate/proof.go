package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"

	"github.com/emmansun/gmsm/sm2"
)

// errNoProof says that a key has the certificate's public half, but not the private one.
var errNoProof = errors.New("its signatures do not verify: the key is damaged")

// prove makes the key sign once. A damaged RSA key, with the right modulus and a wrong prime,
// would give signatures from which anybody can compute it; a token may hold another key.
func prove(signer crypto.Signer, public any) error {
	message := []byte("longmen: is this the key of this certificate?")
	digest := sha256.Sum256(message)
	var verify func(signature []byte) bool
	options, input := crypto.SignerOpts(crypto.SHA256), digest[:]
	switch p := public.(type) {
	case *rsa.PublicKey:
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
		verify = func(s []byte) bool { return rsa.VerifyPSS(p, crypto.SHA256, digest[:], s, nil) == nil }
	case ed25519.PublicKey:
		options, input = crypto.Hash(0), message
		verify = func(s []byte) bool { return ed25519.Verify(p, message, s) }
	case *ecdsa.PublicKey:
		verify = func(s []byte) bool { return ecdsa.VerifyASN1(p, digest[:], s) }
		if sm2.IsSM2PublicKey(p) {
			options, input = sm2.DefaultSM2SignerOpts, message
			verify = func(s []byte) bool { return sm2.VerifyASN1WithSM2(p, nil, message, s) }
		}
	default:
		return errUnknownKind
	}
	signature, err := signer.Sign(rand.Reader, input, options)
	if err != nil {
		return err
	}
	if !verify(signature) {
		return errNoProof
	}
	return nil
}
