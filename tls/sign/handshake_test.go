package sign

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"longmen/tls/openssl"
)

// certify makes a certificate for key, signed by itself.
func certify(t testing.TB, key crypto.Signer) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "edge.test"}, DNSNames: []string{"edge.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// shake runs one handshake and returns the client's state of it.
func shake(server, client *tls.Config) (tls.ConnectionState, error) {
	a, b := net.Pipe()
	s, c := tls.Server(a, server), tls.Client(b, client)
	defer a.Close()
	defer b.Close()
	failed := make(chan error, 1)
	go func() {
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("hello"))
		} else {
			a.Close()
		}
		failed <- err
	}()
	err := c.Handshake()
	if err == nil {
		_, err = io.ReadFull(c, make([]byte, 5))
	}
	b.Close()
	return c.ConnectionState(), errors.Join(err, <-failed)
}

// pooled is a signer whose signatures are made by a pool, as the engine does it.
type pooled struct {
	*Key
	pool *Pool
}

func (p pooled) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	c := make(chan error, 1)
	err = p.pool.Submit(&Task{
		Flow: p.Flow(),
		Run:  func() (err error) { sig, err = p.Key.Sign(rand, digest, opts); return err },
		Done: func(err error) { c <- err },
	})
	if err == nil {
		err = <-c
	}
	return sig, err
}

// crypto/tls takes these keys on both sides, in both versions, in every backend.
func TestHandshakes(t *testing.T) {
	pool := newPool(t, Options{Threads: 2})
	for name, source := range goKeys(t) {
		for _, policy := range []Policy{Auto, OpenSSL, Go} {
			if policy == OpenSSL && !openssl.Available() {
				continue
			}
			key := load(t, source, policy)
			cert := certify(t, key)
			cert.PrivateKey = pooled{key, pool}
			roots := x509.NewCertPool()
			roots.AddCert(cert.Leaf)
			for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
				if name == "Ed25519" && version < tls.VersionTLS12 {
					continue
				}
				server := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS10}
				client := &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: roots, ServerName: "edge.test", MinVersion: version, MaxVersion: version}
				state, err := shake(server, client)
				if err != nil || state.Version != version {
					t.Errorf("%v, version %x: %v", key, version, err)
				}
			}
		}
	}
}

// Many handshakes at once with two keys in one pool.
func TestHandshakesTogether(t *testing.T) {
	pool := newPool(t, Options{Threads: 2})
	sources := goKeys(t)
	var clients sync.WaitGroup
	for _, name := range []string{"RSA-2048", "ECDSA P-256"} {
		key := load(t, sources[name], Auto)
		cert := certify(t, key)
		cert.PrivateKey = pooled{key, pool}
		roots := x509.NewCertPool()
		roots.AddCert(cert.Leaf)
		server := &tls.Config{Certificates: []tls.Certificate{cert}}
		client := &tls.Config{RootCAs: roots, ServerName: "edge.test"}
		for range 4 {
			clients.Go(func() {
				for range 10 {
					if _, err := shake(server, client); err != nil {
						t.Errorf("%v: %v", key, err)
					}
				}
			})
		}
	}
	clients.Wait()
	if st := pool.Stats(); st.Done != 80 || st.Shed != 0 || st.Queued != 0 || st.Running != 0 {
		t.Errorf("%+v", st)
	}
}

// A key that is closed fails the handshake and nothing else.
func TestHandshakeWithClosedKey(t *testing.T) {
	if !openssl.Available() {
		t.Skip(openssl.ErrUnavailable)
	}
	key := load(t, goKeys(t)["ECDSA P-256"], OpenSSL)
	cert := certify(t, key)
	key.Close()
	_, err := shake(&tls.Config{Certificates: []tls.Certificate{cert}}, &tls.Config{InsecureSkipVerify: true})
	if err == nil || !strings.Contains(err.Error(), openssl.ErrClosed.Error()) { // crypto/tls does not wrap it
		t.Error(err)
	}
}
