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

func TestXFCCForward(t *testing.T) {
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
		if got := test.mode.Forward(test.received, test.shown, element); got != test.want {
			t.Errorf("%d, %.60q, %v: %.80q, want %.80q", test.mode, test.received, test.shown, got, test.want)
		}
	}
}

func TestURIs(t *testing.T) {
	ca := root(t, "ca", sm2Key(t))
	own := ca.issue(leaf{uris: []string{"spiffe://td/gateway", "https://x.example/"}, dns: []string{"a.example"}})
	if got, err := verify.URIs(own.cert.Raw); err != nil || !slices.Equal(got, []string{"spiffe://td/gateway", "https://x.example/"}) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := verify.URIs(ca.cert.Raw); err != nil || got != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := verify.URIs(own.cert.Raw[1:]); err == nil {
		t.Error("no certificate")
	}
}
