package tlcp

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

// A testCA issues the certificates of the tests.
type testCA struct {
	cert *smx509.Certificate
	key  *sm2.PrivateKey
}

const (
	signUsage    = smx509.KeyUsageDigitalSignature | smx509.KeyUsageContentCommitment
	encryptUsage = smx509.KeyUsageKeyEncipherment | smx509.KeyUsageDataEncipherment | smx509.KeyUsageKeyAgreement
	caUsage      = smx509.KeyUsageCertSign | smx509.KeyUsageCRLSign
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newTestKey(t testing.TB) *sm2.PrivateKey {
	t.Helper()
	key, err := sm2.GenerateKey(rand.Reader)
	check(t, err)
	return key
}

// newCA makes a CA that parent has issued, or a root if that is nil.
func newCA(t testing.TB, name string, parent *testCA) *testCA {
	t.Helper()
	ca := &testCA{key: newTestKey(t)}
	template := template(name, caUsage)
	template.IsCA, template.BasicConstraintsValid = true, true
	issuer, signer := template, ca.key
	if parent != nil {
		issuer, signer = parent.cert, parent.key
	}
	der, err := smx509.CreateCertificate(rand.Reader, template, issuer, ca.key.Public(), signer)
	check(t, err)
	ca.cert, err = smx509.ParseCertificate(der)
	check(t, err)
	return ca
}

func template(name string, usage smx509.KeyUsage) *smx509.Certificate {
	now := time.Now()
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	return &smx509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: usage,
	}
}

// issue makes a leaf; edit, if not nil, changes its template.
func (ca *testCA) issue(t testing.TB, name string, usage smx509.KeyUsage, edit func(*smx509.Certificate)) ([]byte, *sm2.PrivateKey) {
	t.Helper()
	key := newTestKey(t)
	leaf := template(name, usage)
	leaf.DNSNames = []string{name}
	leaf.ExtKeyUsage = []smx509.ExtKeyUsage{smx509.ExtKeyUsageServerAuth, smx509.ExtKeyUsageClientAuth}
	if edit != nil {
		edit(leaf)
	}
	der, err := smx509.CreateCertificate(rand.Reader, leaf, ca.cert, key.Public(), ca.key)
	check(t, err)
	return der, key
}

// pair makes a double certificate.
func (ca *testCA) pair(t testing.TB, name string) *Certificate {
	t.Helper()
	sign, signKey := ca.issue(t, name, signUsage, nil)
	encrypt, encryptKey := ca.issue(t, name, encryptUsage, nil)
	return &Certificate{Chain: [][]byte{sign, encrypt}, Sign: signKey, Encrypt: encryptKey}
}

func (ca *testCA) pool() *smx509.CertPool {
	pool := smx509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// A testPKI is what most tests use, made once.
type testPKI struct {
	ca             *testCA
	server, client *Certificate
}

var onePKI struct {
	sync.Once
	testPKI
}

func pki(t testing.TB) *testPKI {
	t.Helper()
	onePKI.Do(func() {
		ca := newCA(t, "test root", nil)
		onePKI.testPKI = testPKI{ca, ca.pair(t, "server.test"), ca.pair(t, "client.test")}
	})
	return &onePKI.testPKI
}

// configs are a server and a client that trust each other's CA.
func configs(t testing.TB) (*ServerConfig, *ClientConfig) {
	t.Helper()
	p := pki(t)
	return &ServerConfig{Certificate: p.server, ClientCAs: p.ca.pool()},
		&ClientConfig{ServerName: "server.test", Roots: p.ca.pool()}
}

// addressPair is a pair for 127.0.0.1.
func addressPair(t testing.TB) *Certificate {
	t.Helper()
	ca := pki(t).ca
	edit := func(c *smx509.Certificate) { c.DNSNames, c.IPAddresses = nil, []net.IP{{127, 0, 0, 1}} }
	sign, signKey := ca.issue(t, "address", signUsage, edit)
	encrypt, encryptKey := ca.issue(t, "address", encryptUsage, edit)
	return &Certificate{Chain: [][]byte{sign, encrypt}, Sign: signKey, Encrypt: encryptKey}
}
