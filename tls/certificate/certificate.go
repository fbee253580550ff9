// Package certificate holds the gateway's own certificates: what is read of them at start,
// which of them fits a server name and a ClientHello, and their private keys.
//
// Reading is cheap on purpose, so that ten thousand certificates start in well under a second:
// a leaf is parsed once and only what the choice by name needs is kept; certificates of
// authorities that many chains share are kept once (Parser); a private key stays as it was
// read, compared with its certificate by its public half, until a handshake first asks for it.
//
// An SM2 certificate for TLCP is a pair (GB/T 38636-2020): one certificate signs, another
// (Certificate.Encryption) receives encrypted secrets.
package certificate

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/emmansun/gmsm/sm2"
)

// A Kind is the type of a certificate's public key.
type Kind uint8

// The kinds, in the order in which Table prefers them where a client takes several: SM2 first,
// because only clients that ask for it take it.
const (
	SM2     Kind = iota // GB/T 32918, with SM3
	ECDSA               // P-256, P-384 or P-521
	Ed25519             // RFC 8032
	RSA
)

func (k Kind) String() string {
	switch k {
	case SM2:
		return "sm2"
	case ECDSA:
		return "ecdsa"
	case Ed25519:
		return "ed25519"
	case RSA:
		return "rsa"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// A Certificate is one certificate with its chain and its key. Its exported fields are not to
// be changed once it is made. It may be used by many goroutines.
type Certificate struct {
	Name     string // of its secret, for messages and metrics
	From     string // where it was read: a file, or the secret; messages begin with it
	Kind     Kind
	KeyBits  int      // RSA: of the modulus; else of the curve
	Chain    [][]byte // DER, leaf first, each certified by the next
	DNSNames []string // lower case, without a final dot; "*.example.com" is a wildcard
	IPs      []netip.Addr

	NotBefore, NotAfter time.Time
	Fingerprint         [32]byte // SHA-256 of the leaf
	Serial              string   // lower-case hexadecimal
	Subject, Issuer     string   // distinguished names, RFC 4514

	MustStaple  bool     // RFC 7633: clients refuse it without an OCSP staple
	OCSPServers []string // URLs, of the authority information access
	ForServer   bool     // the extended key usage lets a server use it
	ForClient   bool     // and a client

	// Warnings are what was odd in the input but can be served, each with the place first.
	Warnings []string

	// Encryption is the second certificate of a TLCP pair, and nil otherwise.
	Encryption *Certificate

	weak     string // why signatures in the chain, or the key, are too weak; "" if not
	ends     *link  // the authority in the chain that expires first, if that is before the leaf; else nil
	key      key
	standard atomic.Pointer[standard] // what Standard made last
	staple   atomic.Pointer[Staple]
}

// A Staple is an OCSP response for a certificate's leaf (RFC 6066, section 8).
type Staple struct {
	DER     []byte
	Expires time.Time // its nextUpdate: not sent from then on
}

// SetStaple puts an OCSP response that the caller has verified in place of the last; nil takes
// it away. Handshakes that began before keep the old one.
func (c *Certificate) SetStaple(s *Staple) {
	c.staple.Store(s)
}

// Staple returns the OCSP response to send, or nil if there is none that is valid at now.
func (c *Certificate) Staple(now time.Time) []byte {
	if s := c.validStaple(now); s != nil {
		return s.DER
	}
	return nil
}

// StapledUntil is when the OCSP response that is valid at now stops being sent; zero if there
// is none.
func (c *Certificate) StapledUntil(now time.Time) time.Time {
	if s := c.validStaple(now); s != nil {
		return s.Expires
	}
	return time.Time{}
}

func (c *Certificate) validStaple(now time.Time) *Staple {
	if s := c.staple.Load(); s != nil && now.Before(s.Expires) {
		return s
	}
	return nil
}

// Valid reports whether now is between NotBefore and NotAfter, for a TLCP pair of both.
func (c *Certificate) Valid(now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter) && (c.Encryption == nil || c.Encryption.Valid(now))
}

// Loaded reports whether the private key has been asked for, and with it that of Encryption:
// Signer then answers at once. It is false again when a token that gave no key is to be asked
// once more. Before, it may take milliseconds, or a round trip to a token,
// and belongs off the loop.
func (c *Certificate) Loaded() bool { return c.key.ready() }

// Signer returns the private key: a *sign.Key, or for SM2 an *sm2.PrivateKey. The first call
// loads it (or finds it in its token) and proves that it is the certificate's; its result,
// error or not, is kept. But a token that gave no key is asked again: after a second, then
// after twice as long each time, at most a minute.
func (c *Certificate) Signer() (crypto.Signer, error) { return c.key.get(c) }

// Failed is why the key could not be loaded when Signer asked for it last; nil also before that.
func (c *Certificate) Failed() error {
	if l := c.key.state.Load(); l != nil {
		return l.err
	}
	return nil
}

// Lost tells that a signature of Signer's key failed: if it is in a token, it is looked for
// again, as if it had not been found.
func (c *Certificate) Lost(signer crypto.Signer, err error) { c.key.lost(signer, err) }

// SM2Key returns the private key of an SM2 certificate, which also decrypts (TLCP's
// encryption certificate) and agrees on keys.
func (c *Certificate) SM2Key() (*sm2.PrivateKey, error) {
	signer, err := c.Signer()
	if err != nil {
		return nil, err
	}
	private, ok := signer.(*sm2.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: the key is of kind %s, not sm2", c.From, c.Kind)
	}
	return private, nil
}

// PairChain is what TLCP sends (GB/T 38636-2020, section 6.4.5.3): the signing certificate, the
// encryption certificate, then the authorities of both. It is nil without Encryption.
func (c *Certificate) PairChain() [][]byte {
	if c.Encryption == nil {
		return nil
	}
	chain := [][]byte{c.Chain[0], c.Encryption.Chain[0]}
	for _, der := range slices.Concat(c.Chain[1:], c.Encryption.Chain[1:]) {
		if !slices.ContainsFunc(chain, func(sent []byte) bool { return bytes.Equal(sent, der) }) {
			chain = append(chain, der)
		}
	}
	return chain
}

// Standard returns the certificate in crypto/tls's form, with the staple that is valid at now.
// It is made once and again when the staple changes; it is not to be changed. Signer's first
// call may happen in it.
func (c *Certificate) Standard(now time.Time) (*tls.Certificate, error) {
	staple := c.validStaple(now)
	made := c.standard.Load()
	if made != nil && made.staple == staple && c.key.token == nil {
		return &made.certificate, nil
	}
	signer, err := c.Signer()
	if err != nil {
		return nil, err
	}
	if made != nil && made.staple == staple && made.certificate.PrivateKey == signer {
		return &made.certificate, nil
	}
	made = &standard{staple: staple, certificate: tls.Certificate{Certificate: c.Chain, PrivateKey: signer}}
	if staple != nil {
		made.certificate.OCSPStaple = staple.DER
	}
	c.standard.Store(made)
	return &made.certificate, nil
}

// A standard is a certificate for crypto/tls and the staple that it was made with.
type standard struct {
	staple      *Staple
	certificate tls.Certificate
}

// Format writes the name and the kind for every verb, so that no way of printing shows the key.
func (c *Certificate) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, c.description()) // a State takes all that is written
}

func (c *Certificate) description() string {
	if c == nil {
		return "no certificate"
	}
	if c.Encryption != nil {
		return fmt.Sprintf("certificate %q (%s pair)", c.Name, c.Kind)
	}
	return fmt.Sprintf("certificate %q (%s)", c.Name, c.Kind)
}
