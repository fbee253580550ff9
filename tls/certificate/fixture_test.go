package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// An issuer is a certificate with its key: an authority, or a leaf.
type issuer struct {
	der    []byte
	parsed *smx509.Certificate
	key    crypto.Signer
}

// rsaKeys are made once: it takes a tenth of a second each.
var rsaKeys = [2]func() crypto.Signer{
	sync.OnceValue(func() crypto.Signer { return makeRSA(2048) }),
	sync.OnceValue(func() crypto.Signer { return makeRSA(1024) }),
}

func makeRSA(bits int) crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var k crypto.Signer
	var err error
	switch kind {
	case "rsa":
		return rsaKeys[0]()
	case "rsa-1024":
		return rsaKeys[1]()
	case "p256":
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		k, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "p521":
		k, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ed25519":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	case "sm2":
		k, err = sm2.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no key of kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// template is a server's leaf for some names, valid around noon.
func template(names ...string) *smx509.Certificate {
	return &smx509.Certificate{
		Subject: pkix.Name{CommonName: "leaf"}, DNSNames: names,
		NotBefore: noon.AddDate(0, -1, 0), NotAfter: noon.AddDate(0, 2, 0),
		KeyUsage: smx509.KeyUsageDigitalSignature, ExtKeyUsage: []smx509.ExtKeyUsage{smx509.ExtKeyUsageServerAuth},
	}
}

func authorityTemplate(name string) *smx509.Certificate {
	return &smx509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(9, 0, 0), KeyUsage: smx509.KeyUsageCertSign,
	}
}

// issue makes a certificate; parent nil is self-signed.
func issue(t testing.TB, parent *issuer, key crypto.Signer, from *smx509.Certificate) *issuer {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	from.SerialNumber = serial
	signer, above := key, from
	if parent != nil {
		signer, above = parent.key, parent.parsed
	}
	der, err := smx509.CreateCertificate(rand.Reader, from, above, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := smx509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{der, parsed, key}
}

// leaf makes a self-signed certificate of a kind for some names.
func leaf(t testing.TB, kind string, names ...string) *issuer {
	t.Helper()
	return issue(t, nil, newKey(t, kind), template(names...))
}

func certPEM(issuers ...*issuer) []byte {
	var out bytes.Buffer
	for _, i := range issuers {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.der}))
	}
	return out.Bytes()
}

func keyPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// pairOf is a certificate's input as files would give it.
func pairOf(t testing.TB, l *issuer, above ...*issuer) Pair {
	t.Helper()
	return Pair{Cert: certPEM(append([]*issuer{l}, above...)...), Key: keyPEM(t, l.key), CertFrom: "shop.crt", KeyFrom: "shop.key"}
}

func parse(t testing.TB, s Source) *Certificate {
	t.Helper()
	var p Parser
	c, err := p.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// parsed is a certificate of a kind for some names.
func parsed(t testing.TB, kind string, names ...string) *Certificate {
	t.Helper()
	return parse(t, Source{Name: kind, Pair: pairOf(t, leaf(t, kind, names...))})
}

// sm2Pair is an authority's double certificate, as input.
func sm2Pair(t testing.TB, names ...string) Source {
	t.Helper()
	root := issue(t, nil, newKey(t, "sm2"), authorityTemplate("SM2 root"))
	sign, encrypt := template(names...), template(names...)
	encrypt.KeyUsage = smx509.KeyUsageKeyEncipherment | smx509.KeyUsageDataEncipherment | smx509.KeyUsageKeyAgreement
	first, second := issue(t, root, newKey(t, "sm2"), sign), issue(t, root, newKey(t, "sm2"), encrypt)
	s := Source{Name: "gm", Pair: Pair{Cert: certPEM(first, root), Key: keyPEM(t, first.key), CertFrom: "sign.crt", KeyFrom: "sign.key"}}
	s.Encrypt = &Pair{Cert: certPEM(second, root), Key: keyPEM(t, second.key), CertFrom: "encrypt.crt", KeyFrom: "encrypt.key"}
	return s
}

// mustStapleExtension is RFC 7633's, with status_request.
func mustStapleExtension() pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: []byte{0x30, 3, 2, 1, 5}}
}

// wantText fails unless one of the texts has the part in it.
func wantText(t *testing.T, texts []string, part string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(text, part) {
			return
		}
	}
	t.Errorf("%q: nothing has %q in it", texts, part)
}
