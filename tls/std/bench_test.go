package std

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"longmen/tls/ticket"
)

// BenchmarkServer is a handshake, of crypto/tls alone and taken over; both have crypto/tls as
// client in the same measure.
func BenchmarkServer(b *testing.B) {
	ca := newAuthority(b)
	config := &tls.Config{Certificates: []tls.Certificate{ca.issue(b, false)}}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, serve := range map[string]func(net.Conn) error{
			"crypto-tls": func(conn net.Conn) error { return tls.Server(conn, config).Handshake() },
			"taken-over": func(conn net.Conn) error { _, err := Server(conn, config, Options{}); return err },
		} {
			b.Run(tls.VersionName(version)+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					near, far := newPipe()
					done := make(chan error, 1)
					go func() {
						done <- tls.Client(far, &tls.Config{RootCAs: ca.pool, ServerName: testName, MaxVersion: version}).Handshake()
					}()
					if err := serve(near); err != nil {
						b.Fatal(err)
					}
					if err := <-done; err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkResumed12 is a handshake that resumes a session of TLS 1.2 by its ticket, likewise.
func BenchmarkResumed12(b *testing.B) {
	ca := newAuthority(b)
	config := &tls.Config{
		Certificates: []tls.Certificate{ca.issue(b, false)}, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	}
	config.SetSessionTicketKeys([][32]byte{{1}})
	source, err := ticket.Random(ticket.Options{})
	if err != nil {
		b.Fatal(err)
	}
	options := Options{Tickets: source.Context("bench"), Now: time.Now()}
	for name, serve := range map[string]func(net.Conn) error{
		"crypto-tls":              func(conn net.Conn) error { return tls.Server(conn, config).Handshake() },
		"taken-over":              func(conn net.Conn) error { _, err := Server(conn, config, Options{}); return err },
		"taken-over with tickets": func(conn net.Conn) error { _, err := Server(conn, config, options); return err },
	} {
		b.Run(name, func(b *testing.B) {
			client := &tls.Config{RootCAs: ca.pool, ServerName: testName, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			handshake := func() (resumed bool) {
				near, far := newPipe()
				done := make(chan error, 1)
				conn := tls.Client(far, client)
				go func() { done <- conn.Handshake() }()
				if err := serve(near); err != nil {
					b.Fatal(err)
				}
				if err := <-done; err != nil {
					b.Fatal(err)
				}
				return conn.ConnectionState().DidResume
			}
			handshake()
			b.ReportAllocs()
			for b.Loop() {
				if !handshake() {
					b.Fatal("not resumed")
				}
			}
		})
	}
}
