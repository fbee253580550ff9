package tls13

import (
	"crypto"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"io"
	"time"

	"longmen/tls/handshake"

	"github.com/emmansun/gmsm/smx509"
)

// maxRSABits bounds the RSA keys in a peer's chain: what a larger one costs to verify by is up
// to the peer.
const maxRSABits = 8192

// parseChain parses a peer's certificates, leaf first.
func parseChain(chain [][]byte) ([]*smx509.Certificate, error) {
	certificates := make([]*smx509.Certificate, 0, len(chain))
	for _, der := range chain {
		certificate, err := smx509.ParseCertificate(der)
		if err != nil {
			return nil, handshake.Errorf(handshake.BadCertificate, "the peer's certificate: %w", err)
		}
		if key, ok := certificate.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
			return nil, handshake.Errorf(handshake.BadCertificate, "the peer's certificate: an RSA key of %d bits", key.N.BitLen())
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

// verifyChain verifies a peer's chain up to roots: name, if not "", usage and dates too.
func verifyChain(chain []*smx509.Certificate, roots *smx509.CertPool, name string, usage smx509.ExtKeyUsage, now time.Time) error {
	options := smx509.VerifyOptions{
		Roots:         roots,
		DNSName:       name,
		Intermediates: smx509.NewCertPool(),
		CurrentTime:   now,
		KeyUsages:     []smx509.ExtKeyUsage{usage},
	}
	for _, intermediate := range chain[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	_, err := chain[0].Verify(options)
	return chainError(err)
}

// finalWord asks the user of this package about a chain.
func finalWord(ask func([]*smx509.Certificate) error, chain []*smx509.Certificate) error {
	if ask == nil {
		return nil
	}
	return chainError(ask(chain))
}

// chainError puts the alert to an error of a verification (RFC 8446 §4.4.2.4, §6.2).
func chainError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*handshake.Error](err); ok {
		return err
	}
	alert := handshake.BadCertificate
	if _, ok := errors.AsType[smx509.UnknownAuthorityError](err); ok {
		alert = handshake.UnknownCA
	}
	if invalid, ok := errors.AsType[smx509.CertificateInvalidError](err); ok && invalid.Reason == smx509.Expired {
		alert = handshake.CertificateExpired
	}
	return handshake.Errorf(alert, "the peer's certificate: %w", err)
}

// signingKey is the key that a peer's CertificateVerify is made with: that of the leaf, which
// has to be allowed to sign (RFC 8446 §4.4.2.2).
func signingKey(chain [][]byte) (crypto.PublicKey, error) {
	certificates, err := parseChain(chain[:1])
	if err != nil {
		return nil, err
	}
	leaf := certificates[0]
	if leaf.KeyUsage != 0 && leaf.KeyUsage&smx509.KeyUsageDigitalSignature == 0 {
		return nil, handshake.Errorf(handshake.UnsupportedCertificate, "the peer's certificate is not one to sign with")
	}
	return leaf.PublicKey, nil
}

// checkProof checks a peer's CertificateVerify over the transcript up to its Certificate.
func checkProof(p *profile, message []byte, chain [][]byte, context string, transcript []byte) error {
	proof, err := parseCertificateVerify(message)
	if err != nil {
		return err
	}
	if proof.scheme != p.scheme {
		return illegal("a signature scheme that was not offered")
	}
	key, err := signingKey(chain)
	if err != nil {
		return err
	}
	if !p.verify(key, signedContent(context, transcript), proof.signature) {
		return handshake.Errorf(handshake.DecryptError, "the peer's signature is not that of its certificate's key")
	}
	return nil
}

// prove makes a CertificateVerify over the transcript up to the Certificate of own.
func prove(p *profile, random io.Reader, own *tls.Certificate, context string, transcript []byte) ([]byte, error) {
	key, ok := own.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, handshake.Errorf(handshake.InternalError, "the certificate's key is not one to sign with")
	}
	signature, err := p.sign(random, key, signedContent(context, transcript))
	if err != nil {
		return nil, handshake.Errorf(handshake.InternalError, "signing: %w", err)
	}
	return (&certificateVerify{scheme: p.scheme, signature: signature}).marshal()
}

// checkFinished checks a peer's Finished over the transcript before it.
func checkFinished(p *profile, message, baseKey, transcript []byte) error {
	want := finishedMAC(p.newHash, baseKey, transcript)
	got, err := parseFinished(message, len(want))
	if err != nil {
		return err
	}
	if !equalMAC(want, got) {
		return handshake.Errorf(handshake.DecryptError, "the peer's Finished is not right")
	}
	return nil
}
