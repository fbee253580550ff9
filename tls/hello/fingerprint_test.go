package hello_test

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"longmen/tls/hello"
)

// The example of FoxIO's specification, with GREASE mixed in as Chrome does.
func example() offer {
	signatures := words(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
	list := []extension{
		{0x3a3a, nil}, {0x001b, []byte{2, 0, 2}}, sni("example.org"), {0x0033, vector16(join(pair(0x4a4a, []byte{0}), pair(29, make([]byte, 32))))}, alpn("h2", "http/1.1"),
		{0x4469, nil}, {0x0017, nil}, {0x002d, []byte{1, 1}}, {0x000d, vector16(signatures)}, {0x0005, []byte{1, 0, 0, 0, 0}}, {0x0023, nil}, {0x0012, nil},
		{0x002b, vector8(words(0x6a6a, 0x0304, 0x0303))}, {0xff01, []byte{0}}, {0x000b, []byte{1, 0}}, {0x000a, vector16(words(0x4a4a, 29, 23, 24))}, {0x5a5a, []byte{0}}, {0x0015, make([]byte, 9)},
	}
	return offer{
		version: 0x0303, session: make([]byte, 32), compress: []byte{0}, extensions: list,
		suites: []uint16{0x2a2a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035},
	}
}

func TestJA4Published(t *testing.T) {
	var h hello.ClientHello
	if err := h.Parse(example().message()); err != nil {
		t.Fatal(err)
	}
	if got, want := string(h.AppendJA4([]byte("ja4="), hello.TCP)), "ja4=t13d1516h2_8daaf6152771_e5627efa2ab1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	const raw = "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9_" +
		"0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01_0403,0804,0401,0503,0805,0501,0806,0601"
	if got := string(h.AppendJA4Raw(nil, hello.TCP)); got != raw {
		t.Errorf("%s, want %s", got, raw)
	}
	if got := string(h.AppendJA4(nil, hello.QUIC)); got != "q13d1516h2_8daaf6152771_e5627efa2ab1" {
		t.Errorf("QUIC: %s", got)
	}
	const text = "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,27-0-51-16-17513-23-45-13-5-35-18-43-65281-11-10-21,29-23-24,0"
	if got := string(h.AppendJA3Text(nil)); got != text {
		t.Errorf("%s, want %s", got, text)
	}
	if got, want := string(h.AppendJA3([]byte("x"))), fmt.Sprintf("x%x", md5.Sum([]byte(text))); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The first two examples that Salesforce's description of JA3 gives.
func TestJA3Published(t *testing.T) {
	tests := []struct {
		offer      offer
		text, hash string
	}{
		{offer{version: 769, suites: []uint16{47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4}, compress: []byte{0}, extensions: []extension{
			sni("a"), {10, vector16(words(23, 24, 25))}, {11, []byte{1, 0}},
		}}, "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0", "ada70206e40642a3e4461f35503241d5"},
		{offer{version: 769, suites: []uint16{4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99}, compress: []byte{0}, bare: true},
			"769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6"},
	}
	for _, test := range tests {
		var h hello.ClientHello
		if err := h.Parse(test.offer.message()); err != nil {
			t.Fatal(err)
		}
		if text, hash := string(h.AppendJA3Text(nil)), string(h.AppendJA3(nil)); text != test.text || hash != test.hash {
			t.Errorf("%s %s, want %s %s", text, hash, test.text, test.hash)
		}
	}
}

// JA4's rules for what may be missing.
func TestJA4Edges(t *testing.T) {
	tests := []struct {
		name   string
		offer  offer
		prefix string
	}{
		{"nothing", offer{version: 0x0300, suites: []uint16{0x0a0a}, compress: []byte{0}, bare: true}, "ts3i000000_000000000000_000000000000"},
		{"name and protocol alone", offer{version: 0x0302, suites: []uint16{47}, compress: []byte{0}, extensions: []extension{sni("a"), alpn("http/1.1")}}, "t11d0102h1_"},
		{"TLCP", offer{version: 0x0101, suites: []uint16{0xe053}, compress: []byte{0}}, "t00i010000_"},
		{"an address as the name", basic(sni("192.0.2.1")), "t12d010100_"},
		{"one byte of protocol", basic(alpn("x")), "t12i0101xx_"},
		{"ab", basic(alpn("\xab")), "t12i0101ab_"},
		{"ad", basic(alpn("\xab\xcd")), "t12i0101ad_"},
		{"3b", basic(alpn("\x30\xab")), "t12i01013b_"},
		{"3d", basic(alpn("\x30\x31\xab\xcd")), "t12i01013d_"},
		{"01", basic(alpn("\x30\xab\xcd\x31")), "t12i010101_"},
		{"GREASE before the protocol", basic(alpn("\x0a\x0a", "h2")), "t12i0101h2_"},
		{"a hundred suites", offer{version: 0x0301, suites: slices.Repeat([]uint16{47}, 120), compress: []byte{0}, extensions: many(1000, 120)}, "t10i999900_"},
		{"versions of GREASE", basic(extension{43, vector8(words(0x0a0a))}), "t00i010100_"},
	}
	for _, test := range tests {
		var h hello.ClientHello
		if err := h.Parse(test.offer.message()); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		got := string(h.AppendJA4(nil, hello.TCP))
		if !strings.HasPrefix(got, test.prefix) || len(got) != 36 {
			t.Errorf("%s: %s, want %s", test.name, got, test.prefix)
		}
	}
	const list = "0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01" // without signature algorithms
	o := example()
	o.extensions = slices.DeleteFunc(o.extensions, func(e extension) bool { return e.id == 13 })
	var h hello.ClientHello
	if err := h.Parse(o.message()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(strings.Replace(list, "000d,", "", 1)))
	if got, want := string(h.AppendJA4(nil, hello.TCP)), fmt.Sprintf("t13d1515h2_8daaf6152771_%x", sum[:6]); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A client's fingerprints are those of what crypto/tls's server sees of it.
func TestFingerprintsOfGo(t *testing.T) {
	p := captureGo(t, &tls.Config{ServerName: "a.example", NextProtos: []string{"h2"}, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}})
	h, info := parse(t, p), infoOf(t, p)
	var curves []uint16
	for _, c := range info.SupportedCurves {
		curves = append(curves, uint16(c))
	}
	text := fmt.Sprintf("771,%s,%s,%s,0", decimals(info.CipherSuites), decimals(info.Extensions), decimals(curves))
	if got, want := string(h.AppendJA3(nil)), fmt.Sprintf("%x", md5.Sum([]byte(text))); got != want {
		t.Errorf("%s (%s), want %s (%s)", got, h.AppendJA3Text(nil), want, text)
	}
	suites, extensions := slices.Sorted(slices.Values(info.CipherSuites)), slices.Sorted(slices.Values(info.Extensions))
	extensions = slices.DeleteFunc(extensions, func(id uint16) bool { return id == 0 || id == 16 })
	var schemes []uint16
	for _, s := range info.SignatureSchemes {
		schemes = append(schemes, uint16(s))
	}
	first := sha256.Sum256([]byte(hexes(suites)))
	second := sha256.Sum256([]byte(hexes(extensions) + "_" + hexes(schemes)))
	want := fmt.Sprintf("t13d%02d%02dh2_%x_%x", len(suites), len(info.Extensions), first[:6], second[:6])
	if got := string(h.AppendJA4(nil, hello.TCP)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func decimals(list []uint16) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", "-")
}

func hexes(list []uint16) string {
	var parts []string
	for _, v := range list {
		parts = append(parts, fmt.Sprintf("%04x", v))
	}
	return strings.Join(parts, ",")
}
