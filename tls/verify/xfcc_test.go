package verify_test

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"

	"longmen/tls/verify"
)

func TestXFCCElement(t *testing.T) {
	ca := root(t, "ca", ecdsaKey(t))
	client := ca.issue(leaf{
		subject: pkix.Name{CommonName: `Test "A", Inc`, Organization: []string{"Org"}, Country: []string{"CN"}},
		dns:     []string{"lyft.example", "www.lyft.example"}, uris: []string{"http://testclient.lyft.example", "http://x.example/?a=1;b=\"2\""},
	})
	bare := ca.issue(leaf{})
	p := policy(t, verify.Config{Mode: verify.Require, Roots: roots(t, ca)})
	peer, err := p.Verify(chain(client, ca), "", now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := p.Verify(chain(bare), "", now)
	if err != nil {
		t.Fatal(err)
	}
	hash := func(a *authority) string {
		sum := sha256.Sum256(a.cert.Raw)
		return hex.EncodeToString(sum[:])
	}
	encode := func(list ...*authority) (s string) {
		for _, a := range list {
			s += strings.NewReplacer("\n", "%0A", " ", "%20", "+", "%2B", "/", "%2F", "=", "%3D").Replace(string(a.pem()))
		}
		return s
	}
	const uris = `URI=http://testclient.lyft.example;URI="http://x.example/?a=1;b=\"2\""`
	subject := `Subject="CN=Test \"A\"\, Inc,O=Org,C=CN"`
	tests := []struct {
		details verify.Details
		peer    *verify.Peer
		by      []string
		want    string
	}{
		{verify.Details{}, peer, nil, "Hash=" + hash(client)},
		{verify.Details{}, peer, []string{"http://frontend.lyft.example"}, "By=http://frontend.lyft.example;Hash=" + hash(client)},
		{verify.Details{}, peer, []string{"a:b", "spiffe://c/d"}, "By=a:b;By=spiffe://c/d;Hash=" + hash(client)},
		{verify.Details{Subject: true, URI: true, DNS: true}, peer, nil, "Hash=" + hash(client) + ";" + subject + ";" + uris + ";DNS=lyft.example;DNS=www.lyft.example"},
		{verify.Details{Cert: true, URI: true}, peer, nil, "Hash=" + hash(client) + `;Cert="` + encode(client) + `";` + uris},
		{verify.Details{Cert: true, Chain: true}, peer, nil, "Hash=" + hash(client) + `;Cert="` + encode(client) + `";Chain="` + encode(client, ca) + `"`},
		{verify.Details{Subject: true, URI: true, DNS: true}, other, nil, "Hash=" + hash(bare) + `;Subject="";URI=`},
		{verify.Details{}, other, []string{"x:\",\r\n\\é"}, `By="x:\",%0D%0A%5C%C3%A9";Hash=` + hash(bare)},
	}
	for _, test := range tests {
		if got := test.details.Element(test.peer, test.by); got != test.want {
			t.Errorf("%+v:\n%s\nwant\n%s", test.details, got, test.want)
		}
	}
	// Whoever decodes it has the certificate again.
	_, value, _ := strings.Cut(verify.Details{Cert: true}.Element(peer, nil), `Cert="`)
	if text, err := url.PathUnescape(strings.TrimSuffix(value, `"`)); err != nil || text != string(client.pem()) {
		t.Errorf("%q, %v", text, err)
	}
}

func TestXFCCDecide(t *testing.T) {
	const element, received = "Hash=2", `By=x;Hash=1;Subject="CN=a,O=\"b\""`
	tests := []struct {
		mode     verify.Forwarding
		received string
		shown    bool
		want     string
	}{
		{verify.Sanitize, received, true, ""},
		{verify.Sanitize, received, false, ""},
		{verify.ForwardOnly, received, true, received},
		{verify.ForwardOnly, received, false, ""},
		{verify.AppendForward, received, true, received + "," + element},
		{verify.AppendForward, "", true, element},
		{verify.AppendForward, received, false, ""},
		{verify.SanitizeSet, received, true, element},
		{verify.SanitizeSet, received, false, ""},
		{verify.AlwaysForwardOnly, received, true, received},
		{verify.AlwaysForwardOnly, received, false, received},
		{verify.AppendForward, `Hash=1;Subject="CN=a`, true, element},
		{verify.AppendForward, `Hash=1;Subject="CN=a\"`, true, element},
		{verify.AppendForward, `Hash=1;Subject="CN=a\\"`, true, `Hash=1;Subject="CN=a\\",` + element},
		{verify.AppendForward, strings.Repeat("x,", 62) + "x", true, strings.Repeat("x,", 62) + "x," + element},
		{verify.AppendForward, strings.Repeat("x,", 63) + "x", true, element},
		{verify.AppendForward, `"` + strings.Repeat("x,", 63) + `"`, true, `"` + strings.Repeat("x,", 63) + `",` + element},
		{verify.AppendForward, strings.Repeat("x", 64<<10+1), true, element},
	}
	for _, test := range tests {
		keep, add := test.mode.Decide([]byte(test.received), test.shown)
		got := ""
		switch {
		case keep && add:
			got = test.received + "," + element
		case keep:
			got = test.received
		case add:
			got = element
		}
		if got != test.want {
			t.Errorf("%d, %.60q, %v: %.80q, want %.80q", test.mode, test.received, test.shown, got, test.want)
		}
	}
}

func TestIdentity(t *testing.T) {
	ca := root(t, "ca", sm2Key(t))
	own := ca.issue(leaf{uris: []string{"spiffe://td/gateway", "https://x.example/"}, dns: []string{"a.example"}})
	identity := verify.NewIdentity(own.cert.Raw)
	got := identity.Peer()
	if got == nil || !slices.Equal(got.URIs(), []string{"spiffe://td/gateway", "https://x.example/"}) || !slices.Equal(got.DNSNames(), []string{"a.example"}) {
		t.Fatalf("%+v", got)
	}
	if identity.Peer() != got {
		t.Error("it is read twice")
	}
	if got := verify.NewIdentity(ca.cert.Raw).Peer(); got == nil || got.URIs() != nil {
		t.Errorf("%+v", got)
	}
	if (*verify.Identity)(nil).Peer() != nil || verify.NewIdentity(own.cert.Raw[1:]).Peer() != nil {
		t.Error("no certificate")
	}
}
