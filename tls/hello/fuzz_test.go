package hello_test

import (
	"bytes"
	"testing"

	"longmen/tls/hello"
)

// What is found does not depend on how the bytes come, and nothing that is
// parsed reaches out of the message.
func FuzzFind(f *testing.F) {
	msg := example().message()
	f.Add(records(0x0301, msg, len(msg)), uint16(7))
	f.Add(records(0x0301, msg, 1, 2, 3, 100), uint16(90))
	f.Add(records(0x0101, offer{version: 0x0101, suites: []uint16{0xe013}, compress: []byte{0}, bare: true}.message(), 40), uint16(3))
	f.Add([]byte("GET / HTTP/1.1\r\n"), uint16(1))
	f.Fuzz(func(t *testing.T, p []byte, cut uint16) {
		hello.Sniff(p)
		msg, used, err := hello.Find(p, nil)
		if (msg != nil) != (used > 0) || used > len(p) || used > hello.MaxBytes || err != nil && used > 0 {
			t.Fatalf("%d bytes of message, %d used of %d, %v", len(msg), used, len(p), err)
		}
		_, early, errEarly := hello.Find(p[:int(cut)%(len(p)+1)], nil)
		if errEarly != nil && errEarly != err || early > 0 && early != used {
			t.Fatalf("cut: %d, %v; whole: %d, %v", early, errEarly, used, err)
		}
		if used > 0 {
			parseAnything(t, msg)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(example().message())
	f.Add(basic(sni("A.example."), extension{41, join(vector16(append(vector16([]byte("ticket")), 0, 0, 0, 0)), vector16(vector8(make([]byte, 32))))}).message())
	f.Add(basic(many(1000, 40)...).message())
	f.Add(offer{version: 0x0101, suites: []uint16{0xe013}, compress: []byte{0}, bare: true}.message())
	f.Fuzz(parseAnything)
}

func parseAnything(t *testing.T, msg []byte) {
	before := bytes.Clone(msg)
	var h hello.ClientHello
	if err := h.Parse(msg); err != nil {
		if _, ok := err.(*hello.Error); !ok {
			t.Fatalf("%T: %v", err, err)
		}
		return
	}
	if len(h.AppendJA3(nil)) != 32 || len(h.AppendJA4(nil, hello.TCP)) != 36 {
		t.Fatal("a fingerprint of another length")
	}
	h.Protocols.Has("h2")
	h.KeyShares.Find(29)
	h.Offers(0x0304)
	if !bytes.Equal(before, msg) {
		t.Fatal("the message was changed")
	}
	// The parts make up the whole again.
	o := offer{version: h.Version, session: h.SessionID, compress: h.Compressions}
	for v := range h.Suites.All() {
		o.suites = append(o.suites, v)
	}
	for id, body := range h.Extensions.All() {
		o.extensions = append(o.extensions, extension{id, body})
	}
	again := o.message()
	copy(again[6:38], h.Random)
	o.bare = len(o.extensions) == 0
	bare := o.message()
	copy(bare[6:38], h.Random)
	if !bytes.Equal(again, msg) && !bytes.Equal(bare, msg) {
		t.Fatalf("%x was parsed as %x", msg, again)
	}
}
