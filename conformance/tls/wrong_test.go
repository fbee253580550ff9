package tls_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"testing"

	"longmen/conformance/harness"
)

// A clientHello is written by hand, to be wrong in one way.
type clientHello struct {
	version     uint16
	random      []byte
	session     []byte
	suites      []byte
	compression []byte
	extensions  []extension
	tail        []byte // behind the extensions
}

type extension struct {
	id   uint16
	body []byte
}

func u8(p ...byte) []byte   { return append([]byte{byte(len(p))}, p...) }
func u16s(p ...byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...) }

// newHello is a good hello of TLS 1.3.
func newHello() *clientHello {
	key, _ := ecdh.X25519().GenerateKey(rand.Reader)
	return &clientHello{
		version: 0x0303, random: make([]byte, 32), session: make([]byte, 32), suites: []byte{0x13, 0x01, 0xc0, 0x2b}, compression: []byte{0},
		extensions: []extension{
			{0, u16s(append([]byte{0}, u16s([]byte("p256.test")...)...)...)},
			{10, u16s(0, 29)},
			{13, u16s(4, 3, 8, 4)},
			{16, u16s(u8([]byte("http/1.1")...)...)},
			{43, u8(3, 4)},
			{51, u16s(append([]byte{0, 29}, u16s(key.PublicKey().Bytes()...)...)...)},
		},
	}
}

func (h *clientHello) ext(id uint16) *extension {
	for i := range h.extensions {
		if h.extensions[i].id == id {
			return &h.extensions[i]
		}
	}
	h.extensions = append(h.extensions, extension{id: id})
	return &h.extensions[len(h.extensions)-1]
}

func (h *clientHello) without(id uint16) {
	kept := h.extensions[:0]
	for _, e := range h.extensions {
		if e.id != id {
			kept = append(kept, e)
		}
	}
	h.extensions = kept
}

func (h *clientHello) message() []byte {
	b := binary.BigEndian.AppendUint16(nil, h.version)
	b = append(b, h.random...)
	b = append(b, u8(h.session...)...)
	b = append(b, u16s(h.suites...)...)
	b = append(b, u8(h.compression...)...)
	var ext []byte
	for _, e := range h.extensions {
		ext = binary.BigEndian.AppendUint16(ext, e.id)
		ext = append(ext, u16s(e.body...)...)
	}
	b = append(b, u16s(ext...)...)
	b = append(b, h.tail...)
	return append([]byte{1, byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)
}

func rec(typ byte, version uint16, payload []byte) []byte {
	b := append([]byte{typ}, byte(version>>8), byte(version))
	return append(append(b, byte(len(payload)>>8), byte(len(payload))), payload...)
}

func (h *clientHello) record() []byte { return rec(22, 0x0301, h.message()) }

// edited is a hello with one thing changed.
func edited(edit func(*clientHello)) []byte {
	h := newHello()
	edit(h)
	return h.record()
}

// TestHelloWrong sends hellos that are wrong in one known way, and wants the
// alert that the standards name; several where they leave it open.
func TestHelloWrong(t *testing.T) {
	g, _, _ := helloGateway(t)
	good := newHello().message()
	half := len(good) / 2
	type wrong struct {
		name string
		sent []byte
		want string
		or   string
	}
	all := []wrong{
		{"nothing wrong", newHello().record(), "hello", ""},
		{"record of type 23", rec(23, 0x0303, good), "close", ""},
		{"record of type 21: an alert", rec(21, 0x0301, []byte{2, 40}), "close", ""},
		{"record of type 20", rec(20, 0x0303, []byte{1}), "close", ""},
		{"record version 3.0", rec(22, 0x0300, good), "hello", "alert 70"},
		{"record version 3.4", rec(22, 0x0304, good), "hello", "alert 70"},
		{"record version 2.0", rec(22, 0x0200, good), "close", ""},
		{"empty record", rec(22, 0x0301, nil), "alert 10", ""},
		{"empty record in between", append(rec(22, 0x0301, good[:half]), rec(22, 0x0301, nil)...), "alert 10", ""},
		{"record of 16385", append(rec(22, 0x0301, nil)[:3], 0x40, 0x01, 1), "alert 22", ""},
		{"record of 65535", append(rec(22, 0x0301, nil)[:3], 0xff, 0xff, 1), "alert 22", ""},
		{"another type in between", append(rec(22, 0x0301, good[:half]), rec(23, 0x0303, good[half:])...), "alert 10", ""},
		{"an alert in between", append(rec(22, 0x0301, good[:half]), rec(21, 0x0301, []byte{1, 0})...), "alert 10", ""},
		{"another version in between", append(rec(22, 0x0301, good[:half]), rec(22, 0x0101, good[half:])...), "alert 70", ""},
		{"ServerHello", rec(22, 0x0301, append([]byte{2}, good[1:]...)), "alert 10", ""},
		{"HelloRequest", rec(22, 0x0301, []byte{0, 0, 0, 0}), "alert 10", ""},
		{"message of 16 MB", rec(22, 0x0301, []byte{1, 0xff, 0xff, 0xff}), "alert 47", "alert 50"},
		{"two messages in a record", rec(22, 0x0301, append(bytes.Clone(good), good...)), "alert 10", ""},
		{"empty message", rec(22, 0x0301, []byte{1, 0, 0, 0}), "alert 50", ""},
		{"SSL 2.0", []byte{0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10}, "alert 70", ""},
		{"plain HTTP", []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "http", ""},
		{"zeros", make([]byte, 100), "close", ""},
		{"legacy version 2.0", edited(func(h *clientHello) { h.version = 0x0200 }), "alert 70", ""},
		{"legacy version 1.1", edited(func(h *clientHello) { h.version = 0x0101 }), "alert 70", ""},
		{"session id of 33", edited(func(h *clientHello) { h.session = make([]byte, 33) }), "alert 50", "alert 47"},
		{"no suites", edited(func(h *clientHello) { h.suites = nil }), "alert 50", "alert 40"},
		{"suites of an odd length", edited(func(h *clientHello) { h.suites = []byte{0x13, 1, 2} }), "alert 50", ""},
		{"unknown suites", edited(func(h *clientHello) { h.suites = []byte{0x5a, 0x5a} }), "alert 40", ""},
		{"suites of TLS 1.2 alone", edited(func(h *clientHello) { h.suites = []byte{0xc0, 0x2b} }), "alert 40", ""},
		{"no compression", edited(func(h *clientHello) { h.compression = nil }), "alert 50", "alert 47"},
		{"no null compression", edited(func(h *clientHello) { h.compression = []byte{1} }), "alert 47", ""},
		{"more compressions", edited(func(h *clientHello) { h.compression = []byte{0, 1} }), "alert 47", ""},
		{"bytes behind the extensions", edited(func(h *clientHello) { h.tail = []byte{0} }), "alert 50", ""},
		{"extension twice", edited(func(h *clientHello) { h.extensions = append(h.extensions, h.extensions[1]) }), "alert 47", "alert 50"},
		{"empty server_name", edited(func(h *clientHello) { h.ext(0).body = nil }), "alert 50", ""},
		{"name with NUL", edited(func(h *clientHello) { h.ext(0).body = u16s(append([]byte{0}, u16s('a', 0, 'b')...)...) }), "alert 47", "alert 50"},
		{"empty name", edited(func(h *clientHello) { h.ext(0).body = u16s(0, 0, 0) }), "alert 50", "alert 47"},
		{"no groups", edited(func(h *clientHello) { h.ext(10).body = u16s() }), "alert 50", ""},
		{"groups of an odd length", edited(func(h *clientHello) { h.ext(10).body = u16s(0, 29, 0) }), "alert 50", ""},
		{"groups missing", edited(func(h *clientHello) { h.without(10) }), "alert 109", "alert 40"},
		{"unknown group", edited(func(h *clientHello) { h.ext(10).body = u16s(0x5a, 0x5a); h.ext(51).body = u16s() }), "alert 40", ""},
		{"no signature algorithms", edited(func(h *clientHello) { h.without(13) }), "alert 109", "alert 40"},
		{"empty signature algorithms", edited(func(h *clientHello) { h.ext(13).body = u16s() }), "alert 50", "alert 40"},
		{"unknown signature algorithms", edited(func(h *clientHello) { h.ext(13).body = u16s(0x5a, 0x5a) }), "alert 40", ""},
		{"key share missing", edited(func(h *clientHello) { h.without(51) }), "alert 109", "hello"},
		{"key share of no group offered", edited(func(h *clientHello) { h.ext(51).body[3] = 23 }), "alert 47", "hello"},
		{"key share too short", edited(func(h *clientHello) { h.ext(51).body = u16s(0, 29, 0, 1, 7) }), "alert 47", ""},
		{"key share of zeros", edited(func(h *clientHello) { copy(h.ext(51).body[6:], make([]byte, 32)) }), "alert 47", ""},
		{"two key shares of a group", edited(func(h *clientHello) {
			e := h.ext(51)
			e.body = u16s(append(bytes.Clone(e.body[2:]), e.body[2:]...)...)
		}), "alert 47", ""},
		{"no key share: a retry", edited(func(h *clientHello) { h.ext(51).body = u16s() }), "hello", ""},
		{"versions below 1.2", edited(func(h *clientHello) { h.ext(43).body = u8(3, 2, 3, 1) }), "alert 70", ""},
		{"versions unknown", edited(func(h *clientHello) { h.ext(43).body = u8(0x7a, 0x7a) }), "alert 70", ""},
		{"no versions", edited(func(h *clientHello) { h.ext(43).body = u8() }), "alert 50", ""},
		{"no ALPN", edited(func(h *clientHello) { h.ext(16).body = u16s() }), "alert 50", ""},
		{"empty ALPN name", edited(func(h *clientHello) { h.ext(16).body = u16s(0) }), "alert 50", ""},
		{"unknown ALPN", edited(func(h *clientHello) { h.ext(16).body = u16s(u8('x')...) }), "alert 120", ""},
		{"pre_shared_key not last", edited(func(h *clientHello) {
			h.extensions = append([]extension{{45, u8(1)}, {41, append(u16s(append(u16s('t'), 0, 0, 0, 0)...), u16s(u8(make([]byte, 32)...)...)...)}}, h.extensions...)
		}), "alert 47", "alert 50"},
		{"pre_shared_key without modes", edited(func(h *clientHello) {
			h.ext(41).body = append(u16s(append(u16s('t'), 0, 0, 0, 0)...), u16s(u8(make([]byte, 32)...)...)...)
		}), "alert 109", ""},
		{"pre_shared_key without binders", edited(func(h *clientHello) {
			h.ext(45).body = u8(1)
			h.ext(41).body = append(u16s(append(u16s('t'), 0, 0, 0, 0)...), u16s()...)
		}), "alert 50", "alert 47"},
		{"unknown ticket: a full handshake", edited(func(h *clientHello) {
			h.ext(45).body = u8(1)
			h.ext(41).body = append(u16s(append(u16s('t'), 0, 0, 0, 0)...), u16s(u8(make([]byte, 32)...)...)...)
		}), "hello", ""},
		{"renegotiation in a first hello", edited(func(h *clientHello) { h.without(43); h.ext(0xff01).body = u8(1, 2, 3) }), "alert 40", "alert 50"},
		{"fallback from a version that is served", edited(func(h *clientHello) {
			h.without(43)
			h.suites = append(h.suites, 0x56, 0)
			h.ext(10).body = u16s(0, 29, 0, 23)
		}), "alert 86", ""},
		{"unknown extensions", edited(func(h *clientHello) { h.ext(0x5a5a).body = []byte{0}; h.ext(0xfafa) }), "hello", ""},
		{"names of another domain's version", edited(func(h *clientHello) { h.ext(0).body = u16s(append([]byte{0}, u16s([]byte("rsa.test")...)...)...) }), "alert 70", ""},
		{"TLCP record around a hello of TLS", rec(22, 0x0101, good), "alert 70", ""},
	}
	harness.Report(t, "hello wrong", harness.Longmen, each(all, 20, func(w wrong) string { return "wrong/" + w.name }, func(w wrong) string {
		r, err := send(g.Addr, w.sent, false)
		switch {
		case err != nil:
			return err.Error()
		case r.String() != w.want && r.String() != w.or:
			return r.String() + ", want " + w.want
		case r.after > handshakeTimeout/2:
			return r.String() + " came late: " + r.after.String()
		}
		return ""
	}))
}
