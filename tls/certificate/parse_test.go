package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
)

func TestParseEveryKind(t *testing.T) {
	for name, want := range map[string]struct {
		kind Kind
		bits int
	}{
		"rsa": {RSA, 2048}, "p256": {ECDSA, 256}, "p384": {ECDSA, 384}, "p521": {ECDSA, 521},
		"ed25519": {Ed25519, 256}, "sm2": {SM2, 256},
	} {
		l := leaf(t, name, "Shop.Example.com.", "*.shop.example.com")
		c := parse(t, Source{Name: "shop", Pair: pairOf(t, l)})
		if c.Kind != want.kind || c.KeyBits != want.bits {
			t.Errorf("%s: %s with %d bits", name, c.Kind, c.KeyBits)
		}
		if !slices.Equal(c.DNSNames, []string{"shop.example.com", "*.shop.example.com"}) {
			t.Errorf("%s: names %q", name, c.DNSNames)
		}
		if !bytes.Equal(c.Chain[0], l.der) || len(c.Chain) != 1 || len(c.Warnings) != 0 {
			t.Errorf("%s: a chain of %d, warnings %q", name, len(c.Chain), c.Warnings)
		}
		if !c.NotAfter.Equal(noon.AddDate(0, 2, 0)) || c.Subject != "CN=leaf" || c.Issuer != "CN=leaf" || c.Serial != l.parsed.SerialNumber.Text(16) {
			t.Errorf("%s: until %s, subject %q, issuer %q, serial %q", name, c.NotAfter, c.Subject, c.Issuer, c.Serial)
		}
	}
}

// Each key is read in every form in which files have it.
func TestKeyForms(t *testing.T) {
	rsaKey, ec, gm := newKey(t, "rsa").(*rsa.PrivateKey), newKey(t, "p384").(*ecdsa.PrivateKey), newKey(t, "sm2").(*sm2.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	gmSEC1, err := smx509.MarshalSM2PrivateKey(gm)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	parameters := block("EC PARAMETERS", []byte{6, 5, 0x2b, 0x81, 4, 0, 0x22})
	for name, form := range map[string]struct {
		key crypto.Signer
		pem []byte
	}{
		"PKCS#1":                       {rsaKey, block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))},
		"SEC 1":                        {ec, block("EC PRIVATE KEY", sec1)},
		"SEC 1 after its parameters":   {ec, append(parameters, block("EC PRIVATE KEY", sec1)...)},
		"SEC 1 of SM2":                 {gm, block("EC PRIVATE KEY", gmSEC1)},
		"PKCS#8 without a public half": {ec, block("PRIVATE KEY", withoutPoint(t, sec1, oidEC, oidP384))},
		"SM2 without a public half":    {gm, block("PRIVATE KEY", withoutPoint(t, gmSEC1, oidEC, oidSM2))},
		"SM2 as its own algorithm":     {gm, block("PRIVATE KEY", withoutPoint(t, gmSEC1, oidSM2, oidSM2))},
		"text before it":               {ec, append([]byte("Bag Attributes\n  x: y\n"), keyPEM(t, ec)...)},
	} {
		l := issue(t, nil, form.key, template("a.test"))
		pair := pairOf(t, l)
		pair.Key = form.pem
		c := parse(t, Source{Name: "shop", Pair: pair})
		if signer, err := c.Signer(); err != nil || signer == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// withoutPoint is a PKCS#8 key that has of a SEC 1 key the number alone.
func withoutPoint(t *testing.T, sec1 []byte, algorithm, curve string) []byte {
	t.Helper()
	key, ok := readSEC1(sec1)
	if !ok {
		t.Fatal("not SEC 1")
	}
	size := len(key.scalar)
	alone := append([]byte{0x30, byte(5 + size), 2, 1, 1, 4, byte(size)}, key.scalar...)
	return wrap(alone, algorithm, []byte(curve))
}

// One file may hold everything, in any order.
func TestOneFileForBoth(t *testing.T) {
	root := issue(t, nil, newKey(t, "p256"), authorityTemplate("root"))
	l := issue(t, root, newKey(t, "p256"), template("a.test"))
	all := slices.Concat(certPEM(root), keyPEM(t, l.key), certPEM(l))
	c := parse(t, Source{Name: "shop", Pair: Pair{Cert: all, Key: all}})
	if !bytes.Equal(c.Chain[0], l.der) || len(c.Chain) != 2 {
		t.Errorf("a chain of %d that does not begin with the certificate of the key", len(c.Chain))
	}
	wantText(t, c.Warnings, `the certificate of secret "shop": the certificates are in the wrong order`)
}

func TestWhatIsRefused(t *testing.T) {
	l, other := leaf(t, "p256", "a.test"), leaf(t, "ed25519", "b.test")
	good := pairOf(t, l)
	with := func(change func(p *Pair)) Pair {
		p := good
		change(&p)
		return p
	}
	for want, pair := range map[string]Pair{
		"shop.crt: no certificate, it is empty":          with(func(p *Pair) { p.Cert = []byte("\n") }),
		`shop.crt: no certificate: nothing in it begins`: with(func(p *Pair) { p.Cert = []byte("hello") }),
		"shop.crt: a private key where the certificate":  with(func(p *Pair) { p.Cert = p.Key }),
		"shop.crt: not PEM, it looks like DER":           with(func(p *Pair) { p.Cert = l.der }),
		"shop.crt: a certificate request": with(func(p *Pair) {
			p.Cert = []byte("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
		}),
		"shop.crt: certificate 1 cannot be read":        with(func(p *Pair) { p.Cert = certPEM(&issuer{der: l.der[:len(l.der)-1]}) }),
		"shop.crt: more than 16 certificates":           with(func(p *Pair) { p.Cert = bytes.Repeat(p.Cert, 17) }),
		"shop.crt: more than 1048576 bytes":             with(func(p *Pair) { p.Cert = make([]byte, maxPEM+1) }),
		"shop.key: no private key, it is empty":         with(func(p *Pair) { p.Key = nil }),
		"shop.key: a certificate where the private key": with(func(p *Pair) { p.Key = p.Cert }),
		"shop.key: not PEM, it looks like DER":          with(func(p *Pair) { p.Key = []byte{0x30, 1} }),
		"shop.key: the key is encrypted": with(func(p *Pair) {
			p.Key = []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
		}),
		"shop.key: the key (ed25519) is not that of the certificate for": with(func(p *Pair) { p.Key = keyPEM(t, other.key) }),
		"shop.key: the private key is damaged":                           with(func(p *Pair) { p.Key = []byte("-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n") }),
		`shop.key: a key of type "DSA PRIVATE KEY"`: with(func(p *Pair) {
			p.Key = []byte("-----BEGIN DSA PRIVATE KEY-----\nMAMCAQA=\n-----END DSA PRIVATE KEY-----\n")
		}),
		`the key of secret "shop": no private key, only a block of type "X"`:   with(func(p *Pair) { p.KeyFrom, p.Key = "", []byte("-----BEGIN X-----\nMAMCAQA=\n-----END X-----\n") }),
		`the certificate of secret "shop": no certificate: nothing in it begi`: with(func(p *Pair) { p.CertFrom, p.Cert = "", []byte("x") }),
	} {
		var p Parser
		c, err := p.Parse(Source{Name: "shop", Pair: pair})
		if err == nil || c != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestBothProblemsAreTold(t *testing.T) {
	var p Parser
	_, err := p.Parse(Source{Name: "shop"})
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v, want one line on the certificate and one on the key", err)
	}
}

func TestNames(t *testing.T) {
	from := template("A.test", "*.B.test", "w*.c.test", "*", "*.*.d.test", "under_score.test", "x..test")
	from.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")}
	c := parse(t, Source{Pair: pairOf(t, issue(t, nil, newKey(t, "p256"), from))})
	if want := []string{"a.test", "*.b.test", "under_score.test"}; !slices.Equal(c.DNSNames, want) {
		t.Errorf("names %q, want %q", c.DNSNames, want)
	}
	if want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}; !slices.Equal(c.IPs, want) {
		t.Errorf("addresses %v, want %v", c.IPs, want)
	}
	for _, odd := range []string{`"w*.c.test"`, `"*"`, `"*.*.d.test"`, `"x..test"`} {
		wantText(t, c.Warnings, odd+" is no DNS name")
	}
}

func TestCommonNameIsTheLastResort(t *testing.T) {
	from := template()
	from.Subject = pkix.Name{CommonName: "Old.example.com"}
	c := parse(t, Source{Pair: pairOf(t, issue(t, nil, newKey(t, "p256"), from))})
	if !slices.Equal(c.DNSNames, []string{"old.example.com"}) {
		t.Errorf("names %q", c.DNSNames)
	}
	wantText(t, c.Warnings, "no subject alternative name")

	from = template("new.example.com")
	from.Subject = pkix.Name{CommonName: "old.example.com"}
	c = parse(t, Source{Pair: pairOf(t, issue(t, nil, newKey(t, "p256"), from))})
	if !slices.Equal(c.DNSNames, []string{"new.example.com"}) || len(c.Warnings) != 0 {
		t.Errorf("names %q, warnings %q; the common name must not count beside another", c.DNSNames, c.Warnings)
	}
}

func TestExtensions(t *testing.T) {
	from := template("a.test")
	from.ExtraExtensions = []pkix.Extension{mustStapleExtension()}
	from.OCSPServer = []string{"http://ocsp.a.test"}
	from.ExtKeyUsage = []smx509.ExtKeyUsage{smx509.ExtKeyUsageClientAuth}
	from.IssuingCertificateURL = []string{"http://ca.a.test/ca.crt"}
	c := parse(t, Source{Pair: pairOf(t, issue(t, nil, newKey(t, "p256"), from))})
	if !c.MustStaple || !slices.Equal(c.OCSPServers, from.OCSPServer) || c.ForServer || !c.ForClient {
		t.Errorf("must-staple %v, OCSP %q, server %v, client %v", c.MustStaple, c.OCSPServers, c.ForServer, c.ForClient)
	}
	wantText(t, c.Warnings, "append the authority's certificate")
	if plain := parsed(t, "p256", "a.test"); plain.MustStaple || !plain.ForServer || plain.ForClient {
		t.Error("a plain server's certificate has what it should not, or lacks what it should")
	}
}
