package tls13

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"longmen/tls/handshake"

	"github.com/emmansun/gmsm/smx509"
)

// openssl runs openssl with args and gives its standard output and its exit. It is ended with
// the test.
func openssl(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is needed: make setup installs it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, "openssl", args...)
}

// file writes a PEM file of blocks of one type.
func pemFile(t testing.TB, dir, name, typ string, blocks ...[]byte) string {
	t.Helper()
	var out []byte
	for _, der := range blocks {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})...)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func keyFile(t testing.TB, dir string, key crypto.PrivateKey) string {
	t.Helper()
	der, err := smx509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemFile(t, dir, "key.pem", "PRIVATE KEY", der)
}

// accepting serves one connection for each outcome that is taken from the channel, which has
// got a line and answered with it.
func accepting(t testing.TB, config *ServerConfig) (address string, outcomes <-chan *outcome) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	ends := make(chan *outcome)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(patience))
			end := ended(conn)(serve(conn, config, choosing(nist())))
			ends <- end
		}
	}()
	return listener.Addr().String(), ends
}

// sClient runs s_client against our server, has a line sent and echoed, and gives what it
// printed.
func sClient(t testing.TB, address string, outcomes <-chan *outcome, args ...string) (string, *outcome) {
	t.Helper()
	cmd := openssl(t, append([]string{"s_client", "-connect", address, "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256",
		"-servername", "server.test", "-verify_return_error", "-verify_hostname", "server.test"}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	var end *outcome
	select {
	case end = <-outcomes:
	case err := <-exited:
		t.Fatalf("%v: s_client: %v before a handshake\n%s", args, err, printed.String())
	}
	if end.err == nil {
		io.WriteString(stdin, "a line\n")
		if got := end.read(t, len("a line\n")); got != "a line\n" {
			t.Errorf("it said %q", got)
		}
		end.write(t, "an answer\n")
		if _, err := end.conn.Write(end.result.Session.AppendClose(nil)); err != nil {
			t.Error(err)
		}
		end.conn.(*net.TCPConn).CloseWrite() // what s_client waits for
	}
	err = <-exited // by the close, or by the alert
	stdin.Close()
	end.conn.Close()
	if end.err != nil || err != nil || !strings.Contains(printed.String(), "an answer") {
		t.Fatalf("%v: server: %v, s_client: %v\n%s", args, end.err, err, printed.String())
	}
	return printed.String(), end
}

// TestServerForOpenSSL is our server under s_client: with a share, after a retry, resumed, and
// with early data that is refused.
func TestServerForOpenSSL(t *testing.T) {
	p, dir := newNISTPair(t), t.TempDir()
	roots := pemFile(t, dir, "root.pem", "CERTIFICATE", p.root)
	session := filepath.Join(dir, "session")
	address, outcomes := accepting(t, &ServerConfig{
		Certificate: p.server,
		Protocols:   []string{"http/1.1"},
		Tickets:     &plainTickets{},
		ClientAuth:  ClientAuthOffered,
		ClientCAs:   p.ours,
	})
	for _, groups := range []string{"P-256", "X25519:P-256"} {
		for _, more := range []string{"", "-no_middlebox", "-status"} {
			args := []string{"-CAfile", roots, "-groups", groups, "-alpn", "http/1.1", "-sess_out", session}
			if more != "" {
				args = append(args, more)
			}
			printed, end := sClient(t, address, outcomes, args...)
			if !strings.Contains(printed, "New, TLSv1.3") || end.result.Resumed || end.result.Protocol != "http/1.1" {
				t.Errorf("groups %s %s: resumed %v, ALPN %q\n%s", groups, more, end.result.Resumed, end.result.Protocol, printed)
			}
		}
		printed, end := sClient(t, address, outcomes, "-CAfile", roots, "-groups", groups, "-sess_in", session)
		if !strings.Contains(printed, "Reused, TLSv1.3") || !end.result.Resumed {
			t.Errorf("groups %s: resumed %v\n%s", groups, end.result.Resumed, printed)
		}
	}
	own := pemFile(t, dir, "client.pem", "CERTIFICATE", p.client.Certificate...)
	_, end := sClient(t, address, outcomes, "-CAfile", roots, "-groups", "P-256", "-cert", own, "-key", keyFile(t, dir, p.client.PrivateKey))
	// s_client sends the root too.
	if !end.result.PeerVerified || !sameChain(end.result.PeerChain, [][]byte{p.client.Certificate[0], p.root}) {
		t.Errorf("the client's chain: %d certificates, verified %v", len(end.result.PeerChain), end.result.PeerVerified)
	}
}

// TestEarlyDataRefused: a client with another server's ticket sends early data; it is passed
// over, before a retry too, and what it says then is heard.
func TestEarlyDataRefused(t *testing.T) {
	p, dir := newNISTPair(t), t.TempDir()
	roots := pemFile(t, dir, "root.pem", "CERTIFICATE", p.root)
	session, early := filepath.Join(dir, "session"), filepath.Join(dir, "early")
	if err := os.WriteFile(early, bytes.Repeat([]byte("early data "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	other := sServer(t, p, dir, "-max_early_data", "16384")
	takeSession(t, other, roots, session)
	address, outcomes := accepting(t, &ServerConfig{Certificate: p.server, Tickets: &plainTickets{}})
	for _, groups := range []string{"P-256", "X25519:P-256"} {
		printed, end := sClient(t, address, outcomes, "-CAfile", roots, "-groups", groups, "-sess_in", session, "-early_data", early)
		if !strings.Contains(printed, "Early data was rejected") || end.result.Resumed {
			t.Errorf("groups %s: resumed %v\n%s", groups, end.result.Resumed, printed)
		}
	}
}

// takeSession has s_client write the session that s_server gives it to a file.
func takeSession(t testing.TB, address, roots, path string) {
	t.Helper()
	cmd := openssl(t, "s_client", "-connect", address, "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256", "-servername", "server.test",
		"-CAfile", roots, "-quiet", "-sess_out", path)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	io.WriteString(stdin, "abc\n")
	answer := make([]byte, 4) // behind the tickets
	if _, err := io.ReadFull(stdout, answer); err != nil || string(answer) != "cba\n" {
		t.Fatalf("%q, %v", answer, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	stdin.Close()
}

// sServer runs s_server, which reverses the lines that it is sent, until the test ends.
func sServer(t testing.TB, p *nistPair, dir string, args ...string) (address string) {
	t.Helper()
	own := pemFile(t, dir, "server.pem", "CERTIFICATE", p.server.Certificate...)
	der, err := smx509.MarshalPKCS8PrivateKey(p.server.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key := pemFile(t, dir, "server-key.pem", "PRIVATE KEY", der)
	cmd := openssl(t, append([]string{"s_server", "-accept", "127.0.0.1:0", "-cert", own, "-key", key, "-tls1_3", "-rev"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "ACCEPT "); ok {
			address = strings.TrimSpace(rest)
			break
		}
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		io.Copy(io.Discard, stdout)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-drained
		cmd.Wait()
	})
	if address == "" {
		t.Fatal("s_server does not say where it listens")
	}
	return address
}

// TestClientForOpenSSL is our client with s_server: resumed, with a certificate, and with a
// server that asks for its cookie back.
func TestClientForOpenSSL(t *testing.T) {
	p, dir := newNISTPair(t), t.TempDir()
	roots := pemFile(t, dir, "root.pem", "CERTIFICATE", p.root)
	for name, c := range map[string]struct {
		args   []string
		resume bool
	}{
		"plain":  {nil, true},
		"mutual": {[]string{"-Verify", "1", "-CAfile", roots, "-verify_return_error"}, true},
		"cookie": {[]string{"-stateless"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			address := sServer(t, p, dir, c.args...)
			config := &ClientConfig{ServerName: "server.test", Roots: p.ours, Certificate: p.client, Sessions: NewSessions(4)}
			for _, resumed := range []bool{false, c.resume} {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				conn.SetDeadline(time.Now().Add(patience))
				end := ended(conn)(dial(conn, config, nist()))
				if end.err != nil {
					t.Fatal(end.err)
				}
				end.write(t, "abc\n")
				if got := end.read(t, 4); got != "cba\n" {
					t.Errorf("it said %q", got)
				}
				if end.result.Resumed != resumed {
					t.Errorf("resumed %v, want %v", end.result.Resumed, resumed)
				}
				conn.Close()
			}
		})
	}
}

// TestOpenSSLRefuses: what OpenSSL does not accept it says by an alert that reaches the caller.
func TestOpenSSLRefuses(t *testing.T) {
	p, dir := newNISTPair(t), t.TempDir()
	address := sServer(t, p, dir, "-groups", "P-384")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	end := ended(conn)(dial(conn, &ClientConfig{ServerName: "server.test", Roots: p.ours}, nist()))
	wantAlert(t, end.err, handshake.HandshakeFailure, true)
}
