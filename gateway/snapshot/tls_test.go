package snapshot

import (
	"crypto/tls"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"longmen/tls/client"
	"longmen/tls/server"
	"longmen/tls/verify"
)

// compileTLS compiles at testNow what must be good but for warnings.
func compileTLS(t testing.TB, text string, previous *Snapshot) *Snapshot {
	t.Helper()
	s, problems := Defaults{Now: func() time.Time { return testNow }}.Compile(read(t, text), previous)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// problemsOf are the problems of a text at testNow, line by line.
func problemsOf(t testing.TB, text string) []string {
	t.Helper()
	_, problems := Defaults{Now: func() time.Time { return testNow }}.Compile(read(t, text), nil)
	var lines []string
	for _, p := range problems {
		lines = append(lines, strings.TrimSpace(p.String()+" "+p.Hint))
	}
	return lines
}

const secure = `
listeners:
  one: {bind: ":8443", routes: all, tls: [shop, api]}
  two: {bind: ":8444", routes: [{hosts: [api.example.com], rules: [{to: up}]}], tls: {certs: api, client_ca: ca.crt, require: true}}
routes: {all: [{hosts: [shop.example.com], rules: [{to: up}]}, {hosts: [api.example.com], rules: [{to: up}]}]}
clusters: {up: {endpoints: ["10.0.0.1:443"], tls: {ca: ca.crt, cert: api}}}
secrets:
  shop: [{cert: shop.crt, key: shop.key}, {cert: shop-rsa.crt, key: shop-rsa.key}]
  api: {cert: api.crt, key: api.key}
`

// writeSecure writes the files of secure, as old as they must be to be known by
// their time.
func writeSecure(t testing.TB) *testAuthority {
	t.Helper()
	a := newAuthority(t, ".", false)
	a.issue("shop", "ecdsa", 99, "shop.example.com")
	a.issue("shop-rsa", "rsa", 99, "shop.example.com")
	a.issue("api", "ecdsa", 99, "api.example.com", "*.api.example.com")
	a.age("ca.crt", "shop.crt", "shop.key", "shop-rsa.crt", "shop-rsa.key", "api.crt", "api.key")
	return a
}

func (a *testAuthority) age(names ...string) {
	a.t.Helper()
	for _, name := range names {
		if err := os.Chtimes(name, testNow, testNow.AddDate(-20, 0, 0)); err != nil {
			a.t.Fatal(err)
		}
	}
}

func TestTLSDefaults(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	s := compileTLS(t, secure, nil)
	if len(s.Warnings) > 0 {
		t.Error(s.Warnings)
	}
	one, two := s.Listeners[0].TLS, s.Listeners[1].TLS
	if one.HandshakeTimeout != 10*time.Second || one.MaxHandshakes != 1024 || one.StrictSNI || one.Plain || one.KeyLog != "" || one.Passthrough.Len()+one.Domains.Len() != 0 {
		t.Errorf("%+v", one)
	}
	d := one.Default
	if d.MinVersion != tls.VersionTLS12 || d.MaxVersion != tls.VersionTLS13 || len(d.Suites) != 6 || d.Groups[0] != tls.X25519MLKEM768 || len(d.Groups) != 5 ||
		!slices.Equal(d.ALPN, []string{"h2", "http/1.1"}) || d.Clients != nil || d.Tickets == nil || d.OCSP != server.OCSPStaple || !d.TLCP || !d.RFC8998 {
		t.Errorf("%+v", d)
	}
	if two.Default.Clients.Mode() != verify.Require || two.Default.ClientRoots == nil {
		t.Error("clients must show a certificate")
	}
	if names := []string{one.Certificates.All()[0].Name, one.Certificates.All()[1].Name, one.Certificates.All()[2].Name}; !slices.Equal(names, []string{"shop[0]", "shop[1]", "api"}) {
		t.Error(names)
	}
	up := s.Clusters[0].Config().TLS
	if up.Name != client.NameEndpoint || up.Insecure || up.Verify == nil || up.AnyName || up.Certificate.Name != "api" || up.Sessions != 64 || up.ALPN != nil || up.Protocol != client.ProtocolTLS {
		t.Errorf("%+v", up)
	}
}

func TestTLSDomains(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	s := compileTLS(t, edit(secure, "tls: [shop, api]}", `tls: {certs: [shop, api], min: "1.3", curves: [P-256], ocsp: require, gm: {tlcp: false}, client_ca: ca.crt, require: true, depth: 3, tickets: off,
      strict_sni: true, plain: true, passthrough: {"*.db.example.com": up}, handshake_timeout: 1s, max_handshakes: 7, keylog: k.log, domains: {
        api.example.com: {min: "1.2", require: false, ocsp: staple, tickets: on}, "*.api.example.com": {curves: [X25519, P-384], gm: {tlcp: true, rfc8998: false}, san: {dns: a}}}}}`), nil)
	c := s.Listeners[0].TLS
	if !c.StrictSNI || !c.Plain || c.HandshakeTimeout != time.Second || c.MaxHandshakes != 7 || c.KeyLog != "k.log" {
		t.Errorf("%+v", c)
	}
	if target, _ := c.Passthrough.Find("a.db.example.com"); target != "up" {
		t.Errorf("passes through to %q", target)
	}
	base, api, below := c.SettingsFor("shop.example.com"), c.SettingsFor("api.example.com"), c.SettingsFor("x.api.example.com")
	if base != c.Default || base.MinVersion != tls.VersionTLS13 || base.Tickets != nil || base.OCSP != server.OCSPRequire || base.TLCP || !base.RFC8998 || base.Clients.Mode() != verify.Require {
		t.Errorf("%+v", base)
	}
	if api.MinVersion != tls.VersionTLS12 || !slices.Equal(api.Groups, []tls.CurveID{tls.CurveP256}) || api.Tickets == nil || api.OCSP != server.OCSPStaple || api.TLCP || api.Clients.Mode() != verify.Request {
		t.Errorf("%+v", api)
	}
	if below.MinVersion != tls.VersionTLS13 || !slices.Equal(below.Groups, []tls.CurveID{tls.X25519, tls.CurveP384}) || !below.TLCP || below.RFC8998 || below.Tickets != nil || below.Clients.Mode() != verify.Require {
		t.Errorf("%+v", below)
	}
	if base.Clients == below.Clients {
		t.Error("another name is asked for below")
	}
}

// What has not changed is the same object; a file that looks as it did is not read.
func TestTLSIsShared(t *testing.T) {
	t.Chdir(t.TempDir())
	a := writeSecure(t)
	before := compileTLS(t, secure, nil)
	a.write("shop.key", make([]byte, len(mustRead(t, "shop.key")))) // in place, so that only its content tells
	a.age("shop.key")
	after := compileTLS(t, "# moved\n"+secure, before)
	if after.Version != before.Version {
		t.Error("another version")
	}
	for i := range before.Listeners {
		if after.Listeners[i].TLS != before.Listeners[i].TLS {
			t.Errorf("listener %d has another TLS", i)
		}
	}
	if after.Clusters[0] != before.Clusters[0] {
		t.Error("another cluster")
	}
}

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A new certificate in the same file changes the listeners that serve it, and
// nothing else of them than that.
func TestTLSFileChanges(t *testing.T) {
	t.Chdir(t.TempDir())
	a := writeSecure(t)
	before := compileTLS(t, secure, nil)
	a.issue("shop", "ecdsa", 200, "shop.example.com")
	after := compileTLS(t, secure, before)
	one, was := after.Listeners[0], before.Listeners[0]
	if after.Version == before.Version || one == was || one.Hash == was.Hash || one.TLS == was.TLS {
		t.Fatal("nothing has changed")
	}
	if one.TLS.Certificates.All()[0] == was.TLS.Certificates.All()[0] || one.TLS.Certificates.All()[2] != was.TLS.Certificates.All()[2] {
		t.Error("the certificate of shop is new, that of api is not")
	}
	if after.Listeners[1] != before.Listeners[1] || after.Clusters[0] != before.Clusters[0] {
		t.Error("who does not use it has not changed")
	}
	ticket, err := was.TLS.Default.Tickets.Seal(nil, []byte("session"), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := one.TLS.Default.Tickets.Open(ticket, testNow); err != nil {
		t.Errorf("sessions end with the certificate: %v", err)
	}
}

// Other authorities of clients end the sessions that began under those before.
func TestTicketsOfOtherClients(t *testing.T) {
	t.Chdir(t.TempDir())
	a := writeSecure(t)
	before := compileTLS(t, secure, nil)
	other := newAuthority(t, t.TempDir(), false)
	a.write("ca.crt", append(mustRead(t, "ca.crt"), mustRead(t, other.dir+"/ca.crt")...))
	after := compileTLS(t, secure, before)
	old, next := before.Listeners[1].TLS.Default, after.Listeners[1].TLS.Default
	if old.Clients == next.Clients {
		t.Fatal("the policy has not changed")
	}
	ticket, err := old.Tickets.Seal(nil, []byte("session"), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := next.Tickets.Open(ticket, testNow); err == nil {
		t.Error("the session is resumed")
	}
	if after.Clusters[0] == before.Clusters[0] || after.Listeners[0] != before.Listeners[0] {
		t.Error("the cluster verifies by it too, the first listener does not")
	}
}

// Nodes with the same secret resume each other's sessions.
func TestSharedTickets(t *testing.T) {
	t.Chdir(t.TempDir())
	a := writeSecure(t)
	a.write("secret", []byte(strings.Repeat("s", 64)))
	a.write("80", []byte(strings.Repeat("k", 80)))
	for _, key := range []string{"ticket_secret: secret", "ticket_keys: 80"} {
		text := edit(edit(secure, "tls: [shop, api]", "tls: {certs: shop, tickets: t}"), "secrets:\n", "secrets:\n  t: {"+key+"}\n")
		one, two := compileTLS(t, text, nil), compileTLS(t, text, nil)
		ticket, err := one.Listeners[0].TLS.Default.Tickets.Seal(nil, []byte("session"), testNow)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := two.Listeners[0].TLS.Default.Tickets.Open(ticket, testNow); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if _, _, err := two.Listeners[1].TLS.Default.Tickets.Open(ticket, testNow); err == nil {
			t.Errorf("%s: resumed at another listener", key)
		}
	}
}

// A cluster whose other settings change keeps the connections that were made with
// its TLS.
func TestClusterKeepsTLS(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	before := compileTLS(t, secure, nil)
	after := compileTLS(t, edit(secure, `"10.0.0.1:443"]`, `"10.0.0.2:443"]`), before)
	if after.Clusters[0] == before.Clusters[0] || after.Clusters[0].Config().TLS != before.Clusters[0].Config().TLS {
		t.Error("the cluster is another one, its TLS is not")
	}
	after = compileTLS(t, edit(secure, "ca: ca.crt, cert: api", "ca: ca.crt, cert: api, max: \"1.2\""), before)
	if after.Clusters[0].Config().TLS == before.Clusters[0].Config().TLS {
		t.Error("its TLS is another one")
	}
}

func TestTLSProblems(t *testing.T) {
	t.Chdir(t.TempDir())
	a := writeSecure(t)
	a.issue("old", "ecdsa", -3, "old.example.com")
	a.issue("soon", "ecdsa", 5, "soon.example.com")
	sm := newAuthority(t, t.TempDir(), true)
	sm.dir = "."
	sm.issue("sign", "sm2", 99, "shop.example.com")
	sm.issue("encrypt", "sm2", 99, "shop.example.com")
	secret := strings.Split(string(mustRead(t, "api.key")), "\n")[1]
	for _, test := range []struct{ from, to, want string }{
		{"tls: [shop, api]", "tls: [shpo]", `listeners.one.tls[0]: no secret named "shpo" did you mean "shop" (line 8)?`},
		{"tls: [shop, api]", "tls: {certs: shpo}", `listeners.one.tls.certs: no secret named "shpo"`},
		{"tls: [shop, api]", "tls: [shop, ca]\n", `listeners.one.tls[1]: secret "ca" holds authorities (ca), not a certificate`},
		{"api: {cert: api.crt", "api: {cert: gone.crt", "secrets.api.cert: gone.crt cannot be read: no such file or directory"},
		{"key: api.key", "key: shop.key", "secrets.api.key: shop.key: "},
		{"api: {cert: api.crt", "api: {cert: api.key", "secrets.api.key: api.key: a private key where the certificate should be"},
		{"api: {cert: api.crt", "api: {cert: .", "it is no regular file"},
		{"tls: [shop, api]", "tls: {certs: [shop, api], min: 1.3, max: 1.2}", "listeners.one.tls.min: the least version, 1.3, is above"},
		{"tls: [shop, api]", "tls: {certs: [shop, api], min: 1.3, suites: [ECDHE-RSA-AES128-GCM-SHA256]}", "listeners.one.tls.suites: warning: has no effect"},
		{"tls: [shop, api]", "tls: {certs: [shop, api], curves: [X25519MLKEM768]}", "is of TLS 1.3 alone"},
		{"tls: [shop, api]", "tls: {certs: [shop, api], curves: [P-256, P-256]}", "curves[1]: P-256 stands here twice"},
		{"tls: [shop, api]", "tls: {certs: [shop, api], require: true}", "listeners.one.tls.require: no authority of client certificates is named"},
		{"tls: [shop, api]", "tls: {certs: [shop, api], crl: list.crl}", "listeners.one.tls.crl: "},
		{"tls: [shop, api]", "tls: {certs: [shop, api], client_ca: api.key}", "listeners.one.tls.client_ca: api.key: "},
		{"tls: [shop, api]", "tls: {certs: [shop, api], client_ca: ca.crt}", "warning: clients without a certificate are served too"},
		{"tls: [shop, api]", "tls: {certs: [shop, api], client_ca: shop}", `secret "shop" holds several certificates, not authorities (ca)`},
		{"tls: [shop, api]", "tls: {certs: [shop, api], tickets: api}", `tickets: secret "api" holds a certificate, not session ticket keys`},
		{"tls: [shop, api]", "tls: {certs: [shop, api], passthrough: {x.example.com: upp}}", `listeners.one.tls.passthrough.x.example.com: no cluster named "upp"`},
		{"tls: [shop, api]", "tls: {certs: [shop, api], passthrough: {api.example.com: up}}", "warning: its certificate is not used"},
		{"tls: [shop, api]", "tls: {certs: [shop, api], domains: {x.example.com: {}}}", "domains.x.example.com: warning: no certificate covers x.example.com"},
		{"tls: [shop, api]", "tls: {certs: api, gm: {tlcp: true, rfc8998: true}}", "listeners.one.tls.gm.tlcp: warning: no secret of the listener is an SM2 pair"},
		{"tls: [shop, api]", "tls: {certs: api, gm: {tlcp: true, rfc8998: true}}", "listeners.one.tls.gm.rfc8998: warning: no secret of the listener holds"},
		{"tls: [shop, api]", "tls: {certs: api, suites: [ECDHE-RSA-AES128-GCM-SHA256]}", "listeners.one.tls.suites: warning: none of the listener's certificates"},
		{"tls: [shop, api]", "tls: {certs: api, ocsp: require}", `listeners.one.tls.ocsp: warning: certificate "api" names no OCSP responder`},
		{"tls: [shop, api]", "tls: [shop]", "listeners.one.tls: warning: no certificate covers api.example.com (line 5)"},
		{"hosts: [api.example.com]", "hosts: [api.example.con]", `listeners.two.tls: warning: certificate "api" (api.crt) is for api.example.com; no certificate covers api.example.con (line 4)`},
		{"cert: shop.crt, key: shop.key", "cert: old.crt, key: old.key", "secrets.shop[0].cert: warning: old.crt: the certificate expired 2 days ago"},
		{"cert: shop.crt, key: shop.key", "cert: soon.crt, key: soon.key", "secrets.shop[0].cert: warning: soon.crt: the certificate expires in 5 days"},
		{"secrets:\n", "secrets:\n  more: {cert: api.crt, key: api.key}\n", "secrets.more: warning: no listener or cluster uses this secret"},
		{"secrets:\n", "secrets:\n  more: {cert: api.crt, key: \"[redacted]\"}\n", "secrets.more.key: [redacted] is no key"},
		{"secrets:\n", "secrets:\n  more: {ticket_secret: shop.crt}\n  t: {ticket_keys: api.crt}\n", "secrets.t.ticket_keys: key 1 has"},
		{"cert: api.crt, key: api.key", "cert: api.crt, key: api.key, ocsp: api.crt", "secrets.api.ocsp: warning: api.crt: the OCSP response is not stapled"},
		{"ca: ca.crt, cert: api", "ca: ca.crt, cert: gm", "is of SM2, which TLS cannot show"},
		{"ca: ca.crt, cert: api", "ca: ca.crt, cert: api, protocol: tlcp", "this protocol needs SM2"},
		{"ca: ca.crt, cert: api", "protocol: rfc8998", "clusters.up.tls.ca: the system has no authorities for SM2 write ca"},
		{"ca: ca.crt, cert: api", "insecure: true", "clusters.up.tls.insecure: warning: nothing is verified"},
		{"ca: ca.crt, cert: api", "ca: ca.crt, cert: shop", "2 certificates: exactly one"},
		{"ca: ca.crt, cert: api", "ca: ca.crt, san: {ip: x}", "clusters.up.tls.san: "},
	} {
		text := edit(secure, test.from, test.to)
		text = edit(text, "secrets:\n", "secrets:\n  ca: {ca: ca.crt}\n  gm: {sm2: {sign: [sign.crt, sign.key], encrypt: [encrypt.crt, encrypt.key]}}\n")
		if strings.HasPrefix(test.from, "secrets:") || strings.Contains(test.want, "line 5)") || strings.Contains(test.want, "(line 8)") {
			text = edit(secure, test.from, test.to)
		}
		got := problemsOf(t, text)
		if !slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, test.want) }) {
			t.Errorf("%s: want %q in\n%s", test.to, test.want, strings.Join(got, "\n"))
		}
		if strings.Contains(test.to, "gm: {") != slices.ContainsFunc(got, func(line string) bool { return strings.Contains(line, ".gm.") }) {
			t.Errorf("%s: %q", test.to, got)
		}
		for _, line := range got {
			if strings.Contains(line, secret) {
				t.Errorf("a key in %q", line)
			}
		}
	}
}

func TestCertificates(t *testing.T) {
	t.Chdir(t.TempDir())
	writeSecure(t)
	var lines []string
	for _, c := range compileTLS(t, secure, nil).Certificates(testNow) {
		if len(c.Fingerprint) != 64 || !c.StapledUntil.IsZero() || c.Encryption != nil || !c.NotAfter.Equal(testNow.AddDate(0, 0, 99).Add(time.Hour)) {
			t.Errorf("%+v", c)
		}
		lines = append(lines, strings.Join([]string{c.Name, c.From, c.Kind, c.Listener, c.Cluster, strings.Join(c.Names, ",")}, " "))
	}
	want := []string{
		"shop[0] shop.crt ecdsa one  shop.example.com", "shop[1] shop-rsa.crt rsa one  shop.example.com",
		"api api.crt ecdsa one  api.example.com,*.api.example.com", "api api.crt ecdsa two  api.example.com,*.api.example.com",
		"api api.crt ecdsa  up api.example.com,*.api.example.com",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q", lines)
	}
}
