package tlcp

import (
	"encoding/pem"
	"io"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"github.com/tjfoc/gmsm/gmtls"
	"github.com/tjfoc/gmsm/x509"
)

// github.com/tjfoc/gmsm's gmtls is an implementation that shares nothing with ours but the
// standard. It has ECC_SM4_CBC_SM3 alone, and no resumption.

func pemOf(typ string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

// foreignPair is a leaf and its key as gmtls wants them.
func foreignPair(t testing.TB, der []byte, key any) gmtls.Certificate {
	t.Helper()
	pkcs8, err := smx509.MarshalPKCS8PrivateKey(key.(*sm2.PrivateKey))
	check(t, err)
	pair, err := gmtls.GMX509KeyPairsSingle(pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", pkcs8))
	check(t, err)
	return pair
}

func foreignRoots(t testing.TB) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pemOf("CERTIFICATE", pki(t).ca.cert.Raw)) {
		t.Fatal("gmtls cannot read the root")
	}
	return pool
}

// long is data of several records.
func long(from string) string { return strings.Repeat(from+" ", 100_000/len(from)) }

func TestForeignClient(t *testing.T) {
	for name, mutual := range map[string]bool{"plain": false, "mutual": true} {
		t.Run(name, func(t *testing.T) {
			server, _ := configs(t)
			server.Sessions = NewCache(16, deadline)
			config := &gmtls.Config{GMSupport: gmtls.NewGMSupport(), ServerName: "server.test", RootCAs: foreignRoots(t)}
			if mutual {
				server.ClientAuth = ClientAuthRequire
				client := pki(t).client
				config.Certificates = []gmtls.Certificate{foreignPair(t, client.Chain[0], client.Sign)}
			}
			clientEnd, serverEnd := tcpPair(t)
			conn := gmtls.Client(clientEnd, config)
			done := make(chan error, 1)
			go func() {
				_, err := conn.Write([]byte(long("from gmtls")))
				done <- err
			}()
			r, err := Server(serverEnd, server)
			check(t, err)
			if got := receive(t, serverEnd, r.Session, len(long("from gmtls"))); got != long("from gmtls") {
				t.Fatalf("%d bytes", len(got))
			}
			check(t, <-done)
			if r.Suite != ECC_SM4_CBC_SM3 || r.PeerVerified != mutual || mutual && len(r.PeerChain) != 1 {
				t.Errorf("%+v", r)
			}
			_, err = serverEnd.Write(r.Session.AppendClose(r.Session.Seal(nil, []byte(long("to gmtls")))))
			check(t, err)
			got, err := io.ReadAll(conn)
			if string(got) != long("to gmtls") || err != nil {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestForeignServer(t *testing.T) {
	for name, mutual := range map[string]bool{"plain": false, "mutual": true} {
		t.Run(name, func(t *testing.T) {
			_, client := configs(t)
			pair := pki(t).server
			config := &gmtls.Config{GMSupport: gmtls.NewGMSupport(), Certificates: []gmtls.Certificate{
				foreignPair(t, pair.Chain[0], pair.Sign), foreignPair(t, pair.Chain[1], pair.Encrypt),
			}}
			if mutual {
				config.ClientAuth, config.ClientCAs = gmtls.RequireAndVerifyClientCert, foreignRoots(t)
				client.Certificate = pki(t).client
			}
			client.Suites = []uint16{ECC_SM4_GCM_SM3, ECC_SM4_CBC_SM3}
			clientEnd, serverEnd := tcpPair(t)
			done := make(chan error, 1)
			go func() {
				conn := gmtls.Server(serverEnd, config)
				_, err := conn.Write([]byte(long("from gmtls")))
				done <- err
			}()
			r, err := Client(clientEnd, client)
			if err != nil {
				t.Fatal(err, <-done)
			}
			if got := receive(t, clientEnd, r.Session, len(long("from gmtls"))); got != long("from gmtls") {
				t.Fatalf("%d bytes", len(got))
			}
			check(t, <-done)
			if r.Suite != ECC_SM4_CBC_SM3 || !r.PeerVerified {
				t.Errorf("%+v", r)
			}
		})
	}
}
