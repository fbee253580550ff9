package verify

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CRLs are certificate revocation lists (RFC 5280, 5), found by their issuer.
// They do not change once made: a newer file makes new ones.
type CRLs struct{ byIssuer map[string][]*crl }

type crl struct {
	list                *smx509.RevocationList // what its signature is about, without the entries
	revoked             map[string]bool        // by serial number, in big-endian bytes
	userOnly, caOnly    bool                   // issuingDistributionPoint: not about the other kind
	signedBy            atomic.Pointer[[]byte] // the certificate, in DER, whose signature was found right last
	thisUpdate, expires time.Time
}

var (
	issuingPointOID = asn1.ObjectIdentifier{2, 5, 29, 28}
	errScope        = errors.New("it covers only some reasons, attribute certificates or other issuers' certificates, which is not supported")
)

// ParseCRLs reads the revocation lists of a PEM file; other blocks, as the CAs,
// may stand between them. There must be one. Delta lists and indirect ones are
// refused: taken for whole ones, they would let revoked certificates pass.
func ParseCRLs(data []byte) (*CRLs, error) {
	all := &CRLs{byIssuer: make(map[string][]*crl)}
	for n := 1; ; {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		own, err := parseCRL(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("revocation list %d: %w", n, err)
		}
		issuer := string(own.list.RawIssuer)
		all.byIssuer[issuer] = append(all.byIssuer[issuer], own)
		n++
	}
	if len(all.byIssuer) == 0 {
		return nil, errors.New("no revocation list in PEM")
	}
	return all, nil
}

func parseCRL(der []byte) (*crl, error) {
	list, err := smx509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	own := &crl{
		list: &smx509.RevocationList{
			RawTBSRevocationList: list.RawTBSRevocationList, RawIssuer: list.RawIssuer,
			Signature: list.Signature, SignatureAlgorithm: list.SignatureAlgorithm,
		},
		revoked:    make(map[string]bool, len(list.RevokedCertificateEntries)),
		thisUpdate: list.ThisUpdate, expires: list.NextUpdate,
	}
	for _, e := range list.Extensions {
		switch {
		case e.Id.Equal(issuingPointOID):
			if err := own.scope(e.Value); err != nil {
				return nil, err
			}
		case e.Critical:
			return nil, fmt.Errorf("critical extension %v is not known", e.Id) // the delta indicator is one
		}
	}
	for _, entry := range list.RevokedCertificateEntries {
		for _, e := range entry.Extensions {
			if e.Critical {
				return nil, fmt.Errorf("critical extension %v of an entry is not known", e.Id) // certificateIssuer is one
			}
		}
		own.revoked[string(entry.SerialNumber.Bytes())] = true
	}
	return own, nil
}

// scope reads an issuingDistributionPoint (RFC 5280, 5.2.5).
func (l *crl) scope(der []byte) error {
	in := cryptobyte.String(der)
	var point cryptobyte.String
	if !in.ReadASN1(&point, cryptobyteasn1.SEQUENCE) || !in.Empty() {
		return errors.New("malformed issuingDistributionPoint")
	}
	for !point.Empty() {
		var value cryptobyte.String
		var tag cryptobyteasn1.Tag
		if !point.ReadAnyASN1(&value, &tag) {
			return errors.New("malformed issuingDistributionPoint")
		}
		set := len(value) == 1 && value[0] != 0
		switch tag {
		case cryptobyteasn1.Tag(0).ContextSpecific().Constructed(): // where it is published
		case cryptobyteasn1.Tag(1).ContextSpecific():
			l.userOnly = set
		case cryptobyteasn1.Tag(2).ContextSpecific():
			l.caOnly = set
		case cryptobyteasn1.Tag(4).ContextSpecific(), cryptobyteasn1.Tag(5).ContextSpecific():
			if set {
				return errScope
			}
		default: // onlySomeReasons, or what is not known
			return errScope
		}
	}
	return nil
}

// check looks for c in the lists of its issuer.
func (l *CRLs) check(c, issuer *certificate, now time.Time, stale bool) *Error {
	found := false
	failure := &Error{Reason: NoCRL, Subject: c.subject()}
	for _, list := range l.byIssuer[string(issuer.rawSubject)] {
		if list.userOnly && c.ca || list.caOnly && !c.ca {
			continue
		}
		if err := list.verify(issuer); err != nil {
			failure.Cause = err
			continue
		}
		if list.revoked[string(c.serial.Bytes())] {
			return &Error{Reason: Revoked, Subject: c.subject()}
		}
		if !stale && (now.Before(list.thisUpdate) || !list.expires.IsZero() && now.After(list.expires)) {
			failure = &Error{StaleCRL, c.subject(), fmt.Errorf("valid from %s to %s", list.thisUpdate.UTC().Format(time.RFC3339), list.expires.UTC().Format(time.RFC3339))}
			continue
		}
		found = true
	}
	if !found {
		return failure
	}
	return nil
}

// verify checks the list's signature. Lists are long and issuers few, so the
// last answer is kept.
func (l *crl) verify(issuer *certificate) error {
	if last := l.signedBy.Load(); last != nil && bytes.Equal(*last, issuer.raw) {
		return nil
	}
	parent, err := issuer.asSM()
	if err != nil {
		return err
	}
	if err := l.list.CheckSignatureFrom(parent); err != nil {
		return err
	}
	l.signedBy.Store(&issuer.raw)
	return nil
}
