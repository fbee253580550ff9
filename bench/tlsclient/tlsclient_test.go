package tlsclient

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"

	"longmen/bench/authority"
	"longmen/tls/handshake"
	"longmen/tls/record"
	"longmen/tls/tlcp"
	"longmen/tls/tls13"
)

const serverName = "a.bench.example.com"

// A server makes the handshake and then answers each message with reply.
type server func(t testing.TB, conn net.Conn, reply []byte) error

// wire is what the client reads from: everything that the server wrote, in
// pieces of a size.
type wire struct {
	net.Conn
	piece int
	seen  *bytes.Buffer // what was read; nil: nobody asks
}

func (w wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p[:min(len(p), w.piece)])
	if w.seen != nil {
		w.seen.Write(p[:n])
	}
	return n, err
}

// ask drives a connection: handshake, a message, the answer, the end.
func ask(c *Conn, conn net.Conn, message string) (answer []byte, err error) {
	buf := make([]byte, 64<<10)
	asked := false
	for {
		if c.Done() && !asked {
			asked = true
			c.Out = c.Seal(c.Out, []byte(message))
		}
		if len(c.Out) > 0 {
			if _, err := conn.Write(c.Out); err != nil {
				return answer, err
			}
			c.Out = nil
		}
		n, err := conn.Read(buf)
		if err != nil {
			return answer, err
		}
		c.Feed(buf[:n])
		for {
			p, err := c.Next()
			if err == io.EOF {
				return answer, nil
			}
			if err != nil {
				return answer, err
			}
			if p == nil {
				break
			}
			answer = append(answer, p...)
		}
	}
}

func standard(t testing.TB, kind authority.Kind, version uint16) server {
	dir := t.TempDir()
	signer, err := authority.New(kind, dir)
	if err != nil {
		t.Fatal(err)
	}
	made, err := signer.Issue(serverName)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(made.File, made.File)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: version, MaxVersion: version, NextProtos: []string{"http/1.1"}}
	return func(t testing.TB, conn net.Conn, reply []byte) error {
		secure := tls.Server(conn, config)
		if _, err := io.ReadFull(secure, make([]byte, 4)); err != nil {
			return err
		}
		if state := secure.ConnectionState(); state.ServerName != serverName || state.NegotiatedProtocol != "http/1.1" || state.CurveID != tls.X25519 && !state.DidResume {
			t.Errorf("name %q, protocol %q, group %v", state.ServerName, state.NegotiatedProtocol, state.CurveID)
		}
		if _, err := secure.Write(reply); err != nil {
			return err
		}
		return secure.Close()
	}
}

// gateways serves SM, which crypto/tls does not.
func gateways(t testing.TB, protocol Protocol) server {
	dir := t.TempDir()
	signer, err := authority.New(authority.SM2, dir)
	if err != nil {
		t.Fatal(err)
	}
	made, err := signer.Issue(serverName)
	if err != nil {
		t.Fatal(err)
	}
	sign, encrypt := load(t, made.File), load(t, made.Encrypt)
	return func(t testing.TB, conn net.Conn, reply []byte) error {
		var r *handshake.Result
		var err error
		if protocol == TLCP {
			r, err = tlcp.Server(conn, &tlcp.ServerConfig{Certificate: &tlcp.Certificate{
				Chain: [][]byte{sign.Certificate[0], encrypt.Certificate[0]},
				Sign:  sign.PrivateKey.(*sm2.PrivateKey), Encrypt: encrypt.PrivateKey.(*sm2.PrivateKey),
			}})
		} else {
			r, err = tls13.Server(conn, &tls13.ServerConfig{Certificate: sign})
		}
		if err != nil {
			return err
		}
		return serve(conn, r.Session, reply)
	}
}

// serve reads one record and answers it.
func serve(conn net.Conn, session *record.Session, reply []byte) error {
	defer conn.Close()
	var in []byte
	for {
		piece := make([]byte, 4<<10)
		n, err := conn.Read(piece)
		if err != nil {
			return err
		}
		in = append(in, piece[:n]...)
		plain, used, err := session.Open(in)
		if err != nil {
			return err
		}
		if len(plain) > 0 {
			break
		}
		in = in[used:]
	}
	_, err := conn.Write(session.AppendClose(session.Seal(nil, reply)))
	return err
}

// pair is a connection with room for what is not read yet, unlike a pipe.
func pair(t testing.TB) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	near.SetDeadline(time.Now().Add(20 * time.Second))
	far.SetDeadline(time.Now().Add(20 * time.Second))
	return near, far
}

// exchange has one connection served and asked.
func exchange(t testing.TB, client *Client, serve server, reply []byte, piece int, seen *bytes.Buffer) (*Conn, []byte, error) {
	near, far := pair(t)
	served := make(chan error, 1)
	go func() {
		defer far.Close()
		served <- serve(t, far, reply)
	}()
	c := client.Conn(serverName)
	answer, err := ask(c, wire{near, piece, seen}, "ping")
	near.Close()
	if serveErr := <-served; err == nil && serveErr != nil {
		t.Errorf("server: %v", serveErr)
	}
	return c, answer, err
}

func servers(t testing.TB) map[string]struct {
	protocol Protocol
	serve    server
} {
	type entry = struct {
		protocol Protocol
		serve    server
	}
	return map[string]entry{
		"1.3 RSA":   {TLS13, standard(t, authority.RSA2048, tls.VersionTLS13)},
		"1.3 P-256": {TLS13, standard(t, authority.P256, tls.VersionTLS13)},
		"1.2 RSA":   {TLS12, standard(t, authority.RSA2048, tls.VersionTLS12)},
		"1.2 P-256": {TLS12, standard(t, authority.P256, tls.VersionTLS12)},
		"TLCP":      {TLCP, gateways(t, TLCP)},
		"RFC 8998":  {RFC8998, gateways(t, RFC8998)},
	}
}

func TestHandshakes(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcdef"), 8<<10) // several records
	for name, s := range servers(t) {
		for _, piece := range []int{1, 1000, 64 << 10} {
			client, err := New(Config{Protocol: s.protocol})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second has the shared premaster of the first
				_, answer, err := exchange(t, client, s.serve, long, piece, nil)
				if err != nil || !bytes.Equal(answer, long) {
					t.Errorf("%s in pieces of %d: %d bytes, %v", name, piece, len(answer), err)
				}
			}
			if client.Full != 2 || client.Resumed != 0 {
				t.Errorf("%s: %d full handshakes and %d resumed", name, client.Full, client.Resumed)
			}
		}
	}
}

func TestResumption(t *testing.T) {
	for name, s := range servers(t) {
		client, err := New(Config{Protocol: s.protocol, Resume: true})
		if s.protocol.SM() {
			if err == nil {
				t.Errorf("%s: resumption is not built and not refused", name)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			c, answer, err := exchange(t, client, s.serve, []byte("pong"), 64<<10, nil)
			if err != nil || string(answer) != "pong" || c.Resumed() != (i > 0) || !client.HasTicket() {
				t.Errorf("%s: connection %d: %q, resumed %v, ticket %v: %v", name, i, answer, c.Resumed(), client.HasTicket(), err)
			}
		}
		if client.Full != 1 || client.Resumed != 3 {
			t.Errorf("%s: %d full handshakes and %d resumed", name, client.Full, client.Resumed)
		}
	}
}

func TestUnknownProtocol(t *testing.T) {
	if _, err := New(Config{Protocol: "ssl3"}); err == nil || !strings.Contains(err.Error(), "ssl3") {
		t.Errorf("%v", err)
	}
}

// Each byte of the server's that is changed ends the connection: no handshake
// and no answer passes that is not the server's.
func TestSpoiledBytes(t *testing.T) {
	for name, s := range servers(t) {
		client, err := New(Config{Protocol: s.protocol})
		if err != nil {
			t.Fatal(err)
		}
		var seen bytes.Buffer
		if _, _, err := exchange(t, client, s.serve, []byte("pong"), 64<<10, &seen); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for at := 0; at < seen.Len(); at += 37 {
			var answer []byte
			near, far := pair(t)
			go func() {
				s.serve(silent{t}, far, []byte("pong"))
				far.Close()
			}()
			// Where a length has grown both sides wait: no answer, which is good.
			near.SetDeadline(time.Now().Add(300 * time.Millisecond))
			answer, err := ask(client.Conn(serverName), &spoiler{Conn: near, at: at}, "ping")
			near.Close()
			if err == nil && string(answer) != "pong" {
				t.Errorf("%s: with byte %d changed: %q", name, at, answer)
			}
		}
	}
}

// silent takes no complaints: the server sees connections that break.
type silent struct{ testing.TB }

func (silent) Errorf(string, ...any) {}

// spoiler changes one byte.
type spoiler struct {
	net.Conn
	at int // from here
}

func (s *spoiler) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.at >= 0 && s.at < n {
		p[s.at] ^= 0x41
	}
	s.at -= n
	return n, err
}

// FuzzServer is anything that a server may say to a fresh connection.
func FuzzServer(f *testing.F) {
	for _, s := range servers(f) {
		client, err := New(Config{Protocol: s.protocol})
		if err != nil {
			f.Fatal(err)
		}
		var seen bytes.Buffer
		if _, _, err := exchange(f, client, s.serve, []byte("pong"), 64<<10, &seen); err != nil {
			f.Fatal(err)
		}
		f.Add(string(s.protocol), seen.Bytes())
	}
	f.Fuzz(func(t *testing.T, protocol string, p []byte) {
		client, err := New(Config{Protocol: Protocol(protocol)})
		if err != nil {
			return
		}
		c := client.Conn(serverName)
		c.Feed(bytes.Clone(p))
		if p, err := c.Next(); p != nil {
			t.Errorf("%q, %v: application data without a handshake", p, err)
		}
		if c.Done() {
			t.Error("a handshake that cannot have been")
		}
	})
}

// BenchmarkHandshake is what a connection costs the client and a server by
// crypto/tls (in user space).
func BenchmarkHandshake(b *testing.B) {
	for _, s := range []struct {
		name     string
		protocol Protocol
		resume   bool
	}{{"1.3", TLS13, false}, {"1.3 resumed", TLS13, true}, {"1.2", TLS12, false}, {"1.2 resumed", TLS12, true}} {
		b.Run(s.name, func(b *testing.B) {
			version := map[Protocol]uint16{TLS13: tls.VersionTLS13, TLS12: tls.VersionTLS12}[s.protocol]
			serve := standard(b, authority.P256, version)
			client, err := New(Config{Protocol: s.protocol, Resume: s.resume})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var own time.Duration
			for b.Loop() {
				near, far := pair(b)
				go func() {
					serve(b, far, []byte("pong"))
					far.Close()
				}()
				timed := &stopwatch{Conn: near, since: time.Now()}
				if _, err := ask(client.Conn(serverName), timed, "ping"); err != nil {
					b.Fatal(err)
				}
				own += timed.own
				near.Close()
			}
			b.ReportMetric(float64(own.Nanoseconds())/float64(b.N), "client-ns/op")
		})
	}
}

// stopwatch adds up the time between calls: the client's own.
type stopwatch struct {
	net.Conn
	since time.Time
	own   time.Duration
}

func (s *stopwatch) Read(p []byte) (int, error) {
	s.own += time.Since(s.since)
	n, err := s.Conn.Read(p)
	s.since = time.Now()
	return n, err
}

func (s *stopwatch) Write(p []byte) (int, error) {
	s.own += time.Since(s.since)
	n, err := s.Conn.Write(p)
	s.since = time.Now()
	return n, err
}
