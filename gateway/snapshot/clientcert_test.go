package snapshot

import (
	"testing"

	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"longmen/gateway/resource"
	"longmen/tls/verify"
)

func TestClientCertForwarding(t *testing.T) {
	with := func(forwarded string) string {
		return "\nlisteners:\n  http: {bind: \":8080\"," + forwarded + " routes: [{hosts: [\"*\"], rules: [{to: a}]}]}\nclusters: {a: {endpoints: [\"10.0.0.1:80\"]}}\n"
	}
	details := verify.Details{Subject: true, URI: true, DNS: true, Cert: true, Chain: true}
	for _, c := range []struct {
		forwarded string
		want      verify.Forwarding
		details   verify.Details
	}{
		{"", verify.Sanitize, verify.Details{}},
		{" forwarded: {via: edge},", verify.Sanitize, verify.Details{}},
		{" forwarded: {client_cert: remove},", verify.Sanitize, verify.Details{}},
		{" forwarded: {client_cert: keep},", verify.ForwardOnly, verify.Details{}},
		{" forwarded: {client_cert: append, client_cert_details: [subject, uri, dns, cert, chain]},", verify.AppendForward, details},
		{" forwarded: {client_cert: set, client_cert_details: [uri]},", verify.SanitizeSet, verify.Details{URI: true}},
		{" forwarded: {client_cert: always_keep},", verify.AlwaysForwardOnly, verify.Details{}},
	} {
		h := compile(t, with(c.forwarded), nil).Listeners[0].HTTP
		if h.ClientCert != c.want || h.ClientCertDetails != c.details {
			t.Errorf("%q: %d, %+v", c.forwarded, h.ClientCert, h.ClientCertDetails)
		}
	}
}

// What a control plane may send, and gateway.yaml cannot.
func TestClientCertForwardingRefused(t *testing.T) {
	for _, details := range []hcm.HttpConnectionManager_ForwardClientCertDetails{hcm.HttpConnectionManager_SANITIZE, hcm.HttpConnectionManager_FORWARD_ONLY} {
		refuse(t, "APPEND_FORWARD and SANITIZE_SET only", func(set *resource.Set) {
			manage(t, set, func(m *hcm.HttpConnectionManager) {
				m.ForwardClientCertDetails = details
				m.SetCurrentClientCertDetails = &hcm.HttpConnectionManager_SetCurrentClientCertDetails{Uri: true}
			})
		})
	}
	refuse(t, "is not supported", func(set *resource.Set) {
		manage(t, set, func(m *hcm.HttpConnectionManager) { m.ForwardClientCertDetails = 99 })
	})
}
