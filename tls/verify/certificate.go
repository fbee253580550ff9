package verify

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"time"

	"github.com/emmansun/gmsm/smx509"
)

// certificate is what the checks need of one, whichever package parsed it:
// crypto/x509, which knows no SM2, or smx509.
type certificate struct {
	raw, rawSubject, rawIssuer, rawKey []byte
	serial                             *big.Int
	notBefore, notAfter                time.Time
	ca, signsOthers                    bool // signsOthers: key usage keyCertSign or cRLSign
	san                                []byte
	std                                *x509.Certificate // nil when it can only be read or verified with SM's algorithms
	sm                                 *smx509.Certificate
}

var sanOID = asn1.ObjectIdentifier{2, 5, 29, 17}

// parse reads one certificate in DER.
func parse(der []byte) (*certificate, error) {
	std, err := x509.ParseCertificate(der)
	if err == nil && std.SignatureAlgorithm != x509.UnknownSignatureAlgorithm && std.PublicKey != nil {
		return fromStandard(std), nil
	}
	sm, err := smx509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return fromSM(sm), nil
}

// maxRSABits bounds the RSA keys of peers: what it costs to verify by one grows
// with its size, which is up to the peer. crypto/tls has the same bound.
const maxRSABits = 8192

var errRSA = errors.New("its RSA key is longer than 8192 bits")

func (c *certificate) rsaBits() int {
	var key any
	if c.std != nil {
		key = c.std.PublicKey
	} else {
		key = c.sm.PublicKey
	}
	if key, ok := key.(*rsa.PublicKey); ok {
		return key.N.BitLen()
	}
	return 0
}

func fromStandard(c *x509.Certificate) *certificate {
	own := &certificate{
		raw: c.Raw, rawSubject: c.RawSubject, rawIssuer: c.RawIssuer, rawKey: c.RawSubjectPublicKeyInfo,
		serial: c.SerialNumber, notBefore: c.NotBefore, notAfter: c.NotAfter,
		ca: c.IsCA, signsOthers: c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0, std: c,
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(sanOID) {
			own.san = e.Value
		}
	}
	return own
}

func fromSM(c *smx509.Certificate) *certificate {
	own := &certificate{
		raw: c.Raw, rawSubject: c.RawSubject, rawIssuer: c.RawIssuer, rawKey: c.RawSubjectPublicKeyInfo,
		serial: c.SerialNumber, notBefore: c.NotBefore, notAfter: c.NotAfter,
		ca: c.IsCA, signsOthers: c.KeyUsage&(smx509.KeyUsageCertSign|smx509.KeyUsageCRLSign) != 0, sm: c,
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(sanOID) {
			own.san = e.Value
		}
	}
	return own
}

// asSM is the certificate as smx509 has it, which knows the other algorithms too.
func (c *certificate) asSM() (*smx509.Certificate, error) {
	if c.sm != nil {
		return c.sm, nil
	}
	return smx509.ParseCertificate(c.raw)
}

func (c *certificate) subject() string {
	name, _ := distinguishedName(c.rawSubject)
	return name
}

// maxChain bounds the certificates that a peer may send.
const maxChain = 32

var errLong = errors.New("more than 32 certificates")

// parseChain reads what a peer sent, leaf first.
func parseChain(chain [][]byte) ([]*certificate, *Error) {
	if len(chain) == 0 {
		return nil, &Error{Reason: Missing}
	}
	if len(chain) > maxChain {
		return nil, &Error{Reason: Malformed, Cause: errLong}
	}
	list := make([]*certificate, 0, len(chain))
	for _, der := range chain {
		c, err := parse(der)
		if err != nil {
			return nil, &Error{Reason: Malformed, Cause: err}
		}
		if c.rsaBits() > maxRSABits {
			return nil, &Error{Reason: Malformed, Subject: c.subject(), Cause: errRSA}
		}
		list = append(list, c)
	}
	return list, nil
}
