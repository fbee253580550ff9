package tls_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// Malformed hellos: a valid ClientHello cut and changed at every byte, and ones
// that are wrong in one known way.

// captured is the first flight of a client's handshake.
func captured(t testing.TB, handshake func(net.Conn)) []byte {
	t.Helper()
	near, far := net.Pipe()
	go func() {
		handshake(near)
		near.Close()
	}()
	far.SetDeadline(time.Now().Add(harness.Patience))
	head := make([]byte, 5)
	_, err := io.ReadFull(far, head)
	check(t, err)
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	_, err = io.ReadFull(far, body)
	check(t, err)
	far.Close()
	return append(head, body...)
}

func stdHello(t testing.TB, config *tls.Config) []byte {
	return captured(t, func(c net.Conn) { tls.Client(c, config).Handshake() })
}

// A reply is what the gateway says to a flight: an alert, another record, HTTP,
// nothing before the end, or nothing at all.
type reply struct {
	kind  string // "alert", "hello", "http", "close", "reset", "stall", "garbage"
	alert int
	after time.Duration
}

func (r reply) String() string {
	if r.kind == "alert" {
		return fmt.Sprint("alert ", r.alert)
	}
	return r.kind
}

// send sends a flight on a new connection, and FIN behind it if end says so, and
// waits for the end of the connection or for a ServerHello.
func send(addr string, flight []byte, end bool) (reply, error) {
	c, err := harness.Dial(addr)
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	began := time.Now()
	c.WaitAtMost(handshakeTimeout + slack)
	if _, err := c.Write(flight); err != nil {
		return reply{kind: "reset", after: time.Since(began)}, nil
	}
	if end {
		c.CloseWrite()
	}
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := c.TCPConn.Read(buf)
		got = append(got, buf[:n]...)
		r := reply{after: time.Since(began)}
		switch {
		case len(got) > 5 && got[0] == 22 && got[5] == 2:
			r.kind = "hello"
			return r, nil
		case err == nil:
			continue
		case harness.IsTimeout(err):
			r.kind = "stall"
		case len(got) == 0 && err != io.EOF:
			r.kind = "reset"
		case len(got) == 0:
			r.kind = "close"
		case len(got) == 7 && got[0] == 21 && got[3] == 0 && got[4] == 2 && got[5] == 2 && (got[1] == 3 || got[1] == 1 && got[2] == 1):
			r.kind, r.alert = "alert", int(got[6])
		case bytes.HasPrefix(got, []byte("HTTP/1.1 400 ")):
			r.kind = "http"
		default:
			r.kind = fmt.Sprintf("garbage: % x", got[:min(len(got), 100)])
		}
		return r, nil
	}
}

// hellos are valid ones of each protocol.
func hellos(t testing.TB, sm *smClients) map[string][]byte {
	small := &tls.Config{ServerName: "p256.test", CurvePreferences: []tls.CurveID{tls.X25519}, NextProtos: []string{"http/1.1"}}
	old := small.Clone()
	old.MaxVersion = tls.VersionTLS12
	return map[string][]byte{
		"1.3":          stdHello(t, small),
		"1.2":          stdHello(t, old),
		"post-quantum": stdHello(t, &tls.Config{ServerName: "p256.test"}),
		"tlcp":         captured(t, func(c net.Conn) { sm.tlcp(c, 0) }),
		"rfc8998":      captured(t, func(c net.Conn) { sm.rfc8998(c) }),
	}
}

// helloGateway serves every protocol, and is looked at for leaks.
func helloGateway(t testing.TB) (*gateway, *authority, *smClients) {
	t.Helper()
	a := newAuthority(t, "root")
	sm := newSM(t)
	g := serve(t, "certs: [p256, rsa, sm]\ndomains: {rsa.test: {max: \"1.2\"}}\n",
		a.issue("p256", "p256.test").secret("p256")+a.issue("rsa", "rsa.test").secret("rsa")+"sm: "+sm.server+"\n")
	good(t, g, a)
	g.noLeak()
	t.Cleanup(func() { // before noLeak's look: cleanups run last first
		good(t, g, a)
		if n := g.internal(); n != 0 {
			t.Errorf("%v handshakes failed by the gateway's own fault\n%s", n, g.Output())
		}
	})
	return g, a, sm
}

// good is a client that must be served, whatever others do.
func good(t testing.TB, g *gateway, a *authority) {
	t.Helper()
	if fault := request(g.Addr, &tls.Config{ServerName: "p256.test", RootCAs: a.roots()}); fault != "" {
		t.Error("a good client: ", fault)
	}
}

// request makes one request over a new connection of crypto/tls.
func request(addr string, config *tls.Config) string {
	conn, err := net.DialTimeout("tcp", addr, harness.Patience)
	if err != nil {
		return err.Error()
	}
	return requestOver(conn, func(c net.Conn) net.Conn { return tls.Client(c, config) })
}

// requestOver makes one request over a connection, secured by the function.
func requestOver(conn net.Conn, secured func(net.Conn) net.Conn) string {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(harness.Patience))
	raw := &watched{Conn: conn}
	c := secured(raw)
	if _, err := io.WriteString(c, "GET /good HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		return err.Error()
	}
	got, err := io.ReadAll(c)
	switch {
	case err != nil:
		return err.Error()
	case raw.ended:
		return "the connection ends without close_notify"
	}
	if !bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")) || !bytes.HasSuffix(got, []byte(answered("/good", "https"))) {
		return fmt.Sprintf("%q", got)
	}
	return ""
}

// watched notes that a connection came to its end. crypto/tls takes FIN between
// two records for an end as good as close_notify; here they are told apart.
type watched struct {
	net.Conn
	ended bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.ended = w.ended || err == io.EOF
	return n, err
}

// attacksAtOnce is how many connections the tables keep open.
const attacksAtOnce = 400

// A hello that ends after any of its bytes: with FIN the connection ends at once
// and without a word, with silence when the handshake's time is over.
func TestHelloCut(t *testing.T) {
	t.Parallel() // it waits, mostly
	g, _, sm := helloGateway(t)
	type cut struct {
		hello string
		at    int
		fin   bool
		bytes []byte
	}
	var all []cut
	for name, hello := range hellos(t, sm) {
		step := 1
		if !harness.Full() {
			step = 1 + len(hello)/60
		}
		for at := 0; at < len(hello); at += step {
			all = append(all, cut{name, at, true, hello[:at]}, cut{name, at, false, hello[:at]})
		}
	}
	name := func(c cut) string { return fmt.Sprintf("cut/%s/%d/fin=%v", c.hello, c.at, c.fin) }
	harness.Report(t, "hello cut", harness.Longmen, each(all, attacksAtOnce, name, func(c cut) string {
		r, err := send(g.Addr, c.bytes, c.fin)
		switch {
		case err != nil:
			return err.Error()
		case r.kind != "close" && r.kind != "reset":
			return r.String()
		case !c.fin && r.after < handshakeTimeout/2:
			return fmt.Sprintf("closed after %v", r.after)
		}
		return ""
	}))
}

// A hello with any byte changed is answered: by a ServerHello if it is still a
// hello, else by an alert or the end, and never by internal_error.
func TestHelloChanged(t *testing.T) {
	g, _, sm := helloGateway(t)
	type change struct {
		hello string
		at    int
		mask  byte
		bytes []byte
	}
	var all []change
	for name, hello := range hellos(t, sm) {
		masks := []byte{0xff}
		if harness.Full() {
			masks = []byte{0xff, 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80}
		}
		for at := range hello {
			if !harness.Full() && at > 260 && at%8 != 0 {
				continue // a key share, mostly
			}
			for _, mask := range masks {
				changed := slices.Clone(hello)
				changed[at] ^= mask
				all = append(all, change{name, at, mask, changed})
			}
		}
	}
	name := func(c change) string { return fmt.Sprintf("changed/%s/%d/%02x", c.hello, c.at, c.mask) }
	seen := make(chan string, len(all))
	harness.Report(t, "hello changed", harness.Longmen, each(all, attacksAtOnce, name, func(c change) string {
		r, err := send(g.Addr, c.bytes, false)
		if err != nil {
			return err.Error()
		}
		seen <- r.String()
		switch r.kind {
		case "hello", "http":
			return ""
		case "alert":
			if slices.Contains([]int{10, 22, 40, 47, 50, 70, 109, 110, 112, 120}, r.alert) {
				return ""
			}
		case "close", "reset": // of what is no TLS, or waits for more
			if c.at < 9 || r.after > handshakeTimeout/2 {
				return ""
			}
		}
		return r.String()
	}))
	close(seen)
	count := map[string]int{}
	for s := range seen {
		count[s]++
	}
	t.Log(count)
}
