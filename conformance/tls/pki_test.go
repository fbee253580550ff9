package tls_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// An authority issues the certificates of a test, into a folder.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
	file string // its certificate
}

// A leaf is a certificate, its key and their files.
type leaf struct {
	cert     *x509.Certificate
	key      crypto.Signer
	crt, pem string
}

// newAuthority makes an authority whose files begin with its name.
func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), key: newKey(t, "p256")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	check(t, err)
	a.cert, err = x509.ParseCertificate(der)
	check(t, err)
	a.file = a.write(name+".crt", "CERTIFICATE", der)
	return a
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newKey makes a key of a kind.
func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case "rsa":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "p256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatal("no kind of key: ", kind)
	}
	check(t, err)
	return key
}

// issue makes a certificate with the name, and others if edit says so.
func (a *authority) issue(kind, name string, edit ...func(*x509.Certificate)) *leaf {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	check(a.t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		template.IPAddresses = []net.IP{ip.AsSlice()}
	} else {
		template.DNSNames = []string{name}
	}
	for _, f := range edit {
		f(template)
	}
	key := newKey(a.t, kind)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	check(a.t, err)
	l := &leaf{key: key}
	l.cert, err = x509.ParseCertificate(der)
	check(a.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	check(a.t, err)
	stem := fmt.Sprintf("%s-%x", kind, serial)
	l.crt, l.pem = a.write(stem+".crt", "CERTIFICATE", der), a.write(stem+".key", "PRIVATE KEY", pkcs8)
	return l
}

func expired(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }

// secret is the leaf as a line of secrets.
func (l *leaf) secret(name string) string { return name + ": " + l.pair() + "\n" }

func (l *leaf) pair() string { return fmt.Sprintf("{cert: %q, key: %q}", l.crt, l.pem) }

// std is the leaf for crypto/tls.
func (l *leaf) std() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{l.cert.Raw}, PrivateKey: l.key}
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// revoke writes a list that revokes the certificates.
func (a *authority) revoke(all ...*leaf) string {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(24 * time.Hour)}
	for _, l := range all {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: l.cert.SerialNumber, RevocationTime: time.Now().Add(-time.Hour)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.cert, a.key)
	check(a.t, err)
	return a.write("list.crl", "X509 CRL", der)
}

// staple writes an OCSP response (DER) that says that a certificate is good, at
// an age.
func (a *authority) staple(l *leaf, name string, age time.Duration) string {
	der, err := ocsp.CreateResponse(a.cert, a.cert, ocsp.Response{
		Status: ocsp.Good, SerialNumber: l.cert.SerialNumber,
		ThisUpdate: time.Now().Add(-age), NextUpdate: time.Now().Add(2*time.Hour - age),
	}, a.key)
	check(a.t, err)
	path := filepath.Join(a.dir, name)
	check(a.t, os.WriteFile(path, der, 0o600))
	return path
}

func (a *authority) write(name, typ string, der []byte) string {
	path := filepath.Join(a.dir, name)
	check(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600))
	return path
}

// certify runs longmen cert in a folder: what a person would do for SM2.
func certify(t testing.TB, dir string, arguments ...string) {
	t.Helper()
	cmd := exec.Command(os.Getenv("LONGMEN_BIN"), append([]string{"cert", "--out", dir}, arguments...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("longmen cert %q: %v\n%s", arguments, err, out)
	}
}

// smSecret is the SM2 pair that certify made for a name, as a line of secrets.
func smSecret(dir, name string) string {
	file := func(end string) string { return filepath.Join(dir, name+end) }
	return fmt.Sprintf("%q: {sm2: {sign: [%q, %q], encrypt: [%q, %q]}}\n", name,
		file(".sign.crt"), file(".sign.key"), file(".encrypt.crt"), file(".encrypt.key"))
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	return b
}
