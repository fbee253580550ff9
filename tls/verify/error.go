package verify

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/emmansun/gmsm/smx509"
)

// Reason is the check that a peer's certificate failed.
type Reason uint8

// The checks, in the order in which they are made.
const (
	Missing     Reason = iota + 1 // the peer showed no certificate
	Malformed                     // a certificate cannot be read
	Untrusted                     // no chain leads to a trusted CA
	Expired                       // a certificate of the chain is expired or not yet valid
	Unsuitable                    // a certificate is not for this use: key usage, constraints
	TooDeep                       // the chain has more CAs than allowed
	NoCRL                         // an issuer in the chain has no usable revocation list
	StaleCRL                      // an issuer's revocation list is past its nextUpdate
	Revoked                       // a revocation list has a certificate of the chain
	WrongHost                     // the certificate is for other host names
	NoSPIFFE                      // no, or no single, SPIFFE id of a known trust domain
	NotPinned                     // neither key nor certificate is among the pinned ones
	SANMismatch                   // no subject alternative name is among the expected ones
)

var reasons = [...]string{
	Missing: "no certificate", Malformed: "malformed certificate", Untrusted: "unknown authority", Expired: "out of its validity",
	Unsuitable: "not for this use", TooDeep: "chain is too deep", NoCRL: "no revocation list of its issuer", StaleCRL: "revocation list is out of date",
	Revoked: "revoked", WrongHost: "for another host", NoSPIFFE: "no SPIFFE id of a known trust domain", NotPinned: "not pinned", SANMismatch: "no expected subject alternative name",
}

func (r Reason) String() string {
	if int(r) < len(reasons) && r > 0 {
		return reasons[r]
	}
	return "unknown"
}

// Error is why a peer's certificate was not accepted.
type Error struct {
	Reason  Reason
	Subject string // of the certificate that failed, in RFC 2253's form; may be empty
	Cause   error  // what the check said; may be nil
}

func (e *Error) Error() string {
	text := "peer certificate: " + e.Reason.String()
	if e.Subject != "" {
		text += fmt.Sprintf(": %q", e.Subject)
	}
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }

// Alert is the alert that tells the peer (RFC 8446, 6.2; the same numbers in TLS
// 1.2 and TLCP, but certificate_required, which TLS 1.2 and TLCP say with
// handshake_failure, 40).
func (e *Error) Alert() uint8 {
	switch e.Reason {
	case Missing:
		return 116 // certificate_required
	case Malformed, WrongHost:
		return 42 // bad_certificate
	case Untrusted, TooDeep:
		return 48 // unknown_ca
	case Expired:
		return 45 // certificate_expired
	case Unsuitable:
		return 43 // unsupported_certificate
	case Revoked:
		return 44 // certificate_revoked
	case NoCRL, StaleCRL:
		return 46 // certificate_unknown
	}
	return 49 // access_denied: a good certificate, but of somebody else
}

// chainError says which check it is that the search for a chain failed.
func chainError(err error, leaf *certificate) *Error {
	reason := Untrusted
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		reason = Unsuitable
		if e.Reason == x509.Expired {
			reason = Expired
		}
	}
	if e, ok := errors.AsType[smx509.CertificateInvalidError](err); ok {
		reason = Unsuitable
		if e.Reason == smx509.Expired {
			reason = Expired
		}
	}
	return &Error{reason, leaf.subject(), err}
}
