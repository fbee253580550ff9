package command

import (
	"context"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"longmen/tls/certificate"
)

// opensslTool runs Debian's openssl and returns what it writes.
func opensslTool(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "openssl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// cert runs "longmen cert", which must end well.
func cert(t *testing.T, args ...string) string {
	t.Helper()
	out := longmen(t, append([]string{"cert"}, args...)...)
	if !strings.HasSuffix(out, "exit 0\n") {
		t.Fatalf("longmen cert %s:\n%s", strings.Join(args, " "), out)
	}
	return out
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// parsePair reads what was written, as the gateway does.
func parsePair(t *testing.T, certFile, keyFile string) *certificate.Certificate {
	t.Helper()
	var parser certificate.Parser
	c, err := parser.Parse(certificate.Source{Name: "made", Pair: certificate.Pair{
		Cert: readFile(t, certFile), Key: readFile(t, keyFile), CertFrom: certFile, KeyFrom: keyFile,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Signer(); err != nil {
		t.Fatal(err)
	}
	return c
}

var sm2ID = []string{"-vfyopt", "distid:1234567812345678"}

func TestCertOfEachKind(t *testing.T) {
	t.Chdir(t.TempDir())
	for kind, want := range map[string]string{
		"ecdsa": "NIST CURVE: P-256", "rsa": "Public-Key: (2048 bit)", "ed25519": "ED25519 Public-Key",
	} {
		out := cert(t, "--name", kind+".example.com", "--name", "*.example.com,192.0.2.1", "--kind", kind, "--days", "30")
		file := "certs/" + kind + ".example.com"
		if secret := "  " + kind + ": {cert: " + file + ".crt, key: " + file + ".key}\n"; !strings.Contains(out, secret) {
			t.Errorf("%s: nothing says %q:\n%s", kind, secret, out)
		}
		opensslTool(t, "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "any.example.com", "-CAfile", "certs/ca-"+kind+".crt", file+".crt")
		opensslTool(t, "verify", "-verify_ip", "192.0.2.1", "-CAfile", "certs/ca-"+kind+".crt", file+".crt")
		if text := opensslTool(t, "x509", "-in", file+".crt", "-noout", "-text"); !strings.Contains(text, want) {
			t.Errorf("%s: openssl says:\n%s", kind, text)
		}
		opensslTool(t, "pkey", "-in", file+".key", "-check", "-noout")
		c := parsePair(t, file+".crt", file+".key")
		if !slices.Equal(c.DNSNames, []string{kind + ".example.com", "*.example.com"}) || len(c.IPs) != 1 || !c.ForServer || c.ForClient {
			t.Errorf("%s: names %q and %v, server %v, client %v", kind, c.DNSNames, c.IPs, c.ForServer, c.ForClient)
		}
		if problems := c.Problems(time.Now(), 29*24*time.Hour); len(problems) != 0 {
			t.Errorf("%s: problems %v", kind, problems)
		}
		if problems := c.Problems(time.Now(), 31*24*time.Hour); len(problems) != 1 {
			t.Errorf("%s: it does not expire within 31 days", kind)
		}
	}
}

func TestCertOfSM2(t *testing.T) {
	t.Chdir(t.TempDir())
	out := cert(t, "--name", "gm.example.com", "--kind", "sm2", "--out", "keys")
	const secret = "  gm: {sm2: {sign: [keys/gm.example.com.sign.crt, keys/gm.example.com.sign.key], encrypt: [keys/gm.example.com.encrypt.crt, keys/gm.example.com.encrypt.key]}}\n"
	if !strings.Contains(out, secret) {
		t.Errorf("nothing says %q:\n%s", secret, out)
	}
	for role, usage := range map[string]string{
		"sign": "Digital Signature, Non Repudiation\n", "encrypt": "Key Encipherment, Data Encipherment, Key Agreement\n",
	} {
		file := "keys/gm.example.com." + role
		opensslTool(t, slices.Concat([]string{"verify"}, sm2ID, []string{"-CAfile", "keys/ca-sm2.crt", file + ".crt"})...)
		if text := opensslTool(t, "x509", "-in", file+".crt", "-noout", "-text"); !strings.Contains(text, usage) || !strings.Contains(text, "SM2-with-SM3") {
			t.Errorf("%s: openssl says:\n%s", role, text)
		}
		if text := opensslTool(t, "pkey", "-in", file+".key", "-noout", "-text"); !strings.Contains(text, "ASN1 OID: SM2") {
			t.Errorf("%s: openssl says:\n%s", role, text)
		}
	}
	pair := func(role string) certificate.Pair {
		return certificate.Pair{Cert: readFile(t, "keys/gm.example.com."+role+".crt"), Key: readFile(t, "keys/gm.example.com."+role+".key")}
	}
	var parser certificate.Parser
	encrypt := pair("encrypt")
	c, err := parser.Parse(certificate.Source{Name: "gm", Pair: pair("sign"), Encrypt: &encrypt})
	if err != nil || len(c.Problems(time.Now(), time.Hour)) != 0 {
		t.Errorf("as a pair: %v, %v", err, c.Problems(time.Now(), time.Hour))
	}
}

func TestCertRequests(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, kind := range []string{"ecdsa", "rsa", "ed25519", "sm2"} {
		out := cert(t, "--name", "shop.example.com", "--kind", kind, "--csr", "--out", kind)
		file, args := kind+"/shop.example.com", []string(nil)
		if kind == "sm2" {
			file, args = file+".sign", sm2ID
		}
		text := opensslTool(t, append([]string{"req", "-in", file + ".csr", "-verify", "-noout", "-text"}, args...)...)
		if !strings.Contains(text, "self-signature verify OK") || !strings.Contains(text, "DNS:shop.example.com") {
			t.Errorf("%s: openssl says:\n%s", kind, text)
		}
		opensslTool(t, "pkey", "-in", file+".key", "-check", "-noout")
		if entries, err := os.ReadDir(kind); err != nil || len(entries) != 2 {
			t.Errorf("%s: %d files, %v; want the request and the key", kind, len(entries), err)
		}
		if !strings.Contains(out, "Send the request to an authority") {
			t.Errorf("%s: nothing says what comes next:\n%s", kind, out)
		}
	}
}

// A client's certificate may be called anything; an authority's files may be anywhere.
func TestCertForClientsByGivenAuthority(t *testing.T) {
	t.Chdir(t.TempDir())
	cert(t, "--name", "root.example.com", "--out", "root")
	if out := cert(t, "--name", "Alice B. Example", "--client", "--ca", "root/ca-ecdsa.crt,root/ca-ecdsa.key", "--kind", "rsa"); !strings.Contains(out, "client_ca: root/ca-ecdsa.crt, require: true}") {
		t.Errorf("nothing says how a listener asks for it:\n%s", out)
	}
	opensslTool(t, "verify", "-purpose", "sslclient", "-CAfile", "root/ca-ecdsa.crt", "certs/alice-b.-example.crt")
	c := parsePair(t, "certs/alice-b.-example.crt", "certs/alice-b.-example.key")
	if c.Subject != "CN=Alice B. Example" || len(c.DNSNames) != 0 || c.ForServer || !c.ForClient {
		t.Errorf("subject %q, names %q, server %v, client %v", c.Subject, c.DNSNames, c.ForServer, c.ForClient)
	}
	cert(t, "--name", "spiffe://prod.example.com/ns/web", "--client", "--out", "id")
	if text := opensslTool(t, "x509", "-in", "id/prod.example.com-ns-web.crt", "-noout", "-ext", "subjectAltName"); !strings.Contains(text, "URI:spiffe://prod.example.com/ns/web\n") {
		t.Errorf("openssl says %s", text)
	}
}

// What an intermediate authority signs is followed by that authority, not by the root.
func TestCertByIntermediateAuthority(t *testing.T) {
	t.Chdir(t.TempDir())
	opensslTool(t, "req", "-x509", "-new", "-newkey", "ed25519", "-noenc", "-keyout", "root.key", "-out", "root.crt", "-subj", "/CN=root", "-days", "99")
	opensslTool(t, "req", "-new", "-newkey", "ed25519", "-noenc", "-keyout", "middle.key", "-out", "middle.csr", "-subj", "/CN=middle")
	if err := os.WriteFile("extensions", []byte("basicConstraints=critical,CA:TRUE\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	opensslTool(t, "x509", "-req", "-in", "middle.csr", "-CA", "root.crt", "-CAkey", "root.key", "-extfile", "extensions", "-days", "60", "-out", "middle.crt")
	cert(t, "--name", "a.example.com", "--ca", "middle.crt,middle.key", "--days", "30")
	c := parsePair(t, "certs/a.example.com.crt", "certs/a.example.com.key")
	if len(c.Chain) != 2 {
		t.Fatalf("a chain of %d, want the certificate and who signed it", len(c.Chain))
	}
	if above, err := x509.ParseCertificate(c.Chain[1]); err != nil || above.Subject.CommonName != "middle" {
		t.Errorf("above the certificate: %v, %v", above.Subject, err)
	}
	opensslTool(t, "verify", "-CAfile", "root.crt", "-untrusted", "certs/a.example.com.crt", "certs/a.example.com.crt")
	if out := longmen(t, "cert", "--name", "b.example.com", "--ca", "middle.crt,middle.key"); !strings.Contains(out, "before the certificate would") {
		t.Errorf("a certificate that outlives its authority:\n%s", out)
	}
}

func TestCertOverwritesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	cert(t, "--name", "a.example.com")
	first, authority := readFile(t, "certs/a.example.com.key"), readFile(t, "certs/ca-ecdsa.key")
	want := "longmen: certs/a.example.com.crt, certs/a.example.com.key are there already; --force replaces them\nexit 1\n"
	if got := longmen(t, "cert", "--name", "a.example.com"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if string(readFile(t, "certs/a.example.com.key")) != string(first) {
		t.Error("the key was overwritten")
	}
	cert(t, "--name", "a.example.com", "--force")
	if string(readFile(t, "certs/a.example.com.key")) == string(first) {
		t.Error("--force did not replace the key")
	}
	if string(readFile(t, "certs/ca-ecdsa.key")) != string(authority) {
		t.Error("the authority was replaced, which others depend on")
	}
	parsePair(t, "certs/a.example.com.crt", "certs/a.example.com.key")

	entries, err := os.ReadDir("certs")
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d files, %v; want 4 and nothing temporary", len(entries), err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(0o644)
		if filepath.Ext(entry.Name()) == ".key" {
			want = 0o600
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", entry.Name(), info.Mode(), want)
		}
	}
}

func TestCertRefusals(t *testing.T) {
	t.Chdir(t.TempDir())
	cert(t, "--name", "a.example.com", "--out", "good")
	cert(t, "--name", "half.example.com", "--out", "half")
	if err := os.Remove("half/ca-ecdsa.key"); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 64) + ".example.com"
	for want, args := range map[string][]string{
		"--name is missing: which server is the certificate for?\nSee longmen --help.\nexit 2": {},
		"--kind dsa: there are ecdsa, rsa, ed25519, sm2\nSee longmen --help.\nexit 2":          {"--name", "a.test", "--kind", "dsa"},
		"--days 0: 1 to 3650 are possible":                                                     {"--name", "a.test", "--days", "0"},
		`--name "a b": not a server name`:                                                      {"--name", "a b"},
		`--name "*": not a server name`:                                                        {"--name", "*"},
		`--name "a.*.test": not a server name`:                                                 {"--name", "a.*.test"},
		`--name "` + long + `": not a server name`:                                             {"--name", long},
		`--name "bücher.test": not a server name`:                                              {"--name", "bücher.test"},
		`--name "spiffe://": not a URI`:                                                        {"--name", "spiffe://"},
		"--ca only.crt: want the authority's certificate and key":                              {"--name", "a.test", "--ca", "only.crt"},
		"--csr and --ca: a request is signed by nobody yet":                                    {"--name", "a.test", "--csr", "--ca", "a,b"},
		"open none.crt: no such file or directory\nexit 1":                                     {"--name", "a.test", "--ca", "none.crt,none.key"},
		"good/a.example.com.crt: not an authority":                                             {"--name", "a.test", "--ca", "good/a.example.com.crt,good/a.example.com.key"},
		"good/a.example.com.key: the key (ecdsa P-256) is not that":                            {"--name", "a.test", "--ca", "good/ca-ecdsa.crt,good/a.example.com.key"},
		"SM2 certificates are signed by SM2 authorities":                                       {"--name", "a.test", "--kind", "sm2", "--ca", "good/ca-ecdsa.crt,good/ca-ecdsa.key"},
		"of half/ca-ecdsa.crt and half/ca-ecdsa.key one is there":                              {"--name", "b.test", "--out", "half"},
		"--out is empty": {"--name", "b.test", "--out", ""},
	} {
		got := longmen(t, append([]string{"cert"}, args...)...)
		if !strings.Contains(got, want) {
			t.Errorf("longmen cert %s:\n%swant %q in it", strings.Join(args, " "), got, want)
		}
	}
	if _, err := os.Stat("certs"); !os.IsNotExist(err) {
		t.Errorf("a refused order left a folder: %v", err)
	}
}

// What is printed for gateway.yaml is YAML, whatever the names are.
func TestCertNamesForYAML(t *testing.T) {
	for first, want := range map[string]string{
		"shop.example.com": "shop", "*.shop.example.com": "shop", "192.0.2.1": "cert", "::1": "cert", "on.example.com": "example",
		"spiffe://prod.example.com/ns/web": "prod", "no": "cert", "4711.shop.test": "shop",
	} {
		if got := newCertStem("certs", first).secret(); got != want {
			t.Errorf("%s: %q, want %q", first, got, want)
		}
	}
	for text, want := range map[string]string{"certs/a.crt": "certs/a.crt", "my certs/a.crt": "'my certs/a.crt'", "it's": "'it''s'", "-a": "'-a'", "a,b": "'a,b'"} {
		if got := yamlScalar(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
