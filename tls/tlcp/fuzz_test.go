package tlcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"longmen/tls/handshake"
)

// FuzzMessages gives any bytes to each parser. What a parser of a hello takes, it takes again
// after it was written.
func FuzzMessages(f *testing.F) {
	all := parsers(f)
	for i, p := range all {
		f.Add(uint8(i), p.valid)
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		p := all[int(which)%len(all)]
		if err := p.parse(body); err != nil {
			if e, ok := errors.AsType[*handshake.Error](err); !ok || e.Alert == handshake.InternalError {
				t.Fatal(err)
			}
			return
		}
		if p.name != "ClientHello" {
			return
		}
		h, _ := parseClientHello(body)
		h.renegotiation = false // is not written
		for i, suite := range h.suites {
			if suite == renegotiationSCSV {
				h.suites[i] = 0
			}
		}
		m, err := h.marshal()
		check(t, err)
		again, err := parseClientHello(handshake.Message(m).Body())
		if err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", h) {
			t.Fatalf("%+v became %+v (%v)", h, again, err)
		}
	})
}

// A script is a net.Conn whose peer has said everything beforehand.
type script struct {
	net.Conn
	in  bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.out.Write(p) }

// zeros is a source of randomness for handshakes that are the same each time.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 1
	}
	return len(p), nil
}

// records are messages, each in a record.
func records(messages ...[]byte) (out []byte) {
	for _, m := range messages {
		out = append(out, 22, 1, 1, byte(len(m)>>8), byte(len(m)))
		out = append(out, m...)
	}
	return out
}

// mustFail checks how a handshake of a script ended: it cannot succeed.
func mustFail(t *testing.T, result *handshake.Result, err error) {
	t.Helper()
	if result != nil || err == nil {
		t.Fatal("a handshake with a script succeeded")
	}
	if e, ok := errors.AsType[*handshake.Error](err); ok && e.Alert == handshake.InternalError && !e.Received {
		t.Fatal(err)
	}
	if _, ok := errors.AsType[*handshake.Error](err); !ok && err != io.EOF && err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
}

// FuzzServer has a server talk to any bytes.
func FuzzServer(f *testing.F) {
	hello, err := fullClientHello().marshal()
	check(f, err)
	agreement := validHello()
	agreement.suites = []uint16{ECDHE_SM4_CBC_SM3}
	agreementHello, err := agreement.marshal()
	check(f, err)
	short, err := marshalVector(handshake.ClientKeyExchange, []byte{0x30, 1, 2, 3})
	check(f, err)
	none, err := marshalCertificates(nil)
	check(f, err)
	some, err := marshalCertificates(pki(f).client.Chain)
	check(f, err)
	point, err := marshalClientAgreement(agreementParams(append([]byte{4}, make([]byte, 64)...)))
	check(f, err)
	ccs := []byte{20, 1, 1, 0, 1, 1}
	f.Add(uint8(0), append(records(hello, short), ccs...))
	f.Add(uint8(1), append(records(hello, none, short), ccs...))
	f.Add(uint8(2), records(hello, some, short))
	f.Add(uint8(2), records(agreementHello, some, point))
	f.Fuzz(func(t *testing.T, auth uint8, input []byte) {
		server, _ := resumable(t)
		server.ClientAuth = ClientAuth(auth % 3)
		server.Protocols = []string{"h2"}
		conn := new(script)
		conn.in.Reset(input)
		result, err := Server(conn, server)
		mustFail(t, result, err)
	})
}

// FuzzClient has a client talk to any bytes.
func FuzzClient(f *testing.F) {
	hello, err := (&serverHello{version: version, random: make([]byte, 32), suite: ECC_SM4_GCM_SM3}).marshal()
	check(f, err)
	chain, err := marshalCertificates(pki(f).server.Chain)
	check(f, err)
	signature, err := marshalVector(handshake.ServerKeyExchange, []byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	check(f, err)
	agreement, err := marshalServerAgreement(agreementParams(append([]byte{4}, make([]byte, 64)...)), []byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	check(f, err)
	f.Add(false, records(hello, chain, signature))
	f.Add(true, records(hello, chain, agreement))
	f.Fuzz(func(t *testing.T, agree bool, input []byte) {
		_, client := resumable(t)
		client.Insecure, client.Rand, client.Certificate = true, zeros{}, pki(t).client
		if agree {
			client.Suites = []uint16{ECDHE_SM4_GCM_SM3}
		}
		conn := new(script)
		conn.in.Reset(input)
		result, err := Client(conn, client)
		mustFail(t, result, err)
	})
}
