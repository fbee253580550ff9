package snapshot

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// testNow is what the clock says where certificates are judged.
var testNow = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// authority signs certificates, and writes them to a folder.
type testAuthority struct {
	t    testing.TB
	dir  string
	cert *smx509.Certificate
	key  crypto.Signer
}

// newAuthority makes one with the file ca.crt; with sm2 one of SM2.
func newAuthority(t testing.TB, dir string, ofSM2 bool) *testAuthority {
	t.Helper()
	a := &testAuthority{t: t, dir: dir}
	a.key = a.newKey(map[bool]string{false: "ecdsa", true: "sm2"}[ofSM2])
	template := &smx509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotBefore: testNow.AddDate(-1, 0, 0), NotAfter: testNow.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: smx509.KeyUsageCertSign | smx509.KeyUsageCRLSign,
	}
	a.cert = a.sign(template, template, a.key)
	a.write("ca.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
	return a
}

func (a *testAuthority) newKey(kind string) (key crypto.Signer) {
	a.t.Helper()
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "sm2":
		key, err = sm2.GenerateKey(rand.Reader)
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *testAuthority) sign(template, parent *smx509.Certificate, key crypto.Signer) *smx509.Certificate {
	a.t.Helper()
	der, err := smx509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := smx509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// issue writes name.crt and name.key: a certificate of a kind ("ecdsa", "rsa",
// "sm2") for DNS names, which ends so many days after testNow.
func (a *testAuthority) issue(name, kind string, days int, names ...string) {
	a.t.Helper()
	key := a.newKey(kind)
	cert := a.sign(&smx509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: names,
		NotBefore: testNow.AddDate(-1, 0, 0), NotAfter: testNow.AddDate(0, 0, days).Add(time.Hour),
		KeyUsage:    smx509.KeyUsageDigitalSignature | smx509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []smx509.ExtKeyUsage{smx509.ExtKeyUsageServerAuth, smx509.ExtKeyUsageClientAuth},
	}, a.cert, key)
	der, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	a.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// crl writes a revocation list without entries.
func (a *testAuthority) crl(name string) {
	a.t.Helper()
	der, err := smx509.CreateRevocationList(rand.Reader, &smx509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: testNow, NextUpdate: testNow.AddDate(1, 0, 0),
	}, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
}

func (a *testAuthority) write(name string, text []byte) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}
