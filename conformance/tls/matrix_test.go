package tls_test

import (
	"fmt"
	"slices"
	"testing"

	"longmen/conformance/harness"
)

// The matrix of OpenSSL's client: versions, suites, groups and kinds of
// certificates, each with a request through to the origin.

type combination struct {
	version, suite, group, cert string
	alert                       int // that is wanted; 0: the handshake is done
}

func (c combination) name() string {
	return fmt.Sprintf("matrix/%s/%s/%s/%s", c.version, c.cert, c.suite, c.group)
}

var (
	suites13 = []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
	suites12 = []string{"AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"}
	groups   = []string{"X25519", "P-256", "P-384", "P-521"}
	kinds    = []string{"rsa", "p256", "p384", "ed25519"}
	curveOf  = map[string]string{"p256": "P-256", "p384": "P-384"}
	signedBy = map[string][]string{"rsa": {"RSA", "RSA-PSS"}, "p256": {"ECDSA"}, "p384": {"ECDSA"}, "ed25519": {"ed25519", "Ed25519"}}
)

func combinations() []combination {
	var all []combination
	for i, cert := range kinds {
		for j, group := range groups {
			for k := range 3 {
				if !harness.Full() && (i+j+k)%3 != 0 {
					continue // every pair of values still comes
				}
				c12 := combination{"1.2", "ECDHE-ECDSA-" + suites12[k], group, cert, 0}
				if cert == "rsa" {
					c12.suite = "ECDHE-RSA-" + suites12[k]
				}
				// The curve of the certificate has to be among the client's groups in
				// TLS 1.2 (RFC 8422, section 5.1).
				if curve := curveOf[cert]; curve != "" && curve != group {
					c12.alert = 40
				}
				all = append(all, c12, combination{"1.3", suites13[k], group, cert, 0})
			}
		}
		for _, group := range []string{"X448", "ffdhe2048"} { // not spoken
			all = append(all, combination{"1.3", suites13[0], group, cert, 40})
		}
	}
	for _, suite := range []string{ // without forward secrecy or AEAD, or with finite fields
		"AES128-GCM-SHA256", "AES256-SHA", "ECDHE-RSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA", "DHE-RSA-AES128-GCM-SHA256",
	} {
		all = append(all, combination{"1.2", suite, "P-256", "rsa", 40})
	}
	for _, version := range []string{"1", "1.1"} {
		all = append(all, combination{version, "ALL:@SECLEVEL=0", "P-256", "rsa", 70})
	}
	all = append(all, combination{"1.3", "TLS_AES_128_CCM_SHA256", "P-256", "rsa", 40})
	return all
}

func TestMatrix(t *testing.T) {
	a := newAuthority(t, "root")
	secrets, certs := "", ""
	for _, kind := range kinds {
		secrets += a.issue(kind, kind+".test").secret(kind)
		certs += kind + ", "
	}
	g := serve(t, "certs: ["+certs+"]", secrets)
	verdicts := each(combinations(), 3, combination.name, func(c combination) string { return g.combine(a, c) })
	harness.Report(t, "matrix", harness.Longmen, verdicts)
}

func (g *gateway) combine(a *authority, c combination) string {
	versionFlag := map[string]string{"1": "-tls1", "1.1": "-tls1_1", "1.2": "-tls1_2", "1.3": "-tls1_3"}[c.version]
	suiteFlag := "-cipher"
	if c.version == "1.3" {
		suiteFlag = "-ciphersuites"
	}
	name, path := c.cert+".test", "/"+c.version
	s, err := openssl(g.Addr, path, versionFlag, suiteFlag, c.suite, "-groups", c.group, "-servername", name,
		"-CAfile", a.file, "-verify_hostname", name, "-verify_return_error", "-alpn", "http/1.1")
	switch {
	case err != nil:
		return err.Error()
	case s.alert != c.alert:
		return s.says("the alert", s.alert, c.alert)
	case c.alert != 0 && s.body != "":
		return s.says("the answer", s.body, "none")
	case c.alert != 0:
		return ""
	case s.version != "TLSv"+c.version || s.suite != c.suite:
		return s.says("what was agreed on", s.version+" "+s.suite, c.version+" "+c.suite)
	case s.group != c.group:
		return s.says("the group", s.group, c.group)
	case !slices.Contains(signedBy[c.cert], s.key) || s.subject != name || !s.verified:
		return s.says("the certificate", s.subject+" "+s.key, name)
	case s.protocol != "http/1.1":
		return s.says("ALPN", s.protocol, "http/1.1")
	case s.body != answered(path, "https"):
		return s.says("the answer", s.body, answered(path, "https"))
	}
	return ""
}

// A client that takes several certificates gets the first of the name that it
// can use, by what it says of signatures and suites.
func TestChoiceOfCertificate(t *testing.T) {
	a := newAuthority(t, "root")
	both := "both: [" + a.issue("p256", "both.test").pair() + ", " + a.issue("rsa", "both.test").pair() + "]\n"
	g := serve(t, "certs: [both]", both)
	type choice struct {
		name, want string
		arguments  []string
		alert      int
	}
	all := []choice{
		{"choice/1.3 all", "ECDSA", []string{"-tls1_3"}, 0},
		{"choice/1.2 all", "ECDSA", []string{"-tls1_2"}, 0},
		{"choice/1.3 rsa-pss alone", "RSA-PSS", []string{"-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"}, 0},
		{"choice/1.3 ecdsa alone", "ECDSA", []string{"-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"}, 0},
		{"choice/1.3 another curve", "RSA-PSS", []string{"-tls1_3", "-sigalgs", "ecdsa_secp384r1_sha384:rsa_pss_rsae_sha384"}, 0},
		{"choice/1.3 neither", "", []string{"-tls1_3", "-sigalgs", "ecdsa_secp384r1_sha384"}, 40},
		{"choice/1.2 rsa suites", "RSA", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"}, 0},
		{"choice/1.2 ecdsa suites", "ECDSA", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}, 0},
		{"choice/1.2 rsa signatures", "RSA", []string{"-tls1_2", "-sigalgs", "RSA+SHA256:RSA-PSS+SHA256"}, 0},
		{"choice/1.2 without its curve", "RSA", []string{"-tls1_2", "-groups", "X25519"}, 0},
		{"choice/1.2 neither", "", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-groups", "X25519"}, 40},
		{"choice/both versions", "ECDSA", nil, 0},
	}
	verdicts := each(all, 3, func(c choice) string { return c.name }, func(c choice) string {
		s, err := openssl(g.Addr, "/choice", append([]string{"-servername", "both.test", "-CAfile", a.file, "-verify_return_error"}, c.arguments...)...)
		switch {
		case err != nil:
			return err.Error()
		case s.alert != c.alert:
			return s.says("the alert", s.alert, c.alert)
		case c.alert != 0:
			return ""
		case s.key != c.want && !(c.want == "RSA" && s.key == "RSA-PSS"):
			return s.says("the signature", s.key, c.want)
		case s.body != answered("/choice", "https"):
			return s.says("the answer", s.body, answered("/choice", "https"))
		}
		return ""
	})
	harness.Report(t, "choice", harness.Longmen, verdicts)
}
