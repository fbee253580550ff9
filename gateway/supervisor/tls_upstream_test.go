package supervisor

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/tls/certificate"
	tlsclient "longmen/tls/client"
	"longmen/tls/verify"
)

// secureOrigin is an origin that speaks TLS. It counts its handshakes, and those that took up
// an earlier session.
type secureOrigin struct {
	net.Listener
	root                *verify.Roots
	handshakes, resumed atomic.Int64
}

func rootsOf(t testing.TB, c *x509.Certificate) *verify.Roots {
	t.Helper()
	roots, err := verify.ParseRoots(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

// trusts makes a cluster's connections trust the roots.
func trusts(t testing.TB, c *tlsclient.Config, roots *verify.Roots) *tlsclient.Config {
	t.Helper()
	policy, err := verify.New(verify.Config{Mode: verify.Require, Role: verify.Server, Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	c.Verify, c.Roots = policy, roots
	c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS13
	return c
}

func newSecureOrigin(t testing.TB, version uint16, key crypto.Signer, closes bool, clients *x509.CertPool) *secureOrigin {
	t.Helper()
	own, root := issued(t, key, "origin.test")
	o := &secureOrigin{root: rootsOf(t, root)}
	config := &tls.Config{
		MinVersion: version, MaxVersion: version,
		Certificates: []tls.Certificate{{Certificate: own.Chain, PrivateKey: key}},
		VerifyConnection: func(s tls.ConnectionState) error {
			o.handshakes.Add(1)
			if s.DidResume {
				o.resumed.Add(1)
			}
			return nil
		},
	}
	if clients != nil {
		config.ClientCAs, config.ClientAuth = clients, tls.RequireAndVerifyClientCert
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	o.Listener = ln
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if closes {
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("X-Server-Name", r.TLS.ServerName)
		w.Write(body)
	})}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	return o
}

func TestTLSToEndpoints(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, closes := range []bool{false, true} {
			name := tls.VersionName(version)
			if closes {
				name += " one request a connection"
			}
			t.Run(name, func(t *testing.T) {
				h := newHouse(t, Options{Workers: 1})
				origin := newSecureOrigin(t, version, p256Key(t), closes, nil)
				c := clusterOf("secure", origin.Addr())
				c.TLS = trusts(t, &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: "origin.test", Sessions: 8}, origin.root)
				h.applied(having(snap("1", forwards(t, "http", "secure")), cluster.New(c)))
				for i, size := range []int{1, 20_000, 300_000, 7, 2 << 20} {
					sent := bytes.Repeat([]byte{byte('a' + i)}, size)
					resp, err := http.Post("http://"+h.address("http")+"/", "text/plain", bytes.NewReader(sent))
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, sent) || resp.Header.Get("X-Server-Name") != "origin.test" {
						t.Errorf("%d bytes: %d, %d bytes came back, server name %q: %v", size, resp.StatusCode, len(got), resp.Header.Get("X-Server-Name"), err)
					}
				}
				http.DefaultClient.CloseIdleConnections()
				full, resumed := origin.handshakes.Load()-origin.resumed.Load(), origin.resumed.Load()
				if closes && (full != 1 || resumed != 4) || !closes && (full != 1 || resumed != 0) {
					t.Errorf("%d full handshakes, %d resumed", full, resumed)
				}
			})
		}
	}
}

// What cannot be trusted gets no request.
func TestTLSEndpointRefused(t *testing.T) {
	h := newHouse(t, Options{Workers: 1})
	origin := newSecureOrigin(t, tls.VersionTLS13, p256Key(t), false, nil)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(plain, http.NotFoundHandler())
	t.Cleanup(func() { plain.Close() })
	_, other := issued(t, p256Key(t), "origin.test")
	stranger := rootsOf(t, other)
	for name, test := range map[string]struct {
		at     net.Addr
		config *tlsclient.Config
		roots  *verify.Roots
	}{
		"wrong name":    {origin.Addr(), &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: "other.test"}, origin.root},
		"its address":   {origin.Addr(), &tlsclient.Config{}, origin.root},
		"unknown roots": {origin.Addr(), &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: "origin.test"}, stranger},
		"plain":         {plain.Addr(), &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: "origin.test"}, origin.root},
	} {
		t.Run(name, func(t *testing.T) {
			c := clusterOf(name, test.at)
			c.TLS = trusts(t, test.config, test.roots)
			l := forwards(t, "http "+strings.ReplaceAll(name, " ", "-"), name)
			logged := logsTo(t, l)
			h.applied(having(snap(name, l), cluster.New(c)))
			resp, err := http.Get("http://" + h.address(l.Name) + "/")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != 503 {
				t.Errorf("%d", resp.StatusCode)
			}
			for logged() == "" {
				time.Sleep(time.Millisecond)
			}
			if line := logged(); line != "/ 503 UF\n" {
				t.Errorf("logged %q", line)
			}
		})
	}
	http.DefaultClient.CloseIdleConnections()
}

// The gateway shows its own certificate to endpoints that ask for one.
func TestTLSClientCertificate(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"rsa": rsaKey(t), "p256": p256Key(t)} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, Options{Workers: 1})
			own, root := issuedClient(t, key)
			clients := x509.NewCertPool()
			clients.AddCert(root)
			origin := newSecureOrigin(t, tls.VersionTLS12, rsaKey(t), false, clients)
			c := clusterOf("secure", origin.Addr())
			c.TLS = trusts(t, &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: "origin.test", Certificate: own}, origin.root)
			h.applied(having(snap("1", forwards(t, "http", "secure")), cluster.New(c)))
			resp, err := http.Post("http://"+h.address("http")+"/", "text/plain", strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "hello" {
				t.Errorf("%d %q", resp.StatusCode, body)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

func issuedClient(t testing.TB, key crypto.Signer) (*certificate.Certificate, *x509.Certificate) {
	t.Helper()
	der, parsed := selfSigned(t, key, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, "gateway.test")
	return parsedPair(t, key, der, "gateway.test"), parsed
}

func parsedPair(t testing.TB, key crypto.Signer, der []byte, name string) *certificate.Certificate {
	t.Helper()
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
	return c
}

// Health checks speak TLS as requests do: an endpoint that cannot be trusted is down.
func TestTLSHealthChecks(t *testing.T) {
	for name, want := range map[string]int{"origin.test": 200, "other.test": 503} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, Options{Workers: 1})
			origin := newSecureOrigin(t, tls.VersionTLS13, p256Key(t), false, nil)
			c := clusterOf("secure", origin.Addr())
			c.TLS = trusts(t, &tlsclient.Config{Name: tlsclient.NameFixed, ServerName: name}, origin.root)
			c.Health = []cluster.HealthConfig{{HTTP: &cluster.HTTPHealth{Path: "/"}, Healthy: 1, Unhealthy: 1, Every: 50 * time.Millisecond, Timeout: patience}}
			shared := cluster.New(c)
			h.applied(having(snap("1", forwards(t, "http", "secure")), shared))
			for shared.HealthStats().Attempts == 0 {
				time.Sleep(time.Millisecond)
			}
			resp, err := http.Get("http://" + h.address("http") + "/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%d", resp.StatusCode)
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}
