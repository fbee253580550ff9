package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type rdnSET []attribute

func text(tag int, value string) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: []byte(value)} }

// names that need every kind of care.
func awkwardNames() map[string][]rdnSET {
	cn := asn1.ObjectIdentifier{2, 5, 4, 3}
	one := func(oid asn1.ObjectIdentifier, v asn1.RawValue) []rdnSET { return []rdnSET{{{oid, v}}} }
	return map[string][]rdnSET{
		"empty":        {},
		"special":      one(cn, text(12, `a,b+c"d\e<f>g;h=i#j`)),
		"ends":         one(cn, text(12, ` #middle # `)),
		"hash first":   one(cn, text(12, `#x#`)),
		"one space":    one(cn, text(12, ` `)),
		"controls":     one(cn, text(12, "a\r\nb\x00c\x7f\x1f")),
		"utf8":         one(cn, text(12, "龙门 Größe 😀")),
		"printable":    one(cn, text(19, "Plain Name")),
		"bmp":          one(cn, text(30, "\x9f\x99\x95\xe8\x00A")),
		"latin 1":      one(cn, text(20, "Gr\xf6\xdfe")),
		"ia5":          one(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, text(22, "a@b.example")),
		"unknown type": one(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 7}, text(12, "value")),
		"no string":    one(cn, asn1.RawValue{Tag: 2, Bytes: []byte{1, 2}}),
		"empty value":  one(cn, text(12, "")),
		"several":      {{{asn1.ObjectIdentifier{2, 5, 4, 6}, text(19, "CN")}}, {{asn1.ObjectIdentifier{2, 5, 4, 10}, text(12, "O")}, {asn1.ObjectIdentifier{2, 5, 4, 11}, text(12, "U")}}, {{cn, text(12, "x")}}},
		"components":   {{{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, text(22, "org")}}, {{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, text(12, "uid")}}},
	}
}

// The names of certificates as OpenSSL writes them, which is how Envoy does.
func TestDistinguishedNameLikeOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	var all []rdnSET // of one certificate: a run of openssl takes long
	for name, parts := range awkwardNames() {
		if name != "no string" { // which openssl does not read
			all = append(all, parts...)
		}
	}
	for oid := range attributes {
		var id asn1.ObjectIdentifier
		for part := range strings.SplitSeq(oid, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				t.Fatal(err)
			}
			id = append(id, n)
		}
		all = append(all, rdnSET{{id, text(12, "v")}})
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "c.pem")
	for name, parts := range map[string][]rdnSET{"empty": {}, "all": all} {
		raw := marshalName(t, parts)
		template := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: raw, NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := distinguishedName(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), "openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", path).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if string(out) != "subject="+got+"\n" {
			t.Errorf("%s: %q, openssl writes %q", name, got, out)
		}
	}
}

func marshalName(t testing.TB, parts []rdnSET) []byte {
	t.Helper()
	raw, err := asn1.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A name that is cut anywhere, even with its outer length corrected, is refused
// or one of its beginnings.
func TestDistinguishedNameCut(t *testing.T) {
	for name, parts := range awkwardNames() {
		raw := marshalName(t, parts)
		whole, err := distinguishedName(raw)
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(raw) {
			if _, err := distinguishedName(raw[:n]); err == nil {
				t.Errorf("%s: cut at %d is accepted", name, n)
			}
			if n >= 2 {
				cut := append([]byte{0x30, byte(n - 2)}, raw[2:n]...)
				if text, err := distinguishedName(cut); err == nil && !strings.HasSuffix(whole, text) {
					t.Errorf("%s: cut at %d: %q of %q", name, n, text, whole)
				}
			}
		}
	}
}

func TestAltNamesCut(t *testing.T) {
	raw := []byte{0x30, 31, 0x82, 3, 'a', '.', 'b', 0x86, 3, 'x', ':', 'y', 0x81, 3, 'm', '@', 'n', 0x87, 4, 192, 0, 2, 1, 0xa0, 3, 2, 1, 5, 0x88, 1, 9, 0x82, 0}
	names, err := parseAltNames(raw)
	if err != nil || len(names.dns) != 2 || names.dns[0] != "a.b" || names.uris[0] != "x:y" || names.emails[0] != "m@n" || names.addresses[0].String() != "192.0.2.1" {
		t.Fatalf("%+v, %v", names, err)
	}
	for n := 1; n < len(raw); n++ {
		if _, err := parseAltNames(raw[:n]); err == nil {
			t.Errorf("cut at %d is accepted", n)
		}
	}
	if _, err := parseAltNames([]byte{0x30, 5, 0x87, 3, 1, 2, 3}); err == nil {
		t.Error("an address of 3 bytes")
	}
	if names, err := parseAltNames(nil); err != nil || names.dns != nil {
		t.Error("no extension")
	}
}

func TestValidSPIFFE(t *testing.T) {
	for id, ok := range map[string]bool{
		"spiffe://a.example/x": true, "spiffe://a_b-1/ns/X/sa/y.z": true, "spiffe://a": false, "spiffe://a/": false, "spiffe://a/x/": false, "spiffe://a//x": false,
		"spiffe://A/x": false, "spiffe:///x": false, "spiffe://a:1/x": false, "spiffe://u@a/x": false, "spiffe://a/x?q": false, "spiffe://a/x#f": false,
		"spiffe://a/../x": false, "spiffe://a/./x": false, "spiffe://a/x%41": false, "SPIFFE://a/x": false, "https://a/x": false, "": false, "spiffe://a/x\x00": false,
		"spiffe://" + strings.Repeat("a", 256) + "/x": false, "spiffe://a/" + strings.Repeat("x", 2048): false,
	} {
		if validSPIFFE(id) != ok {
			t.Errorf("%.60q: %v", id, !ok)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, parts := range awkwardNames() {
		f.Add(marshalName(f, parts))
	}
	f.Add([]byte{0x30, 5, 0x82, 3, 'a', '.', 'b'})
	f.Fuzz(func(t *testing.T, der []byte) {
		parseAltNames(der)
		(&crl{}).scope(der)
		text, err := distinguishedName(der)
		if err != nil {
			return
		}
		for i := range len(text) {
			if text[i] < ' ' || text[i] >= 0x7f {
				t.Fatalf("%q is not safe in a header field", text)
			}
		}
		if !appendable([]byte(`Subject="` + text + `"`)) {
			t.Fatalf("%q opens a quote", text)
		}
	})
}

func FuzzXFCC(f *testing.F) {
	f.Add(`By=a;Hash=b;Subject="CN=\"x\",O=y";URI=z,By=c`, "http://x/;,=\"\\\r\n")
	f.Add(`"`, `"`)
	f.Fuzz(func(t *testing.T, received, value string) {
		peer := &Peer{names: altNames{uris: []string{value}, dns: []string{value}}}
		element := Details{URI: true, DNS: true, Subject: true}.Element(peer, []string{value})
		if len(element) < maxXFCC && !appendable([]byte(element)) {
			t.Fatalf("%q cannot be followed", element)
		}
		if keep, add := AppendForward.Decide([]byte(received), true); !add || keep && (received == "" || !appendable([]byte(received))) {
			t.Fatalf("%v, %v", keep, add)
		}
	})
}
