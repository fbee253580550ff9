package snapshot

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"longmen/gateway/stream"
	"longmen/tls/server"
)

func TestEarlyData(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	s := compileTLS(t, edit(secure, "tls: [shop, api]}", `tls: {certs: [shop, api], early_data: {max: 4KiB}, domains: {
        api.example.com: {early_data: {max: 0, remember: 7}}, "*.api.example.com": {curves: [X25519]}}}}`), nil)
	c := s.Listeners[0].TLS
	for name, want := range map[string]server.EarlyData{"shop.example.com": {Most: 4096, Remember: 65536}, "api.example.com": {Remember: 7}, "x.api.example.com": {Most: 4096, Remember: 65536}} {
		if got := c.SettingsFor(name).EarlyData; got == nil || *got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if s.Listeners[1].TLS.Default.EarlyData != nil {
		t.Error("early data where none is asked for")
	}
	again := compileTLS(t, secure, s)
	if again.Listeners[0].TLS == c || again.Listeners[0].TLS.Default.EarlyData != nil {
		t.Error("early data is still on")
	}
	routes := compile(t, strings.Replace(earlyRoutes, "WORD", "early_data: true", 1), nil).Listeners[0].Routes
	for path, want := range map[string]bool{"/a": true, "/b": false} {
		r := &stream.Request{Method: []byte("GET"), Host: []byte("x"), Path: []byte(path)}
		if got := routes.Find(r, netip.Addr{}, 0); got == nil || got.EarlyData != want {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

const earlyRoutes = `
listeners:
  one: {bind: 127.0.0.1:8080, routes: one}
routes:
  one: [{hosts: ["*"], rules: [{match: {prefix: /a}, respond: {status: 200}, WORD}, {respond: {status: 200}}]}]
`

func TestEarlyDataProblems(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	for _, test := range []struct{ to, want string }{
		{"early_data: {}, client_ca: ca.crt, require: true", "listeners.one.tls.early_data: early data is not accepted from clients that are asked for certificates"},
		{"early_data: {}, max: \"1.2\"", "listeners.one.tls.early_data: early data needs TLS 1.3"},
		{"early_data: {}, tickets: off", "listeners.one.tls.early_data: early data needs session tickets"},
		{"domains: {api.example.com: {early_data: {}, tickets: off}}", "listeners.one.tls.domains.api.example.com.early_data: early data needs session tickets"},
	} {
		refuses(t, edit(secure, "tls: [shop, api]", "tls: {certs: [shop, api], "+test.to+"}"), test.want)
	}
	refuses(t, strings.Replace(earlyRoutes, "WORD", "early_data: true", 1), "routes.one[0].rules[0].early_data: warning: no listener takes early data: this has no effect")
	writeECH(t, "now.ech", "shop.example.com")
	writeECH(t, "before.ech", "shop.example.com")
	for _, with := range []string{"early_data: {}", "domains: {api.example.com: {early_data: {}}}"} {
		refuses(t, edit(encrypted, "ech: hidden}", "ech: hidden, "+with+"}"), "listeners.one.tls.ech: early data and ECH cannot be on one listener")
	}
}

// refuses wants a line among the problems of a text.
func refuses(t *testing.T, text, want string) {
	t.Helper()
	got := problemsOf(t, text)
	if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, want) }) {
		t.Errorf("want %q in\n%s", want, strings.Join(got, "\n"))
	}
}
