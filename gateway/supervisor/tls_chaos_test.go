package supervisor

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"longmen/gateway/cluster"
	tlsclient "longmen/tls/client"
	"longmen/tls/server"
)

// cutting is a connection that ends after so many bytes were written, in the
// middle of whatever that was.
type cutting struct {
	net.Conn
	left  int
	reset bool
}

func (c *cutting) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left >= 0 {
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:len(p)+c.left])
	if c.reset {
		c.Conn.(*net.TCPConn).SetLinger(0)
	}
	c.Conn.Close()
	return n, net.ErrClosed
}

// Clients that do all kinds of things, while settings change: nothing is left of
// them, and who behaves is served.
func TestTLSChaos(t *testing.T) {
	h := newHouse(t, Options{})
	p384, err := ecdsa.GenerateKey(elliptic.P384(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	origin := newSecureOrigin(t, tls.VersionTLS13, p256Key(t), false, nil)
	c := clusterOf("echo", origin.Addr())
	c.TLS = trusts(t, &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: "origin.test", Sessions: 8}, origin.root)
	shared := cluster.New(c)
	l := forwards(t, "https", "echo")
	l.Binds = []netip.AddrPort{freePort(t)}
	config := secured(t, l, map[string]crypto.Signer{"rsa.test": rsaKey(t), "p256.test": p256Key(t), "p384.test": p384})
	l.TLS.Plain, l.TLS.MaxHandshakes = true, 2
	l.TLS.Passthrough.Set("origin.test", "echo")
	at := l.Binds[0].String()
	few, many := l.TLS, &server.Config{
		Certificates: l.TLS.Certificates, Default: l.TLS.Default, HandshakeTimeout: patience, MaxHandshakes: 50,
		Plain: true, Passthrough: l.TLS.Passthrough,
	}
	apply := func(version int) {
		next := *l
		next.TLS = []*server.Config{few, many}[version%2]
		h.applied(having(snap(fmt.Sprint(version), &next), shared))
	}
	apply(0)
	names := []string{"rsa.test", "p256.test", "p384.test"}
	body := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	act := func(rnd *rand.Rand, cache tls.ClientSessionCache) {
		raw, err := net.Dial("tcp", at)
		if err != nil {
			t.Error(err)
			return
		}
		defer raw.Close()
		raw.SetDeadline(time.Now().Add(2 * patience))
		own := config.Clone()
		own.ServerName, own.ClientSessionCache = names[rnd.IntN(len(names))], cache
		if rnd.IntN(2) == 0 {
			own.MaxVersion = tls.VersionTLS12
		}
		send := func(c net.Conn, n int) error {
			_, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", n, body[:n])
			return err
		}
		switch rnd.IntN(8) {
		case 0, 1: // as it should be, several times
			c := dialled(t, tls.Client(raw, own))
			for range 1 + rnd.IntN(3) {
				n := rnd.IntN(len(body))
				go send(c, n)
				resp, err := http.ReadResponse(c.r, nil)
				if err != nil {
					t.Errorf("%s: %v", own.ServerName, err)
					return
				}
				got, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, body[:n]) {
					t.Errorf("%s: %d, %d bytes of %d: %v", own.ServerName, resp.StatusCode, len(got), n, err)
				}
			}
			if rnd.IntN(2) == 0 {
				c.Close()
			}
		case 2, 3: // cut anywhere
			c := tls.Client(&cutting{raw, rnd.IntN(4000), rnd.IntN(2) == 0}, own)
			send(c, rnd.IntN(4000))
		case 4: // garbage behind the handshake
			c := tls.Client(raw, own)
			if c.Handshake() == nil {
				send(c, 100)
				raw.Write(body[:rnd.IntN(20_000)])
				io.Copy(io.Discard, raw)
			}
		case 5: // an answer that is not read
			c := tls.Client(raw, own)
			send(c, len(body))
		case 6: // plain
			c := dialled(t, raw)
			go send(c, 1000)
			if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 200 {
				t.Errorf("plain: %v", err)
			}
		case 7: // garbage, or nothing
			raw.Write(body[:rnd.IntN(100)])
		}
	}
	var all sync.WaitGroup
	for i := range uint64(6) {
		all.Go(func() {
			rnd, cache := rand.New(rand.NewPCG(i, 11)), tls.NewLRUClientSessionCache(8)
			for range 40 {
				act(rnd, cache)
			}
		})
	}
	ended := make(chan bool)
	go func() { all.Wait(); close(ended) }()
	for version := 1; ; version++ {
		select {
		case <-ended:
		case <-time.After(10 * time.Millisecond):
			apply(version)
			continue
		}
		break
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var slices, bytes int
		var connections, handshakes, requests int64
		for _, w := range h.workers {
			w.loop.Do(func() {
				n, size := w.loop.Buffers.Lent()
				slices, bytes = slices+n, bytes+size
				stats := w.metrics.Listener("https")
				connections += stats.ConnectionsActive.Load()
				handshakes += stats.TLS.Active.Load()
				requests += stats.RequestsActive.Load()
			})
		}
		if slices == 0 && bytes == 0 && connections == 0 && handshakes == 0 && requests == 0 && h.global.Open() == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("left: %d buffers of %d bytes, %d connections, %d handshakes, %d requests, %d in the gate", slices, bytes, connections, handshakes, requests, h.global.Open())
		}
	}
	h.stopped()
}
