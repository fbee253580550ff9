package tls13

import (
	"bytes"
	"crypto/tls"
	"net"
	"testing"

	"longmen/tls/handshake"
)

// helloOf gives the first message that dial sends.
func helloOf(t testing.TB, dial func(net.Conn)) []byte {
	t.Helper()
	near, far := newWire(t)
	done := make(chan struct{})
	go func() { dial(near); close(done) }()
	message, err := handshake.NewConn(far, handshake.VersionTLS13).Read()
	if err != nil {
		t.Fatal(err)
	}
	hello := bytes.Clone(message)
	far.Close()
	<-done
	return hello
}

func TestOffered(t *testing.T) {
	p := newPair(t)
	ours := helloOf(t, func(conn net.Conn) { Client(conn, p.client) })
	if !Offered(ours) {
		t.Error("our own client does not offer it")
	}
	p.client.holdShare = true
	if !Offered(helloOf(t, func(conn net.Conn) { Client(conn, p.client) })) {
		t.Error("a client that wants to be asked for its share does not offer it")
	}
	if Offered(helloOf(t, func(conn net.Conn) { tls.Client(conn, &tls.Config{ServerName: "server.test"}).Handshake() })) {
		t.Error("crypto/tls offers it")
	}
	grease := must(parseClientHello(ours)) // RFC 8701: values that mean nothing
	grease.suites = append([]uint16{0x0A0A}, grease.suites...)
	grease.versions = append([]uint16{0x2A2A}, grease.versions...)
	grease.groups = append([]uint16{0x1A1A}, grease.groups...)
	grease.schemes = append([]uint16{0x3A3A}, grease.schemes...)
	grease.shares = append([]keyShare{{0x1A1A, []byte{0}}}, grease.shares...)
	if hello := must(grease.marshal()); !Offered(hello) || must(parseClientHello(hello)).share(GroupCurveSM2) == nil {
		t.Error("GREASE gets in the way")
	}
	for name, change := range map[string]func(*clientHello){
		"version": func(h *clientHello) { h.versions = []uint16{0x0303} },
		"suite":   func(h *clientHello) { h.suites = []uint16{0x1301, 0x1302} },
		"group":   func(h *clientHello) { h.groups = []uint16{29, 23} },
		"scheme":  func(h *clientHello) { h.schemes = []uint16{0x0403} },
	} {
		h := must(parseClientHello(ours))
		change(h)
		if Offered(must(h.marshal())) {
			t.Errorf("without the %s", name)
		}
	}
	for n := range ours {
		if Offered(ours[:n]) || n >= 4 && Offered(withLength(handshake.ClientHello, ours[4:n])) {
			t.Errorf("%d of %d bytes offer it", n, len(ours))
		}
	}
	if Offered(append(bytes.Clone(ours), 0)) {
		t.Error("a hello and a byte offer it")
	}
}
