package tlcp

import (
	"testing"
	"time"
)

// BenchmarkHandshake is both sides of a handshake, the sockets included.
func BenchmarkHandshake(b *testing.B) {
	for _, suite := range []uint16{ECC_SM4_GCM_SM3, ECDHE_SM4_GCM_SM3} {
		for _, resumed := range []bool{false, true} {
			name := SuiteName(suite)
			if resumed {
				name += " resumed"
			}
			b.Run(name, func(b *testing.B) {
				server, client := configs(b)
				client.Suites, client.Certificate = []uint16{suite}, pki(b).client
				if resumed {
					server.Sessions, client.Sessions = NewCache(64, time.Hour), NewCache(64, time.Hour)
				}
				b.ReportAllocs()
				for b.Loop() {
					c := &cutter{record: -1}
					if o := cutOnce(b, server, client, "client", c); o.clientErr != nil || o.serverErr != nil {
						b.Fatal(o.clientErr, o.serverErr)
					}
				}
			})
		}
	}
}
