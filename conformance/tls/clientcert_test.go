package tls_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"longmen/conformance/harness"
)

// Client certificates: who is asked, who is let in, and what a client is told
// that is not. Each accepted one must be named to the origin.
func TestClientCertificates(t *testing.T) {
	server, clients, strangers := newAuthority(t, "root"), newAuthority(t, "clients"), newAuthority(t, "strangers")
	secrets, certs := "", ""
	for _, name := range []string{"none", "offered", "required", "named", "revoking"} {
		secrets += server.issue("p256", name+".test").secret(name)
		certs += name + ", "
	}
	leaves := map[string]*leaf{
		"rsa": clients.issue("rsa", "alice.test"), "p256": clients.issue("p256", "alice.test"),
		"p384": clients.issue("p384", "alice.test"), "ed25519": clients.issue("ed25519", "alice.test"),
		"expired": clients.issue("p256", "late.test", expired), "revoked": clients.issue("p256", "revoked.test"),
		"stranger": strangers.issue("p256", "alice.test"), "named": clients.issue("p256", "named.test"),
	}
	secrets += "clients: {ca: \"" + clients.file + "\"}\n"
	g := serve(t, "certs: ["+certs+`]
domains:
  offered.test: {client_ca: clients}
  required.test: {client_ca: clients, require: true}
  named.test: {client_ca: clients, require: true, san: {dns: named.test}}
  revoking.test: {client_ca: clients, require: true, crl: "`+clients.revoke(leaves["revoked"])+`"}
`, secrets)

	type connection struct {
		version, domain, client string // client "": shows no certificate
		alert                   int
	}
	const missing = -1 // 116 in TLS 1.3, which has an alert for it, 42 or 40 in TLS 1.2
	var all []connection
	for _, version := range []string{"1.2", "1.3"} {
		for _, client := range []string{"", "rsa", "p256", "p384", "ed25519"} {
			needs := 0
			if client == "" {
				needs = missing
			}
			all = append(all, connection{version, "none", client, 0}, connection{version, "offered", client, 0},
				connection{version, "required", client, needs}, connection{version, "revoking", client, needs})
		}
		for _, domain := range []string{"offered", "required", "revoking"} {
			all = append(all, connection{version, domain, "stranger", 48}, connection{version, domain, "expired", 45})
		}
		all = append(all, connection{version, "revoking", "revoked", 44}, connection{version, "required", "revoked", 0},
			connection{version, "named", "named", 0}, connection{version, "named", "p256", 49}, connection{version, "none", "stranger", 0})
	}
	name := func(c connection) string {
		shown := c.client
		if shown == "" {
			shown = "no certificate"
		}
		return "clients/" + c.version + "/" + c.domain + "/" + shown
	}
	harness.Report(t, "clients", harness.Longmen, each(all, 3, name, func(c connection) string {
		arguments := []string{map[string]string{"1.2": "-tls1_2", "1.3": "-tls1_3"}[c.version], "-servername", c.domain + ".test", "-CAfile", server.file, "-verify_return_error"}
		if c.client != "" {
			arguments = append(arguments, "-cert", leaves[c.client].crt, "-key", leaves[c.client].pem)
		}
		s, err := openssl(g.Addr, "/clients", arguments...)
		if err != nil {
			return err.Error()
		}
		switch {
		case c.alert == missing && c.version == "1.3" && s.alert != 116:
			return s.says("the alert", s.alert, 116)
		case c.alert == missing && c.version == "1.2" && s.alert != 42 && s.alert != 40:
			return s.says("the alert", s.alert, 42)
		case c.alert >= 0 && s.alert != c.alert:
			return s.says("the alert", s.alert, c.alert)
		case c.alert != 0 && s.body != "":
			return s.says("the answer", s.body, "none")
		case c.alert != 0:
			return ""
		case s.body != answered("/clients", "https"):
			return s.says("the answer", s.body, answered("/clients", "https"))
		}
		told := ""
		if c.client != "" && c.domain != "none" {
			leaf := leaves[c.client].cert
			told = fmt.Sprintf("Hash=%x;Subject=\"CN=%s\"", sha256.Sum256(leaf.Raw), leaf.Subject.CommonName)
		}
		if line := "x-client-cert: " + told + "\r\n"; !strings.Contains(s.all, line) {
			return s.says("what the origin is told of the certificate", "another", line)
		}
		return ""
	}))
}
