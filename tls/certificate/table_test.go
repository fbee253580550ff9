package certificate

import (
	"net"
	"slices"
	"testing"
)

func names(found []*Certificate) []string {
	var out []string
	for _, c := range found {
		out = append(out, c.Name)
	}
	return out
}

// named is a certificate for a table: name, kind and what it covers.
func named(name string, kind Kind, bits int, covers ...string) *Certificate {
	c := &Certificate{Name: name, Kind: kind, KeyBits: bits, NotBefore: noon.AddDate(0, -1, 0), NotAfter: noon.AddDate(0, 2, 0), ForServer: true}
	for _, n := range covers {
		folded, ok := foldName(n)
		if !ok {
			panic(n)
		}
		c.DNSNames = append(c.DNSNames, folded)
	}
	return c
}

func TestFind(t *testing.T) {
	gm := named("gm", SM2, 256, "shop.example.com")
	gm.Encryption = named("gm", SM2, 256)
	renewed := named("shop-rsa-new", RSA, 2048, "shop.example.com")
	renewed.NotAfter = renewed.NotAfter.AddDate(0, 1, 0)
	table := NewTable([]*Certificate{
		named("shop-rsa", RSA, 2048, "shop.example.com", "www.shop.example.com"),
		named("wild-rsa", RSA, 2048, "*.example.com", "example.com"),
		named("wild-p384", ECDSA, 384, "*.example.com"),
		named("shop-p521", ECDSA, 521, "shop.example.com"),
		named("shop-p256", ECDSA, 256, "shop.example.com", "shop.example.com"),
		named("shop-ed", Ed25519, 256, "shop.example.com"),
		gm, renewed,
		named("other", RSA, 2048, "a.test"),
	})
	for name, want := range map[string][]string{
		"shop.example.com":     {"gm", "shop-p256", "shop-p521", "shop-ed", "shop-rsa-new", "shop-rsa", "wild-p384", "wild-rsa"},
		"www.shop.example.com": {"shop-rsa"},
		"api.example.com":      {"wild-p384", "wild-rsa"},
		"a.b.example.com":      nil,
		"example.com":          {"wild-rsa"},
		".example.com":         nil,
		"com":                  nil,
		"":                     nil,
		"a.test":               {"other"},
		"*.example.com":        {"wild-p384", "wild-rsa"},
	} {
		if got := names(table.Find(name)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	for host, want := range map[string]bool{
		"shop.example.com": true, "SHOP.example.com.": true, "*.example.com": true, "x.example.com": true,
		"*.shop.example.com": false, "x.a.test": false, "*.test": false, "": false, "*": false,
	} {
		if table.Covers(host) != want {
			t.Errorf("covers %q: %v", host, !want)
		}
	}
	if len(table.All()) != 9 {
		t.Errorf("%d certificates", len(table.All()))
	}
}

// What no certificate is for gets the default; kinds that the first name lacks come last, so
// that a TLCP client without a server name is served too.
func TestDefault(t *testing.T) {
	gm := named("gm", SM2, 256, "gm.test")
	gm.Encryption = named("gm", SM2, 256)
	table := NewTable([]*Certificate{
		named("shop-rsa", RSA, 2048, "shop.test"),
		named("other-p256", ECDSA, 256, "other.test"),
		named("shop-p256", ECDSA, 256, "shop.test"),
		named("single", SM2, 256, "gm.test"),
		gm,
		named("other-ed", Ed25519, 256, "other.test"),
	})
	if got, want := names(table.Default()), []string{"shop-p256", "shop-rsa", "single", "gm", "other-ed"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := NewTable(nil); got.Default() != nil || got.Find("a.test") != nil || got.Covers("a.test") {
		t.Error("an empty table has certificates")
	}
	if got := names(NewTable([]*Certificate{named("nameless", RSA, 2048)}).Default()); !slices.Equal(got, []string{"nameless"}) {
		t.Errorf("%q", got)
	}
}

func TestAddresses(t *testing.T) {
	from := template("a.test")
	from.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")}
	table := NewTable([]*Certificate{parse(t, Source{Name: "ip", Pair: pairOf(t, issue(t, nil, newKey(t, "p256"), from))})})
	for host, want := range map[string]bool{
		"192.0.2.1": true, "192.0.2.2": false, "[2001:db8::1]": true, "2001:DB8:0::1": true, "::ffff:192.0.2.1": true,
	} {
		if table.Covers(host) != want {
			t.Errorf("covers %q: %v", host, !want)
		}
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	table := NewTable([]*Certificate{named("a", RSA, 2048, "a.test", "*.b.test")})
	for _, name := range []string{"a.test", "x.b.test", "none.c.test"} {
		if n := testing.AllocsPerRun(100, func() { table.Find(name) }); n != 0 {
			t.Errorf("%q: %v allocations", name, n)
		}
	}
	offer := &Offer{Version: versionTLS13, Schemes: []uint16{0x0403, 0x0804}}
	if n := testing.AllocsPerRun(100, func() { Choose(table.Find("a.test"), offer, noon) }); n != 0 {
		t.Errorf("the choice: %v allocations", n)
	}
}
