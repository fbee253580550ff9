package std

import (
	"crypto/tls"
	"net"
	"testing"
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
