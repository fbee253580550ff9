package handshake

import (
	"testing"
)

// FuzzRead reads whatever a peer may send as records of either protocol: it ends, within the
// bounds, in messages or an error, and never reads beyond a record.
func FuzzRead(f *testing.F) {
	f.Add(true, rec(VersionTLCP, recordHandshake, msg(ClientHello, 40)...))
	f.Add(true, records(msg(ClientHello, 40), 9))
	f.Add(true, append(hand(msg(ClientKeyExchange, 2)...), rec(VersionTLCP, recordChangeCipherSpec, 1)...))
	f.Add(true, rec(VersionTLCP, recordAlert, 1, 41))
	f.Add(false, append(rec(0x0301, recordHandshake, msg(ClientHello, 5)...), rec(VersionTLS12, recordChangeCipherSpec, 1)...))
	f.Add(false, rec(VersionTLS12, recordHandshake, 1, 255, 255, 255))
	f.Fuzz(func(t *testing.T, tlcp bool, input []byte) {
		version := VersionTLS13
		if tlcp {
			version = VersionTLCP
		}
		c, _ := scripted(version, input)
		c.IgnoreChangeCipherSpec()
		for n := 0; ; n++ {
			m, err := c.Read()
			if err != nil {
				if c.Fail(err) == nil {
					t.Fatal("no error")
				}
				return
			}
			if n >= maxMessages || len(m) > maxMessage || len(m) < messageHeader {
				t.Fatalf("message %d of %d bytes", n, len(m))
			}
			if len(m.Body()) != int(m[1])<<16+int(m[2])<<8+int(m[3]) {
				t.Fatalf("%d bytes for a length of %x", len(m.Body()), m[1:4])
			}
		}
	})
}
