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

	"longmen/gateway/admin"
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
		"cert --name shop.example.com", "cert --name api.example.org", "cert --name gm.example.com --kind sm2", "cert --ech public.example.com",
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

const tlsConfig = `listeners:
  https: {bind: ":8443", routes: [{hosts: [shop.example.com], rules: [{respond: {status: 204}}]}], tls: [shop]}
secrets:
  shop: {cert: CERTS/shop.example.com.crt, key: CERTS/shop.example.com.key}
`

// A new certificate in the files is served without a word about it; one that is no
// good changes nothing, and the next good one is served again.
func TestRunFollowsCertificates(t *testing.T) {
	certs := t.TempDir()
	renew := func() {
		t.Helper()
		if got := longmen(t, "cert", "--force", "--name", "shop.example.com", "--out", certs); !strings.HasSuffix(got, "exit 0\n") {
			t.Fatal(got)
		}
	}
	renew()
	r := start(t, strings.ReplaceAll(tlsConfig, "CERTS", certs))
	first := r.current.Load().snapshot
	renew()
	second := r.next(t)
	if second.Version == first.Version || second.Listeners[0].TLS == first.Listeners[0].TLS {
		t.Error("another certificate is another version")
	}
	write(t, filepath.Join(certs, "shop.example.com.crt"), "not a certificate")
	r.log.wait(t, "no certificate: nothing in it begins with")
	if r.refusals.Load() == 0 {
		t.Error("nobody was told that it was refused")
	}
	renew()
	if third := r.next(t); third.Listeners[0].TLS == second.Listeners[0].TLS {
		t.Error("the third certificate is not served")
	}
	if strings.Contains(r.log.String(), "PRIVATE KEY") {
		t.Errorf("a key in the log:\n%s", r.log)
	}
}

// A key that stands in the configuration itself gets into no dump, in no form.
func TestDumpHasNoKeys(t *testing.T) {
	secured(t)
	indented := func(name string) string {
		text, err := os.ReadFile(name)
		must(t, err)
		return "|\n      " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n      ")
	}
	key := indented("certs/shop.example.com.key")
	text := "listeners:\n  https: {bind: \":8443\", routes: [{hosts: [shop.example.com], rules: [{respond: {status: 204}}]}], tls: [shop]}\n" +
		"secrets:\n  shop:\n    cert: " + indented("certs/shop.example.com.crt") + "\n    key: " + key + "\n"
	l := load("gateway.yaml", []byte(text), sources{}, nil)
	if l.snapshot == nil {
		t.Fatal(l.problems)
	}
	secret := strings.Fields(key)[5]
	for _, format := range []admin.DumpFormat{admin.DumpYAML, admin.DumpJSON, admin.DumpXDS} {
		dump, err := dumpConfig(l.set, format)
		must(t, err)
		if strings.Contains(string(dump), secret) || !strings.Contains(string(dump), "[redacted]") || !strings.Contains(string(dump), "BEGIN CERTIFICATE") {
			t.Errorf("%s:\n%s", format, dump)
		}
	}
	dump, err := dumpConfig(l.set, admin.DumpYAML)
	must(t, err)
	if again := load("gateway.yaml", dump, sources{}, nil); again.snapshot != nil || !strings.Contains(again.problems[0].Text, "[redacted] is no key") {
		t.Errorf("a dump is no configuration with keys: %v", again.problems)
	}
}

// What a change of TLS touches is told, and no key is.
func TestDiffOfTLS(t *testing.T) {
	secured(t)
	key, err := os.ReadFile("certs/shop.example.com.key")
	must(t, err)
	text := `listeners: {https: {bind: ":8443", routes: [{hosts: [shop.example.com], rules: [{to: up}]}], tls: [shop]}}
clusters: {up: {endpoints: ["10.0.0.1:443"], tls: {ca: certs/ca-ecdsa.crt}}}
secrets: {shop: {cert: certs/shop.example.com.crt, key: KEY}}
`
	write(t, "old.yaml", strings.Replace(text, "KEY", "certs/shop.example.com.key", 1))
	write(t, "new.yaml", strings.NewReplacer("KEY", fmt.Sprintf("%q", key), "tls: [shop]", `tls: {certs: shop, min: "1.3"}`, "ca-ecdsa.crt}", "ca-ecdsa.crt, sni: a.b}").Replace(text))
	got := longmen(t, "diff", "old.yaml", "new.yaml")
	for _, want := range []string{"[redacted]", "listener https has other settings: no connection closes", "cluster up speaks TLS otherwise"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if secret := strings.Split(string(key), "\n")[1]; strings.Contains(got, secret) {
		t.Errorf("a key in:\n%s", got)
	}
}
