package acme

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// stage has one challenge of each kind pending, with one who shares the storage.
func stage(t *testing.T) (own, other *Challenges, s *solver, both []acme.Challenge) {
	t.Helper()
	f := folder{&certmagic.FileStorage{Path: t.TempDir()}, "authority"}
	own, other = &Challenges{}, &Challenges{}
	own.share([]folder{f})
	other.share([]folder{f})
	s = &solver{own, f}
	for _, kind := range []Challenge{HTTP01, TLSALPN01} {
		both = append(both, acme.Challenge{Type: string(kind), Token: "token", KeyAuthorization: "token.key", Identifier: acme.Identifier{Type: "dns", Value: "a.example.com"}})
	}
	for _, c := range both {
		if err := s.Present(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	return own, other, s, both
}

func TestChallenges(t *testing.T) {
	own, other, s, both := stage(t)
	if string(own.Token([]byte("token"))) != "token.key" || own.Token([]byte("other")) != nil || own.Name("a.example.com") == nil || own.Name("b.example.com") != nil {
		t.Error("not pending where it was ordered")
	}
	if other.Token([]byte("token")) != nil || other.Name("a.example.com") != nil {
		t.Error("known without a look at the storage")
	}
	if string(other.StoredToken("token")) != "token.key" || other.StoredToken("other") != nil {
		t.Error("HTTP-01 is not found in the storage")
	}
	if made := other.StoredName("a.example.com"); made == nil || checkCertificate(made, "a.example.com") != nil || other.StoredName("b.example.com") != nil {
		t.Error("TLS-ALPN-01 is not found in the storage")
	}
	for _, c := range both {
		if err := s.CleanUp(context.Background(), c); err != nil {
			t.Error(err)
		}
	}
	if own.Token([]byte("token")) != nil || own.Name("a.example.com") != nil || other.StoredToken("token") != nil || other.StoredName("a.example.com") != nil {
		t.Error("still pending")
	}
}

// Nothing that a client sends leads out of the folder of challenges.
func TestForeignNames(t *testing.T) {
	_, other, s, _ := stage(t)
	outside := filepath.Join(s.folder.storage.Path, "acme", "authority", "outside")
	if err := os.WriteFile(outside, []byte(`{"Host":"a.example.com","KeyAuthorization":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"/../outside", "../outside", "a/../../outside", "..", "", "a\x00b", "töken", strings.Repeat("a", maxToken+1), "a%2fb", "token\n"} {
		if other.StoredToken(what) != nil || other.StoredName(what) != nil {
			t.Errorf("%q is found", what)
		}
	}
}

// What a process has left behind does not count for long, and is removed.
func TestOldChallenges(t *testing.T) {
	_, other, s, _ := stage(t)
	files, err := filepath.Glob(filepath.Join(s.folder.storage.Path, "acme", "authority", "challenges", "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v %v", files, err)
	}
	s.folder.sweep()
	if other.StoredToken("token") == nil {
		t.Error("removed while it counts")
	}
	old := time.Now().Add(-2 * challengeAge)
	for _, file := range files {
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if other.StoredToken("token") != nil || other.StoredName("a.example.com") != nil {
		t.Error("an old one is answered")
	}
	s.folder.sweep()
	if left, _ := filepath.Glob(filepath.Dir(files[0]) + "/*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A file that is not whole is none.
func TestCutChallenge(t *testing.T) {
	_, other, s, _ := stage(t)
	file := s.folder.storage.Filename(s.folder.key("http-01", "token"))
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(file, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if answer := other.StoredToken("token"); answer != nil {
			t.Errorf("cut at %d: %q", n, answer)
		}
	}
}

// Authorities that ask for what cannot be stored are refused.
func TestOddChallenges(t *testing.T) {
	_, _, s, _ := stage(t)
	for _, c := range []acme.Challenge{
		{Type: "http-01", Token: "../../token"},
		{Type: "http-01"},
		{Type: "tls-alpn-01", Identifier: acme.Identifier{Type: "dns", Value: "../a"}, KeyAuthorization: "x"},
	} {
		if err := s.Present(context.Background(), c); err == nil {
			t.Errorf("%+v is pending", c)
		}
		if err := s.CleanUp(context.Background(), c); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckHost(t *testing.T) {
	for host, good := range map[string]bool{
		"a.example.com": true, "localhost": true, "xn--bcher-kva.example": true, "a_b.example.com": true,
		"*.example.com": false, "10.0.0.1": false, "::1": false, "": false, "a..b": false, ".a": false, "a.": false, "-a.com": false,
		"A.example.com": false, "a b": false, "a/b": false, strings.Repeat("a", 64) + ".com": false, strings.Repeat("a.", 127) + "com": false,
	} {
		if err := CheckHost(host); (err == nil) != good {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestSettings(t *testing.T) {
	for url, good := range map[string]bool{LetsEncrypt: true, "https://a:14000/dir": true, "http://a/dir": false, "https://": false, "a/dir": false, "https://u:p@a/dir": false, "": false} {
		if err := CheckDirectory(url); (err == nil) != good {
			t.Errorf("%q: %v", url, err)
		}
	}
	s := Settings{Directory: LetsEncrypt, Storage: "/s", Key: P256, External: ExternalAccount{ID: "kid", MAC: "secret"}}
	cert, key := s.Files("a.example.com")
	if want := "/s/certificates/acme-v02.api.letsencrypt.org-directory/a.example.com/a.example.com"; cert != want+".crt" || key != want+".key" {
		t.Errorf("%s, %s", cert, key)
	}
	rsa := s
	rsa.Key = RSA2048
	if other, _ := rsa.Files("a.example.com"); other == cert {
		t.Error("both kinds of keys have one file")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, s); strings.Contains(text, "secret") {
			t.Errorf("%s shows the key: %s", verb, text)
		}
	}
}
