package std

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"

	"longmen/tls/handshake"
	"longmen/tls/record"
)

// SelfTest proves that connections can be taken over from the crypto/tls that this program was
// built with: TLS 1.2 and 1.3, as server and as client, full handshakes and resumed ones, each
// with crypto/tls on the other side. It takes some milliseconds and touches no network. If it
// fails, no handshake of this package is to be trusted.
func SelfTest() error {
	certificate, roots, err := selfSigned()
	if err != nil {
		return fmt.Errorf("std: self-test: %w", err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		server := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: version, MaxVersion: version}
		for _, role := range []string{"server", "client"} {
			client := &tls.Config{
				RootCAs: roots, ServerName: selfTestName, MinVersion: version, MaxVersion: version,
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			}
			for _, resumed := range []bool{false, true} {
				if err := takeOverOne(role, server, client, resumed); err != nil {
					return fmt.Errorf("std: crypto/tls of %s as %s cannot be taken over: %w", tls.VersionName(version), role, err)
				}
			}
		}
	}
	return nil
}

const selfTestName = "self.test"

func selfSigned() (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{selfTestName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, roots, nil
}

// takeOverOne runs one connection, of which our side has the role.
func takeOverOne(role string, server, client *tls.Config, resumed bool) error {
	near, far := newPipe()
	defer near.Close()
	peer := tls.Client(far, client)
	if role == "client" {
		peer = tls.Server(far, server)
	}
	echoed := make(chan error, 1)
	go func() {
		defer far.Close()
		echoed <- echo(peer)
	}()
	var result *handshake.Result
	var err error
	if role == "client" {
		result, err = Client(near, client, Options{})
	} else {
		result, err = Server(near, server, Options{})
	}
	if err == nil && result.Resumed != resumed {
		err = fmt.Errorf("resumed is %v", result.Resumed)
	}
	if err == nil {
		err = ask(near, result.Session)
	}
	near.Close()
	return errors.Join(err, <-echoed)
}

const question, rounds = "0123456789abcdef", 3

// echo is the peer.
func echo(conn net.Conn) error {
	got := make([]byte, len(question))
	for range rounds {
		if _, err := io.ReadFull(conn, got); err != nil {
			return err
		}
		if _, err := conn.Write(got); err != nil {
			return err
		}
	}
	return nil
}

// ask is our side.
func ask(conn net.Conn, session *record.Session) error {
	in := make([]byte, 0, 2*record.MaxSize)
	for range rounds {
		if _, err := conn.Write(session.Seal(nil, []byte(question))); err != nil {
			return err
		}
		var answer []byte
		for len(answer) < len(question) {
			n, err := conn.Read(in[len(in):cap(in)])
			if err != nil {
				return err
			}
			in = in[:len(in)+n]
			plain, used, err := session.Open(in)
			if err != nil {
				return err
			}
			answer = append(answer, plain...)
			in = in[:copy(in, in[used:])]
		}
		if string(answer) != question {
			return errors.New("what was opened is not what was sealed")
		}
	}
	return nil
}
