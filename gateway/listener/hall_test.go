package listener

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/snapshot"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/certificate"
	"longmen/tls/handshake"
	"longmen/tls/server"
	"longmen/tls/sign"
)

// guest is a connection that the hall's terminator has passed on.
type guest struct {
	connection.Conn
	result  *handshake.Result
	cluster string
}

func (g *guest) ConnReady(worker.Events) {}

// hall is an acceptor and a terminator on a loop of their own, and who takes the
// connections. At the test's end nothing may be left of any of them.
type hall struct {
	testing.TB
	loop        *worker.Loop
	own, global Gate
	*Terminator
	security *Security
	stats    *metrics.ListenerStats
	at       netip.AddrPort
	guests   []*guest
	refuses  error // what Take returns
	kept     bool  // there is established traffic
	closed   int   // connections of which ConnectionClosed told
	panics   uint64
	letGo    func() // of what was held
	burns    func() // called before a signature is burned
}

func (h *hall) Take(c *connection.Conn, _, _ netip.AddrPort, r *handshake.Result) error {
	if h.refuses != nil {
		return h.refuses
	}
	h.take(c, &guest{result: r})
	return nil
}

func (h *hall) Splice(c *connection.Conn, _, _ netip.AddrPort, name, cluster string) {
	h.take(c, &guest{cluster: name + " to " + cluster})
}

func (h *hall) take(c *connection.Conn, g *guest) {
	g.Conn.Take(c, g)
	h.guests = append(h.guests, g)
}

// Kept says whether signatures are the pool's.
func (h *hall) Kept() int64 {
	h.burns()
	if h.kept {
		return h.loop.Now()
	}
	return 0
}

func (h *hall) ConnectionClosed(netip.AddrPort) {
	h.closed++
	h.own.Leave()
	h.global.Leave()
	h.stats.ConnectionsActive.Dec()
}

var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		panic(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		panic(err)
	}
	// P-256 signs where it is, P-384 burns, RSA-3072 is the pool's.
	return map[string]crypto.Signer{"at-once": p256, "burns": p384, "pool": large}
})

func newHall(t testing.TB, edit func(*server.Config)) *hall {
	t.Helper()
	before := files(t)
	h := &hall{TB: t, letGo: func() {}, burns: func() {}}
	l, err := worker.New(worker.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h.loop, h.stats = l, metrics.NewRegistry().NewWorker(l.Stats()).Listener("test")
	pool, err := sign.NewPool(sign.Options{Threads: 1, Nice: -1})
	if err != nil {
		t.Fatal(err)
	}
	h.security = &Security{Pool: pool}
	var all []*certificate.Certificate
	for name, key := range testKeys() {
		all = append(all, certified(t, key, name))
	}
	config := &server.Config{
		Certificates: certificate.NewTable(all), StrictSNI: true, HandshakeTimeout: patience, MaxHandshakes: 100,
		Default: &server.Settings{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13},
	}
	if edit != nil {
		edit(config)
	}
	h.Terminator = NewTerminator(l, config, h.security, 1, h, h, h, h.stats)
	fd, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), &snapshot.Socket{Backlog: 1024})
	if err != nil {
		t.Fatal(err)
	}
	if h.at, err = LocalAddr(fd); err != nil {
		t.Fatal(err)
	}
	acceptor, err := Accept(l, fd, &Limits{Own: &h.own, Global: &h.global, Load: &Load{}}, h.Terminator, h.stats)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Do(func() {
			acceptor.Close()
			h.Close()
			for _, g := range h.guests {
				g.Conn.Close()
				h.ConnectionClosed(netip.AddrPort{})
			}
		})
		l.Do(func() {
			h.empty("at the end")
			if n := h.stats.Connections.Load(); int(n) != h.closed || h.own.Open() != 0 || h.global.Open() != 0 || h.stats.ConnectionsActive.Load() != 0 {
				t.Errorf("%d connections came, %d ended; open: %d, %d, %d", n, h.closed, h.own.Open(), h.global.Open(), h.stats.ConnectionsActive.Load())
			}
			if n, size := l.Buffers.Lent(); n != 0 || size != 0 {
				t.Errorf("%d buffers of %d bytes are lent", n, size)
			}
		})
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		pool.Close()
		l.Close()
		if n := l.Stats().Panics.Load(); n != h.panics {
			t.Errorf("%d panics", n)
		}
		for end := time.Now().Add(patience); files(t) > before; runtime.Gosched() {
			if time.Now().After(end) {
				t.Errorf("%d files are open, %d before", files(t), before)
				break
			}
		}
	})
	return h
}

func files(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// empty looks whether the terminator holds nothing. It is called on the loop.
func (h *hall) empty(when string) {
	h.Helper()
	if n := h.stats.TLS.Active.Load(); n != 0 || len(h.open) != 0 || h.queue.count != 0 || h.running.count != 0 || h.running.first != nil {
		h.Errorf("%s: %d handshakes, %d open, %d in the queue, %d running", when, n, len(h.open), h.queue.count, h.running.count)
	}
	for _, g := range h.free {
		if g.co != nil || g.IsOpen() || g.in != nil || g.timer.Armed() || g.ended != nil || g.phase != phaseHello {
			h.Errorf("%s: a pooled greeting is %+v", when, g)
		}
	}
}

func (h *hall) until(what string, cond func() bool) {
	h.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		ok := false
		h.loop.Do(func() { ok = cond() })
		if ok {
			return
		}
		if time.Now().After(end) {
			h.Fatalf("it never happened: %s", what)
		}
	}
}

// in waits until so many of the greetings are in a phase.
func (h *hall) in(phase greetingPhase, n int) {
	h.Helper()
	h.until("a phase", func() bool {
		found := 0
		for g := range h.open {
			if g.phase == phase {
				found++
			}
		}
		return found == n
	})
}

func (h *hall) dial() net.Conn {
	h.Helper()
	c, err := net.Dial("tcp", h.at.String())
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// holdPool keeps the pool's thread until the returned function is called.
func (h *hall) holdPool() (release func()) {
	h.Helper()
	held, free := make(chan bool), make(chan bool)
	err := h.security.Pool.Submit(&sign.Task{Flow: new(sign.Flow), Run: func() error { close(held); <-free; return nil }, Done: func(error) {}})
	if err != nil {
		h.Fatal(err)
	}
	<-held
	return sync.OnceFunc(func() { close(free) })
}

// holdBurn puts so much before the next signature on the loop that it does not come
// until the returned function is called.
func (h *hall) holdBurn() (release func()) {
	stop := false
	hog := func() {
		if !stop {
			for began := time.Now(); time.Since(began) < time.Millisecond; {
			}
		}
	}
	h.loop.Do(func() {
		h.burns = func() {
			for range 20_000 {
				h.loop.Burn(hog)
			}
			h.burns = func() {}
		}
	})
	return sync.OnceFunc(func() { h.loop.Do(func() { stop = true }) })
}

func certified(t testing.TB, key crypto.Signer, name string) *certificate.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name + ".test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := new(certificate.Parser).Parse(certificate.Source{Name: name, Pair: certificate.Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Signer(); err != nil { // so that only signatures wait
		t.Fatal(err)
	}
	return c
}

// helloFor is the first thing that a client says.
func helloFor(t testing.TB, name string) []byte {
	t.Helper()
	var out first
	if err := tls.Client(&out, clientFor(name)).Handshake(); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return out.Bytes()
}

func clientFor(name string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: name + ".test"}
}

// first is a connection that takes one thing and then ends.
type first struct {
	bytes.Buffer
	net.TCPConn
}

func (f *first) Write(p []byte) (int, error)       { return f.Buffer.Write(p) }
func (f *first) Read([]byte) (int, error)          { return 0, io.EOF }
func (f *first) Close() error                      { return nil }
func (f *first) ReadFrom(io.Reader) (int64, error) { return 0, io.EOF }
func (f *first) WriteTo(io.Writer) (int64, error)  { return 0, io.EOF }
