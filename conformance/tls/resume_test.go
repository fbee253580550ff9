package tls_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"longmen/conformance/harness"
)

// Sessions that are taken up again, where that may be, and by nobody whom a full
// handshake would not let in.
func TestResumption(t *testing.T) {
	server, clients, others := newAuthority(t, "root"), newAuthority(t, "clients"), newAuthority(t, "others")
	secrets, certs := "", ""
	for _, name := range []string{"a", "b", "off", "offered", "required", "others"} {
		secrets += server.issue("p256", name+".test").secret(name)
		certs += name + ", "
	}
	shared := filepath.Join(server.dir, "tickets")
	check(t, os.WriteFile(shared, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600))
	secrets += fmt.Sprintf("clients: {ca: %q}\nstrangers: {ca: %q}\n", clients.file, others.file)
	tls := "certs: [" + certs + `]
domains:
  off.test: {tickets: off}
  offered.test: {client_ca: clients}
  required.test: {client_ca: clients, require: true}
  others.test: {client_ca: strangers}
`
	g := serve(t, tls, secrets)
	tickets := fmt.Sprintf("tickets: {ticket_secret: %q}\n", shared)
	node1, node2 := serve(t, tls+"tickets: tickets\n", secrets+tickets), serve(t, tls+"tickets: tickets\n", secrets+tickets)
	alice := clients.issue("p256", "alice.test")
	with := []string{"-cert", alice.crt, "-key", alice.pem}

	type pair struct {
		name                   string
		first, second          *gateway
		firstName, secondName  string
		firstFlags, secondFlag []string
		resumed                bool
		alert                  int // of the second
	}
	all := []pair{
		{"same", g, g, "a.test", "a.test", nil, nil, true, 0},
		{"tickets off", g, g, "off.test", "off.test", nil, nil, false, 0},
		{"with a certificate", g, g, "required.test", "required.test", with, with, true, 0},
		{"certificate of before", g, g, "required.test", "required.test", with, nil, true, 0},
		{"certificate was optional", g, g, "offered.test", "offered.test", nil, nil, true, 0},
		{"from no certificate asked to one required", g, g, "a.test", "required.test", nil, nil, false, -1},
		{"from optional to required", g, g, "offered.test", "required.test", nil, nil, false, -1},
		{"to other authorities", g, g, "offered.test", "others.test", with, nil, false, 0},
		{"another process", g, node1, "a.test", "a.test", nil, nil, false, 0},
		{"another node with the secret", node1, node2, "a.test", "a.test", nil, nil, true, 0},
		{"another node with the secret, with a certificate", node1, node2, "required.test", "required.test", with, with, true, 0},
	}
	type connection struct {
		pair
		version string
	}
	var both []connection
	for _, p := range all {
		both = append(both, connection{p, "-tls1_2"}, connection{p, "-tls1_3"})
	}
	verdicts := each(both, 3, func(c connection) string { return "resumption/" + c.version[1:] + "/" + c.name }, func(c connection) string {
		session := filepath.Join(t.TempDir(), "session")
		base := []string{c.version, "-CAfile", server.file, "-verify_return_error"}
		s, err := openssl(c.first.Addr, "/first", append(append(base, "-servername", c.firstName, "-sess_out", session), c.firstFlags...)...)
		if err != nil || s.full != 1 || s.body != answered("/first", "https") {
			return fmt.Sprintf("the first connection: %+v, %v", s, err)
		}
		again := append(append(base, "-servername", c.secondName), c.secondFlag...)
		if _, err := os.Stat(session); err == nil { // without a ticket there is none
			again = append(again, "-sess_in", session)
		}
		s, err = openssl(c.second.Addr, "/second", again...)
		switch {
		case err != nil:
			return err.Error()
		case c.alert != 0 && (s.alert == 0 || s.body != ""):
			return s.says("the alert", s.alert, "one that refuses")
		case c.alert != 0:
			return ""
		case s.alert != 0:
			return s.says("the alert", s.alert, 0)
		case s.resumed == 1 != c.resumed:
			return s.says("that it resumed", s.resumed == 1, c.resumed)
		case s.body != answered("/second", "https"):
			return s.says("the answer", s.body, answered("/second", "https"))
		}
		return ""
	})
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		v := harness.Verdict{Name: "resumption/" + version[1:] + "/reconnect"}
		s, err := openssl(g.Addr, "/again", version, "-servername", "a.test", "-reconnect")
		// In TLS 1.3 the ticket comes behind the handshake, and s_client does not wait for it.
		if err != nil || s.full+s.resumed != 6 || version == "-tls1_2" && s.resumed != 5 || s.body != answered("/again", "https") {
			v.Fault = fmt.Sprintf("%d full, %d resumed, %v: %s", s.full, s.resumed, err, s.all)
		}
		verdicts = append(verdicts, v)
	}
	harness.Report(t, "resumption", harness.Longmen, verdicts)
}
