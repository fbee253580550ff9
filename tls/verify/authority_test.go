package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/verify"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// authority is a certificate with its key, and who issues more with it.
type authority struct {
	t    testing.TB
	cert *smx509.Certificate
	key  crypto.Signer
}

// leaf is what a certificate is for; zero fields have defaults.
type leaf struct {
	subject          pkix.Name
	dns, uris, mails []string
	ips              []string
	ca               bool
	usage            smx509.ExtKeyUsage
	keyUsage         smx509.KeyUsage
	from, to         time.Time
	key              crypto.Signer
}

func ecdsaKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sm2Key(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// root makes a self-signed CA.
func root(t testing.TB, name string, key crypto.Signer) *authority {
	t.Helper()
	return issue(t, nil, leaf{subject: pkix.Name{CommonName: name}, ca: true, key: key})
}

// issue makes a certificate that a signs.
func (a *authority) issue(l leaf) *authority {
	a.t.Helper()
	return issue(a.t, a, l)
}

func issue(t testing.TB, by *authority, l leaf) *authority {
	t.Helper()
	if l.key == nil {
		l.key = ecdsaKey(t)
	}
	if l.from.IsZero() {
		l.from, l.to = now.Add(-time.Hour), now.Add(time.Hour)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &smx509.Certificate{
		SerialNumber: serial, Subject: l.subject, NotBefore: l.from, NotAfter: l.to, DNSNames: l.dns, EmailAddresses: l.mails,
		KeyUsage: smx509.KeyUsageDigitalSignature | l.keyUsage, BasicConstraintsValid: true, IsCA: l.ca,
	}
	if l.ca {
		template.KeyUsage = smx509.KeyUsageCertSign | smx509.KeyUsageCRLSign
	} else {
		template.ExtKeyUsage = []smx509.ExtKeyUsage{smx509.ExtKeyUsageClientAuth}
		if l.usage != 0 {
			template.ExtKeyUsage[0] = l.usage
		}
	}
	for _, text := range l.uris {
		uri, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, uri)
	}
	for _, text := range l.ips {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(text))
	}
	parent, key := template, l.key
	if by != nil {
		parent, key = by.cert, by.key
	}
	der, err := smx509.CreateCertificate(rand.Reader, template, parent, l.key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := smx509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, l.key}
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// roots are a file of those certificates.
func roots(t testing.TB, list ...*authority) *verify.Roots {
	t.Helper()
	var file []byte
	for _, a := range list {
		file = append(file, a.pem()...)
	}
	r, err := verify.ParseRoots(file)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// chain is what a peer sends.
func chain(list ...*authority) (der [][]byte) {
	for _, a := range list {
		der = append(der, a.cert.Raw)
	}
	return der
}

// policy is a configuration that is in order.
func policy(t testing.TB, c verify.Config) *verify.Policy {
	t.Helper()
	p, err := verify.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wants checks the outcome of a verification; 0 is none.
func wants(t *testing.T, err error, reason verify.Reason) {
	t.Helper()
	if reason == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	failure, ok := err.(*verify.Error)
	if !ok || failure.Reason != reason {
		t.Errorf("%v; want %v", err, reason)
	}
}
