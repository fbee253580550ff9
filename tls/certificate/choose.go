package certificate

import (
	"cmp"
	"slices"
	"time"
)

// Code points that decide which certificate fits (IANA TLS registries; RFC 8446, RFC 8422,
// RFC 8998, GB/T 38636-2020).
const (
	versionTLCP  = 0x0101
	versionTLS13 = 0x0304

	suiteSM4GCM = 0x00c6 // TLS_SM4_GCM_SM3
	groupSM2    = 41     // curveSM2
	schemeSM2   = 0x0708 // sm2sig_sm3
	schemeEd    = 0x0807 // ed25519
)

// An Offer is what a client can do, as far as the choice of a certificate depends on it.
type Offer struct {
	Version uint16   // the version that both will speak, TLS 1.2 or 1.3; 0x0101 is TLCP
	Suites  []uint16 // those of the client that the server allows
	Schemes []uint16 // signature_algorithms; empty if the client sent none (TLS 1.2)
	Groups  []uint16 // supported_groups; empty if the client sent none (TLS 1.2)
}

// Choose returns the first of the candidates (as Find and Default give them) that the client
// can take, that is valid at now and whose key has not failed to load (or is in a token that is to be asked again by now). If there is none, it
// returns the first that the client can take but has expired, so that the client sees that
// and not a mute refusal, then one whose key has failed, so that the caller learns why; nil
// if the client can take none.
func Choose(candidates []*Certificate, offer *Offer, now time.Time) *Certificate {
	var expired, broken *Certificate
	for _, c := range candidates {
		switch {
		case !c.fits(offer):
		case c.key.broken() || offer.Version == versionTLCP && c.Encryption.key.broken():
			broken = cmp.Or(broken, c)
		case c.Valid(now):
			return c
		default:
			expired = cmp.Or(expired, c)
		}
	}
	return cmp.Or(expired, broken)
}

// fits reports whether a client can take a certificate.
func (c *Certificate) fits(offer *Offer) bool {
	switch {
	case offer.Version == versionTLCP:
		return c.Kind == SM2 && c.Encryption != nil
	case offer.Version >= versionTLS13:
		return c.fits13(offer)
	case c.Kind == RSA:
		return slices.ContainsFunc(offer.Suites, isECDHERSA) && c.signs12(offer)
	case c.Kind == ECDSA || c.Kind == Ed25519:
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

// signs12: in TLS 1.2 a scheme names only the hash, and the curve has to be among the
// client's groups (RFC 8422, section 5.1). A client that sends no schemes would want SHA-1,
// which nobody signs with any more (RFC 9155): the handshake fails later, with its alert.
func (c *Certificate) signs12(offer *Offer) bool {
	if len(offer.Schemes) == 0 {
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

// The suites of TLS 1.2 that are served have ECDHE and an AEAD: AES-128-GCM, AES-256-GCM,
// ChaCha20-Poly1305. The decryption of RSA's key exchange is nothing that a certificate is
// chosen for.
func isECDHERSA(s uint16) bool   { return s == 0xc02f || s == 0xc030 || s == 0xcca8 }
func isECDHEECDSA(s uint16) bool { return s == 0xc02b || s == 0xc02c || s == 0xcca9 }
