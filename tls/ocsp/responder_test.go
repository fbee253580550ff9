package ocsp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"longmen/tls/certificate"
)

// authority issues certificates and answers for them.
type authority struct {
	t         testing.TB
	cert      *x509.Certificate
	key       crypto.Signer
	responder *x509.Certificate // signs answers; nil: the authority does
	signer    crypto.Signer
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certify(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = serial
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Unix(0, 0), time.Now().AddDate(20, 0, 0)
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := newKey(t)
	return &authority{t: t, key: key, cert: certify(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, key.Public(), key)}
}

// delegate gives the answering to another key, by a certificate of that form.
func (a *authority) delegate(template *x509.Certificate) {
	a.t.Helper()
	a.signer = newKey(a.t)
	template.Subject = pkix.Name{CommonName: "responder"}
	a.responder = certify(a.t, template, a.cert, a.signer.Public(), a.key)
}

// certificate issues one in the gateway's form.
func (a *authority) certificate(servers ...string) *certificate.Certificate {
	a.t.Helper()
	c := certify(a.t, &x509.Certificate{Subject: pkix.Name{CommonName: "leaf"}}, a.cert, newKey(a.t).Public(), a.key)
	return &certificate.Certificate{Kind: certificate.ECDSA, Chain: [][]byte{c.Raw, a.cert.Raw}, OCSPServers: servers, Fingerprint: sha256.Sum256(c.Raw)}
}

// answer is a response about a certificate.
type answer struct {
	status     int
	this, next time.Time
}

func (a *authority) answer(c *certificate.Certificate, what answer) []byte {
	a.t.Helper()
	leaf, err := x509.ParseCertificate(c.Chain[0])
	if err != nil {
		a.t.Fatal(err)
	}
	template := ocsp.Response{Status: what.status, SerialNumber: leaf.SerialNumber, ThisUpdate: what.this, NextUpdate: what.next}
	if what.status == ocsp.Revoked {
		template.RevokedAt = what.this
	}
	responder, key := a.cert, a.key
	if a.responder != nil {
		responder, key, template.Certificate = a.responder, a.signer, a.responder
	}
	der, err := ocsp.CreateResponse(a.cert, responder, template, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

// script is a Doer that answers by the certificate's serial number.
type script struct {
	mu      sync.Mutex
	answers map[string]func() ([]byte, error) // by serial
	asked   []string                          // method and host
	most    int                               // requests under way at once
	running int
	takes   time.Duration
}

func newScript() *script { return &script{answers: make(map[string]func() ([]byte, error))} }

func (s *script) set(t testing.TB, c *certificate.Certificate, f func() ([]byte, error)) {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[leaf.SerialNumber.String()] = f
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

var errUnreachable = errors.New("unreachable")

func (s *script) Do(r *http.Request) (*http.Response, error) {
	request, err := readRequest(r)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.URL.Host)
	s.running++
	s.most = max(s.most, s.running)
	f := s.answers[request.SerialNumber.String()]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.mu.Unlock()
	}()
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if f == nil {
		return nil, errUnreachable
	}
	der, err := f()
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(der))}, nil
}

// readRequest reads an OCSP request as a responder does.
func readRequest(r *http.Request) (*ocsp.Request, error) {
	if r.Method == http.MethodPost {
		der, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		return ocsp.ParseRequest(der)
	}
	path := r.URL.EscapedPath()
	text, err := url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return nil, err
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return ocsp.ParseRequest(der)
}
