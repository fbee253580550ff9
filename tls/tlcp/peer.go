package tlcp

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/handshake"
)

// A peer is the other side's certificates after they were parsed.
type peer struct {
	chain    []*smx509.Certificate // as received
	sign     *ecdsa.PublicKey
	encrypt  *ecdsa.PublicKey // nil if there is no encryption certificate (some clients)
	verified bool
}

// der is the chain as it goes into a result.
func (p *peer) der() [][]byte {
	if p == nil {
		return nil
	}
	chain := make([][]byte, len(p.chain))
	for i, c := range p.chain {
		chain[i] = c.Raw
	}
	return chain
}

// maxRSABits bounds the RSA keys in a peer's chain: what it costs to verify by one grows with
// its size, which is up to the peer.
const maxRSABits = 8192

// parsePeer parses a chain of at least one certificate and tells what its leaves are for.
func parsePeer(chain [][]byte) (*peer, error) {
	p := new(peer)
	for _, der := range chain {
		c, err := smx509.ParseCertificate(der)
		if err != nil {
			return nil, &handshake.Error{Alert: handshake.BadCertificate, Cause: err}
		}
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
			return nil, handshake.Errorf(handshake.BadCertificate, "an RSA key of %d bits in the peer's chain", key.N.BitLen())
		}
		p.chain = append(p.chain, c)
	}
	var err error
	if p.sign, err = leafKey(p.chain[0], "signing", smx509.KeyUsageDigitalSignature|smx509.KeyUsageContentCommitment); err != nil {
		return nil, err
	}
	if len(p.chain) < 2 || p.chain[1].IsCA {
		return p, nil
	}
	p.encrypt, err = leafKey(p.chain[1], "encryption",
		smx509.KeyUsageKeyEncipherment|smx509.KeyUsageDataEncipherment|smx509.KeyUsageKeyAgreement)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// leafKey is the SM2 key of a leaf that, if it names its usages, has one of them.
func leafKey(c *smx509.Certificate, which string, usages smx509.KeyUsage) (*ecdsa.PublicKey, error) {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || !sm2.IsSM2PublicKey(key) {
		return nil, handshake.Errorf(handshake.UnsupportedCertificate, "the %s certificate has no SM2 key", which)
	}
	if c.KeyUsage != 0 && c.KeyUsage&usages == 0 {
		return nil, handshake.Errorf(handshake.BadCertificate, "the key usage of the %s certificate is for something else", which)
	}
	return key, nil
}

// verify verifies both leaves up to one of roots, the system's if that is nil. name is checked in both, unless it is "".
func (p *peer) verify(roots *smx509.CertPool, name string, usage smx509.ExtKeyUsage, now time.Time) error {
	options := smx509.VerifyOptions{
		Roots: roots, Intermediates: smx509.NewCertPool(), DNSName: name, CurrentTime: now,
		KeyUsages: []smx509.ExtKeyUsage{usage},
	}
	leaves := 1
	if p.encrypt != nil {
		leaves = 2
	}
	for _, c := range p.chain[leaves:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := p.chain[0].Verify(options); err != nil {
		return certificateError("signing", err)
	}
	if leaves == 2 {
		// It encrypts for the side that the signing certificate names: what else its key is
		// for, its key usage says.
		options.KeyUsages = []smx509.ExtKeyUsage{smx509.ExtKeyUsageAny}
		if _, err := p.chain[1].Verify(options); err != nil {
			return certificateError("encryption", err)
		}
	}
	p.verified = true
	return nil
}

// certificateError finds the alert for what the verifier said.
func certificateError(which string, err error) error {
	alert := handshake.BadCertificate
	if _, ok := errors.AsType[smx509.UnknownAuthorityError](err); ok {
		alert = handshake.UnknownCA
	} else if invalid, ok := errors.AsType[smx509.CertificateInvalidError](err); ok && invalid.Reason == smx509.Expired {
		alert = handshake.CertificateExpired
	}
	return handshake.Errorf(alert, "the %s certificate: %w", which, err)
}
