package command

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// secured goes into a folder with the files of testdata/tls and certificates, and
// gives the folder that it came from.
func secured(t *testing.T) (back string) {
	t.Helper()
	back, err := os.Getwd()
	must(t, err)
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("testdata/tls")))
	t.Chdir(dir)
	for _, line := range []string{
		"cert --name shop.example.com", "cert --name api.example.org", "cert --name gm.example.com --kind sm2",
	} {
		if got := longmen(t, words(line)...); !strings.HasSuffix(got, "exit 0\n") {
			t.Fatal(got)
		}
	}
	expired(t)
	return back
}

// expired writes a certificate that nobody takes any more.
func expired(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example.com"},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	write(t, "certs/expired.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, "certs/expired.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}

// steady leaves out what depends on the day and on the keys of certificates.
func steady(text string) string {
	text = regexp.MustCompile(`version [0-9a-f]{8}`).ReplaceAllString(text, "version ########")
	return regexp.MustCompile(`expired \d+ days ago`).ReplaceAllString(text, "expired ### days ago")
}

// Each file has mistakes of one kind about TLS; its golden file has the places,
// the carets and the hints.
func TestCheckOfTLS(t *testing.T) {
	back := secured(t)
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		got := steady(longmen(t, "check", "-c", file))
		golden(t, filepath.Join(back, "testdata/tls", strings.TrimSuffix(file, ".yaml")+".golden"), got)
	}
}

func TestExplainTLS(t *testing.T) {
	back := secured(t)
	cases, err := os.ReadFile("cases.txt")
	must(t, err)
	var got strings.Builder
	for line := range strings.Lines(string(cases)) {
		line = strings.TrimSpace(line)
		fmt.Fprintf(&got, "$ longmen %s\n%s\n", line, longmen(t, words(line)...))
	}
	golden(t, filepath.Join(back, "testdata/tls/answers.golden"), got.String())
}
