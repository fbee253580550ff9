// Package authority makes the certificates of the measurements: one authority and
// what it signs, as the peers read them.
package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// Kind is the kind of a key.
type Kind string

// The kinds.
const (
	RSA2048 Kind = "rsa"
	P256    Kind = "p256"
	SM2     Kind = "sm2"
)

// Certificate is in one file of PEM, the certificate before its key.
type Certificate struct {
	Name    string // that it is for
	File    string
	Encrypt string // SM2: the file of the second certificate, for encryption
}

// An Authority signs. Its own key is of the kind of what it signs.
type Authority struct {
	kind        Kind
	certificate *smx509.Certificate
	key         crypto.Signer
	keys        []crypto.Signer // of RSA: few, as they take long to make
	serial      int64
	dir         string
}

// rsaKeys is how many RSA keys certificates take in turn.
const rsaKeys = 8

// New makes an authority that puts what it makes into dir.
func New(kind Kind, dir string) (*Authority, error) {
	a := &Authority{kind: kind, dir: dir}
	var err error
	authorityKind := kind
	if kind == RSA2048 {
		authorityKind = P256 // signs 40 times as fast, and does not matter to anybody
	}
	if a.key, err = newKey(authorityKind); err != nil {
		return nil, err
	}
	template := a.template("Longmen bench authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = smx509.KeyUsageCertSign
	der, err := smx509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("the authority's certificate: %w", err)
	}
	a.certificate, err = smx509.ParseCertificate(der)
	return a, err
}

// Pool trusts the authority. There is none for SM2, which crypto/x509 does not
// know.
func (a *Authority) Pool() *x509.CertPool {
	if a.kind == SM2 {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
	return pool
}

// Issue makes the certificate of a name, for SM2 the pair of two.
func (a *Authority) Issue(name string) (c Certificate, err error) {
	c.Name = name
	if a.kind != SM2 {
		c.File, err = a.issue(name, ".pem", smx509.KeyUsageDigitalSignature)
		return c, err
	}
	if c.File, err = a.issue(name, ".sign.pem", smx509.KeyUsageDigitalSignature); err != nil {
		return c, err
	}
	c.Encrypt, err = a.issue(name, ".encrypt.pem", smx509.KeyUsageKeyEncipherment|smx509.KeyUsageDataEncipherment|smx509.KeyUsageKeyAgreement)
	return c, err
}

func (a *Authority) issue(name, suffix string, usage smx509.KeyUsage) (file string, err error) {
	key, err := a.nextKey()
	if err != nil {
		return "", err
	}
	template := a.template(name)
	template.DNSNames = []string{name}
	template.KeyUsage = usage
	template.ExtKeyUsage = []smx509.ExtKeyUsage{smx509.ExtKeyUsageServerAuth}
	der, err := smx509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return "", fmt.Errorf("certificate for %s: %w", name, err)
	}
	pkcs8, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	file = filepath.Join(a.dir, name+suffix)
	return file, os.WriteFile(file, text, 0o600)
}

func (a *Authority) template(name string) *smx509.Certificate {
	a.serial++
	return &smx509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 3, 0),
	}
}

func (a *Authority) nextKey() (crypto.Signer, error) {
	if a.kind == RSA2048 && len(a.keys) == rsaKeys {
		return a.keys[a.serial%rsaKeys], nil
	}
	key, err := newKey(a.kind)
	if a.kind == RSA2048 && err == nil {
		a.keys = append(a.keys, key)
	}
	return key, err
}

func newKey(kind Kind) (crypto.Signer, error) {
	switch kind {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case SM2:
		return sm2.GenerateKey(rand.Reader)
	}
	return nil, fmt.Errorf("unknown kind of key %q", kind)
}
