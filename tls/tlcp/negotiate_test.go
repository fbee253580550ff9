package tlcp

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm3"

	"longmen/tls/handshake"
)

func TestALPN(t *testing.T) {
	const none = handshake.CloseNotify
	for name, test := range map[string]struct {
		server, client []string
		chosen         string
		alert          handshake.Alert
	}{
		"the server prefers":     {[]string{"h2", "http/1.1"}, []string{"http/1.1", "h2"}, "h2", none},
		"one in common":          {[]string{"h2", "http/1.1"}, []string{"x", "http/1.1"}, "http/1.1", none},
		"the server has none":    {nil, []string{"h2"}, "", none},
		"the client offers none": {[]string{"h2"}, nil, "", none},
		"nothing in common":      {[]string{"h2"}, []string{"http/1.1"}, "", handshake.NoApplicationProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := configs(t)
			server.Protocols, client.Protocols = test.server, test.client
			if test.alert != none {
				fails(t, shake(t, server, client), "server", test.alert)
				return
			}
			if o := succeed(t, server, client); o.server.Protocol != test.chosen || o.client.Protocol != test.chosen {
				t.Errorf("%q, %q", o.server.Protocol, o.client.Protocol)
			}
		})
	}
}

func TestServerName(t *testing.T) {
	server, client := configs(t)
	client.ServerName = "SERVER.test."
	client.VerifyName = "server.test"
	if o := succeed(t, server, client); o.server.ServerName != "server.test" || o.client.ServerName != "server.test" {
		t.Errorf("%q, %q", o.server.ServerName, o.client.ServerName)
	}
	client.ServerName = ""
	if o := succeed(t, server, client); o.server.ServerName != "" {
		t.Errorf("%q", o.server.ServerName)
	}
}

func TestSuiteChoice(t *testing.T) {
	all := Suites()
	for name, test := range map[string]struct {
		server, client []uint16
		want           uint16 // 0: none
	}{
		"the defaults":           {nil, nil, ECC_SM4_GCM_SM3},
		"the server prefers":     {[]uint16{ECC_SM4_CBC_SM3, ECC_SM4_GCM_SM3}, all, ECC_SM4_CBC_SM3},
		"one in common":          {all, []uint16{0xe055, ECC_SM4_CBC_SM3}, ECC_SM4_CBC_SM3},
		"agreement if asked for": {[]uint16{ECDHE_SM4_CBC_SM3, ECC_SM4_GCM_SM3}, nil, ECDHE_SM4_CBC_SM3},
		"none in common":         {[]uint16{ECC_SM4_CBC_SM3}, []uint16{ECC_SM4_GCM_SM3}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := configs(t)
			client.Certificate = pki(t).client
			server.Suites, client.Suites = test.server, test.client
			if test.want == 0 {
				fails(t, shake(t, server, client), "server", handshake.HandshakeFailure)
				return
			}
			if o := succeed(t, server, client); o.server.Suite != test.want {
				t.Errorf("%#04x", o.server.Suite)
			}
		})
	}
	if SuiteName(0x1301) != "" || usable([]uint16{0x1301}, pki(t).server) == nil {
		t.Error("a suite of another protocol")
	}
}

func TestKeyLog(t *testing.T) {
	server, client := resumable(t)
	var serverLog, clientLog bytes.Buffer
	server.KeyLog, client.KeyLog = &serverLog, &clientLog
	succeed(t, server, client)
	succeed(t, server, client)
	lines := strings.Split(strings.TrimSpace(serverLog.String()), "\n")
	if serverLog.String() != clientLog.String() || len(lines) != 2 {
		t.Fatalf("%s\n%s", &serverLog, &clientLog)
	}
	for _, line := range lines {
		if fields := strings.Fields(line); fields[0] != "CLIENT_RANDOM" || len(fields[1]) != 64 || len(fields[2]) != 96 {
			t.Error(line)
		}
	}
	if secret := len("CLIENT_RANDOM ") + 65; lines[0][secret:] != lines[1][secret:] {
		t.Error("a resumed session has another master secret")
	}
}

// ask sends a ClientHello and gives what the server answers to it.
func ask(t testing.TB, config *ServerConfig, hello *clientHello) (*serverHello, error) {
	t.Helper()
	end, serverEnd := tcpPair(t)
	done := make(chan error, 1)
	go func() {
		_, err := Server(serverEnd, config)
		serverEnd.Close()
		done <- err
	}()
	conn := handshake.NewConn(end, version)
	m, err := hello.marshal()
	check(t, err)
	conn.Write(m)
	check(t, conn.Flush())
	answer, err := conn.Expect(handshake.ServerHello)
	if err != nil {
		return nil, <-done
	}
	h, err := parseServerHello(answer.Body())
	check(t, err)
	end.Close()
	<-done
	return h, nil
}

func validHello() *clientHello {
	return &clientHello{
		version: version, random: make([]byte, 32), suites: []uint16{ECC_SM4_GCM_SM3}, compressions: []byte{0},
	}
}

func TestClientHellos(t *testing.T) {
	const ok = handshake.CloseNotify
	for name, test := range map[string]struct {
		edit func(*clientHello)
		want handshake.Alert
	}{
		"good":                   {func(*clientHello) {}, ok},
		"a later TLCP":           {func(h *clientHello) { h.version = 0x0102 }, ok},
		"an unknown session":     {func(h *clientHello) { h.sessionID = []byte("unknown") }, ok},
		"many compressions":      {func(h *clientHello) { h.compressions = []byte{1, 0} }, ok},
		"no null compression":    {func(h *clientHello) { h.compressions = []byte{1} }, handshake.IllegalParameter},
		"no compression":         {func(h *clientHello) { h.compressions = nil }, handshake.DecodeError},
		"no suites":              {func(h *clientHello) { h.suites = nil }, handshake.DecodeError},
		"SSL 3.0":                {func(h *clientHello) { h.version = 0x0300 }, handshake.ProtocolVersion},
		"TLS 1.2":                {func(h *clientHello) { h.version = 0x0303 }, handshake.ProtocolVersion},
		"before TLCP":            {func(h *clientHello) { h.version = 0x0100 }, handshake.ProtocolVersion},
		"a long session id":      {func(h *clientHello) { h.sessionID = make([]byte, 33) }, handshake.DecodeError},
		"a name with a blank":    {func(h *clientHello) { h.serverName = "a b" }, handshake.DecodeError},
		"a long name":            {func(h *clientHello) { h.serverName = strings.Repeat("a", 256) }, handshake.DecodeError},
		"an empty protocol":      {func(h *clientHello) { h.protocols = []string{""} }, handshake.DecodeError},
		"suites of SM9 and RSA":  {func(h *clientHello) { h.suites = []uint16{0xe015, 0xe017, 0xe019} }, handshake.HandshakeFailure},
		"a great many suites":    {func(h *clientHello) { h.suites = append(make([]uint16, 8000), h.suites...) }, ok},
		"too many protocols":     {func(h *clientHello) { h.protocols = strings.Split(strings.Repeat("a ", 65), " ")[:65] }, handshake.DecodeError},
		"the largest of numbers": {func(h *clientHello) { h.suites = append(h.suites, 0xffff); h.groups = []uint16{0xffff} }, ok},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := resumable(t)
			hello := validHello()
			test.edit(hello)
			answer, err := ask(t, server, hello)
			if test.want != ok {
				if err == nil || alertOf(t, err) != test.want {
					t.Fatalf("%v, want %v", err, test.want)
				}
				return
			}
			if err != nil || answer.version != version || answer.suite != ECC_SM4_GCM_SM3 || len(answer.sessionID) != 32 {
				t.Fatalf("%+v, %v", answer, err)
			}
		})
	}
}

// A client that asks whether renegotiation is safe is told so (RFC 5746 §3.6): some end the
// handshake if it is not. Others know no extensions and get none.
func TestRenegotiationInfo(t *testing.T) {
	server, _ := configs(t)
	hello := validHello()
	if answer, err := ask(t, server, hello); err != nil || answer.renegotiation || len(answer.sessionID) != 0 {
		t.Errorf("%+v, %v", answer, err)
	}
	hello.suites = append(hello.suites, renegotiationSCSV)
	if answer, err := ask(t, server, hello); err != nil || !answer.renegotiation {
		t.Errorf("%+v, %v", answer, err)
	}
}

// serve answers a client of ours with what respond writes after its hello.
func serve(t testing.TB, config *ClientConfig, respond func(hello *clientHello) []byte) error {
	t.Helper()
	clientEnd, end := tcpPair(t)
	go func() {
		conn := handshake.NewConn(end, version)
		if m, err := conn.Expect(handshake.ClientHello); err == nil {
			if hello, err := parseClientHello(m.Body()); err == nil {
				conn.Write(respond(hello))
				_ = conn.Flush()
			}
		}
		_, _ = io.Copy(io.Discard, end)
		end.Close()
	}()
	_, err := Client(clientEnd, config)
	clientEnd.(*net.TCPConn).CloseWrite()
	return err
}

func TestServerHellos(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*serverHello)
		want handshake.Alert
	}{
		"TLS 1.2":               {func(h *serverHello) { h.version = 0x0303 }, handshake.ProtocolVersion},
		"a suite not offered":   {func(h *serverHello) { h.suite = ECC_SM4_CBC_SM3 }, handshake.IllegalParameter},
		"a compression":         {func(h *serverHello) { h.compression = 1 }, handshake.IllegalParameter},
		"a protocol not wanted": {func(h *serverHello) { h.protocol = "h2" }, handshake.IllegalParameter},
		"a long session id":     {func(h *serverHello) { h.sessionID = make([]byte, 33) }, handshake.DecodeError},
	} {
		t.Run(name, func(t *testing.T) {
			_, client := configs(t)
			client.Suites = []uint16{ECC_SM4_GCM_SM3}
			err := serve(t, client, func(*clientHello) []byte {
				h := &serverHello{version: version, random: make([]byte, 32), suite: ECC_SM4_GCM_SM3}
				test.edit(h)
				m, err := h.marshal()
				check(t, err)
				return m
			})
			if err == nil || alertOf(t, err) != test.want {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// The signature over the parameters of a key agreement covers the curve's number, which
// itself means nothing.
func TestSignedParams(t *testing.T) {
	f := &flow{clientRandom: bytes.Repeat([]byte{1}, 32), serverRandom: bytes.Repeat([]byte{2}, 32), transcript: sm3.New()}
	point := append([]byte{4}, make([]byte, 64)...)
	params := agreementParams(point)
	want := append(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)...)
	want = append(append(want, 3, 0, 41, 65), point...)
	if got := signedParams(f, params); !bytes.Equal(got, want) {
		t.Errorf("%x", got)
	}
	want = append(want[:64:64], 0, 1, 4)
	want = append(want, make([]byte, 0x104)...)
	if got := signedCertificate(f, make([]byte, 0x104)); !bytes.Equal(got, want) {
		t.Errorf("%x", got)
	}
}
