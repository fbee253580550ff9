package tls_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// A wanted is what a client is to see; what is zero is not looked at, but for
// the alert.
type wanted struct {
	name      string
	arguments []string
	subject   string
	version   string
	protocol  string
	staple    string // "yes" or "no"
	alert     int
}

// see runs the table's clients.
func (g *gateway) see(table []wanted) []harness.Verdict {
	return each(table, 3, func(w wanted) string { return w.name }, func(w wanted) string {
		s, err := openssl(g.Addr, "/see", w.arguments...)
		staple := "no"
		if err == nil && s.staple {
			staple = "yes"
		}
		switch {
		case err != nil:
			return err.Error()
		case s.alert != w.alert:
			return s.says("the alert", s.alert, w.alert)
		case w.alert != 0 && s.body != "":
			return s.says("the answer", s.body, "none")
		case w.alert != 0:
			return ""
		case w.subject != "" && s.subject != w.subject:
			return s.says("the certificate", s.subject, w.subject)
		case w.version != "" && s.version != w.version:
			return s.says("the version", s.version, w.version)
		case w.protocol != "" && s.protocol != w.protocol:
			return s.says("ALPN", s.protocol, w.protocol)
		case w.staple != "" && staple != w.staple:
			return s.says("a staple", staple, w.staple)
		case s.body != answered("/see", "https"):
			return s.says("the answer", s.body, answered("/see", "https"))
		}
		return ""
	})
}

func sni(name string) []string {
	if name == "" {
		return []string{"-noservername"}
	}
	return []string{"-servername", name}
}

func TestNames(t *testing.T) {
	a := newAuthority(t, "root")
	names := []string{"default.test", "exact.test", "*.wild.test", "special.wild.test", "old.test", "new.test"}
	secrets, certs := "", ""
	for i, name := range names {
		secrets += a.issue("p256", name).secret(fmt.Sprint("n", i))
		certs += fmt.Sprintf("n%d, ", i)
	}
	tls := "certs: [" + certs + "]\n" + `domains: {old.test: {max: "1.2"}, new.test: {min: "1.3"}, "*.wild.test": {max: "1.2"}}` + "\n"
	g := serve(t, tls, secrets)
	table := []wanted{
		{name: "alpn/offered", arguments: []string{"-alpn", "http/1.1"}, protocol: "http/1.1"},
		{name: "alpn/second", arguments: []string{"-alpn", "spdy/3,http/1.1"}, protocol: "http/1.1"},
		{name: "alpn/none", subject: "default.test"},
		{name: "alpn/others alone 1.3", arguments: []string{"-alpn", "spdy/2,spdy/3", "-tls1_3"}, alert: 120},
		{name: "alpn/others alone 1.2", arguments: []string{"-alpn", "spdy/3", "-tls1_2"}, alert: 120},
		{name: "domain/1.2 at most", arguments: sni("old.test"), version: "TLSv1.2", subject: "old.test"},
		{name: "domain/1.2 at most, refused", arguments: append(sni("old.test"), "-tls1_3"), alert: 70},
		{name: "domain/1.3 at least", arguments: sni("new.test"), version: "TLSv1.3", subject: "new.test"},
		{name: "domain/1.3 at least, refused", arguments: append(sni("new.test"), "-tls1_2"), alert: 70},
		{name: "domain/wildcard", arguments: sni("any.wild.test"), version: "TLSv1.2", subject: "*.wild.test"},
	}
	for _, sent := range [][2]string{
		{"exact.test", "exact.test"}, {"EXACT.test", "exact.test"},
		{"a.wild.test", "*.wild.test"}, {"special.wild.test", "special.wild.test"}, {"", "default.test"},
		{"wild.test", "default.test"}, {"a.b.wild.test", "default.test"}, {"unknown.test", "default.test"},
	} {
		table = append(table, wanted{name: "sni/" + sent[0], arguments: sni(sent[0]), subject: sent[1]})
	}
	// A name has no dot at its end (RFC 6066, section 3).
	table = append(table, wanted{name: "sni/exact.test.", arguments: sni("exact.test."), alert: 50})
	verdicts := g.see(table)

	strict := serve(t, tls+"strict_sni: true\n", secrets)
	table = nil
	for name, subject := range map[string]string{
		"exact.test": "exact.test", "a.wild.test": "*.wild.test", "special.wild.test": "special.wild.test",
		"unknown.test": "", "a.b.wild.test": "", "": "",
	} {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			w := wanted{name: "strict/" + name + version, arguments: append(sni(name), version), subject: subject}
			switch {
			case subject == "":
				w.alert = 112
			case subject == "*.wild.test" || name == "special.wild.test":
				w.version = "TLSv1.2"
				if version == "-tls1_3" {
					w.alert = 70
				}
			}
			table = append(table, w)
		}
	}
	verdicts = append(verdicts, strict.see(table)...)
	harness.Report(t, "names", harness.Longmen, verdicts)
}

// Staples from files: good ones are stapled, stale ones are not, and where one
// is required a certificate without is not served.
func TestStaples(t *testing.T) {
	a := newAuthority(t, "root")
	secrets, certs := "", ""
	for _, name := range []string{"good", "stale", "none", "required", "lacking", "off"} {
		l := a.issue("p256", name+".test")
		check(t, os.WriteFile(l.crt, append(read(t, l.crt), read(t, a.file)...), 0o600)) // who has signed the staple
		extra := ""
		switch name {
		case "good", "required", "off":
			extra = fmt.Sprintf(", ocsp: %q", a.staple(l, name+".ocsp", time.Minute))
		case "stale":
			extra = fmt.Sprintf(", ocsp: %q", a.staple(l, name+".ocsp", 24*time.Hour))
		}
		secrets += fmt.Sprintf("%s: {cert: %q, key: %q%s}\n", name, l.crt, l.pem, extra)
		certs += name + ", "
	}
	g := serve(t, "certs: ["+certs+"]\n"+"domains: {required.test: {ocsp: require}, lacking.test: {ocsp: require}, off.test: {ocsp: off}}\n", secrets)
	var table []wanted
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		for name, staple := range map[string]string{"good": "yes", "stale": "no", "none": "no", "required": "yes", "lacking": "", "off": "no"} {
			w := wanted{name: "ocsp/" + name + version, arguments: append(sni(name+".test"), version, "-status"), subject: name + ".test", staple: staple}
			if staple == "" {
				w.alert = 80 // the fault is the server's
			}
			table = append(table, w)
		}
		table = append(table, wanted{name: "ocsp/not asked for" + version, arguments: append(sni("good.test"), version), staple: "no"})
	}
	harness.Report(t, "staples", harness.Longmen, g.see(table))
}
