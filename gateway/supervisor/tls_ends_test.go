package supervisor

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"longmen/gateway/cluster"
	tlsclient "longmen/tls/client"
)

// held is a client's side of a connection that waits before what it writes after
// its ClientHello.
type held struct {
	net.Conn
	writes int
	said   chan bool // the ClientHello was written
	more   chan bool // closed: it may go on
}

func (c *held) Write(p []byte) (int, error) {
	if c.writes++; c.writes == 2 {
		<-c.more
	}
	n, err := c.Conn.Write(p)
	if c.writes == 1 {
		close(c.said)
	}
	return n, err
}

// begins begins a handshake that stops after the server's flight.
func begins(t testing.TB, at string, config *tls.Config) (*client, *held) {
	t.Helper()
	raw := &held{Conn: dial(t, at).Conn, said: make(chan bool), more: make(chan bool)}
	c := tls.Client(raw, config)
	go c.Handshake()
	<-raw.said
	return dialled(t, c), raw
}

// answering waits until so many handshakes are under way on the listener.
func (h *house) answering(listener string, n int) {
	h.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		active := int64(0)
		for _, w := range h.workers {
			w.loop.Do(func() { active += w.metrics.Listener(listener).TLS.Active.Load() })
		}
		if active == int64(n) {
			return
		}
		if time.Now().After(end) {
			h.Fatalf("%d handshakes are under way, not %d", active, n)
		}
	}
}

// A listener changes to plain HTTP and back, and to another certificate: what is
// connected goes on, what comes next gets what is set.
func TestTLSReload(t *testing.T) {
	h := newHouse(t, Options{})
	at := freePort(t)
	l := listens(t, "https", "first", at)
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	config.ServerName = "a.test"
	h.applied(snap("1", l))
	connect := func(config *tls.Config) *client {
		c, err := tls.Dial("tcp", at.String(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return dialled(t, c)
	}
	kept := connect(config)
	if got := kept.get("/"); got != "first" {
		t.Error(got)
	}
	under, raw := begins(t, at.String(), config)
	h.answering("https", 1)
	h.applied(snap("2", listens(t, "https", "plain", at)))
	plain := dial(t, at.String())
	close(raw.more)
	for _, c := range []*client{kept, plain, under} {
		if got := c.get("/"); got != "plain" {
			t.Error(got)
		}
	}
	l = listens(t, "https", "third", at)
	other := secured(t, l, map[string]crypto.Signer{"a.test": rsaKey(t)})
	other.ServerName = "a.test"
	h.applied(snap("3", l))
	for _, c := range []*client{kept, plain, under, connect(other)} {
		if got := c.get("/"); got != "third" {
			t.Error(got)
		}
	}
	if _, err := tls.Dial("tcp", at.String(), config); err == nil {
		t.Error("the former certificate is served")
	}
}

// When the listener goes, or all of the gateway, a handshake that has begun is
// completed, its request is answered, and a client that asks for nothing is not
// waited for.
func TestTLSHandshakesWhileDraining(t *testing.T) {
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprint(all), func(t *testing.T) {
			h := newHouse(t, Options{Workers: 1, DrainTimeout: time.Minute})
			l := listens(t, "https", "answered")
			config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
			config.ServerName = "a.test"
			h.applied(snap("1", l))
			at := h.address("https")
			asking, first := begins(t, at, config)
			silent, second := begins(t, at, config)
			mute := dial(t, at)
			h.answering("https", 3)
			if all {
				h.Drain()
			} else {
				h.applied(snap("2"))
			}
			mute.closed()
			close(first.more)
			asking.ask("/")
			if resp, body := asking.answer(); body != "answered" || !resp.Close {
				t.Errorf("%q, close %v", body, resp.Close)
			}
			asking.closed()
			close(second.more)
			if n, err := silent.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("who asked nothing: %d, %v; want an orderly end", n, err)
			}
			silent.Close()
			if all {
				if err := h.run(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// counted counts what is read: crypto/tls does not say whether a connection ended
// with close_notify or without a word, which is nothing to read.
type counted struct {
	net.Conn
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n += n
	return n, err
}

// readOf is how many bytes were read from under c.
func readOf(c *tls.Conn) int { return c.NetConn().(*counted).n }

// rawOrigin is an origin that speaks TLS, with a connection's service in a
// function of the test's.
func rawOrigin(t testing.TB, version uint16, serve func(*tls.Conn)) (net.Addr, *tlsclient.Config) {
	t.Helper()
	key := p256Key(t)
	own, root := issued(t, key, "origin.test")
	config := &tls.Config{MinVersion: version, MaxVersion: version, Certificates: []tls.Certificate{{Certificate: own.Chain, PrivateKey: key}}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(patience))
			serve(tls.Server(&counted{Conn: c}, config))
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return ln.Addr(), trusts(t, &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: "origin.test"}, rootsOf(t, root))
}

// A response that ends with the connection is whole only when the endpoint said
// so: whoever is on the way can end the TCP connection.
func TestTLSResponseUntilClose(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, head := range []string{"HTTP/1.1 200 OK\r\n\r\nwhole", "HTTP/1.1 200 OK\r\nContent-Le"} {
			for _, says := range []bool{true, false} {
				t.Run(fmt.Sprint(tls.VersionName(version), len(head), says), func(t *testing.T) {
					h := newHouse(t, Options{Workers: 1})
					at, config := rawOrigin(t, version, func(c *tls.Conn) {
						c.Read(make([]byte, 4096))
						io.WriteString(c, head)
						if says {
							c.CloseWrite()
						}
					})
					c := clusterOf("raw", at)
					c.TLS = config
					h.applied(having(snap("1", forwards(t, "http", "raw")), cluster.New(c)))
					k := dial(t, h.address("http"))
					k.ask("/")
					resp, body := k.answer()
					switch whole := strings.HasSuffix(head, "whole"); {
					case !whole && resp.StatusCode != 502:
						t.Errorf("half a head is answered with %d", resp.StatusCode)
					case whole && (resp.StatusCode != 200 || (body == "whole") != says):
						t.Errorf("%d %q", resp.StatusCode, body)
					}
				})
			}
		}
	}
}

// Endpoints are told why they are refused, and that an idle connection is closed.
func TestTLSEndpointsAreTold(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, trusted := range []bool{true, false} {
			t.Run(fmt.Sprint(tls.VersionName(version), trusted), func(t *testing.T) {
				h := newHouse(t, Options{Workers: 1})
				told := make(chan error, 1)
				at, config := rawOrigin(t, version, func(c *tls.Conn) {
					buf := make([]byte, 4096)
					for {
						before := readOf(c)
						if _, err := c.Read(buf); err != nil {
							if err == io.EOF && readOf(c) == before {
								err = io.ErrUnexpectedEOF
							}
							told <- err
							return
						}
						io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					}
				})
				if !trusted {
					_, other := issued(t, p256Key(t), "origin.test")
					trusts(t, config, rootsOf(t, other))
				}
				c := clusterOf("raw", at)
				c.TLS = config
				h.applied(having(snap("1", forwards(t, "http", "raw")), cluster.New(c)))
				k := dial(t, h.address("http"))
				k.ask("/")
				if resp, body := k.answer(); (body == "ok") != trusted || (resp.StatusCode == 503) == trusted {
					t.Errorf("%d %q", resp.StatusCode, body)
				}
				if trusted {
					h.applied(snap("2"))
				}
				if err := <-told; trusted && err != io.EOF || !trusted && err.Error() != "remote error: tls: unknown certificate authority" {
					t.Errorf("the endpoint was told %v", err)
				}
			})
		}
	}
}

// Connections that were made for the name of a request serve that name alone.
func TestTLSNameOfTheRequest(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	key := p256Key(t)
	own, root := issued(t, key, "a.test", "b.test", "d.test")
	var made atomic.Int64
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates:     []tls.Certificate{{Certificate: own.Chain, PrivateKey: key}},
		VerifyConnection: func(tls.ConnectionState) error { made.Add(1); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	origin := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.TLS.ServerName) })}
	go origin.Serve(ln)
	t.Cleanup(func() { origin.Close() })
	c := clusterOf("named", ln.Addr())
	c.TLS = trusts(t, &tlsclient.Config{Name: tlsclient.NameRequest}, rootsOf(t, root))
	c.Pool.Idle = 2
	h.applied(having(snap("1", forwards(t, "http", "named")), cluster.New(c)))
	k := dial(t, h.address("http"))
	for _, host := range strings.Fields("a.test b.test a.test b.test a.test b.test d.test d.test b.test d.test") {
		fmt.Fprintf(k, "GET / HTTP/1.1\r\nHost: %s:8080\r\n\r\n", host)
		if _, body := k.answer(); body != host {
			t.Errorf("%s was served by %q", host, body)
		}
	}
	fmt.Fprintf(k, "GET / HTTP/1.1\r\nHost: c.test\r\n\r\n")
	if resp, body := k.answer(); resp.StatusCode != 503 {
		t.Errorf("a name that the certificate does not cover: %d %q", resp.StatusCode, body)
	}
	h.stopped()
	origin.Close()
	if n := made.Load(); n < 3 || n > 4 { // TLS 1.3: the endpoint may have been done before it was refused
		t.Errorf("%d handshakes for three names", n)
	}
}

// A client that takes nothing holds up what is sent to it, in bounded memory, and
// gets all of it when it does.
func TestTLSClientThatTakesNothing(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	const size = 20 << 20
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	origin := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) })}
	go origin.Serve(ln)
	t.Cleanup(func() { origin.Close() })
	l := forwards(t, "https", "large")
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	config.ServerName = "a.test"
	h.applied(having(snap("1", l), cluster.New(clusterOf("large", ln.Addr()))))
	for _, reads := range []bool{true, false} {
		c, err := tls.Dial("tcp", h.address("https"), config)
		if err != nil {
			t.Fatal(err)
		}
		k := dialled(t, c)
		k.ask("/")
		var sent, before uint64
		w := h.workers[0]
		for still := 0; still < 20; time.Sleep(5 * time.Millisecond) {
			w.loop.Do(func() {
				sent = w.metrics.Listener("https").Traffic.BytesSent.Load()
				if _, n := w.loop.Buffers.Lent(); n > 600<<10 {
					t.Errorf("%d bytes are lent", n)
				}
			})
			if still++; sent != before || sent < 1000 {
				still, before = 0, sent
			}
		}
		if reads {
			if _, got := k.answer(); got != string(body) {
				t.Errorf("%d bytes came", len(got))
			}
		}
		c.NetConn().Close()
	}
	h.stopped()
}

// A client that ends its connection without a word within a request's head is
// noted; so is one that says goodbye.
func TestTLSHalfARequest(t *testing.T) {
	for _, says := range []bool{true, false} {
		h := newHouse(t, Options{Workers: 1})
		l := listens(t, "https", "secure")
		logged := logsTo(t, l)
		config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
		config.ServerName = "a.test"
		h.applied(snap("1", l))
		c, err := tls.Dial("tcp", h.address("https"), config)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "GET / HT")
		if says {
			c.CloseWrite()
		} else {
			c.NetConn().(*net.TCPConn).CloseWrite()
		}
		if got, err := io.ReadAll(c); len(got) > 0 || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		c.Close()
		h.stopped()
		if got := logged(); got != "- 0 DC\n" {
			t.Errorf("logged %q", got)
		}
	}
}

// A tunnel's ends are told apart over TLS, too: each side may finish by itself, and
// what is cut is no end.
func TestTLSTunnel(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, says := range []bool{true, false} {
			t.Run(fmt.Sprint(tls.VersionName(version), says), func(t *testing.T) {
				h := newHouse(t, Options{Workers: 1})
				heard, sent := make(chan error, 1), bytes.Repeat([]byte("to and fro "), 50_000)
				at, upstream := rawOrigin(t, version, func(c *tls.Conn) {
					if _, err := http.ReadRequest(bufio.NewReader(io.LimitReader(c, 1<<16))); err != nil {
						heard <- err
						return
					}
					io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
					buf, total := make([]byte, 32<<10), 0
					for err := error(nil); err == nil; {
						var n int
						before := readOf(c)
						n, err = c.Read(buf)
						c.Write(buf[:n])
						if total += n; err == io.EOF && total == len(sent) && readOf(c) == before {
							err = io.ErrUnexpectedEOF
						}
						if err != nil {
							heard <- err
						}
					}
					io.WriteString(c, "bye")
					c.CloseWrite()
					io.Copy(io.Discard, c)
				})
				c := clusterOf("raw", at)
				c.TLS = upstream
				l := forwards(t, "https", "raw")
				l.HTTP.Upgrades = []string{"echo"}
				config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
				config.ServerName, config.MaxVersion = "a.test", version
				h.applied(having(snap("1", l), cluster.New(c)))
				conn, err := tls.Dial("tcp", h.address("https"), config)
				if err != nil {
					t.Fatal(err)
				}
				k := dialled(t, conn)
				io.WriteString(k, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
				if resp, err := http.ReadResponse(k.r, nil); err != nil || resp.StatusCode != 101 {
					t.Fatal(resp, err)
				}
				go k.Write(sent)
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(k.r, got); err != nil || !bytes.Equal(got, sent) {
					t.Errorf("the echo: %v", err)
				}
				if says {
					conn.CloseWrite()
				} else {
					conn.NetConn().(*net.TCPConn).CloseWrite()
				}
				rest, err := io.ReadAll(k.r)
				if says && (string(rest) != "bye" || err != nil) || !says && len(rest) > 0 {
					t.Errorf("after the end: %q, %v", rest, err)
				}
				if err := <-heard; (err == io.EOF) != says {
					t.Errorf("the endpoint heard %v", err)
				}
				conn.Close()
			})
		}
	}
}
