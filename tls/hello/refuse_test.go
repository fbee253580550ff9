package hello_test

import (
	"strings"
	"testing"

	"longmen/tls/hello"
)

// What no client may send, and the alert it gets.
func TestParseRefuses(t *testing.T) {
	const (
		illegal = 47
		decode  = 50
		version = 70
	)
	identity := append(vector16([]byte("ticket")), 0, 0, 0, 0)
	binder := vector8(make([]byte, 32))
	with := func(extensions ...extension) offer { return basic(extensions...) }
	tests := []struct {
		name  string
		offer offer
		alert uint8 // 0: accepted
	}{
		{"in order", with(), 0},
		{"no extensions field", offer{version: 0x0301, suites: []uint16{47}, compress: []byte{0}, bare: true}, 0},
		{"a version of nothing", offer{version: 0x0202, suites: []uint16{47}, compress: []byte{0}}, version},
		{"a version close to TLCP's", offer{version: 0x0100, suites: []uint16{47}, compress: []byte{0}}, version},
		{"a later legacy version", offer{version: 0x0305, suites: []uint16{47}, compress: []byte{0}}, 0},
		{"no suites", offer{version: 0x0303, compress: []byte{0}}, decode},
		{"a session id of 32", offer{version: 0x0303, session: make([]byte, 32), suites: []uint16{47}, compress: []byte{0}}, 0},
		{"a session id of 33", offer{version: 0x0303, session: make([]byte, 33), suites: []uint16{47}, compress: []byte{0}}, decode},
		{"no compression list", offer{version: 0x0303, suites: []uint16{47}}, decode},
		{"deflate and null", offer{version: 0x0303, suites: []uint16{47}, compress: []byte{1, 0}}, 0},
		{"deflate alone", offer{version: 0x0303, suites: []uint16{47}, compress: []byte{1}}, illegal},
		{"an unknown extension", with(extension{0x1234, []byte("any")}), 0},
		{"an extension twice", with(extension{0x1234, nil}, extension{23, nil}, extension{0x1234, nil}), illegal},
		{"many extensions", with(many(1000, 3000)...), 0},
		{"many extensions, one twice", with(append(many(1000, 3000), extension{1003, nil})...), illegal},

		{"a name", with(sni("a.example")), 0},
		{"no names", with(extension{0, words(0)}), decode},
		{"an empty name", with(sni("")), decode},
		{"two names", with(extension{0, vector16(join([]byte{0}, vector16([]byte("a")), []byte{0}, vector16([]byte("b"))))}), illegal},
		{"a name and another kind", with(extension{0, vector16(join([]byte{7}, vector16([]byte("?")), []byte{0}, vector16([]byte("b"))))}), 0},
		{"a name list with more behind", with(extension{0, append(sni("a").body, 0)}), decode},
		{"a name shorter than it says", with(extension{0, vector16([]byte{0, 0, 9, 'a'})}), decode},
		{"half a length of a name", with(extension{0, vector16([]byte{0, 0})}), decode},

		{"ALPN", with(alpn("h2")), 0},
		{"no ALPN names", with(extension{16, words(0)}), decode},
		{"an empty ALPN name", with(alpn("h2", "")), decode},
		{"an ALPN name cut short", with(extension{16, vector16([]byte{3, 'h', '2'})}), decode},
		{"ALPN with more behind", with(extension{16, append(alpn("h2").body, 0)}), decode},

		{"versions", with(extension{43, vector8(words(0x0304, 0x0303))}), 0},
		{"no versions", with(extension{43, []byte{0}}), decode},
		{"half a version", with(extension{43, vector8([]byte{3, 4, 3})}), decode},
		{"groups", with(extension{10, vector16(words(29))}), 0},
		{"no groups", with(extension{10, words(0)}), decode},
		{"half a group", with(extension{10, vector16([]byte{0, 29, 0})}), decode},
		{"no signature algorithms", with(extension{13, words(0)}), decode},
		{"no certificate signature algorithms", with(extension{50, words(0)}), decode},
		{"no point formats", with(extension{11, []byte{0}}), decode},
		{"no key shares", with(extension{51, words(0)}), 0},
		{"key shares", with(extension{51, vector16(join(pair(29, make([]byte, 32)), pair(23, make([]byte, 65))))}), 0},
		{"an empty key share", with(extension{51, vector16(pair(29, nil))}), decode},
		{"a key share cut short", with(extension{51, vector16(pair(29, make([]byte, 32))[:20])}), decode},
		{"two key shares of a group", with(extension{51, vector16(join(pair(29, make([]byte, 32)), pair(29, make([]byte, 32))))}), illegal},

		{"a PSK without modes", with(extension{41, join(vector16(identity), vector16(binder))}), 109},
		{"a PSK", with(extension{45, []byte{1, 1}}, extension{41, join(vector16(identity), vector16(binder))}), 0},
		{"a PSK that is not last", with(extension{41, join(vector16(identity), vector16(binder))}, extension{23, nil}), illegal},
		{"a PSK without binder", with(extension{41, join(vector16(identity), words(0))}), decode},
		{"a PSK with two binders", with(extension{41, join(vector16(identity), vector16(join(binder, binder)))}), decode},
		{"a PSK with a short binder", with(extension{41, join(vector16(identity), vector16(vector8(make([]byte, 31))))}), decode},
		{"a PSK without age", with(extension{41, join(vector16(identity[:8]), vector16(binder))}), decode},
		{"no PSKs", with(extension{41, join(words(0), words(0))}), decode},
		{"no PSK modes", with(extension{45, []byte{0}}), decode},
		{"early data", with(extension{42, nil}), 0},
		{"early data with a size", with(extension{42, []byte{0, 0, 0, 1}}), decode},
		{"an empty ECH", with(extension{0xfe0d, nil}), decode},
		{"an inner ECH", with(extension{0xfe0d, []byte{1}}), 0},
		{"an ECH of a third kind", with(extension{0xfe0d, []byte{2}}), decode},
		{"an empty status request", with(extension{5, nil}), decode},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var h hello.ClientHello
			err := h.Parse(test.offer.message())
			var alert uint8
			if bad, ok := err.(*hello.Error); ok {
				alert = bad.Alert
			}
			if alert != test.alert {
				t.Errorf("%v; want alert %d", err, test.alert)
			}
		})
	}
}

// many are n extensions of different types that nobody knows, from first on.
func many(first uint16, n int) (list []extension) {
	for i := range n {
		list = append(list, extension{first + uint16(i), nil})
	}
	return list
}

func TestServerName(t *testing.T) {
	long := strings.Repeat("a", 63)
	tests := []struct {
		in, want string
		ok       bool
	}{
		{"example.org", "example.org", true},
		{"EXAMPLE.Org.", "example.org", true},
		{"localhost", "localhost", true},
		{"xn--fiq228c.example", "xn--fiq228c.example", true},
		{"_srv.a-b.example", "_srv.a-b.example", true},
		{"1.example", "1.example", true},
		{"1.2.3.4.5", "1.2.3.4.5", true},
		{"192.0.2.1", "", true},
		{"2001:db8::1", "", true},
		{"[2001:db8::1]", "", true},
		{"fe80::1", "", true},
		{long + ".example", long + ".example", true},
		{long + "a.example", "", false},
		{strings.Repeat("a.", 126) + "a", strings.Repeat("a.", 126) + "a", true},
		{strings.Repeat("a.", 126) + "a.", strings.Repeat("a.", 126) + "a", true},
		{strings.Repeat("a.", 127) + "a", "", false},
		{".", "", false},
		{"..", "", false},
		{".example", "", false},
		{"a..example", "", false},
		{"a.example..", "", false},
		{"a example", "", false},
		{"a.example\x00", "", false},
		{"a.example:443", "", false},
		{"[a.example]", "", false},
		{"[", "", false},
		{"*.example", "", false},
		{"a/b", "", false},
		{"\xe4\xb8\xad.example", "", false},
	}
	for _, test := range tests {
		var h hello.ClientHello
		err := h.Parse(basic(sni(test.in)).message())
		if (err == nil) != test.ok || err == nil && h.ServerName != test.want {
			t.Errorf("%q: %q, %v; want %q", test.in, h.ServerName, err, test.want)
		}
	}
}

func TestOffers(t *testing.T) {
	old := offer{version: 0x0302, suites: []uint16{47}, compress: []byte{0}}
	var h hello.ClientHello
	if err := h.Parse(old.message()); err != nil || !h.Offers(0x0301) || !h.Offers(0x0302) || h.Offers(0x0303) {
		t.Errorf("TLS 1.1 alone: %v", err)
	}
	old.version = 0x0304
	if err := h.Parse(old.message()); err != nil || !h.Offers(0x0303) || h.Offers(0x0304) {
		t.Errorf("1.3 as legacy version: %v", err)
	}
	if err := h.Parse(basic(extension{43, vector8(words(0x2a2a, 0x0304))}).message()); err != nil || !h.Offers(0x0304) || h.Offers(0x0303) {
		t.Errorf("1.3 alone: %v", err)
	}
}
