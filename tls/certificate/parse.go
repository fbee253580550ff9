package certificate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/openssl"
	"longmen/tls/sign"
)

// Bounds of what is read.
const (
	maxPEM   = 1 << 20 // bytes of one certificate or key input
	maxChain = 16      // certificates of one chain
	maxNames = 5000    // names of one certificate
)

// A Pair is a certificate and its private key as they were read.
type Pair struct {
	Cert []byte // PEM: the leaf and the authorities that lead to its root; other blocks are passed over
	Key  []byte // PEM (PKCS#8, PKCS#1 or SEC 1, not encrypted), or a PKCS#11 URI (RFC 7512)
	// CertFrom and KeyFrom say where Cert and Key were read, as file names or in words; messages
	// begin with them. Where they are empty, messages name the secret.
	CertFrom, KeyFrom string
}

// A Source is what one certificate is made from.
type Source struct {
	Name string // of the secret
	Pair
	Encrypt *Pair // of an SM2 certificate for TLCP: the encryption certificate
}

// A Parser reads certificates. Those that one Parser has read share the memory of the
// authorities in their chains, so one Parser should read all certificates of a configuration.
// It is not for concurrent use.
type Parser struct {
	Policy sign.Policy   // where keys are held; SM2 keys are held in Go in any case
	Token  openssl.Token // for keys that are given as PKCS#11 URIs

	authorities map[[32]byte]*link
	issuers     map[string]string // names of authorities in RFC 4514's form, by their DER
}

// Parse reads one certificate of PEM. Its private key is only compared with the certificate;
// expiry is not judged (Problems does). Errors name the file, and what to do.
func (p *Parser) Parse(source Source) (*Certificate, error) {
	certificate, err := p.parsePair(source.Name, source.Pair, "")
	if source.Encrypt == nil {
		return certificate, err
	}
	encryption, second := p.parsePair(source.Name, *source.Encrypt, "encryption ")
	if err := errors.Join(err, second); err != nil {
		return nil, err
	}
	if err := joinPair(certificate, encryption); err != nil {
		return nil, err
	}
	return certificate, nil
}

func (p *Parser) parsePair(name string, pair Pair, role string) (*Certificate, error) {
	pair.CertFrom = place(pair.CertFrom, role+"certificate", name)
	pair.KeyFrom = place(pair.KeyFrom, role+"key", name)
	if pair.KeyFrom == pair.CertFrom {
		pair.KeyFrom = pair.CertFrom // one string in memory for both
	}
	links, certErr := p.readChain(pair)
	found, keyErr := readKey(pair)
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, err
	}
	leaf, err := found.owner(links, pair)
	if err != nil {
		return nil, err
	}
	chain, warnings := order(leaf, links, pair.CertFrom)
	c, err := p.make(name, pair.CertFrom, chain)
	if err != nil {
		return nil, err
	}
	c.Warnings = append(warnings, c.Warnings...)
	c.key.pkcs8, c.key.from, c.key.policy = found.pkcs8, pair.KeyFrom, p.Policy
	if found.uri != "" {
		c.key.token = &tokenKey{found.uri, p.Token, loadToken, time.Now}
	}
	return c, nil
}

// place says where something was read when the caller does not.
func place(from, what, secret string) string {
	if from == "" {
		return fmt.Sprintf("the %s of secret %q", what, secret)
	}
	return from
}

// make fills in a certificate from its ordered chain.
func (p *Parser) make(name, from string, chain []*link) (*Certificate, error) {
	leaf, err := chain[0].read()
	if err != nil {
		return nil, fmt.Errorf("%s: the certificate cannot be read (%w)", from, err)
	}
	kind, bits, err := kindOf(leaf.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	c := &Certificate{
		Name: name, From: from, Kind: kind, KeyBits: bits,
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		Fingerprint: sha256.Sum256(leaf.Raw),
		Serial:      leaf.SerialNumber.Text(16),
		Subject:     leaf.Subject.String(), Issuer: p.issuer(leaf),
		OCSPServers: slices.Clone(leaf.OCSPServer),
		MustStaple:  mustStaple(leaf),
		weak:        weakness(leaf, chain),
	}
	c.ForServer, c.ForClient = purposes(leaf)
	for _, l := range chain {
		c.Chain = append(c.Chain, l.der)
	}
	for _, l := range chain[1:] {
		if !l.selfIssued() && l.notAfter.Before(c.NotAfter) && (c.ends == nil || l.notAfter.Before(c.ends.notAfter)) {
			c.ends = l
		}
	}
	if err := c.readNames(leaf); err != nil {
		return nil, err
	}
	if len(chain) == 1 && len(leaf.IssuingCertificateURL) > 0 {
		c.warn("only the certificate itself is there, not the authority that issued it (%s): many clients will refuse it; append the authority's certificate", c.Issuer)
	}
	return c, nil
}

// issuer is the name of who issued a certificate, in memory once.
func (p *Parser) issuer(leaf *smx509.Certificate) string {
	name, known := p.issuers[string(leaf.RawIssuer)]
	if !known {
		name = leaf.Issuer.String()
		if p.issuers == nil {
			p.issuers = map[string]string{}
		}
		p.issuers[string(leaf.RawIssuer)] = name
	}
	return name
}

func (c *Certificate) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, c.From+": "+fmt.Sprintf(format, args...))
}

// joinPair makes an SM2 pair of two certificates.
func joinPair(sign, encrypt *Certificate) error {
	for _, c := range []*Certificate{sign, encrypt} {
		if c.Kind != SM2 {
			return fmt.Errorf("%s: an %s certificate in an SM2 pair: both certificates of a pair must have SM2 keys", c.From, strings.ToUpper(c.Kind.String()))
		}
	}
	signUsage, err := usages(sign)
	if err != nil {
		return err
	}
	encryptUsage, err := usages(encrypt)
	if err != nil {
		return err
	}
	const encipher = smx509.KeyUsageKeyEncipherment | smx509.KeyUsageDataEncipherment | smx509.KeyUsageKeyAgreement
	switch {
	case signUsage != 0 && signUsage&smx509.KeyUsageDigitalSignature == 0 && encryptUsage&smx509.KeyUsageDigitalSignature != 0:
		return fmt.Errorf("%s and %s: the two are swapped: by their key usage the first encrypts and the second signs", sign.From, encrypt.From)
	case signUsage != 0 && signUsage&smx509.KeyUsageDigitalSignature == 0:
		return fmt.Errorf("%s: its key usage does not allow signatures: it cannot be the signing certificate of a pair", sign.From)
	case encryptUsage != 0 && encryptUsage&encipher == 0:
		return fmt.Errorf("%s: its key usage does not allow encryption: it cannot be the encryption certificate of a pair", encrypt.From)
	}
	sign.Encryption = encrypt
	sign.Warnings = append(sign.Warnings, encrypt.Warnings...)
	return nil
}

func usages(c *Certificate) (smx509.KeyUsage, error) {
	leaf, err := smx509.ParseCertificate(c.Chain[0])
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.From, err)
	}
	return leaf.KeyUsage, nil
}
