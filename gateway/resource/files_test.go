package resource_test

import (
	"slices"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"longmen/gateway/resource"
	"longmen/gateway/source/yaml"
)

const secretive = `
listeners:
  a: {bind: ":1", routes: [], tls: {certs: a, client_ca: certs/ca.pem, crl: /abs/crl.pem, domains: {x: {spiffe: {d: certs/spiffe.pem}}}}}
clusters:
  a: {endpoints: ["10.0.0.1:1"], tls: {ca: certs/up.pem}}
  b: {endpoints: ["10.0.0.1:1"]}
secrets:
  a: [{cert: certs/a.crt, key: certs/a.key, ocsp: certs/a.ocsp}, {cert: certs/a.crt, key: "-----BEGIN PRIVATE KEY-----\nHIDDEN"}]
  s: {sm2: {sign: [certs/s.crt, "-----BEGIN PRIVATE KEY-----\nHIDDEN"], encrypt: [certs/e.crt, "-----BEGIN PRIVATE KEY-----\nHIDDEN"]}}
  p: {cert: certs/p.crt, key: "pkcs11:object=p?pin-value=HIDDEN"}
  t: {ticket_keys: certs/t.key}
  o: {acme: {agree: true, ca: certs/directory.pem, eab: {id: kid, key: certs/eab.key}}}
`

func TestFiles(t *testing.T) {
	result, problems := yaml.Decode("conf/gateway.yaml", []byte(secretive))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := strings.Fields(`/abs/crl.pem conf/certs/a.crt conf/certs/a.key conf/certs/a.ocsp conf/certs/ca.pem conf/certs/directory.pem conf/certs/e.crt
		conf/certs/eab.key conf/certs/p.crt conf/certs/s.crt conf/certs/spiffe.pem conf/certs/t.key conf/certs/up.pem`)
	if got := result.Set.Files(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestWithoutKeys(t *testing.T) {
	result, problems := yaml.Decode("gateway.yaml", []byte(secretive))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	shown := result.Set.WithoutKeys()
	for i, secret := range shown.Secrets {
		if text := protojson.Format(secret); strings.Contains(text, "HIDDEN") {
			t.Error(text)
		}
		if text := protojson.Format(result.Set.Secrets[i]); i > 0 && i < 4 && !strings.Contains(text, "HIDDEN") {
			t.Errorf("the set itself has changed: %s", text)
		}
	}
	text, err := yaml.Encode(shown)
	if err != nil || strings.Contains(string(text), "HIDDEN") || strings.Count(string(text), resource.Redacted) != 4 || !strings.Contains(string(text), "certs/a.key") {
		t.Errorf("%v\n%s", err, text)
	}
}

// An external account's key that stands in a resource is not shown either, and what
// else is ordered stays.
func TestWithoutExternalKey(t *testing.T) {
	key := &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: "HIDDEN"}}
	packed, err := resource.ExtendAny(resource.ACMEExtension, resource.Values{"agree": true, "directory": "https://a/dir", "storage": "s", "external_id": "kid", "external_key": key})
	if err != nil {
		t.Fatal(err)
	}
	set := &resource.Set{Secrets: []*tls.Secret{{Name: "o", Type: &tls.Secret_TlsCertificate{TlsCertificate: &tls.TlsCertificate{
		PrivateKeyProvider: &tls.PrivateKeyProvider{ProviderName: resource.Extension, ConfigType: &tls.PrivateKeyProvider_TypedConfig{TypedConfig: packed}},
	}}}}}
	text := protojson.Format(set.WithoutKeys().Secrets[0])
	if strings.Contains(text, "HIDDEN") || !strings.Contains(text, resource.Redacted) || !strings.Contains(text, "kid") {
		t.Error(text)
	}
}
