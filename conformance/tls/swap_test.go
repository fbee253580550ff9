package tls_test

import (
	"bytes"
	"crypto/tls"
	"fmt"

	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// Certificates that change under load: no request fails, connections that are
// there stay, and new ones soon get the new certificate.

// A swapper replaces the certificate of any.test, the files at crt and key.
type swapper struct {
	a        *authority
	crt, key string
	kind     string
	serials  []string     // in the order in which they were put there
	now      atomic.Int64 // how many there are
	mu       sync.Mutex
}

// swap puts a new certificate there, each file by renaming.
func (s *swapper) swap() {
	l := s.a.issue(s.kind, "any.test")
	s.mu.Lock()
	s.serials = append(s.serials, l.cert.SerialNumber.String())
	s.mu.Unlock()
	for from, to := range map[string]string{l.pem: s.key, l.crt: s.crt} {
		check(s.a.t, os.Rename(from, to))
	}
	s.now.Add(1)
}

// at is the place of a serial number in the order, -1 if it never was.
func (s *swapper) at(serial string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, known := range s.serials {
		if known == serial {
			return i
		}
	}
	return -1
}

func TestCertificateSwap(t *testing.T) {
	t.Parallel() // it waits, mostly
	a := newAuthority(t, "root")
	s := &swapper{a: a, kind: "p256", crt: filepath.Join(a.dir, "live.crt"), key: filepath.Join(a.dir, "live.key")}
	s.swap()
	g := serve(t, "certs: [live]", fmt.Sprintf("live: {cert: %q, key: %q}\n", s.crt, s.key))
	if fault := request(g.Addr, &tls.Config{ServerName: "any.test", RootCAs: a.roots()}); fault != "" {
		t.Fatal(fault)
	}
	g.noLeak()

	over := make(chan struct{})
	faults := make(chan string, 100)
	var load sync.WaitGroup
	var requests, connections atomic.Int64
	fail := func(format string, arguments ...any) {
		select {
		case faults <- fmt.Sprintf(format, arguments...):
		default:
		}
	}
	connect := func() (*tls.Conn, error) {
		conn, err := net.DialTimeout("tcp", g.Addr, harness.Patience)
		if err != nil {
			return nil, err
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		c := tls.Client(conn, &tls.Config{ServerName: "any.test", RootCAs: a.roots()})
		connections.Add(1)
		return c, c.Handshake()
	}
	for range 4 { // connections that stay
		load.Go(func() {
			c, err := connect()
			if err != nil {
				fail("%v", err)
				return
			}
			defer c.Close()
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				if err := post(c, 1+n*997%40_000); err != nil {
					fail("on a connection that stays: %v", err)
					return
				}
				requests.Add(1)
			}
		})
	}
	for range 2 { // connections that come and go; none gets an older certificate than one before
		load.Go(func() {
			latest := 0
			for {
				select {
				case <-over:
					return
				default:
				}
				c, err := connect()
				if err == nil {
					err = post(c, 100)
				}
				if err != nil {
					fail("on a new connection: %v", err)
					return
				}
				serial := s.at(c.ConnectionState().PeerCertificates[0].SerialNumber.String())
				if serial < latest {
					fail("certificate %d after %d", serial, latest)
				}
				latest = serial
				requests.Add(1)
				c.Close()
			}
		})
	}
	for n := range short(3, 30) {
		if n%3 == 2 { // by SIGHUP too
			check(t, g.Signal(syscall.SIGHUP))
		}
		s.swap()
		began := time.Now()
		want := int(s.now.Load()) - 1
		for {
			c, err := connect()
			if err != nil {
				t.Fatal(err)
			}
			got := s.at(c.ConnectionState().PeerCertificates[0].SerialNumber.String())
			c.Close()
			if got == want {
				break
			}
			if time.Since(began) > harness.Patience {
				t.Fatalf("certificate %d is served %v after %d was put there\n%s", got, harness.Patience, want, g.Output())
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(time.Second - min(time.Second, time.Since(began)))
	}
	close(over)
	load.Wait()
	close(faults)
	for fault := range faults {
		t.Error(fault)
	}
	t.Logf("%d swaps, %d requests, %d connections", s.now.Load()-1, requests.Load(), connections.Load())

	// A certificate that does not fit its key is not taken, and the one before stays.
	before := s.serials[len(s.serials)-1]
	stranger := a.issue("p256", "any.test")
	check(t, os.Rename(stranger.crt, s.crt))
	for deadline := time.Now().Add(harness.Patience); !strings.Contains(g.Output(), "nothing was changed"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is said of a certificate that does not fit its key\n%s", g.Output())
		}
	}
	c, err := connect()
	check(t, err)
	defer c.Close()
	if got := c.ConnectionState().PeerCertificates[0].SerialNumber.String(); got != before {
		t.Errorf("certificate %s is served, want %s", got, before)
	}
	check(t, post(c, 10))
}

// post has n bytes echoed.
func post(c net.Conn, n int) error {
	body := bytes.Repeat([]byte("b"), n)
	if _, err := fmt.Fprintf(c, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", n, body); err != nil {
		return err
	}
	r := harness.NewReader(c)
	_, framing, err := r.ResponseHead("POST")
	if err != nil {
		return err
	}
	var got bytes.Buffer
	if size, _, err := r.Body(framing, &got); err != nil || size != int64(n) || !bytes.Equal(got.Bytes(), body) {
		return fmt.Errorf("%d bytes came back of %d: %w", size, n, err)
	}
	return nil
}
