package snapshot

import (
	"strings"
	"testing"

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
	_, problems := Compile(read(t, with(" forwarded: {client_cert: keep, client_cert_details: [uri]},")), nil)
	if err := problems.Err(); err == nil || !strings.Contains(err.Error(), "APPEND_FORWARD and SANITIZE_SET only") {
		t.Errorf("details that say nothing: %v", err)
	}
}
