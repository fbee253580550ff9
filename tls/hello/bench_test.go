package hello_test

import (
	"crypto/tls"
	"testing"

	"longmen/tls/hello"
)

func BenchmarkParse(b *testing.B) {
	p := captureGo(b, &tls.Config{ServerName: "example.org", NextProtos: []string{"h2", "http/1.1"}})
	var h hello.ClientHello
	b.ReportAllocs()
	for b.Loop() {
		msg, _, err := hello.Find(p, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := h.Parse(msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJA4(b *testing.B) {
	h := parse(b, captureGo(b, &tls.Config{ServerName: "example.org", NextProtos: []string{"h2", "http/1.1"}}))
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		h.AppendJA4(buf, hello.TCP)
	}
}
