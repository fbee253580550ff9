package tlcp

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"longmen/tls/handshake"
)

func fullClientHello() *clientHello {
	return &clientHello{
		version: version, random: bytes.Repeat([]byte{7}, 32), sessionID: []byte("an id"), suites: Suites(), compressions: []byte{0},
		serverName: "server.test", protocols: []string{"h2", "http/1.1"}, groups: []uint16{curveSM2},
	}
}

func fullServerHello() *serverHello {
	return &serverHello{
		version: version, random: bytes.Repeat([]byte{8}, 32), sessionID: []byte("an id"), suite: ECC_SM4_GCM_SM3,
		protocol: "h2", nameTaken: true, renegotiation: true,
	}
}

// bodyOf is the body of a message that was marshalled.
func bodyOf(t testing.TB, m []byte, err error) []byte {
	t.Helper()
	check(t, err)
	return handshake.Message(m).Body()
}

// A parser of one kind of body, and a body that it takes.
type parser struct {
	name  string
	valid []byte
	parse func(body []byte) error
}

func parsers(t testing.TB) []parser {
	t.Helper()
	client, err := fullClientHello().marshal()
	clientBody := bodyOf(t, client, err)
	server, err := fullServerHello().marshal()
	serverBody := bodyOf(t, server, err)
	request, err := (&certificateRequest{types: []byte{1, 64}, authorities: [][]byte{[]byte("one"), []byte("two")}}).marshal()
	requestBody := bodyOf(t, request, err)
	certificates, err := marshalCertificates([][]byte{[]byte("first"), []byte("second")})
	certificatesBody := bodyOf(t, certificates, err)
	vector, err := marshalVector(handshake.CertificateVerify, bytes.Repeat([]byte{9}, 71))
	vectorBody := bodyOf(t, vector, err)
	params := agreementParams(append([]byte{4}, make([]byte, 64)...))
	serverAgreement, err := marshalServerAgreement(params, []byte("a signature"))
	serverAgreementBody := bodyOf(t, serverAgreement, err)
	return []parser{
		{"ClientHello", clientBody, func(b []byte) error { _, err := parseClientHello(b); return err }},
		{"ServerHello", serverBody, func(b []byte) error { _, err := parseServerHello(b); return err }},
		{"CertificateRequest", requestBody, func(b []byte) error { _, err := parseCertificateRequest(b); return err }},
		{"Certificate", certificatesBody, func(b []byte) error { _, err := parseCertificates(b); return err }},
		{"CertificateVerify", vectorBody, func(b []byte) error { _, err := parseVector(b, maxSignature, "CertificateVerify"); return err }},
		{"ServerKeyExchange", serverAgreementBody, func(b []byte) error { _, _, _, err := parseServerAgreement(b); return err }},
		{"ClientKeyExchange", params, func(b []byte) error { _, err := parseClientAgreement(b); return err }},
		{"ClientKeyExchange with a length", append([]byte{0, 69}, params...), func(b []byte) error { _, err := parseClientAgreement(b); return err }},
	}
}

func TestParsersAtEveryByte(t *testing.T) {
	for _, p := range parsers(t) {
		t.Run(p.name, func(t *testing.T) {
			check(t, p.parse(p.valid))
			for cut := range p.valid {
				err := p.parse(p.valid[:cut])
				// A hello may end before its extensions.
				if whole := strings.HasSuffix(p.name, "Hello") && err == nil; whole {
					continue
				}
				if e, ok := errors.AsType[*handshake.Error](err); !ok || e.Alert != handshake.DecodeError {
					t.Errorf("cut to %d bytes: %v", cut, err)
				}
			}
			if err := p.parse(append(bytes.Clone(p.valid), 0)); err == nil {
				t.Error("a byte behind it is taken")
			}
			for i := range p.valid {
				for _, v := range []byte{0, 1, 0x7f, 0x80, 0xff, p.valid[i] + 1, p.valid[i] - 1} {
					changed := bytes.Clone(p.valid)
					changed[i] = v
					if e, ok := errors.AsType[*handshake.Error](p.parse(changed)); ok && e.Alert == handshake.InternalError {
						t.Errorf("byte %d as %#02x: %v", i, v, e)
					}
				}
			}
		})
	}
}

// Exactly one cut of a hello is a good hello.
func TestHelloWithoutExtensions(t *testing.T) {
	for _, p := range parsers(t)[:2] {
		good := 0
		for cut := range p.valid {
			if p.parse(p.valid[:cut]) == nil {
				good++
			}
		}
		if good != 1 {
			t.Errorf("%s: %d cuts are taken", p.name, good)
		}
	}
}

func TestHellosSurviveTheWire(t *testing.T) {
	for _, h := range []*clientHello{validHello(), fullClientHello()} {
		m, err := h.marshal()
		got, err := parseClientHello(bodyOf(t, m, err))
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", h) || err != nil {
			t.Errorf("%+v, want %+v (%v)", got, h, err)
		}
	}
	for _, h := range []*serverHello{{version: version, random: make([]byte, 32), suite: 1}, fullServerHello()} {
		m, err := h.marshal()
		got, err := parseServerHello(bodyOf(t, m, err))
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", h) || err != nil {
			t.Errorf("%+v, want %+v (%v)", got, h, err)
		}
	}
}

// extensions appends extensions to a hello without them.
func extensions(body []byte, list ...byte) []byte {
	return append(append(bytes.Clone(body), byte(len(list)>>8), byte(len(list))), list...)
}

func TestExtensions(t *testing.T) {
	m, err := validHello().marshal()
	bare := bodyOf(t, m, err)
	const ok = handshake.CloseNotify
	many := func(n int) (list []byte) {
		for i := range n {
			list = append(list, 0x77, byte(i), 0, 0)
		}
		return list
	}
	for name, test := range map[string]struct {
		list []byte
		want handshake.Alert
	}{
		"none":                    {nil, ok},
		"unknown":                 {[]byte{0x12, 0x34, 0, 1, 9}, ok},
		"twice":                   {[]byte{0x12, 0x34, 0, 0, 0x12, 0x34, 0, 0}, handshake.IllegalParameter},
		"many":                    {many(maxExtensions), ok},
		"too many":                {many(maxExtensions + 1), handshake.DecodeError},
		"a length too long":       {[]byte{0x12, 0x34, 0, 2, 9}, handshake.DecodeError},
		"server_name":             {[]byte{0, 0, 0, 6, 0, 4, 0, 0, 1, 'a'}, ok},
		"server_name empty":       {[]byte{0, 0, 0, 0}, handshake.DecodeError},
		"an empty list of names":  {[]byte{0, 0, 0, 2, 0, 0}, handshake.DecodeError},
		"an empty name":           {[]byte{0, 0, 0, 5, 0, 3, 0, 0, 0}, handshake.DecodeError},
		"a name of another type":  {[]byte{0, 0, 0, 6, 0, 4, 1, 0, 1, 'a'}, ok},
		"bytes behind the names":  {[]byte{0, 0, 0, 7, 0, 4, 0, 0, 1, 'a', 0}, handshake.DecodeError},
		"a control byte":          {[]byte{0, 0, 0, 6, 0, 4, 0, 0, 1, '\n'}, handshake.DecodeError},
		"groups":                  {[]byte{0, 10, 0, 4, 0, 2, 0, 41}, ok},
		"groups empty":            {[]byte{0, 10, 0, 2, 0, 0}, handshake.DecodeError},
		"groups of an odd length": {[]byte{0, 10, 0, 5, 0, 3, 0, 41, 0}, handshake.DecodeError},
		"renegotiation":           {[]byte{0xff, 1, 0, 1, 0}, ok},
		"renegotiation of what":   {[]byte{0xff, 1, 0, 2, 1, 0}, handshake.DecodeError},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseClientHello(extensions(bare, test.list...))
			if test.want == ok {
				check(t, err)
			} else if err == nil || alertOf(t, err) != test.want {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	if h, err := parseClientHello(extensions(bare, 0, 0, 0, 12, 0, 10, 1, 0, 1, 'x', 0, 0, 3, 'A', 'b', '.')); err != nil || h.serverName != "ab" {
		t.Errorf("%+v, %v", h, err)
	}
}

func TestServerExtensions(t *testing.T) {
	m, err := (&serverHello{version: version, random: make([]byte, 32)}).marshal()
	bare := bodyOf(t, m, err)
	for name, list := range map[string][]byte{
		"two protocols":         {0, 16, 0, 6, 0, 4, 1, 'a', 1, 'b'},
		"no protocol":           {0, 16, 0, 2, 0, 0},
		"a name":                {0, 0, 0, 1, 0},
		"renegotiation of what": {0xff, 1, 0, 1, 1},
	} {
		if _, err := parseServerHello(extensions(bare, list...)); err == nil || alertOf(t, err) != handshake.DecodeError {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestManyCertificates(t *testing.T) {
	chain := make([][]byte, maxCertificates+1)
	for i := range chain {
		chain[i] = []byte{byte(i)}
	}
	m, err := marshalCertificates(chain)
	if _, err := parseCertificates(bodyOf(t, m, err)); err == nil || alertOf(t, err) != handshake.BadCertificate {
		t.Error(err)
	}
	m, err = marshalCertificates(chain[1:])
	if got, err := parseCertificates(bodyOf(t, m, err)); err != nil || !reflect.DeepEqual(got, chain[1:]) {
		t.Error(got, err)
	}
	if _, err := parseCertificates([]byte{0, 0, 3, 0, 0, 0}); err == nil {
		t.Error("a certificate of no bytes")
	}
}
