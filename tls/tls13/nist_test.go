package tls13

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"testing"

	"longmen/tls/record"

	"github.com/emmansun/gmsm/smx509"
)

// nist is a profile of algorithms that crypto/tls and OpenSSL know: with it, the protocol that
// is tested elsewhere between our two sides is tested against theirs.
func nist() *profile {
	return &profile{
		suite:   tls.TLS_AES_128_GCM_SHA256,
		group:   uint16(tls.CurveP256),
		scheme:  uint16(tls.ECDSAWithP256AndSHA256),
		newHash: sha256.New,
		newShare: func(random io.Reader) (share, error) {
			key, err := ecdh.P256().GenerateKey(random)
			return nistShare{key}, err
		},
		half: func(secret []byte) (*record.Half, error) {
			return record.NewTLS13(tls.TLS_AES_128_GCM_SHA256, secret)
		},
		sign: func(random io.Reader, key crypto.Signer, message []byte) ([]byte, error) {
			sum := sha256.Sum256(message)
			return key.Sign(random, sum[:], crypto.SHA256)
		},
		verify: func(key crypto.PublicKey, message, signature []byte) bool {
			sum := sha256.Sum256(message)
			public, ok := key.(*ecdsa.PublicKey)
			return ok && ecdsa.VerifyASN1(public, sum[:], signature)
		},
	}
}

type nistShare struct{ key *ecdh.PrivateKey }

func (s nistShare) public() []byte { return s.key.PublicKey().Bytes() }

func (s nistShare) shared(peer []byte) ([]byte, error) {
	public, err := ecdh.P256().NewPublicKey(peer)
	if err != nil {
		return nil, err
	}
	return s.key.ECDH(public)
}

// A nistPair is both sides' configs in both implementations' terms.
type nistPair struct {
	server, client *tls.Certificate
	ours           *smx509.CertPool
	theirs         *x509.CertPool
	root           []byte // DER
}

func newNISTPair(t testing.TB) *nistPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "root"},
		NotBefore:             noon.AddDate(-10, 0, 0), // OpenSSL has the system's clock
		NotAfter:              noon.AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p := &nistPair{ours: smx509.NewCertPool(), theirs: x509.NewCertPool(), root: der}
	p.theirs.AddCert(root)
	p.ours.AddCert(parseDER(t, der))
	issue := func(serial int64, name string, usage x509.ExtKeyUsage) *tls.Certificate {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(serial),
			Subject:      pkix.Name{CommonName: name},
			DNSNames:     []string{name},
			NotBefore:    template.NotBefore,
			NotAfter:     template.NotAfter,
			KeyUsage:     x509.KeyUsageDigitalSignature,
			ExtKeyUsage:  []x509.ExtKeyUsage{usage},
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, root, own.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own}
	}
	p.server = issue(2, "server.test", x509.ExtKeyUsageServerAuth)
	p.client = issue(3, "client.test", x509.ExtKeyUsageClientAuth)
	return p
}

func choosing(p *profile) func(*clientHello) (*profile, error) {
	return func(*clientHello) (*profile, error) { return p, nil }
}
