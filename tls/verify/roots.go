package verify

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/smx509"
)

// Roots are the certificates that chains must lead to. Any certificate may be
// one: an intermediate ends a chain as well as a self-signed one. They do not
// change once made.
type Roots struct {
	std *x509.CertPool   // those that crypto/x509 can verify with
	sm  *smx509.CertPool // all
}

// ParseRoots reads the certificates of a PEM file. Everything in it must be a
// certificate that can be read, and there must be one.
func ParseRoots(data []byte) (*Roots, error) {
	r := &Roots{std: x509.NewCertPool(), sm: smx509.NewCertPool()}
	n := 0
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type == "X509 CRL" {
			continue // as Envoy takes them: in one file with the CAs; see ParseCRLs
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("trusted CAs: a PEM block of type %q", block.Type)
		}
		c, err := parse(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("trusted CAs: certificate %d: %w", n+1, err)
		}
		sm, err := c.asSM()
		if err != nil {
			return nil, fmt.Errorf("trusted CAs: certificate %d: %w", n+1, err)
		}
		r.sm.AddCert(sm)
		if c.std != nil {
			r.std.AddCert(c.std)
		}
		n++
	}
	if n == 0 {
		return nil, errors.New("trusted CAs: no certificate in PEM")
	}
	return r, nil
}

// SystemRoots are the CAs that the operating system trusts. It has none for SM2.
func SystemRoots() (*Roots, error) {
	std, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	sm, err := smx509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	return &Roots{std: std, sm: sm}, nil
}

// Standard are the roots for crypto/tls, which names them to clients; not to be changed.
func (r *Roots) Standard() *x509.CertPool { return r.std }

// SM are the roots for TLCP and RFC 8998; not to be changed.
func (r *Roots) SM() *smx509.CertPool { return r.sm }
