// Package ocsp gets OCSP responses for the gateway's own certificates, keeps them
// fresh, and puts them where handshakes find them to staple (RFC 6960; RFC 6066,
// 8; the profile of RFC 5019).
package ocsp

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	// MaxResponse bounds a response; with a responder's certificate one has 2 KB.
	MaxResponse = 64 << 10

	// assumedLife is how long a response without nextUpdate is stapled: its
	// responder says that newer ones are always to be had (RFC 6960, 2.4).
	assumedLife = 12 * time.Hour

	// skew is how far a responder's clock may be ahead.
	skew = 5 * time.Minute
)

var (
	errNoIssuer  = errors.New("the chain has no issuer's certificate")
	errLarge     = fmt.Errorf("larger than %d bytes", MaxResponse)
	errUnknown   = errors.New("the responder does not know the certificate")
	errEarly     = errors.New("its thisUpdate is in the future")
	errLate      = errors.New("its nextUpdate is in the past")
	errDelegate  = errors.New("the responder's certificate is not for signing OCSP responses")
	errOutOfDate = errors.New("the responder's certificate is out of its validity")
)

// Response is a verified response that says that a certificate is good.
type Response struct {
	DER                    []byte
	ThisUpdate, NextUpdate time.Time // NextUpdate is set even where the response has none
}

// RevokedError says that a certificate was revoked.
type RevokedError struct{ At time.Time }

func (e *RevokedError) Error() string {
	return "the certificate was revoked at " + e.At.UTC().Format(time.RFC3339)
}

// pair is a certificate and the one that issued it.
type pair struct{ leaf, issuer *x509.Certificate }

// parsePair reads the front of a chain in DER. SM2 is not supported.
func parsePair(chain [][]byte) (p pair, err error) {
	if len(chain) < 2 {
		return p, errNoIssuer
	}
	if p.leaf, err = x509.ParseCertificate(chain[0]); err != nil {
		return p, err
	}
	p.issuer, err = x509.ParseCertificate(chain[1])
	return p, err
}

// Parse verifies a response for the first certificate of chain (DER, leaf first,
// then its issuer): that it is signed by the issuer or by whom the issuer charged
// with it (RFC 6960, 4.2.2.2), is about that certificate, is valid at now, and
// says good. For a revoked one the error is a *RevokedError.
func Parse(der []byte, chain [][]byte, now time.Time) (*Response, error) {
	p, err := parsePair(chain)
	if err != nil {
		return nil, fmt.Errorf("OCSP: %w", err)
	}
	r, err := p.parse(der, now)
	if err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	return r, nil
}

func (p pair) parse(der []byte, now time.Time) (*Response, error) {
	if len(der) > MaxResponse {
		return nil, errLarge
	}
	r, err := ocsp.ParseResponseForCert(der, p.leaf, p.issuer)
	if err != nil {
		return nil, err
	}
	if err := p.delegated(r.Certificate, now); err != nil {
		return nil, err
	}
	next := r.NextUpdate
	if next.IsZero() {
		next = r.ThisUpdate.Add(assumedLife)
	}
	switch {
	case r.ThisUpdate.After(now.Add(skew)):
		return nil, errEarly
	case !next.After(now):
		return nil, errLate
	case r.Status == ocsp.Revoked:
		return nil, &RevokedError{r.RevokedAt}
	case r.Status != ocsp.Good:
		return nil, errUnknown
	}
	return &Response{DER: der, ThisUpdate: r.ThisUpdate, NextUpdate: next}, nil
}

// delegated checks the certificate that came with a response. That it signed the
// response and that the issuer signed it, is checked already; not that it may.
func (p pair) delegated(responder *x509.Certificate, now time.Time) error {
	switch {
	case responder == nil || responder.Equal(p.issuer):
		return nil
	case !slices.Contains(responder.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return errDelegate
	case now.Before(responder.NotBefore) || now.After(responder.NotAfter):
		return errOutOfDate
	}
	return nil
}
