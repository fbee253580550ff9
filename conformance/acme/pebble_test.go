// Package acme_test lets the built gateway order certificates from pebble, Let's
// Encrypt's small authority for tests, which tries the gateway's names as the large
// one does.
package acme_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"longmen/conformance/harness"
)

// It takes a package that setup does not install, and ten seconds: the full run alone has it.
func TestMain(m *testing.M) {
	if !harness.Full() {
		os.Exit(0)
	}
	os.Exit(harness.Main(m))
}

// An authority is a running pebble with its own name server.
type authority struct {
	t          testing.TB
	directory  string
	ca         string // file: who certifies the directory
	http, tls  int    // the ports at which it tries names
	management string // of pebble
	names      string // management of its name server
	client     *http.Client
	Issuer     *x509.CertPool // of what it issues
}

type options struct {
	validity time.Duration     // of certificates; 0: five years
	external map[string]string // external accounts, which are required then
}

// start starts an authority that ends with the test.
func start(t testing.TB, o options) *authority {
	t.Helper()
	dir := t.TempDir()
	a := &authority{t: t, ca: filepath.Join(dir, "directory.pem"), http: port(t), tls: port(t)}
	key := filepath.Join(dir, "directory.key")
	certify(t, a.ca, key)
	listen, manage, dns, dnsManage := address(t), address(t), address(t), address(t)
	a.directory, a.management, a.names = "https://"+listen+"/dir", "https://"+manage, "http://"+dnsManage
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": manage, "certificate": a.ca, "privateKey": key,
		"httpPort": a.http, "tlsPort": a.tls, "certificateValidityPeriod": uint64(o.validity / time.Second),
		"externalAccountBindingRequired": o.external != nil, "externalAccountMACKeys": o.external,
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "pebble-challtestsrv", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", dns, "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", dnsManage)
	run(t, "pebble", "-strict", "-config", file, "-dnsserver", dns)
	text, err := os.ReadFile(a.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	a.client = &http.Client{Timeout: harness.Patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	a.Issuer = x509.NewCertPool()
	a.Issuer.AppendCertsFromPEM(a.get(a.management + "/roots/0"))
	a.get(a.directory)
	return a
}

// get reads a page, as soon as it is there.
func (a *authority) get(url string) []byte {
	a.t.Helper()
	var last error
	for deadline := time.Now().Add(harness.Patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		response, err := a.client.Get(url)
		if err != nil {
			last = err
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil && response.StatusCode == http.StatusOK {
			return body
		}
		last = err
	}
	a.t.Fatalf("%s: %v", url, last)
	return nil
}

// resolve makes a name that of an address; without an address there is no such name.
func (a *authority) resolve(name string, addresses ...string) {
	a.t.Helper()
	text, err := json.Marshal(map[string]any{"host": name, "addresses": addresses})
	if err != nil {
		a.t.Fatal(err)
	}
	for deadline := time.Now().Add(harness.Patience); ; time.Sleep(10 * time.Millisecond) {
		response, err := http.Post(a.names+"/add-a", "application/json", bytes.NewReader(text))
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("add-a %s: %v", name, err)
		}
	}
}

// run runs a program until the test ends.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0")
	output := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v (setup installs Debian's package pebble)", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			lines := strings.Split(output.String(), "\n")
			t.Logf("%s:\n%s", name, strings.Join(lines[max(0, len(lines)-60):], "\n"))
		}
	})
}

// certify writes a certificate for 127.0.0.1 that certifies itself.
func certify(t testing.TB, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "directory"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func address(t testing.TB) string {
	t.Helper()
	addr, err := harness.RefusedAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func port(t testing.TB) int {
	t.Helper()
	_, text, err := net.SplitHostPort(address(t))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
