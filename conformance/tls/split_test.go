package tls_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"testing"

	"longmen/conformance/harness"
)

// A splitter is a client's connection that changes how its handshake is cut: it
// splits the messages that are in the clear into other records, and what it
// sends into other segments.
type splitter struct {
	net.Conn
	record  int  // the first record of a message holds so many bytes; 0: as it is
	rest    bool // and those behind it too
	segment int  // the first write holds so many bytes; 0: as it is
	every   bool // and each one behind it
}

func (s *splitter) Write(p []byte) (int, error) {
	out := p
	if s.record > 0 {
		out = s.records(p)
	}
	if n := s.segment; n > 0 {
		for len(out) > n {
			if _, err := s.Conn.Write(out[:n]); err != nil {
				return 0, err
			}
			out = out[n:]
			if !s.every {
				break
			}
		}
		if !s.every {
			s.segment = 0
		}
	}
	if _, err := s.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// records splits the handshake records of p until a change_cipher_spec.
func (s *splitter) records(p []byte) []byte {
	var out []byte
	for len(p) >= 5 {
		size := 5 + int(binary.BigEndian.Uint16(p[3:]))
		head, body := p[:5], p[5:size]
		p = p[size:]
		if head[0] != 22 || s.record == 0 {
			s.record = 0 // what follows is protected
			out = append(append(out, head...), body...)
			continue
		}
		for first := true; len(body) > 0; first = false {
			n := len(body)
			if first || s.rest {
				n = min(n, s.record)
			}
			out = append(out, rec(22, binary.BigEndian.Uint16(head[1:]), body[:n])...)
			body = body[n:]
		}
	}
	return append(out, p...)
}

// A hello in two records, or in two segments, split at any byte, is a hello;
// and so is one in single bytes. So are the later messages of TLS 1.2.
func TestHelloSplit(t *testing.T) {
	g, a, sm := helloGateway(t)
	type protocol struct {
		name    string
		size    int
		secured func(net.Conn) (net.Conn, error)
	}
	std := func(name, server string, version uint16) protocol {
		config := &tls.Config{ServerName: server, RootCAs: a.roots(), MaxVersion: version, CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}
		return protocol{name, len(stdHello(t, config)), func(c net.Conn) (net.Conn, error) { return tls.Client(c, config), nil }}
	}
	all := []protocol{
		std("1.3", "p256.test", tls.VersionTLS13), std("1.2 P-256", "p256.test", tls.VersionTLS12), std("1.2 RSA", "rsa.test", tls.VersionTLS12),
		{"tlcp", len(hellos(t, sm)["tlcp"]), func(c net.Conn) (net.Conn, error) {
			r, err := sm.tlcp(c, 0)
			return after(c, r, err, 0xe053, false)
		}},
		{"rfc8998", len(hellos(t, sm)["rfc8998"]), func(c net.Conn) (net.Conn, error) {
			r, err := sm.rfc8998(c)
			return after(c, r, err, 0x00c6, false)
		}},
	}
	type split struct {
		protocol
		splitter
	}
	var cases []split
	for _, p := range all {
		step := 1
		if !harness.Full() {
			step = 1 + p.size/40
		}
		for at := 1; at < p.size; at += step {
			cases = append(cases, split{p, splitter{record: at}}, split{p, splitter{segment: at}})
		}
		for _, n := range []int{1, 2, 3, 7} {
			cases = append(cases, split{p, splitter{record: n, rest: true}}, split{p, splitter{segment: n, every: true}})
		}
		cases = append(cases, split{p, splitter{record: 1, rest: true, segment: 1, every: true}})
	}
	name := func(s split) string {
		return fmt.Sprintf("split/%s/record=%d,%v/segment=%d,%v", s.name, s.record, s.rest, s.segment, s.every)
	}
	harness.Report(t, "hello split", harness.Longmen, each(cases, 8, name, func(s split) string {
		conn, err := net.DialTimeout("tcp", g.Addr, harness.Patience)
		if err != nil {
			return err.Error()
		}
		cut := s.splitter
		cut.Conn = conn
		var failed error
		fault := requestOver(&cut, func(c net.Conn) net.Conn {
			secured, err := s.secured(c)
			if err != nil {
				failed = err
				return c
			}
			return secured
		})
		if failed != nil {
			return failed.Error()
		}
		return fault
	}))
}

// More records, or more bytes, than a hello may have are refused while they come.
func TestHelloEndless(t *testing.T) {
	g, _, _ := helloGateway(t)
	long := newHello()
	long.ext(0x5a5a).body = bytes.Repeat([]byte{1}, 16000)
	message := long.message()
	var dripped []byte
	for _, b := range message {
		dripped = append(dripped, rec(22, 0x0301, []byte{b})...)
	}
	for name, c := range map[string]struct {
		sent []byte
		want string
	}{
		"16 KB in one record":   {rec(22, 0x0301, message), "hello"},
		"16 KB in single bytes": {dripped, "alert 47"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := send(g.Addr, c.sent, false)
			if err != nil || r.String() != c.want {
				t.Errorf("%v, %v; want %s", r, err, c.want)
			}
		})
	}
}
