package supervisor

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"longmen/gateway/cluster"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	tlsclient "longmen/tls/client"
	"longmen/tls/verify"
)

// echoes is an origin with TLS that answers with X-Forwarded-Client-Cert.
func echoes(t testing.TB) (net.Addr, *x509.Certificate) {
	t.Helper()
	key := p256Key(t)
	own, root := issued(t, key, "origin.test")
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: own.Chain, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", r.Header["X-Forwarded-Client-Cert"])
	})}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	return ln.Addr(), root
}

// asksClients makes a listener ask clients for certificates of the roots.
func asksClients(t testing.TB, l *snapshot.Listener, roots *verify.Roots) {
	t.Helper()
	policy, err := verify.New(verify.Config{Mode: verify.Request, Role: verify.Client, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	l.TLS.Default.Clients, l.TLS.Default.ClientRoots = policy, roots
}

// What a connection agreed on, and who its peers are, is in the log and in the
// field for endpoints: of resumed connections as of new ones, and of both
// versions.
func TestTLSIsTold(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	at, root := echoes(t)
	l := forwards(t, "https", "secure")
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	clientKey := p256Key(t)
	der, clientRoot := selfSigned(t, clientKey, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, "client.test")
	asksClients(t, l, rootsOf(t, clientRoot))
	l.HTTP.ClientCert, l.HTTP.ClientCertDetails = verify.SanitizeSet, verify.Details{Subject: true}
	format, err := stream.ParseFormat("%REQ(:PATH)% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %REQUESTED_SERVER_NAME% %DOWNSTREAM_PEER_SUBJECT% " +
		"%DOWNSTREAM_LOCAL_DNS_SAN% %TLS_JA3_FINGERPRINT% %TLS_JA4_FINGERPRINT% %UPSTREAM_TLS_VERSION% %UPSTREAM_TLS_CIPHER% %UPSTREAM_PEER_DNS_SAN%")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "access.log")
	l.HTTP.AccessLog = []snapshot.AccessLog{{Path: path, Format: format}}
	l.Fingerprints = true
	c := clusterOf("secure", at)
	c.TLS = trusts(t, &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: "origin.test"}, rootsOf(t, root))
	h.applied(having(snap("1", l), cluster.New(c)))
	sum := sha256.Sum256(der)
	element := `Hash=` + hex.EncodeToString(sum[:]) + `;Subject="CN=client.test"`
	var want []string
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, known := range []bool{true, false} {
			c := config.Clone()
			c.ServerName, c.MinVersion, c.MaxVersion = "a.test", version, version
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
			c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			told, subject := "[]", "-"
			if known {
				c.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: clientKey}}
				told, subject = fmt.Sprintf("%q", []string{element}), "CN=client.test"
			}
			for i := range 2 {
				conn, err := tls.Dial("tcp", h.address("https"), c)
				if err != nil {
					t.Fatal(err)
				}
				k := dialled(t, conn)
				name := fmt.Sprintf("/%s/%v/%d", strings.ReplaceAll(tls.VersionName(version), " ", ""), known, i)
				for range 2 {
					fmt.Fprintf(k, "GET %s HTTP/1.1\r\nHost: test\r\nX-Forwarded-Client-Cert: Subject=\"CN=root\"\r\nX_Forwarded_Client_Cert: a\r\n\r\n", name)
					if _, body := k.answer(); body != told {
						t.Errorf("%s: the endpoint sees %s, want %s", name, body, told)
					}
					suite := "TLS_AES_128_GCM_SHA256"
					if version == tls.VersionTLS12 {
						suite = "ECDHE-ECDSA-AES128-GCM-SHA256"
					}
					want = append(want, fmt.Sprintf("%s %s %s a.test %s a.test JA3 JA4 TLSv1.3 TLS_AES_128_GCM_SHA256 origin.test",
						name, map[uint16]string{tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}[version], suite, subject))
				}
				if resumed := conn.ConnectionState().DidResume; resumed != (i > 0) {
					t.Errorf("%s: resumed %v", name, resumed)
				}
				conn.Close()
			}
		}
	}
	stats := &h.workers[0].metrics.Cluster("secure").TLS
	if n := stats.Handshakes[metrics.TLS13].Load(); n == 0 || n > 8 || stats.Failures != [metrics.UpstreamTLSFailureCount]metrics.Counter{} {
		t.Errorf("%d handshakes with endpoints, failures %v", n, stats.Failures)
	}
	h.stopped()
	text, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines:\n%s", len(lines), text)
	}
	for i, line := range lines {
		parts := strings.Split(line, " ")
		if len(parts) != 11 || len(parts[6]) != 32 || len(parts[7]) != 36 || !strings.HasPrefix(parts[7], "t1") || parts[7][3] != 'd' {
			t.Errorf("%s", line)
			continue
		}
		parts[6], parts[7] = "JA3", "JA4"
		if got := strings.Join(parts, " "); got != want[i] {
			t.Errorf("%s\nwant %s", got, want[i])
		}
	}
}

// Fingerprints are taken while a snapshot asks for them, and not before.
func TestTLSFingerprintsOnDemand(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	l := listens(t, "https", "")
	config := secured(t, l, map[string]crypto.Signer{"a.test": p256Key(t)})
	config.ServerName = "a.test"
	read := logsTo(t, l)
	format, err := stream.ParseFormat("%TLS_JA4_FINGERPRINT%")
	if err != nil {
		t.Fatal(err)
	}
	l.HTTP.AccessLog[0].Format = format
	h.applied(snap("1", l))
	asks(t, h.address("https"), config)
	next := *l
	next.Fingerprints = true
	h.applied(snap("2", &next))
	asks(t, h.address("https"), config)
	h.stopped()
	lines := strings.Split(read(), "\n")
	if len(lines) != 3 || lines[0] != "-" || len(lines[1]) != 36 {
		t.Errorf("%q", lines)
	}
}
