package tls_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"longmen/conformance/harness"
)

// A seen is what openssl s_client says of a connection.
type seen struct {
	version, suite string // empty if the handshake failed
	resumed        int    // how many connections took up a session
	full           int    // how many did not
	group          string // X25519, P-256, ...
	key            string // of the server's certificate: RSA, P-256, ...
	subject        string // its common name
	protocol       string // ALPN
	staple         bool   // a good OCSP response
	alert          int    // that the server sent; 0: none
	body           string // of the response
	verified       bool
	all            string // what it wrote
}

var (
	newLine     = regexp.MustCompile(`(?m)^(New|Reused), (TLSv[0-9.]+), Cipher is (\S+)`)
	groupLine   = regexp.MustCompile(`(?m)^Server Temp Key: (?:ECDH, )?([^,\n]+)`)
	protoLine   = regexp.MustCompile(`(?m)^ALPN protocol: (.*)$`)
	subjectLine = regexp.MustCompile(`(?m)^subject=.*CN = (\S+)$`)
	alertLine   = regexp.MustCompile(`SSL alert number ([0-9]+)`)
	signLine    = regexp.MustCompile(`(?m)^Peer signature type: (\S+)`)
	// One digit: s_client may write the body into the midst of a line of its own that ends in one.
	bodyLine = regexp.MustCompile(`origin GET \S+ [a-z]* [0-9]`)
)

// openssl connects to the gateway, asks for path and says what came of it. The
// error is openssl's absence, or that it did not end.
func openssl(addr, path string, arguments ...string) (*seen, error) {
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openssl", append([]string{"s_client", "-connect", addr, "-ign_eof"}, arguments...)...)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: test\r\nX-Forwarded-Client-Cert: Hash=forged\r\nConnection: close\r\n\r\n", path))
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("openssl did not end: %s", out)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	return parse(string(out)), nil
}

func parse(out string) *seen {
	s := &seen{all: out, body: bodyLine.FindString(out)}
	for _, m := range newLine.FindAllStringSubmatch(out, -1) {
		if m[1] == "Reused" {
			s.resumed++
		} else {
			s.full++
		}
		s.version, s.suite = m[2], m[3]
	}
	first := func(re *regexp.Regexp) string {
		if m := re.FindStringSubmatch(out); m != nil {
			return m[1]
		}
		return ""
	}
	s.group, s.protocol, s.subject = named(first(groupLine)), first(protoLine), first(subjectLine)
	s.key = first(signLine)
	s.alert, _ = strconv.Atoi(first(alertLine))
	s.staple = strings.Contains(out, "OCSP Response Status: successful") && strings.Contains(out, "Cert Status: good")
	s.verified = strings.Contains(out, "Verification: OK")
	return s
}

// named is a group by one name: s_client has two for some.
func named(group string) string {
	switch group {
	case "prime256v1":
		return "P-256"
	case "secp384r1":
		return "P-384"
	case "secp521r1":
		return "P-521"
	}
	return group
}

// says describes what was seen when it is not what was wanted.
func (s *seen) says(what string, got, want any) string {
	return fmt.Sprintf("%s is %v, want %v\n%s", what, got, want, s.all)
}
