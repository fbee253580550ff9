package tls_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"crypto/x509"

	"longmen/conformance/harness"
)

// A finding is one of testssl.sh's.
type finding struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Finding  string `json:"finding"`
}

// testssl.sh looks at a gateway with the defaults and certificates of both kinds:
// nothing is found that is worse than LOW, known.txt aside, and the grade is A.
func TestTestssl(t *testing.T) {
	t.Parallel() // it waits, mostly
	if !harness.Full() {
		t.Skip("testssl.sh takes minutes: the full suite runs it")
	}
	a := newAuthority(t, "root")
	secrets := ""
	for _, kind := range []string{"p256", "rsa"} {
		l := a.issue(kind, "localhost", func(c *x509.Certificate) {
			c.OCSPServer, c.NotAfter = []string{"http://127.0.0.1:1/ocsp"}, time.Now().AddDate(0, 0, 90)
		})
		check(t, os.WriteFile(l.crt, append(read(t, l.crt), read(t, a.file)...), 0o600))
		secrets += fmt.Sprintf("  - {cert: %q, key: %q, ocsp: %q}\n", l.crt, l.pem, a.staple(l, kind+".ocsp", time.Minute))
	}
	g := serve(t, "certs: [site]\nhandshake_timeout: 10s\n", "site:\n"+secrets)
	_, port, err := net.SplitHostPort(g.Addr)
	check(t, err)
	file := filepath.Join(t.TempDir(), "findings.json")
	cmd := exec.Command("testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1", "--add-ca", a.file, "--jsonfile", file, "localhost:"+port)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("testssl: %v: its exit code counts what it found", err)
	}
	var findings []finding
	if err := json.Unmarshal(read(t, file), &findings); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !slices.ContainsFunc(findings, func(f finding) bool { return f.ID == "scanTime" && f.Severity == "INFO" }) {
		t.Fatalf("testssl did not come to its end\n%s", out)
	}
	var verdicts []harness.Verdict
	seen := map[string]int{}
	for _, f := range findings {
		v := harness.Verdict{Name: "testssl/" + f.ID}
		if seen[f.ID]++; seen[f.ID] > 1 {
			v.Name += fmt.Sprintf(" %d", seen[f.ID])
		}
		if !slices.Contains([]string{"OK", "INFO", "LOW"}, f.Severity) {
			v.Fault = f.Severity + ": " + f.Finding
		}
		if f.Severity == "LOW" {
			t.Logf("LOW: %s: %s", f.ID, f.Finding)
		}
		verdicts = append(verdicts, v)
	}
	score, caps := rate(findings)
	grade := harness.Verdict{Name: "testssl/grade"}
	if score < 80 || len(caps) > 0 {
		grade.Fault = fmt.Sprintf("score %d, %q", score, caps)
	}
	t.Logf("score %d of 100 (A is 80 and more)", score)
	harness.Report(t, "testssl", harness.Longmen, append(verdicts, grade))
}

var (
	cipherBits = regexp.MustCompile(`(?:AESGCM|AES|ChaCha20|Camellia|ARIAGCM|3DES|RC4|AESCCM8?)\s+([0-9]+)`)
	keyBits    = regexp.MustCompile(`(?:RSA|EC) ([0-9]+) bits`)
)

// rate is the score of the SSL Server Rating Guide (2009q) from testssl's
// findings, whose version 3.0 gives none, and what caps the grade below A.
func rate(findings []finding) (score int, caps []string) {
	protocols := map[string]int{"SSLv2": 0, "SSLv3": 80, "TLS1": 90, "TLS1_1": 95, "TLS1_2": 100, "TLS1_3": 100}
	best, worst := -1, 101
	strongest, weakest := 0, 1<<20
	key := 100
	for _, f := range findings {
		if points, ok := protocols[f.ID]; ok && strings.HasPrefix(f.Finding, "offered") {
			best, worst = max(best, points), min(worst, points)
			if points < 100 {
				caps = append(caps, f.ID)
			}
		}
		if m := cipherBits.FindStringSubmatch(f.Finding); m != nil && strings.HasPrefix(f.ID, "cipher_x") {
			n, _ := strconv.Atoi(m[1])
			strongest, weakest = max(strongest, n), min(weakest, n)
		}
		if m := keyBits.FindStringSubmatch(f.Finding); m != nil && strings.HasPrefix(f.ID, "cert_keySize") {
			n, _ := strconv.Atoi(m[1])
			switch {
			case strings.HasPrefix(m[0], "EC") && n < 256, strings.HasPrefix(m[0], "RSA") && n < 2048:
				key = min(key, 40)
			case strings.HasPrefix(m[0], "RSA") && n < 4096:
				key = min(key, 90)
			}
		}
	}
	offered := func(id string, says ...string) bool {
		return slices.ContainsFunc(findings, func(f finding) bool {
			return f.ID == id && slices.ContainsFunc(says, func(s string) bool { return strings.HasPrefix(f.Finding, s) })
		})
	}
	switch {
	case !offered("TLS1_3", "offered"):
		caps = append(caps, "no TLS 1.3")
	case !offered("PFS", "offered"):
		caps = append(caps, "no forward secrecy")
	case !offered("secure_renego", "supported", "OpenSSL", "not vulnerable"):
		caps = append(caps, "no secure renegotiation")
	}
	strength := func(bits int) int {
		switch {
		case bits >= 256:
			return 100
		case bits >= 128:
			return 80
		case bits > 0:
			return 20
		}
		return 0
	}
	score = (3*(best+worst)/2 + 3*key + 4*(strength(strongest)+strength(weakest))/2) / 10
	return score, caps
}
