package certificate

import (
	"slices"
	"time"
)

// Code points that decide which certificate fits (IANA TLS registries; RFC 8446, RFC 8422,
// RFC 8998, GB/T 38636-2020).
const (
	versionTLCP  = 0x0101
	versionTLS12 = 0x0303
	versionTLS13 = 0x0304

	suiteSM4GCM = 0x00c6 // TLS_SM4_GCM_SM3
	groupSM2    = 41     // curveSM2
	schemeSM2   = 0x0708 // sm2sig_sm3
	schemeEd    = 0x0807 // ed25519
)

// An Offer is what a client can do, as far as the choice of a certificate depends on it.
type Offer struct {
	Version uint16   // the version that both will speak; 0x0101 is TLCP
	Suites  []uint16 // those of the client that the server allows
	Schemes []uint16 // signature_algorithms; empty if the client sent none (before TLS 1.3)
	Groups  []uint16 // supported_groups; empty if the client sent none (before TLS 1.3)
}

// Choose returns the first of the candidates (as Find and Default give them) that the client
// can take and that is valid at now; the first that it can take if none is valid, so that
// the client sees an expired certificate and not a mute refusal; nil if it can take none.
func Choose(candidates []*Certificate, offer *Offer, now time.Time) *Certificate {
	var expired *Certificate
	for _, c := range candidates {
		switch {
		case !c.fits(offer):
		case c.Valid(now):
			return c
		case expired == nil:
			expired = c
		}
	}
	return expired
}

// fits reports whether a client can take a certificate.
func (c *Certificate) fits(offer *Offer) bool {
	if offer.Version == versionTLCP {
		return c.Kind == SM2 && c.Encryption != nil
	}
	if offer.Version >= versionTLS13 {
		return c.fits13(offer)
	}
	switch c.Kind {
	case RSA:
		if slices.ContainsFunc(offer.Suites, isRSAKeyExchange) {
			return true // no signature in it
		}
		return slices.ContainsFunc(offer.Suites, isECDHERSA) && c.signs12(offer)
	case ECDSA, Ed25519:
		return slices.ContainsFunc(offer.Suites, isECDHEECDSA) && c.signs12(offer)
	}
	return false // SM2 needs TLS 1.3 or TLCP
}

// fits13: in TLS 1.3 a signature scheme names its curve (RFC 8446, section 4.2.3).
func (c *Certificate) fits13(offer *Offer) bool {
	switch c.Kind {
	case RSA:
		return slices.ContainsFunc(offer.Schemes, isPSS)
	case ECDSA:
		return slices.Contains(offer.Schemes, c.ecdsaScheme())
	case Ed25519:
		return slices.Contains(offer.Schemes, schemeEd)
	case SM2: // RFC 8998, section 3.3: all three together
		return slices.Contains(offer.Suites, suiteSM4GCM) && slices.Contains(offer.Groups, groupSM2) && slices.Contains(offer.Schemes, schemeSM2)
	}
	return false
}

// signs12: until TLS 1.2 a scheme names only the hash, and the curve has to be among the
// client's groups (RFC 8422, section 5.1). A client that sends no schemes would want SHA-1,
// which nobody signs with any more (RFC 9155): the handshake fails later, with its alert.
func (c *Certificate) signs12(offer *Offer) bool {
	if offer.Version < versionTLS12 || len(offer.Schemes) == 0 {
		return c.Kind == RSA || c.curveOffered(offer)
	}
	switch c.Kind {
	case RSA:
		return slices.ContainsFunc(offer.Schemes, func(s uint16) bool { return isPSS(s) || isPKCS1(s) })
	case ECDSA:
		return slices.ContainsFunc(offer.Schemes, isECDSA) && c.curveOffered(offer)
	}
	return slices.Contains(offer.Schemes, schemeEd)
}

func (c *Certificate) curveOffered(offer *Offer) bool {
	if c.Kind != ECDSA || len(offer.Groups) == 0 {
		return true
	}
	switch c.KeyBits {
	case 384:
		return slices.Contains(offer.Groups, 24)
	case 521:
		return slices.Contains(offer.Groups, 25)
	}
	return slices.Contains(offer.Groups, 23)
}

func (c *Certificate) ecdsaScheme() uint16 {
	switch c.KeyBits {
	case 384:
		return 0x0503
	case 521:
		return 0x0603
	}
	return 0x0403
}

func isPSS(s uint16) bool   { return s >= 0x0804 && s <= 0x0806 }                // rsa_pss_rsae_sha256, 384, 512
func isPKCS1(s uint16) bool { return s == 0x0401 || s == 0x0501 || s == 0x0601 } // rsa_pkcs1_sha256, 384, 512
func isECDSA(s uint16) bool { return s == 0x0403 || s == 0x0503 || s == 0x0603 }

// The suites are those of crypto/tls before TLS 1.3.
func isECDHERSA(s uint16) bool {
	switch s {
	case 0xc012, 0xc013, 0xc014, 0xc027, 0xc02f, 0xc030, 0xcca8, 0xc011:
		return true
	}
	return false
}

func isECDHEECDSA(s uint16) bool {
	switch s {
	case 0xc007, 0xc009, 0xc00a, 0xc023, 0xc02b, 0xc02c, 0xcca9:
		return true
	}
	return false
}

func isRSAKeyExchange(s uint16) bool {
	switch s {
	case 0x0005, 0x000a, 0x002f, 0x0035, 0x003c, 0x009c, 0x009d:
		return true
	}
	return false
}
