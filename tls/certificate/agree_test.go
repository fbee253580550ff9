package certificate

import (
	"crypto/tls"
	"math/rand/v2"
	"testing"
)

// crypto/tls has its own opinion of which certificate a client can take. For two thousand
// offers put together by chance it is the same.
func TestFitsAgreesWithCryptoTLS(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func(from ...uint16) []uint16 {
		var picked []uint16
		for _, v := range from {
			if random.IntN(2) == 0 {
				picked = append(picked, v)
			}
		}
		return picked
	}
	type pair struct {
		ours   *Certificate
		theirs *tls.Certificate
	}
	var pairs []pair
	for _, kind := range []string{"rsa", "p256", "p384", "p521", "ed25519"} {
		c := parsed(t, kind, "a.test")
		theirs, err := c.Standard(noon)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, pair{c, theirs})
	}
	agreed := map[bool]int{}
	for range 2000 {
		version := uint16(tls.VersionTLS12 + random.IntN(2))
		schemes := append(some(0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0807), 0x0101)
		groups := append(some(23, 24, 25), 29) // X25519 is always there, for an exchange that can be had at all
		suites := []uint16{0x1301}
		if version == tls.VersionTLS12 {
			suites = some(0xc02f, 0xc030, 0xcca8, 0xc02b, 0xc02c, 0xcca9, 0x009c, 0x002f)
		}
		info := &tls.ClientHelloInfo{CipherSuites: suites, SupportedVersions: []uint16{version}, SupportedPoints: []uint8{0}, ServerName: "a.test"}
		for _, s := range schemes {
			info.SignatureSchemes = append(info.SignatureSchemes, tls.SignatureScheme(s))
		}
		for _, g := range groups {
			info.SupportedCurves = append(info.SupportedCurves, tls.CurveID(g))
		}
		offer := &Offer{Version: version, Suites: suites, Schemes: schemes, Groups: groups}
		for _, p := range pairs {
			err := info.SupportsCertificate(p.theirs)
			if p.ours.fits(offer) != (err == nil) {
				t.Fatalf("%v, %+v: fits is %v, crypto/tls says %v", p.ours, *offer, p.ours.fits(offer), err)
			}
			agreed[err == nil]++
		}
	}
	if agreed[true] < 1000 || agreed[false] < 1000 {
		t.Errorf("%d offers fit and %d do not; want both often", agreed[true], agreed[false])
	}
}
