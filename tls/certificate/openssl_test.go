package certificate

import (
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// opensslTool runs Debian's tool in a folder and returns what it writes.
func opensslTool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// What OpenSSL writes can be read: each kind of key in its forms, with a certificate made of it.
func TestKeysThatOpenSSLWrites(t *testing.T) {
	dir := t.TempDir()
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for name, generate := range map[string][]string{
		"rsa":             {"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		"rsa-traditional": {"genrsa", "-traditional"},
		"p256":            {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"ecparam":         {"ecparam", "-name", "secp384r1", "-genkey"}, // with EC PARAMETERS in front
		"ed25519":         {"genpkey", "-algorithm", "ED25519"},
		"sm2":             {"genpkey", "-algorithm", "SM2"},
		"sm2-ecparam":     {"ecparam", "-name", "SM2", "-genkey"},
	} {
		opensslTool(t, dir, append(generate, "-out", name+".key")...)
		request := []string{"req", "-x509", "-new", "-key", name + ".key", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:a.test", "-days", "30", "-out", name + ".crt"}
		if strings.HasPrefix(name, "sm2") {
			request = append(request, "-sm3", "-sigopt", "distid:1234567812345678")
		}
		opensslTool(t, dir, request...)
		c := parse(t, Source{Name: name, Pair: Pair{Cert: read(name + ".crt"), Key: read(name + ".key")}})
		if _, err := c.Signer(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		text := opensslTool(t, dir, "x509", "-in", name+".crt", "-noout", "-fingerprint", "-sha256")
		if _, said, _ := strings.Cut(strings.TrimSpace(text), "="); !strings.EqualFold(strings.ReplaceAll(said, ":", ""), hex.EncodeToString(c.Fingerprint[:])) {
			t.Errorf("%s: fingerprint %x, openssl says %s", name, c.Fingerprint, said)
		}
	}

	opensslTool(t, dir, "pkey", "-in", "p256.key", "-aes256", "-passout", "pass:secret", "-out", "encrypted.key")
	opensslTool(t, dir, "pkey", "-in", "p256.key", "-traditional", "-aes256", "-passout", "pass:secret", "-out", "old-encrypted.key")
	for _, name := range []string{"encrypted.key", "old-encrypted.key"} {
		var p Parser
		_, err := p.Parse(Source{Pair: Pair{Cert: read("p256.crt"), Key: read(name), KeyFrom: name}})
		if err == nil || !strings.HasPrefix(err.Error(), name+": the key is encrypted with a passphrase") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
