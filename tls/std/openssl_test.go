package std

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// OpenSSL is a peer that shares no code with crypto/tls. Each of its runs is one variant.
type opensslVariant struct {
	name  string
	args  []string
	rsa   bool
	suite uint16
}

func opensslVariants() []opensslVariant {
	v := []opensslVariant{
		{"TLS 1.3 AES128", []string{"-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"}, false, tls.TLS_AES_128_GCM_SHA256},
		{"TLS 1.3 AES256", []string{"-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"}, true, tls.TLS_AES_256_GCM_SHA384},
		{"TLS 1.3 ChaCha20", []string{"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}, false, tls.TLS_CHACHA20_POLY1305_SHA256},
		{"TLS 1.3 retry", []string{"-tls1_3", "-groups", "P-521:P-384"}, false, 0},
	}
	for name, suite := range map[string]uint16{
		"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		"AES128-GCM-SHA256":             tls.TLS_RSA_WITH_AES_128_GCM_SHA256,
		"AES256-GCM-SHA384":             tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	} {
		v = append(v, opensslVariant{name, []string{"-tls1_2", "-cipher", name}, !strings.Contains(name, "ECDSA"), suite})
	}
	return v
}

// A process is a running openssl: what it says is gathered, and can be waited for.
type process struct {
	t     *testing.T
	stdin io.Writer
	mu    sync.Mutex
	said  bytes.Buffer
	heard chan struct{} // something was said, or it ended
}

func startOpenSSL(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	cmd := exec.CommandContext(ctx, "openssl", args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	p := &process{t: t, stdin: stdin, heard: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r := bufio.NewReader(out)
		for {
			line := make([]byte, 4096)
			n, err := r.Read(line)
			p.mu.Lock()
			p.said.Write(line[:n])
			p.mu.Unlock()
			if err != nil {
				close(p.heard)
				return
			}
			select {
			case p.heard <- struct{}{}:
			default:
			}
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		cancel() // ends it
		cmd.Wait()
		<-done
		out.Close()
	})
	return p
}

// until waits for text, and takes all up to its end. It gives what came after it in the line.
func (p *process) until(text string) (rest string) {
	p.t.Helper()
	for {
		p.mu.Lock()
		before, after, ok := strings.Cut(p.said.String(), text)
		if ok {
			line, _, whole := strings.Cut(after, "\n")
			if whole || text[len(text)-1] == '\n' {
				p.said.Next(len(before) + len(text))
				p.mu.Unlock()
				return line
			}
		}
		p.mu.Unlock()
		if _, open := <-p.heard; !open {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.t.Fatalf("openssl ended without %q: %s", text, p.said.String())
		}
	}
}

func (p *process) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
}

// files writes an authority's certificate, a certificate and its key in PEM.
func files(t *testing.T, ca *authority, certificate tls.Certificate) (caFile, certFile, keyFile string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, typ string, der []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	return write("ca.pem", "CERTIFICATE", ca.cert.Raw),
		write("cert.pem", "CERTIFICATE", certificate.Certificate[0]), write("key.pem", "PRIVATE KEY", der)
}

// Our server and openssl's client: data both ways, key updates that ask for an answer and that
// do not, and the end.
func TestOpenSSLClient(t *testing.T) {
	ca := newAuthority(t)
	for _, v := range opensslVariants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			certificate := ca.issue(t, v.rsa)
			caFile, certFile, keyFile := files(t, ca, certificate)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			p := startOpenSSL(t, append([]string{"s_client", "-connect", l.Addr().String(), "-CAfile", caFile,
				"-verify_return_error", "-servername", testName, "-cert", certFile, "-key", keyFile}, v.args...)...)
			l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			config := &tls.Config{
				Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool,
				CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP384},
			}
			if v.suite != 0 && v.suite < 0x1300 || v.suite > 0x1303 {
				config.CipherSuites = []uint16{v.suite}
			}
			result, err := Server(conn, config, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if v.suite != 0 && result.Suite != v.suite || !result.PeerVerified {
				t.Fatalf("suite %x, verified %v", result.Suite, result.PeerVerified)
			}
			server := &secured{Conn: conn, Result: result, migrate: true}
			ended := make(chan error, 1)
			go func() { // echoes lines in upper case
				r := bufio.NewReader(server)
				for {
					line, err := r.ReadString('\n')
					if err == io.EOF {
						ended <- server.CloseWrite()
						return
					}
					if err == nil {
						_, err = io.WriteString(server, "echo "+line)
					}
					if err != nil {
						ended <- err
						return
					}
				}
			}()
			p.until("Verify return code: 0 (ok)\n")
			converse(p, v, func() { p.until("KEYUPDATE\n") }, func(i int) {
				p.say(fmt.Sprint("line ", i))
				p.until(fmt.Sprint("echo line ", i, "\n"))
			})
			p.say("Q")
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// converse has data pass between key updates of openssl's; updated waits for one.
func converse(p *process, v opensslVariant, updated func(), pass func(i int)) {
	commands := []string{"", "K", "k", "K"}
	for i, command := range commands {
		if command != "" && v.args[0] == "-tls1_3" {
			p.say(command)
			updated()
		}
		pass(i)
	}
}

// Our client and openssl's server.
func TestOpenSSLServer(t *testing.T) {
	ca := newAuthority(t)
	for _, v := range opensslVariants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			certificate := ca.issue(t, v.rsa)
			caFile, certFile, keyFile := files(t, ca, certificate)
			p := startOpenSSL(t, append([]string{"s_server", "-accept", "127.0.0.1:0", "-cert", certFile, "-key", keyFile,
				"-CAfile", caFile, "-Verify", "1", "-verify_return_error", "-alpn", "h2,http/1.1"}, v.args...)...)
			address := strings.TrimSpace(p.until("ACCEPT "))
			config := &tls.Config{
				RootCAs: ca.pool, ServerName: testName, Certificates: []tls.Certificate{certificate},
				NextProtos: []string{"http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(1),
				CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384},
			}
			if v.suite != 0 && v.suite < 0x1300 || v.suite > 0x1303 {
				config.CipherSuites = []uint16{v.suite}
			}
			for _, resumed := range []bool{false, true, true} {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				result, err := Client(conn, config, Options{})
				if err != nil {
					t.Fatal(err)
				}
				if v.suite != 0 && result.Suite != v.suite || result.Resumed != resumed || result.Protocol != "http/1.1" {
					t.Fatalf("suite %x, resumed %v, protocol %q", result.Suite, result.Resumed, result.Protocol)
				}
				client := &secured{Conn: conn, Result: result}
				r := bufio.NewReader(client)
				p.until("CIPHER is ")
				converse(p, v, func() {
					if err := client.pull(); err != nil { // it does not say so itself in time
						t.Fatal(err)
					}
				}, func(i int) {
					p.say(fmt.Sprint("line ", i))
					want := fmt.Sprint("line ", i, "\n")
					if line, err := r.ReadString('\n'); err != nil || line != want {
						t.Fatalf("%q, %v", line, err)
					}
					if _, err := io.WriteString(client, "echo "+want); err != nil {
						t.Fatal(err)
					}
					p.until("echo " + want)
				})
				if err := client.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if _, err := r.ReadByte(); err != io.EOF {
					t.Fatal(err)
				}
				conn.Close()
			}
		})
	}
}

// A client that renegotiates is told that this is not done; openssl's then ends.
func TestOpenSSLRenegotiates(t *testing.T) {
	ca := newAuthority(t)
	certificate := ca.issue(t, false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	p := startOpenSSL(t, "s_client", "-connect", l.Addr().String(), "-servername", testName, "-tls1_2")
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	result, err := Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.say("R")
	_, err = (&secured{Conn: conn, Result: result}).Read(make([]byte, 1))
	if e, ok := errors.AsType[*record.AlertError](err); !ok || !e.Received || e.Alert != uint8(handshake.HandshakeFailure) {
		t.Fatal(err)
	}
	p.until("no renegotiation")
}
