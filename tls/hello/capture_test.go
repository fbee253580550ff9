package hello_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/tjfoc/gmsm/gmtls"

	"longmen/tls/hello"
)

// firstBytes reads conn until Find has a whole ClientHello, and returns its records.
func firstBytes(t testing.TB, conn net.Conn) []byte {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var p []byte
	for buf := make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		p = append(p, buf[:n]...)
		_, used, bad := hello.Find(p, nil)
		if bad != nil {
			t.Fatalf("after %d bytes: %v", len(p), bad)
		}
		if used > 0 {
			return p[:used]
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", len(p), err)
		}
	}
}

// captureGo returns what a client of crypto/tls begins with.
func captureGo(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- tls.Client(client, config).Handshake() }()
	p := firstBytes(t, server)
	server.Close()
	if err := <-done; err == nil {
		t.Fatal("a handshake with nobody")
	}
	return p
}

// captureTLCP returns what the TLCP client of tjfoc/gmsm begins with.
func captureTLCP(t testing.TB) []byte {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- gmtls.Client(client, &gmtls.Config{GMSupport: gmtls.NewGMSupport(), ServerName: "SM.example.org", InsecureSkipVerify: true}).Handshake()
	}()
	p := firstBytes(t, server)
	server.Close()
	<-done
	return p
}

// captureOpenSSL returns what openssl s_client begins with.
func captureOpenSSL(t testing.TB, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, "openssl", append([]string{"s_client", "-connect", listener.Addr().String()}, args...)...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	listener.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	conn, err := listener.Accept()
	if err != nil {
		command.Process.Kill()
		command.Wait()
		t.Fatalf("%v; openssl: %s", err, output.Bytes())
	}
	p := firstBytes(t, conn)
	conn.Close()
	var exit *exec.ExitError
	if err := command.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p
}

// message is the ClientHello in its records p.
func message(t testing.TB, p []byte) []byte {
	t.Helper()
	msg, used, err := hello.Find(p, nil)
	if err != nil || used != len(p) {
		t.Fatalf("Find: used %d of %d, %v", used, len(p), err)
	}
	return msg
}

// parse reads the ClientHello in its records p.
func parse(t testing.TB, p []byte) *hello.ClientHello {
	t.Helper()
	var h hello.ClientHello
	if err := h.Parse(message(t, p)); err != nil {
		t.Fatal(err)
	}
	return &h
}

// records splits msg into records of at most size bytes.
func records(version uint16, msg []byte, sizes ...int) (p []byte) {
	for i := 0; len(msg) > 0; i++ {
		n := min(sizes[min(i, len(sizes)-1)], len(msg))
		p = append(p, 22)
		p = binary.BigEndian.AppendUint16(p, version)
		p = binary.BigEndian.AppendUint16(p, uint16(n))
		p = append(p, msg[:n]...)
		msg = msg[n:]
	}
	return p
}
