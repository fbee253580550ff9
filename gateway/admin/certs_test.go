package admin

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func certificates() []Certificate {
	from, to := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2026, 4, 2, 3, 4, 5, 0, time.UTC)
	return []Certificate{
		{Name: "shop", Listener: "https", Kind: "rsa", Chain: []CertificateDetails{{
			Path: "shop.crt", Serial: "0a", Subject: "CN=shop", Issuer: "CN=ca", Fingerprint: "ff", Days: 84, ValidFrom: from, Expires: to,
			Names: []AltName{{DNS: "shop.test"}, {DNS: "*.shop.test"}, {IP: "192.0.2.1"}, {URI: "spiffe://td/a"}, {DNS: "b.test"}, {DNS: "c.test"}},
			OCSP:  &OCSPDetails{Expires: from.AddDate(0, 0, 7)},
		}}},
		{Name: "gm", Cluster: "bank", Kind: "sm2", Chain: []CertificateDetails{
			{Serial: "01", Days: -1, ValidFrom: from, Expires: to, Names: []AltName{}, MustStaple: true},
			{Serial: "02", Days: 3, ValidFrom: from, Expires: to, Names: []AltName{}},
		}},
	}
}

func TestCerts(t *testing.T) {
	g := start(t)
	body, _ := g.do(t, "GET", "/certs", 200)
	var lines []string
	for line := range strings.Lines(body) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"CERTIFICATE USED BY KIND DAYS EXPIRES OCSP SERIAL NAMES READ FROM",
		"shop listener https rsa 84 2026-04-02T03:04:05Z until 2026-01-09T03:04:05Z 0a shop.test,*.shop.test,192.0.2.1,spiffe://td/a,+2 shop.crt",
		"gm cluster bank sm2 sign -1 2026-04-02T03:04:05Z missing 01 - -",
		"gm cluster bank sm2 encrypt 3 2026-04-02T03:04:05Z - 02 - -",
	}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("%s", body)
	}
	var got struct{ Certificates []Certificate }
	g.decode(t, "/certs?format=json", &got)
	if !reflect.DeepEqual(got.Certificates, certificates()) {
		t.Errorf("%+v", got)
	}
}

// The members that Envoy has too are where Envoy has them.
func TestCertsAsEnvoy(t *testing.T) {
	g := start(t)
	body, _ := g.do(t, "GET", "/certs", 200, "Accept: application/json")
	var got struct {
		Certificates []struct {
			CertChain []struct {
				Path                string              `json:"path"`
				SerialNumber        string              `json:"serial_number"`
				SubjectAltNames     []map[string]string `json:"subject_alt_names"`
				DaysUntilExpiration int                 `json:"days_until_expiration"`
				ValidFrom           time.Time           `json:"valid_from"`
				ExpirationTime      time.Time           `json:"expiration_time"`
				OCSPDetails         map[string]any      `json:"ocsp_details"`
			} `json:"cert_chain"`
		} `json:"certificates"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	c := got.Certificates[0].CertChain[0]
	if c.Path != "shop.crt" || c.SerialNumber != "0a" || c.SubjectAltNames[0]["dns"] != "shop.test" || c.SubjectAltNames[2]["ip_address"] != "192.0.2.1" ||
		c.DaysUntilExpiration != 84 || c.ValidFrom.IsZero() || c.ExpirationTime.Year() != 2026 || c.OCSPDetails["expiration"] == nil {
		t.Errorf("%+v", c)
	}
}

func TestNoCerts(t *testing.T) {
	g := start(t, func(s *Server) { s.options.Certificates = func() []Certificate { return nil } })
	if body, _ := g.do(t, "GET", "/certs?format=json", 200); strings.Join(strings.Fields(body), "") != `{"certificates":[]}` {
		t.Error(body)
	}
}
