package tls_test

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"longmen/conformance/harness"
	"longmen/tls/tlcp"
)

// What clients send behind their hello (certificates, key exchanges, Finished),
// cut and changed at every byte.

// A mangler spoils one byte of what a client sends behind its first write, or
// ends there.
type mangler struct {
	net.Conn
	at    int
	mask  byte // 0: nothing of at and behind it is sent
	fin   bool // with mask 0: it is said that nothing comes
	sent  int  // bytes behind the first write
	first bool // the first write has gone
	long  bool // the spoiled byte made a message longer than 64 KB
	ended bool
	got   []byte // of the gateway
}

func (m *mangler) Write(p []byte) (int, error) {
	if !m.first {
		m.first = true
		return m.Conn.Write(p)
	}
	out := append([]byte(nil), p...)
	if i := m.at - m.sent; i >= 0 && i < len(out) {
		if m.mask == 0 {
			out, m.ended = out[:i], true
		} else {
			m.long = topOfLength(p, i)
			out[i] ^= m.mask
		}
	} else if m.ended {
		out = nil
	}
	m.sent += len(p)
	if _, err := m.Conn.Write(out); err != nil {
		return 0, err
	}
	if m.ended && m.fin {
		m.Conn.(*net.TCPConn).CloseWrite()
	}
	return len(p), nil
}

// topOfLength reports whether p[i] is the first byte of the length of a handshake
// message in the clear, of which each record here has one.
func topOfLength(p []byte, i int) bool {
	for len(p) >= 5 && p[0] == 22 && i >= 0 {
		if i == 6 {
			return true
		}
		size := 5 + int(binary.BigEndian.Uint16(p[3:]))
		p, i = p[min(size, len(p)):], i-size
	}
	return false
}

func (m *mangler) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.got = append(m.got, p[:n]...)
	return n, err
}

// alert is the alert in the clear that the gateway has sent, or -1.
func (m *mangler) alert() int {
	for p := m.got; len(p) >= 5; {
		size := 5 + int(binary.BigEndian.Uint16(p[3:]))
		switch {
		case p[0] == 20 || len(p) < size:
			return -1
		case p[0] == 21 && size == 7:
			return int(p[6])
		}
		p = p[size:]
	}
	return -1
}

func TestFlights(t *testing.T) {
	t.Parallel() // it waits, mostly
	a, clients, sm := newAuthority(t, "root"), newAuthority(t, "clients"), newSM(t)
	g := serve(t, fmt.Sprintf(`certs: [p256, rsa, sm]
client_ca: %q
domains: {sm.test: {client_ca: sms}}
`, clients.file), a.issue("p256", "p256.test").secret("p256")+a.issue("rsa", "rsa.test").secret("rsa")+
		"sm: "+sm.server+"\nsms: {ca: \""+sm.ca+"\"}\n")
	good(t, g, a)
	g.noLeak()
	alice := []tls.Certificate{clients.issue("p256", "alice.test").std()}
	std := func(name string, version uint16) func(net.Conn) (net.Conn, error) {
		config := &tls.Config{ServerName: name, RootCAs: a.roots(), MaxVersion: version, Certificates: alice}
		return func(c net.Conn) (net.Conn, error) {
			conn := tls.Client(c, config)
			return conn, conn.Handshake()
		}
	}
	protocols := map[string]func(net.Conn) (net.Conn, error){
		"1.2 P-256":    std("p256.test", tls.VersionTLS12),
		"1.2 RSA":      std("rsa.test", tls.VersionTLS12),
		"1.3":          std("p256.test", tls.VersionTLS13),
		"tlcp ECC":     sm.by(tlcp.ECC_SM4_CBC_SM3, sm.shows),
		"tlcp ECDHE":   sm.by(tlcp.ECDHE_SM4_GCM_SM3, sm.shows),
		"tlcp no cert": sm.by(tlcp.ECC_SM4_GCM_SM3),
		"rfc8998":      sm.by8998(sm.shows8998),
	}
	type change struct {
		protocol string
		at       int
		mask     byte
		fin      bool
	}
	var all []change
	for name, secured := range protocols {
		// A run that nobody spoils says how long the flight is.
		whole := &mangler{at: -1}
		conn, err := net.DialTimeout("tcp", g.Addr, harness.Patience)
		check(t, err)
		conn.SetDeadline(time.Now().Add(harness.Patience))
		whole.Conn = conn
		if _, err := secured(whole); err != nil {
			t.Fatal(name, ": ", err)
		}
		conn.Close()
		step := 1
		if !harness.Full() {
			step = 1 + whole.sent/30
		}
		for at := 0; at < whole.sent; at += step {
			all = append(all, change{name, at, 0xff, false}, change{name, at, 0, true})
			if harness.Full() || at%4 == 0 {
				all = append(all, change{name, at, 0x01, false}, change{name, at, 0, false})
			}
		}
	}
	var tooLong atomic.Int64
	name := func(c change) string { return fmt.Sprintf("flight/%s/%d/%02x/fin=%v", c.protocol, c.at, c.mask, c.fin) }
	harness.Report(t, "flights", harness.Longmen, each(all, 200, name, func(c change) string {
		conn, err := net.DialTimeout("tcp", g.Addr, harness.Patience)
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(handshakeTimeout + slack))
		m := &mangler{Conn: conn, at: c.at, mask: c.mask, fin: c.fin}
		over, err := protocols[c.protocol](m)
		if err == nil && c.at >= m.sent {
			return "" // signatures differ in their length: this flight was shorter
		}
		if err == nil { // TLS 1.3's client is done before the server has seen its flight
			if _, err = io.WriteString(over, "GET /mangled HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err == nil {
				_, err = io.ReadAll(over)
			}
		}
		if _, rest := io.Copy(io.Discard, conn); harness.IsTimeout(rest) {
			return "stall"
		}
		said := fmt.Sprint(err)
		if alert := m.alert(); alert == 80 || strings.Contains(said, "internal") || strings.HasSuffix(said, "alert 80") {
			// crypto/tls says so of a message that is longer than it takes.
			if m.long && strings.HasPrefix(c.protocol, "1.2") {
				tooLong.Add(1)
				return ""
			}
			return said
		}
		return ""
	}))
	good(t, g, a)
	if n := g.internal() - float64(tooLong.Load()); n != 0 {
		t.Errorf("%v handshakes failed by the gateway's own fault\n%s", n, g.Output())
	}
}

// internal is how many handshakes have failed by the gateway's own fault.
func (g *gateway) internal() float64 {
	const failures = "longmen_downstream_tls_failures_total"
	g.origin.CloseClientConnections()
	if left := g.Quiet(); left != "" {
		g.t.Error(left) // a handshake that ends between the two looks would count as ours
	}
	every, err := g.Gauges("", failures)
	check(g.t, err)
	others, err := g.Gauges(`reason="internal"`, failures)
	check(g.t, err)
	return every[failures] - others[failures]
}
