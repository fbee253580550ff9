package certificate

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/emmansun/gmsm/smx509"
)

// A link is one certificate of a chain: as much as the order of the chain and the match with
// a key need. Links are shared by chains and never changed.
type link struct {
	der             []byte
	subject, issuer []byte // raw names
	publicKey       []byte // SubjectPublicKeyInfo
	notAfter        time.Time
	weak            string // its signature's weakness, "" if none

	parsed *smx509.Certificate // kept only of what is no authority, and so not shared
}

func (l *link) selfIssued() bool { return bytes.Equal(l.subject, l.issuer) }

// readChain reads the certificates of a PEM file in the file's order. Only the CERTIFICATE
// blocks count: files often hold the key too.
func (p *Parser) readChain(pair Pair) ([]*link, error) {
	if len(pair.Cert) > maxPEM {
		return nil, fmt.Errorf("%s: more than %d bytes", pair.CertFrom, maxPEM)
	}
	var links []*link
	var otherType string
	for rest := pair.Cert; ; {
		rest = passOver(rest, isCertificate, &otherType)
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = after
		if !isCertificate(block.Type) {
			otherType = block.Type
			continue
		}
		l, err := p.readLink(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d cannot be read: %w", pair.CertFrom, len(links)+1, err)
		}
		if links = append(links, l); len(links) > maxChain {
			return nil, fmt.Errorf("%s: more than %d certificates; give the certificate and those that lead to its root, not a bundle of roots", pair.CertFrom, maxChain)
		}
	}
	if len(links) == 0 {
		return nil, noCertificate(pair, otherType)
	}
	return links, nil
}

func isCertificate(blockType string) bool {
	return blockType == "CERTIFICATE" || blockType == "X509 CERTIFICATE" || blockType == "TRUSTED CERTIFICATE"
}

// passOver gives the text after its leading PEM blocks that are not wanted, which it does not
// decode: files often hold a certificate and its key. last is set to the type of the last of
// them. Whatever is not plainly a block is left to pem.Decode.
func passOver(text []byte, wanted func(blockType string) bool, last *string) []byte {
	for {
		_, from, found := bytes.Cut(text, []byte("-----BEGIN "))
		kind, body, whole := bytes.Cut(from, []byte("-----"))
		if !found || !whole || wanted(string(kind)) {
			return text
		}
		body, end, ended := bytes.Cut(body, []byte("-----"))
		after, same := bytes.CutPrefix(end, []byte("END "+string(kind)+"-----"))
		if !ended || !same || !bytes.HasPrefix(body, []byte("\n")) || !bytes.HasSuffix(body, []byte("\n")) {
			return text
		}
		text, *last = after, string(kind)
	}
}

func noCertificate(pair Pair, otherType string) error {
	switch {
	case len(bytes.TrimSpace(pair.Cert)) == 0:
		return fmt.Errorf("%s: no certificate, it is empty", pair.CertFrom)
	case isPrivateKey(otherType):
		return fmt.Errorf("%s: a private key where the certificate should be; are the two swapped?", pair.CertFrom)
	case otherType == "CERTIFICATE REQUEST" || otherType == "NEW CERTIFICATE REQUEST":
		return fmt.Errorf("%s: a certificate request; an authority has to make a certificate of it first", pair.CertFrom)
	case otherType != "":
		return fmt.Errorf("%s: no certificate, only a block of type %q", pair.CertFrom, otherType)
	case pair.Cert[0] == 0x30:
		return fmt.Errorf("%s: not PEM, it looks like DER or PKCS#12; convert it with: openssl x509 -inform der -in FILE -out FILE.pem", pair.CertFrom)
	}
	return fmt.Errorf(`%s: no certificate: nothing in it begins with "-----BEGIN CERTIFICATE-----"`, pair.CertFrom)
}

// readLink parses one certificate, or finds it among those read before.
func (p *Parser) readLink(der []byte) (*link, error) {
	sum := sha256.Sum256(der)
	if known := p.authorities[sum]; known != nil {
		return known, nil
	}
	parsed, err := smx509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	l := &link{
		der: parsed.Raw, subject: parsed.RawSubject, issuer: parsed.RawIssuer,
		publicKey: parsed.RawSubjectPublicKeyInfo, notAfter: parsed.NotAfter, weak: weakSignature(parsed), parsed: parsed,
	}
	if parsed.IsCA && parsed.BasicConstraintsValid {
		l.parsed = nil
		if p.authorities == nil {
			p.authorities = map[[32]byte]*link{}
		}
		p.authorities[sum] = l
	}
	return l, nil
}

// order gives the chain that begins with the leaf, each certificate followed by the one that
// issued it, and says what had to be changed or left out.
func order(leaf *link, links []*link, from string) (chain []*link, warnings []string) {
	var unique []*link
	for _, l := range links {
		if indexOf(unique, l) < 0 {
			unique = append(unique, l)
		}
	}
	if twice := len(links) - len(unique); twice > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: %d certificates are there twice; each is sent once", from, twice))
	}
	chain = []*link{leaf}
	for at := leaf; !at.selfIssued(); {
		next := issuerOf(at, unique, chain)
		if next == nil {
			break
		}
		chain = append(chain, next)
		at = next
	}
	if left := len(unique) - len(chain); left > 0 {
		warnings = append(warnings, fmt.Sprintf("%s: %d of %d certificates do not belong to the chain of %q and are not sent; remove them, or add what is missing between", from, left, len(unique), commonName(leaf)))
		return chain, warnings
	}
	for i, l := range chain {
		if unique[i] != l {
			return chain, append(warnings, fmt.Sprintf("%s: the certificates are in the wrong order; they are sent in the right one (the certificate first, then who issued it, and so on)", from))
		}
	}
	return chain, warnings
}

// issuerOf finds who issued a certificate, in the order of the file and not in the chain yet.
func issuerOf(l *link, links, chain []*link) *link {
	for _, candidate := range links {
		if bytes.Equal(candidate.subject, l.issuer) && indexOf(chain, candidate) < 0 {
			return candidate
		}
	}
	return nil
}

func indexOf(links []*link, l *link) int {
	for i, other := range links {
		if other == l || bytes.Equal(other.der, l.der) {
			return i
		}
	}
	return -1
}

// read gives all of a certificate.
func (l *link) read() (*smx509.Certificate, error) {
	if l.parsed != nil {
		return l.parsed, nil
	}
	return smx509.ParseCertificate(l.der)
}

func commonName(l *link) string {
	parsed, err := l.read()
	if err != nil {
		return "" // it was parsed before
	}
	if parsed.Subject.CommonName != "" {
		return parsed.Subject.CommonName
	}
	if len(parsed.DNSNames) > 0 {
		return parsed.DNSNames[0]
	}
	return parsed.Subject.String()
}

// errUnknownKind says that a public key is of no kind that is served.
var errUnknownKind = errors.New("a public key of an unknown kind; RSA, ECDSA (P-256, P-384, P-521), Ed25519 and SM2 can be served")
