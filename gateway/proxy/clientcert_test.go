package proxy

import (
	"strings"
	"testing"

	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/tls/handshake"
	"longmen/tls/verify"
)

func TestClientCert(t *testing.T) {
	shown := &handshake.Result{Peer: &verify.Peer{Subject: "CN=client"}}
	element := `Hash=` + strings.Repeat("0", 64) + `;Subject="CN=client"`
	anonymous := &handshake.Result{}
	const forged = "Hash=1;Subject=\"CN=root\""
	for _, c := range []struct {
		name     string
		mode     verify.Forwarding
		tls      *handshake.Result
		received []string // "name: value"
		want     []string
	}{
		{"plain, nothing", verify.Sanitize, nil, nil, nil},
		{"plain, forged", verify.Sanitize, nil, []string{"x-forwarded-client-cert: " + forged}, nil},
		{"without a certificate, forged", verify.SanitizeSet, anonymous, []string{"x-forwarded-client-cert: " + forged, "x-forwarded-client-cert: b"}, nil},
		{"without a certificate, passed on", verify.ForwardOnly, anonymous, []string{"x-forwarded-client-cert: " + forged}, nil},
		{"without a certificate, appended", verify.AppendForward, nil, []string{"x-forwarded-client-cert: " + forged}, nil},
		{"a field that programs take for it", verify.Sanitize, nil, []string{"x_forwarded_client_cert: " + forged}, nil},
		{"by default", verify.Sanitize, shown, []string{"x-forwarded-client-cert: " + forged}, nil},
		{"passed on", verify.ForwardOnly, shown, []string{"x-forwarded-client-cert: " + forged}, []string{"x-forwarded-client-cert: " + forged}},
		{"from anybody", verify.AlwaysForwardOnly, nil, []string{"x-forwarded-client-cert: " + forged}, []string{"x-forwarded-client-cert: " + forged}},
		{"from anybody, nothing", verify.AlwaysForwardOnly, shown, nil, nil},
		{"replaced", verify.SanitizeSet, shown, []string{"x-forwarded-client-cert: " + forged, "x-forwarded-client-cert: b"}, []string{"x-forwarded-client-cert: " + element}},
		{"set", verify.SanitizeSet, shown, nil, []string{"x-forwarded-client-cert: " + element}},
		{"replaced under its name", verify.SanitizeSet, shown, []string{"x_forwarded_client_cert: " + forged}, []string{"x-forwarded-client-cert: " + element}},
		{"appended to nothing", verify.AppendForward, shown, nil, []string{"x-forwarded-client-cert: " + element}},
		{"appended to an empty one", verify.AppendForward, shown, []string{"x-forwarded-client-cert: "}, []string{"x-forwarded-client-cert: " + element}},
		{"appended", verify.AppendForward, shown, []string{"x-forwarded-client-cert: a"}, []string{"x-forwarded-client-cert: a," + element}},
		{"appended to several", verify.AppendForward, shown, []string{"x-forwarded-client-cert: a", "x-forwarded-client-cert: ", "x_forwarded_client_cert: b"},
			[]string{"x-forwarded-client-cert: a,b," + element}},
		{"appended to an open quote", verify.AppendForward, shown, []string{`x-forwarded-client-cert: Subject="a`}, []string{"x-forwarded-client-cert: " + element}},
		{"two halves of a quote", verify.AppendForward, shown, []string{`x-forwarded-client-cert: Subject="a`, `x-forwarded-client-cert: b"`},
			[]string{`x-forwarded-client-cert: Subject="a,b",` + element}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &Edge{http: &snapshot.HTTP{ClientCert: c.mode, ClientCertDetails: verify.Details{Subject: true}}}
			s := &stream.Stream{TLS: c.tls}
			for _, line := range append([]string{"x-a: 1"}, c.received...) {
				name, value, _ := strings.Cut(line, ": ")
				s.Request.Header.AddString(name, value)
			}
			e.clientCert(s)
			got := strings.Split(strings.TrimSuffix(string(s.Request.Header.AppendLines(nil, 0)), "\r\n"), "\r\n")
			if want := append([]string{"x-a: 1"}, c.want...); strings.Join(got, "|") != strings.Join(want, "|") {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

func TestClientCertAllocatesNothing(t *testing.T) {
	e := &Edge{http: &snapshot.HTTP{ClientCert: verify.AppendForward}}
	s := &stream.Stream{}
	r := &handshake.Result{Peer: &verify.Peer{}}
	if n := testing.AllocsPerRun(100, func() {
		s.Reset()
		s.TLS = r
		s.Request.Header.AddString("x-forwarded-client-cert", "a")
		s.Request.Header.AddString("x-forwarded-client-cert", "b")
		e.clientCert(s)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
