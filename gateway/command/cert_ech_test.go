package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"longmen/tls/ech"
)

func TestCertOfECH(t *testing.T) {
	t.Chdir(t.TempDir())
	out := cert(t, "--ech", "public.example.com", "--out", "keys")
	file := filepath.Join("keys", "public.example.com.ech")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	keys, err := ech.Parse(readFile(t, file))
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 1 || keys[0].PublicName != "public.example.com" {
		t.Errorf("%v", keys)
	}
	for _, want := range []string{`ech="` + keys[0].Record() + `"`, "ech: {ech: " + file + "}"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %s in\n%s", want, out)
		}
	}
	// OpenSSL reads the private key.
	if text := opensslTool(t, "pkey", "-in", file, "-noout", "-text"); !strings.Contains(text, "X25519") {
		t.Error(text)
	}
	if again := longmen(t, "cert", "--ech", "public.example.com", "--out", "keys"); !strings.Contains(again, "is there already") || !strings.Contains(again, "exit 1\n") {
		t.Error(again)
	}
	cert(t, "--ech", "public.example.com", "--out", "keys", "--force")
	if other, err := ech.Parse(readFile(t, file)); err != nil || other[0].Record() == keys[0].Record() {
		t.Errorf("--force: %v", err)
	}
}

func TestCertOfECHRefusals(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{
		{"--ech", ""}, {"--ech", "*.example.com"}, {"--ech", "192.0.2.1"}, {"--ech", "a.example", "--name", "b.example"},
		{"--ech", "a.example", "--kind", "rsa"}, {"--ech", "a.example", "--csr"}, {"--ech", "a.example", "--out", ""},
	} {
		if out := longmen(t, append([]string{"cert"}, args...)...); !strings.Contains(out, "--") || !strings.HasSuffix(out, "exit 2\n") {
			t.Errorf("%q: %s", args, out)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
