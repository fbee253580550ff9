package ocsp

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"longmen/tls/certificate"
)

// openSSL answers requests by openssl's responder, as one process for each.
type openSSL struct {
	dir  string
	args []string
}

func newOpenSSL(t *testing.T, a *authority, index string, delegate bool) *openSSL {
	t.Helper()
	o := &openSSL{dir: t.TempDir()}
	o.args = []string{"ocsp", "-index", o.path("index"), "-CA", o.path("ca"), "-rsigner", o.path("ca"), "-rkey", o.path("key"), "-nmin", "60", "-reqin", o.path("request"), "-respout", o.path("response")}
	signer, key := a.cert, a.key
	if delegate {
		a.delegate(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}})
		signer, key = a.responder, a.signer
		o.args[6] = o.path("responder")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"ca": {Type: "CERTIFICATE", Bytes: a.cert.Raw}, "responder": {Type: "CERTIFICATE", Bytes: signer.Raw}, "key": {Type: "PRIVATE KEY", Bytes: der}} {
		o.write(t, name, pem.EncodeToMemory(block))
	}
	o.write(t, "index", []byte(index))
	return o
}

func (o *openSSL) path(name string) string { return filepath.Join(o.dir, name) }

func (o *openSSL) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(o.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// answer is what openssl answers to a request for c.
func (o *openSSL) answer(t *testing.T, c *certificate.Certificate) []byte {
	t.Helper()
	p, err := parsePair(c.Chain)
	if err != nil {
		t.Fatal(err)
	}
	request, err := ocsp.CreateRequest(p.leaf, p.issuer, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.write(t, "request", request)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "openssl", o.args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	der, err := os.ReadFile(o.path("response"))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// OpenSSL understands our requests, and we its responses.
func TestOpenSSLResponder(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	for _, delegate := range []bool{false, true} {
		t.Run(fmt.Sprintf("delegate %v", delegate), func(t *testing.T) {
			a := newAuthority(t)
			good, revoked, unknown := a.certificate(), a.certificate(), a.certificate()
			line := func(c *certificate.Certificate, status, at string) string {
				leaf, err := x509.ParseCertificate(c.Chain[0])
				if err != nil {
					t.Fatal(err)
				}
				return fmt.Sprintf("%s\t401231235959Z\t%s\t%X\tunknown\t/CN=leaf\n", status, at, leaf.SerialNumber.Bytes())
			}
			o := newOpenSSL(t, a, line(good, "V", "")+line(revoked, "R", "250102030405Z"), delegate)
			r, err := Parse(o.answer(t, good), good.Chain, time.Now())
			if err != nil || r.NextUpdate.Sub(r.ThisUpdate) != time.Hour {
				t.Errorf("good: %+v, %v", r, err)
			}
			_, err = Parse(o.answer(t, revoked), revoked.Chain, time.Now())
			if e, ok := errors.AsType[*RevokedError](err); !ok || !e.At.Equal(time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)) {
				t.Errorf("revoked: %v", err)
			}
			if _, err = Parse(o.answer(t, unknown), unknown.Chain, time.Now()); !errors.Is(err, errUnknown) {
				t.Errorf("unknown: %v", err)
			}
		})
	}
}
