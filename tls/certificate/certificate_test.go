package certificate

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"longmen/tls/openssl"
	"longmen/tls/sign"
)

func TestKeysAreLoadedAtFirstUse(t *testing.T) {
	for _, kind := range []string{"rsa", "p256", "p384", "ed25519", "sm2"} {
		c := parsed(t, kind, "a.test")
		if c.Loaded() {
			t.Fatalf("%s: loaded before anybody asked", kind)
		}
		var group sync.WaitGroup
		var signers [16]crypto.Signer
		for i := range signers {
			group.Go(func() {
				var err error
				if signers[i], err = c.Signer(); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
			})
		}
		group.Wait()
		for _, signer := range signers {
			if signer == nil || signer != signers[0] {
				t.Fatalf("%s: not one key for all", kind)
			}
		}
		if !c.Loaded() || bytes.ContainsFunc(c.key.pkcs8, func(r rune) bool { return r != 0 }) {
			t.Errorf("%s: not loaded, or what it was loaded from is still there", kind)
		}
		if _, err := c.SM2Key(); (err == nil) != (kind == "sm2") {
			t.Errorf("%s: as an SM2 key: %v", kind, err)
		}
	}
}

// The policy reaches tls/sign: Go for all, and OpenSSL or its absence.
func TestKeyPolicy(t *testing.T) {
	for _, policy := range []sign.Policy{sign.Go, sign.OpenSSL} {
		p := Parser{Policy: policy}
		c, err := p.Parse(Source{Name: "shop", Pair: pairOf(t, leaf(t, "rsa", "a.test"))})
		if err != nil {
			t.Fatal(err)
		}
		signer, err := c.Signer()
		if policy == sign.OpenSSL && !openssl.Available() {
			if err == nil {
				t.Error("a key in OpenSSL, which is not there")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if key, ok := signer.(*sign.Key); !ok || key.Backend() != policy.String() {
			t.Errorf("%v where policy %s was asked for", signer, policy)
		}
	}
}

// A key whose public half is right and whose private half is not must never sign.
func TestDamagedKeysAreNotUsed(t *testing.T) {
	l := leaf(t, "rsa", "a.test")
	good := l.key.(*rsa.PrivateKey)
	damaged := x509.MarshalPKCS1PrivateKey(good)
	for _, part := range []*big.Int{good.Precomputed.Qinv, good.D} { // OpenSSL makes do with one of them
		damaged[bytes.Index(damaged, part.Bytes())+3] ^= 1
	}
	pair := pairOf(t, l)
	pair.Key = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: damaged})
	for _, policy := range []sign.Policy{sign.Auto, sign.Go} {
		p := Parser{Policy: policy}
		c, err := p.Parse(Source{Name: "shop", Pair: pair})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			signer, err := c.Signer()
			if !c.key.broken() || !c.Loaded() {
				t.Errorf("%s: not marked as failed", policy)
			}
			if err == nil || signer != nil || !strings.HasPrefix(err.Error(), "shop.key: ") {
				t.Errorf("%s: %v, %v; want an error that names the file, each time", policy, signer, err)
			}
		}
	}
}

func TestProofOfAnotherKey(t *testing.T) {
	for _, kind := range []string{"p256", "ed25519", "sm2"} {
		one, two := newKey(t, kind), newKey(t, kind)
		if err := prove(one, one.Public()); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := prove(two, one.Public()); err != errNoProof {
			t.Errorf("%s: another key's proof: %v", kind, err)
		}
	}
}

func TestKeysInTokens(t *testing.T) {
	pair := pairOf(t, leaf(t, "p256", "a.test"))
	pair.Key = []byte("pkcs11:token=none;object=www?pin-value=1234\n")
	p := Parser{Token: openssl.Token{Module: "/nonexistent/pkcs11.so"}}
	c, err := p.Parse(Source{Name: "shop", Pair: pair})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Signer()
	if err == nil || !strings.HasPrefix(err.Error(), "shop.key: the key cannot be loaded") || strings.Contains(err.Error(), "1234") {
		t.Errorf("got %v, want an error that names the file and not the PIN", err)
	}
	pair = pairOf(t, leaf(t, "sm2", "a.test"))
	pair.Key = []byte("pkcs11:token=none")
	if _, err := parse(t, Source{Pair: pair}).Signer(); err == nil || !strings.Contains(err.Error(), "SM2 keys in tokens cannot be used") {
		t.Errorf("got %v", err)
	}
}

func TestSM2Pairs(t *testing.T) {
	good := sm2Pair(t, "a.test")
	c := parse(t, good)
	if c.Encryption == nil || c.Encryption.From != "encrypt.crt" || len(c.Warnings) != 0 {
		t.Fatalf("encryption %v, warnings %q", c.Encryption, c.Warnings)
	}
	signing, err := c.SM2Key()
	if err != nil || !c.Encryption.Loaded() {
		t.Fatalf("%v, or the encryption key was not loaded along", err)
	}
	if key, err := c.Encryption.SM2Key(); err != nil || signing.Equal(key) {
		t.Errorf("the encryption key: %v, or it is the signing key", err)
	}
	if chain := c.PairChain(); len(chain) != 3 || !bytes.Equal(chain[0], c.Chain[0]) || !bytes.Equal(chain[1], c.Encryption.Chain[0]) || !bytes.Equal(chain[2], c.Chain[1]) {
		t.Errorf("%d certificates are sent; want both, and their authority once", len(chain))
	}
	if chain := c.Encryption.PairChain(); chain != nil {
		t.Errorf("a single certificate sends a pair of %d", len(chain))
	}

	swapped := good
	swapped.Pair, swapped.Encrypt = *good.Encrypt, &good.Pair
	onlySigns := good
	onlySigns.Encrypt = &good.Pair
	notSM2 := good
	foreign := pairOf(t, leaf(t, "p256", "a.test"))
	notSM2.Encrypt = &foreign
	broken := good
	broken.Pair.Key = nil
	broken.Encrypt = &Pair{Cert: good.Encrypt.Cert}
	for want, source := range map[string]Source{
		"encrypt.crt and sign.crt: the two are swapped":                                  swapped,
		"sign.crt: its key usage does not allow encryption":                              onlySigns,
		"shop.crt: an ECDSA certificate in an SM2 pair":                                  notSM2,
		"sign.key: no private key":                                                       broken,
		`the encryption key of secret "gm": no private key, it is empty`:                 broken,
		`sign.crt: its key usage does not allow signatures: it cannot be the signing ce`: encryptsTwice(t),
	} {
		var p Parser
		if c, err := p.Parse(source); err == nil || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

// encryptsTwice is a pair whose certificates are both for encryption.
func encryptsTwice(t *testing.T) Source {
	s := sm2Pair(t, "a.test")
	s.Pair.Cert, s.Pair.Key = s.Encrypt.Cert, s.Encrypt.Key
	return s
}

func TestStapleAndStandardForm(t *testing.T) {
	c := parsed(t, "p256", "a.test")
	plain, err := c.Standard(noon)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := c.Standard(noon); again != plain || plain.OCSPStaple != nil || len(plain.Certificate) != 1 {
		t.Error("it is made anew each time, or holds what it should not")
	}
	c.SetStaple(&Staple{DER: []byte("one"), Expires: noon.Add(time.Hour)})
	for _, want := range []struct {
		after time.Duration
		der   string
	}{{0, "one"}, {time.Hour - 1, "one"}, {time.Hour, ""}} {
		made, err := c.Standard(noon.Add(want.after))
		if err != nil || string(made.OCSPStaple) != want.der || string(c.Staple(noon.Add(want.after))) != want.der {
			t.Errorf("after %s: staple %q, %v; want %q", want.after, made.OCSPStaple, err, want.der)
		}
	}
	c.SetStaple(&Staple{DER: []byte("two"), Expires: noon.Add(time.Hour)})
	if made, _ := c.Standard(noon); string(made.OCSPStaple) != "two" {
		t.Errorf("staple %q, want the new one", made.OCSPStaple)
	}
	c.SetStaple(nil)
	if made, _ := c.Standard(noon); made.OCSPStaple != nil {
		t.Error("a staple that was taken away is still sent")
	}
}

func TestNothingPrintsTheKey(t *testing.T) {
	c := parse(t, sm2Pair(t, "a.test"))
	for _, load := range []bool{false, true} {
		if load {
			if _, err := c.Signer(); err != nil {
				t.Fatal(err)
			}
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, c); got != `certificate "gm" (sm2 pair)` {
				t.Errorf("%s prints %q", verb, got)
			}
		}
	}
}

// What a hostile or broken secret may hold never panics, and no part of a file is a whole one.
func TestCutAtEveryByte(t *testing.T) {
	for _, kind := range []string{"rsa", "p384", "ed25519", "sm2"} {
		l := leaf(t, kind, "a.test")
		good := pairOf(t, l)
		block, _ := pem.Decode(good.Key)
		for i := range block.Bytes {
			pair := good
			pair.Key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: block.Bytes[:i]})
			wantRefused(t, pair, kind, i)
		}
		for i := range l.der {
			pair := good
			pair.Cert = certPEM(&issuer{der: l.der[:i]})
			wantRefused(t, pair, kind, i)
		}
	}
}

func wantRefused(t *testing.T, pair Pair, kind string, at int) {
	t.Helper()
	var p Parser
	if c, err := p.Parse(Source{Pair: pair}); err == nil || c != nil {
		t.Fatalf("%s cut at %d was taken", kind, at)
	}
}

func TestProblems(t *testing.T) {
	c := parsed(t, "p256", "a.test") // from a month before noon to two months after
	const day = 24 * time.Hour
	for _, test := range []struct {
		at     time.Time
		severe bool
		want   string // "" for none
	}{
		{noon, false, ""},
		{c.NotAfter.Add(-7 * day), false, "shop.crt: the certificate expires in 7 days (2026-08-01 12:00 UTC); renew it"},
		{c.NotAfter.Add(-5 * time.Hour), false, "expires in 5 hours"},
		{c.NotAfter.Add(-time.Minute), false, "expires in 1 minutes"},
		{c.NotAfter.Add(30 * time.Hour), true, "expired 1 day ago"},
		{c.NotBefore.Add(-time.Second), true, "not valid before 2026-05-01 12:00 UTC"},
	} {
		problems := c.Problems(test.at, 14*day)
		if test.want == "" {
			if len(problems) != 0 || !c.Valid(test.at) {
				t.Errorf("at %s: %v", test.at, problems)
			}
			continue
		}
		if len(problems) != 1 || problems[0].Severe != test.severe || !strings.Contains(problems[0].Text, test.want) || c.Valid(test.at) == test.severe {
			t.Errorf("at %s: %v, want %q", test.at, problems, test.want)
		}
	}
}

func TestWeakCertificates(t *testing.T) {
	root := issue(t, nil, newKey(t, "rsa"), authorityTemplate("root"))
	client := template("a.test")
	client.ExtKeyUsage = []smx509.ExtKeyUsage{smx509.ExtKeyUsageClientAuth}
	sha1 := resign(t, issue(t, root, newKey(t, "p256"), template("a.test")))
	middle := issue(t, root, newKey(t, "p256"), authorityTemplate("middle"))
	below := issue(t, middle, newKey(t, "p256"), template("a.test"))
	for want, pair := range map[string]Pair{
		"its RSA key has 1024 bits":                            pairOf(t, leaf(t, "rsa-1024", "a.test")),
		"does not allow servers":                               pairOf(t, issue(t, root, newKey(t, "p256"), client)),
		"it is signed with SHA1-RSA":                           pairOf(t, sha1),
		`authority "middle" in its chain is signed with SHA1-`: pairOf(t, below, resign(t, middle)),
	} {
		c := parse(t, Source{Name: "shop", Pair: pair})
		problems := NewTable([]*Certificate{c}).Problems(noon, 0)
		if len(problems) != 1 || !problems[0].Severe || problems[0].Certificate != c {
			t.Errorf("%v, want one severe problem", problems)
			continue
		}
		wantText(t, []string{problems[0].Text}, want)
	}
	if problems := parsed(t, "rsa", "a.test").Problems(noon, 0); len(problems) != 0 {
		t.Errorf("a good certificate has problems: %v", problems)
	}
}

// What a server sends with its certificate has to last as long.
func TestAuthorityThatEndsBeforeTheCertificate(t *testing.T) {
	root := issue(t, nil, newKey(t, "p256"), authorityTemplate("root"))
	short := authorityTemplate("middle")
	short.NotAfter = noon.Add(48 * time.Hour)
	middle := issue(t, root, newKey(t, "p256"), short)
	c := parse(t, Source{Pair: pairOf(t, issue(t, middle, newKey(t, "p256"), template("a.test")), middle)})
	for _, test := range []struct {
		at     time.Time
		severe bool
		want   string // "" for none
	}{
		{noon, false, ""},
		{noon.Add(47 * time.Hour), false, `the authority "middle" in its chain expires in 60 minutes`},
		{noon.Add(49 * time.Hour), true, `the authority "middle" in its chain expired 60 minutes ago`},
	} {
		problems := c.Problems(test.at, 24*time.Hour)
		if test.want == "" && len(problems) == 0 {
			continue
		}
		if len(problems) != 1 || problems[0].Severe != test.severe || !strings.Contains(problems[0].Text, test.want) {
			t.Errorf("at %s: %v, want %q", test.at, problems, test.want)
		}
	}
}

// resign makes the certificate look as if it were signed with SHA-1, which Go no longer does.
func resign(t *testing.T, c *issuer) *issuer {
	t.Helper()
	sha256WithRSA := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11}
	sha1WithRSA := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5}
	if bytes.Count(c.der, sha256WithRSA) != 2 {
		t.Fatal("not signed with RSA and SHA-256")
	}
	return &issuer{der: bytes.ReplaceAll(c.der, sha256WithRSA, sha1WithRSA), key: c.key}
}

// A pair is as good as the worse of its certificates.
func TestProblemsOfPairs(t *testing.T) {
	source := sm2Pair(t, "a.test")
	late := template("a.test")
	late.NotAfter = noon.Add(time.Hour)
	late.KeyUsage = smx509.KeyUsageKeyEncipherment
	encrypt := issue(t, nil, newKey(t, "sm2"), late)
	source.Encrypt.Cert, source.Encrypt.Key = certPEM(encrypt), keyPEM(t, encrypt.key)
	c := parse(t, source)
	if problems := c.Problems(noon, 24*time.Hour); len(problems) != 1 || !strings.Contains(problems[0].Text, "encrypt.crt: the certificate expires in 60 minutes") {
		t.Errorf("%v, want that the encryption certificate expires", problems)
	}
	if c.Valid(noon.Add(2 * time.Hour)) {
		t.Error("a pair is valid whose encryption certificate has expired")
	}
}
