package connection

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/worker"
	"longmen/tls/handshake"
	"longmen/tls/std"
)

// run is a Runner made of a function.
type run func(*worker.Coroutine)

func (r run) Run(co *worker.Coroutine) { r(co) }

func testCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"a.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// server runs a server's handshake on the loop over a socketpair, and echoes what
// comes until the end, which it answers. It returns the other end.
func server(t *testing.T, l *worker.Loop, config *tls.Config) (c *recorder, other net.Conn, ended chan error) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), "")
	other, err = net.FileConn(f)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	other.SetDeadline(time.Now().Add(patience))
	c, ended = open(t, l, fds[0]), make(chan error, 1)
	serve := func(co *worker.Coroutine) error {
		c.on = func(worker.Events) { co.Wake() }
		wait := func() error { co.Wait(); return nil }
		result, err := std.Server(&Wire{Conn: &c.Conn, Wait: wait}, config, std.Options{})
		if err != nil {
			c.CloseAfterWrite()
			return err
		}
		c.Secure(result.Session)
		for {
			switch err := c.Fill(16 << 10); err {
			case nil:
				c.Write(c.Bytes())
				c.Consume(c.Buffered())
			case ErrWait:
				c.Rest()
				co.Wait()
			default:
				c.CloseAfterWrite()
				return err
			}
		}
	}
	l.Do(func() { l.Go(run(func(co *worker.Coroutine) { ended <- serve(co) })) })
	return c, other, ended
}

// inPieces writes so many bytes at a time.
type inPieces struct {
	net.Conn
	size int
}

func (c *inPieces) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = c.Conn.Write(p[n:min(n+c.size, len(p))])
		n += k
	}
	return n, err
}

// crypto/tls is the client, in pieces of any size, with data right behind its
// Finished, after idleness, and with an end that is one.
func TestWire(t *testing.T) {
	certificate := testCertificate(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, size := range []int{1, 3, 100, 1 << 20} {
			l := startLoop(t)
			_, other, ended := server(t, l, &tls.Config{Certificates: []tls.Certificate{certificate}, MaxVersion: version})
			client := tls.Client(&inPieces{other, size}, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test"})
			for _, n := range []int{1, 3000, 20_000, 100} {
				echoed := make([]byte, n)
				written := make(chan error, 1)
				go func() { _, err := client.Write(text(0, n)); written <- err }()
				if _, err := io.ReadFull(client, echoed); err != nil || !bytes.Equal(echoed, text(0, n)) {
					t.Fatalf("%s in pieces of %d: %v", tls.VersionName(version), size, err)
				}
				if err := <-written; err != nil {
					t.Fatal(err)
				}
			}
			client.CloseWrite()
			if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%d, %v", n, err)
			}
			if err := <-ended; err != io.EOF {
				t.Errorf("%v", err)
			}
		}
	}
}

// A handshake that fails or is cut ends with an error, and the client hears of it.
func TestWireRefuses(t *testing.T) {
	certificate := testCertificate(t)
	l := startLoop(t)
	_, other, ended := server(t, l, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13})
	err := tls.Client(other, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}).Handshake()
	if err == nil || err.Error() != "remote error: tls: protocol version not supported" {
		t.Errorf("the client: %v", err)
	}
	var refused *handshake.Error
	if err := <-ended; !errors.As(err, &refused) || refused.Alert != handshake.ProtocolVersion || !refused.Sent {
		t.Errorf("the server: %v", err)
	}
	_, other, ended = server(t, l, &tls.Config{Certificates: []tls.Certificate{certificate}})
	other.Write([]byte("\x16\x03\x01\x00\x80\x01\x00"))
	other.Close()
	if err := <-ended; !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("cut: %v", err)
	}
}

// A flight that the peer does not take is bounded.
func TestWireBoundsItsFlight(t *testing.T) {
	l := startLoop(t)
	c, fd := socketpair(t, l)
	defer unix.Close(fd)
	l.Do(func() {
		w := &Wire{Conn: &c.Conn}
		total := 0
		for {
			n, err := w.Write(make([]byte, 16<<10))
			if err == errFlight {
				break
			}
			if total += n; err != nil || total > 2<<20 {
				t.Errorf("%d bytes, %v", total, err)
				break
			}
		}
		if n := c.Pending(); n > handshakeWrite {
			t.Errorf("%d bytes wait", n)
		}
		c.Close()
		if _, err := w.Write([]byte("x")); err != ErrClosed {
			t.Error(err)
		}
	})
}
