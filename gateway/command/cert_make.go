package command

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/certificate"
	"longmen/tls/sign"
)

// A certAuthority signs certificates.
type certAuthority struct {
	leaf  *smx509.Certificate
	chain [][]byte // its own certificate first
	key   crypto.Signer
}

// makeCertificates makes a certificate, for SM2 the pair of two, and the authority if there is none yet.
func (o *certOrder) makeCertificates(made *certFiles, stem certStem, names certNames, now time.Time) error {
	authority, err := o.authority(made, now)
	if err != nil {
		return err
	}
	until := now.AddDate(0, 0, o.days)
	if until.After(authority.leaf.NotAfter) {
		return fmt.Errorf("the authority %s ends on %s, before the certificate would (%s); give fewer --days, or remove the authority to have a new one made",
			made.signedBy, authority.leaf.NotAfter.UTC().Format(time.DateOnly), until.UTC().Format(time.DateOnly))
	}
	template := o.template(names, now, until)
	about := fmt.Sprintf("for %s, until %s", o.purpose(), until.UTC().Format(time.DateOnly))
	if o.kind != "sm2" {
		template.KeyUsage = smx509.KeyUsageDigitalSignature
		if o.kind == "rsa" {
			template.KeyUsage |= smx509.KeyUsageKeyEncipherment
		}
		return o.makeOne(made, authority, template, stem, "", about)
	}
	// GB/T 38636-2020, section 6.4.5.3: the first certificate signs, the second encrypts.
	template.KeyUsage = smx509.KeyUsageDigitalSignature | smx509.KeyUsageContentCommitment
	if err := o.makeOne(made, authority, template, stem, o.role(), about+", to sign"); err != nil {
		return err
	}
	template.KeyUsage = smx509.KeyUsageKeyEncipherment | smx509.KeyUsageDataEncipherment | smx509.KeyUsageKeyAgreement
	return o.makeOne(made, authority, template, stem, ".encrypt", about+", to encrypt")
}

func (o *certOrder) purpose() string {
	switch more := len(o.names) - 1; {
	case more == 1:
		return o.names[0] + " and 1 name more"
	case more > 1:
		return fmt.Sprintf("%s and %d names more", o.names[0], more)
	}
	return o.names[0]
}

// makeOne makes a key and the certificate that the authority signs for it.
func (o *certOrder) makeOne(made *certFiles, authority *certAuthority, template *smx509.Certificate, stem certStem, role, about string) error {
	key, err := generateKey(o.kind)
	if err != nil {
		return err
	}
	der, err := smx509.CreateCertificate(rand.Reader, template, authority.leaf, key.Public(), authority.key)
	if err != nil {
		return fmt.Errorf("signing the certificate: %w", err)
	}
	made.add(stem.path(role+".crt"), 0o644, about, chainPEM(append([][]byte{der}, authority.above()...)))
	return made.addKey(stem.path(role+".key"), key)
}

// template is a certificate before it is signed. It begins an hour ago, for clocks that are behind.
func (o *certOrder) template(names certNames, now, until time.Time) *smx509.Certificate {
	usage := smx509.ExtKeyUsageServerAuth
	if o.client {
		usage = smx509.ExtKeyUsageClientAuth
	}
	return &smx509.Certificate{
		Subject:  pkix.Name{CommonName: names.common},
		DNSNames: names.dns, IPAddresses: names.ips, URIs: names.uris,
		NotBefore: now.Add(-time.Hour), NotAfter: until,
		ExtKeyUsage: []smx509.ExtKeyUsage{usage}, BasicConstraintsValid: true,
	}
}

// makeRequest makes a key and a request for its certificate (PKCS#10, RFC 2986; for SM2 signed
// with SM3, GM/T 0015).
func (o *certOrder) makeRequest(made *certFiles, stem certStem, names certNames) error {
	key, err := generateKey(o.kind)
	if err != nil {
		return err
	}
	der, err := smx509.CreateCertificateRequest(rand.Reader, &smx509.CertificateRequest{
		Subject:  pkix.Name{CommonName: names.common},
		DNSNames: names.dns, IPAddresses: names.ips, URIs: names.uris,
	}, key)
	if err != nil {
		return fmt.Errorf("signing the request: %w", err)
	}
	made.add(stem.path(o.role()+".csr"), 0o644, "request for "+o.purpose(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	return made.addKey(stem.path(o.role()+".key"), key)
}

// authority is the one that --ca names, the one in the folder, or a new one.
func (o *certOrder) authority(made *certFiles, now time.Time) (*certAuthority, error) {
	if o.ca != nil {
		made.signedBy = o.ca[0]
		return loadAuthority(o.ca[0], o.ca[1], o.kind)
	}
	certFile, keyFile := filepath.Join(o.out, "ca-"+o.kind+".crt"), filepath.Join(o.out, "ca-"+o.kind+".key")
	made.signedBy = certFile
	_, certErr := os.Lstat(certFile)
	_, keyErr := os.Lstat(keyFile)
	switch missing := [2]bool{os.IsNotExist(certErr), os.IsNotExist(keyErr)}; missing {
	case [2]bool{true, true}:
		return o.newAuthority(made, certFile, keyFile, now)
	case [2]bool{true, false}, [2]bool{false, true}:
		return nil, fmt.Errorf("of %s and %s one is there and one is missing; bring it back, or remove the other to have both made anew", certFile, keyFile)
	}
	return loadAuthority(certFile, keyFile, o.kind)
}

func (o *certOrder) newAuthority(made *certFiles, certFile, keyFile string, now time.Time) (*certAuthority, error) {
	key, err := generateKey(o.kind)
	if err != nil {
		return nil, err
	}
	public, err := smx509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(public)
	template := &smx509.Certificate{
		Subject:   pkix.Name{CommonName: fmt.Sprintf("Longmen test authority %s %x", o.kind, id[:4])},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, certCADays+1),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: smx509.KeyUsageCertSign | smx509.KeyUsageCRLSign, SubjectKeyId: id[:20],
	}
	der, err := smx509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the authority's certificate: %w", err)
	}
	leaf, err := smx509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	made.add(certFile, 0o644, "authority, until "+template.NotAfter.UTC().Format(time.DateOnly), chainPEM([][]byte{der}))
	return &certAuthority{leaf, [][]byte{der}, key}, made.addKey(keyFile, key)
}

// loadAuthority reads an authority from its files and sees to it that it may sign.
func loadAuthority(certFile, keyFile, kind string) (*certAuthority, error) {
	pair := certificate.Pair{CertFrom: certFile, KeyFrom: keyFile}
	var err error
	if pair.Cert, err = os.ReadFile(certFile); err != nil {
		return nil, err
	}
	if pair.Key, err = os.ReadFile(keyFile); err != nil {
		return nil, err
	}
	parser := certificate.Parser{Policy: sign.Go}
	c, err := parser.Parse(certificate.Source{Name: "ca", Pair: pair})
	if err != nil {
		return nil, err
	}
	key, err := c.Signer()
	if err != nil {
		return nil, err
	}
	leaf, err := smx509.ParseCertificate(c.Chain[0])
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", certFile, err)
	case !leaf.IsCA || leaf.KeyUsage != 0 && leaf.KeyUsage&smx509.KeyUsageCertSign == 0:
		return nil, fmt.Errorf("%s: not an authority: its certificate does not allow it to sign others", certFile)
	case (c.Kind == certificate.SM2) != (kind == "sm2"):
		return nil, fmt.Errorf("%s: an authority with a key of kind %s; SM2 certificates are signed by SM2 authorities, and only those", certFile, c.Kind)
	}
	return &certAuthority{leaf, c.Chain, key}, nil
}

// above is what a server has to send after a certificate of this authority: its own chain but
// for the root, which clients have.
func (a *certAuthority) above() [][]byte {
	if string(a.leaf.RawSubject) == string(a.leaf.RawIssuer) {
		return nil
	}
	return a.chain
}

func generateKey(kind string) (key crypto.Signer, err error) {
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "sm2":
		key, err = sm2.GenerateKey(rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

func chainPEM(chain [][]byte) []byte {
	var text []byte
	for _, der := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return text
}
