package supervisor

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"longmen/gateway/admin"
	"longmen/gateway/cluster"
	"longmen/gateway/snapshot"
	"longmen/tls/certificate"
	tlsclient "longmen/tls/client"
)

// told is a gateway with certificates in two listeners and a cluster.
func told(t *testing.T, o Options) (*house, *snapshot.Listener) {
	t.Helper()
	h := newHouse(t, o)
	one, two := listens(t, "one", ""), listens(t, "two", "")
	secured(t, one, map[string]crypto.Signer{"a.test": p256Key(t)})
	two.TLS = one.TLS
	key := p256Key(t)
	own, root := issuedClient(t, key)
	c := clusterOf("up")
	c.TLS = trusts(t, &tlsclient.Config{Certificate: own}, rootsOf(t, root))
	h.applied(having(snap("1", one, two), cluster.New(c)))
	return h, one
}

func TestDescribedCertificates(t *testing.T) {
	h, l := told(t, Options{})
	var lines []string
	for _, c := range h.describeCertificates() {
		d := c.Chain[0]
		if len(c.Chain) != 1 || c.Kind != "ecdsa" || d.Days != 0 || len(d.Fingerprint) != 64 || d.Serial == "" || !d.ValidFrom.Before(d.Expires) || d.OCSP != nil {
			t.Errorf("%+v", c)
		}
		lines = append(lines, c.Listener+"|"+c.Cluster+"|"+d.Subject)
	}
	if want := "one||CN=a.test two||CN=a.test |up|CN=gateway.test"; strings.Join(lines, " ") != want {
		t.Errorf("%q, want %q", lines, want)
	}
	expiries := h.certificateExpiries()
	if len(expiries) != 3 || !expiries[0].NotAfter.Equal(l.TLS.Certificates.All()[0].NotAfter) {
		t.Errorf("%+v", expiries)
	}
	if _, there := h.tlsPool(); !there {
		t.Error("no pool")
	}
}

// All kinds of names are told, and both certificates of a pair.
func TestDescribedNames(t *testing.T) {
	key := p256Key(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xabc), NotBefore: time.Now(), NotAfter: time.Now().Add(50 * time.Hour), DNSNames: []string{"a.test"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}, URIs: []*url.URL{{Scheme: "spiffe", Host: "td", Path: "/a"}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	own, second := parsedPair(t, key, der, "own"), parsedPair(t, key, der, "second")
	own.Encryption = second
	own.SetStaple(&certificate.Staple{DER: []byte{1}, Expires: time.Now().Add(time.Hour)})
	l := listens(t, "one", "")
	secured(t, l, nil)
	l.TLS.Certificates = certificate.NewTable([]*certificate.Certificate{own})
	h := newHouse(t, Options{})
	h.applied(snap("1", l))
	all := h.describeCertificates()
	if len(all) != 1 || len(all[0].Chain) != 2 {
		t.Fatalf("%+v", all)
	}
	for _, d := range all[0].Chain {
		if !slices.Equal(d.Names, []admin.AltName{{DNS: "a.test"}, {IP: "192.0.2.1"}, {URI: "spiffe://td/a"}}) || d.Days != 2 || d.Serial != "abc" && d.Serial != "0abc" {
			t.Errorf("%+v", d)
		}
	}
	if all[0].Chain[0].OCSP == nil || all[0].Chain[1].OCSP != nil {
		t.Error("the staple is that of the first")
	}
}

// Certificates are warned of once each, when it is time.
func TestExpiryIsLogged(t *testing.T) {
	h, l := told(t, Options{})
	end := l.TLS.Certificates.All()[0].NotAfter // after two hours of life
	warnings := func(at time.Time) []string {
		h.log.mu.Lock()
		h.log.lines = nil
		h.log.mu.Unlock()
		h.warnExpiring(at)
		h.log.mu.Lock()
		defer h.log.mu.Unlock()
		return h.log.lines
	}
	if got := warnings(end.Add(-time.Hour)); len(got) != 0 {
		t.Errorf("%q", got)
	}
	got := warnings(end.Add(-10 * time.Minute))
	if len(got) != 2 || !strings.HasPrefix(got[0], "a certificate expires soon: renew it certificate=a.test ") || !strings.Contains(got[0], " days=0 ") ||
		!strings.HasSuffix(got[0], " used_by=listener one, listener two") || !strings.HasSuffix(got[1], " used_by=cluster up") {
		t.Errorf("%q", got)
	}
	got = warnings(end.Add(25 * time.Hour))
	if len(got) != 2 || !strings.HasPrefix(got[0], "a certificate has expired") || !strings.Contains(got[0], " days=-2 ") {
		t.Errorf("%q", got)
	}
}

// What the admin API tells of a gateway with TLS has no private key in it.
func TestAdminTellsNoKeys(t *testing.T) {
	h, _ := told(t, Options{AdminBind: "127.0.0.1:0", ConfigDump: func(admin.DumpFormat) ([]byte, error) { return nil, nil }})
	at := "http://" + h.log.find("admin API address=")
	for path, want := range map[string]string{
		"/certs":             "a.test",
		"/certs?format=json": `"days_until_expiration": 0`,
		"/metrics":           `longmen_tls_certificate_expiry_timestamp_seconds{certificate="a.test",cluster="",listener="one"} `,
		"/stats":             "longmen_tls_pool_queued 0",
		"/listeners":         "one",
		"/clusters":          "up",
	} {
		resp, err := http.Get(at + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, %v: %s", path, resp.StatusCode, err, body)
		}
		if block, _ := pem.Decode(body); block != nil || strings.Contains(string(body), "PRIVATE KEY") {
			t.Errorf("%s tells keys", path)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
