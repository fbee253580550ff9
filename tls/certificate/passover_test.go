package certificate

import (
	"strings"
	"testing"
)

// Only what is plainly a block of another type is passed over.
func TestPassOver(t *testing.T) {
	block := func(kind string) string { return "-----BEGIN " + kind + "-----\nQUJD\n-----END " + kind + "-----\n" }
	cert, key := block("CERTIFICATE"), block("PRIVATE KEY")
	for text, want := range map[string]string{
		"":                              "",
		"no PEM":                        "no PEM",
		cert:                            cert,
		"words\n" + cert:                "words\n" + cert,
		key + cert:                      "\n" + cert,
		block("X") + key + cert + key:   "\n" + cert + key,
		key:                             "\n",
		"-----BEGIN PRIVATE KEY-----\n": "-----BEGIN PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\n" + cert + "-----END PRIVATE KEY-----\n": "-----BEGIN PRIVATE KEY-----\n" + cert + "-----END PRIVATE KEY-----\n",
		strings.Replace(key, "END PRIVATE", "END PUBLIC", 1) + cert:            strings.Replace(key, "END PRIVATE", "END PUBLIC", 1) + cert,
	} {
		last := ""
		if got := string(passOver([]byte(text), isCertificate, &last)); got != want {
			t.Errorf("%q: %q is left, want %q", text, got, want)
		}
	}
	for n := range len(key + cert) { // cut at every byte
		last := ""
		passOver([]byte((key + cert)[:n]), isCertificate, &last)
	}
	last := ""
	if passOver([]byte(cert+key+block("Y")), isPrivateKey, &last); last != "CERTIFICATE" {
		t.Errorf("last is %q", last)
	}
}
