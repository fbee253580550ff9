package hello_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"longmen/tls/hello"
)

func TestParseGo(t *testing.T) {
	h := parse(t, captureGo(t, &tls.Config{ServerName: "Shop.Example.Org", NextProtos: []string{"h2", "http/1.1"}, ClientSessionCache: tls.NewLRUClientSessionCache(1)}))
	if h.ServerName != "shop.example.org" || h.TLCP() || h.Version != 0x0303 || len(h.Random) != 32 || len(h.SessionID) != 32 {
		t.Errorf("name %q, version %#x, session id of %d bytes", h.ServerName, h.Version, len(h.SessionID))
	}
	if !h.Protocols.Has("h2") || !h.Protocols.Has("http/1.1") || h.Protocols.Has("http/1.0") {
		t.Errorf("protocols %q", h.Protocols)
	}
	if !h.Offers(tls.VersionTLS13) || !h.Offers(tls.VersionTLS12) || h.Offers(tls.VersionTLS11) {
		t.Errorf("versions %x", h.Versions)
	}
	if !h.Suites.Has(tls.TLS_AES_128_GCM_SHA256) || h.Suites.Has(0x00c6) || h.Suites.Len() < 5 {
		t.Errorf("suites %x", h.Suites)
	}
	if !h.Groups.Has(uint16(tls.X25519)) || !h.Groups.Has(uint16(tls.X25519MLKEM768)) || !h.Signatures.Has(uint16(tls.PSSWithSHA256)) {
		t.Errorf("groups %x, signatures %x", h.Groups, h.Signatures)
	}
	if key, ok := h.KeyShares.Find(uint16(tls.X25519)); !ok || len(key) != 32 {
		t.Errorf("key shares: %d bytes for X25519", len(key))
	}
	if !h.StatusRequest || !h.Ticket || h.HasTicket || h.PSK || h.EarlyData || h.ECH {
		t.Errorf("status request %v, ticket %v %v, psk %v, early data %v, ech %v", h.StatusRequest, h.Ticket, h.HasTicket, h.PSK, h.EarlyData, h.ECH)
	}
}

func TestParseGoTLS12(t *testing.T) {
	h := parse(t, captureGo(t, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}))
	if h.ServerName != "" || len(h.KeyShares) != 0 || !h.Offers(tls.VersionTLS12) || h.Offers(tls.VersionTLS13) || !slices.Equal(h.PointFormats, []byte{0}) {
		t.Errorf("%+v", h)
	}
}

// The list of crypto/tls's own view of a hello is the same as ours.
func TestParseAgreesWithGo(t *testing.T) {
	for name, config := range configs() {
		p := captureGo(t, config)
		info := infoOf(t, p)
		h := parse(t, p)
		if h.ServerName != info.ServerName {
			t.Errorf("%s: name %q, want %q", name, h.ServerName, info.ServerName)
		}
		var protocols []string
		for p := range h.Protocols.All() {
			protocols = append(protocols, string(p))
		}
		if !slices.Equal(protocols, info.SupportedProtos) {
			t.Errorf("%s: protocols %q, want %q", name, protocols, info.SupportedProtos)
		}
		if got := slices.Collect(h.Suites.All()); !slices.Equal(got, info.CipherSuites) {
			t.Errorf("%s: suites %x, want %x", name, got, info.CipherSuites)
		}
		for i, curve := range info.SupportedCurves {
			if h.Groups.At(i) != uint16(curve) || h.Groups.Len() != len(info.SupportedCurves) {
				t.Errorf("%s: groups %x, want %v", name, h.Groups, info.SupportedCurves)
			}
		}
		for i, scheme := range info.SignatureSchemes {
			if h.Signatures.At(i) != uint16(scheme) || h.Signatures.Len() != len(info.SignatureSchemes) {
				t.Errorf("%s: signatures %x, want %v", name, h.Signatures, info.SignatureSchemes)
			}
		}
		var ids []uint16
		for id := range h.Extensions.All() {
			ids = append(ids, id)
		}
		if !slices.Equal(ids, info.Extensions) {
			t.Errorf("%s: extensions %d, want %d", name, ids, info.Extensions)
		}
		for v := uint16(tls.VersionTLS10); v <= tls.VersionTLS13; v++ {
			if h.Offers(v) != slices.Contains(info.SupportedVersions, v) {
				t.Errorf("%s: offers %#x: %v, want %x", name, v, h.Offers(v), info.SupportedVersions)
			}
		}
	}
}

func configs() map[string]*tls.Config {
	return map[string]*tls.Config{
		"plain":    {ServerName: "a.example"},
		"no name":  {InsecureSkipVerify: true},
		"tls 1.0":  {ServerName: "a.example", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"tls 1.2":  {ServerName: "a.example", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}},
		"tls 1.3":  {ServerName: "a.example", MinVersion: tls.VersionTLS13},
		"protocol": {ServerName: "a-b.c_d.example", NextProtos: []string{"h2", "x", strings.Repeat("y", 255)}},
		"group":    {ServerName: "a.example", CurvePreferences: []tls.CurveID{tls.CurveP384}},
		"address":  {ServerName: "192.0.2.1"},
	}
}

// infoOf is what crypto/tls's server says of the hello p.
func infoOf(t *testing.T, p []byte) (info *tls.ClientHelloInfo) {
	t.Helper()
	server := tls.Server(&replay{bytes.NewReader(p)}, &tls.Config{GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
		info = i
		return nil, errStop
	}})
	if server.Handshake(); info == nil {
		t.Fatal("crypto/tls does not take this hello")
	}
	return info
}

func TestParseResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		h := parse(t, captureResumption(t, version))
		if h.PSK != (version == tls.VersionTLS13) || h.HasTicket != (version == tls.VersionTLS12) {
			t.Errorf("%#x: psk %v, ticket %v", version, h.PSK, h.HasTicket)
		}
		if h.PSK && !bytes.Equal(h.PSKModes, []byte{1}) {
			t.Errorf("psk modes %x", h.PSKModes)
		}
	}
}

func TestParseECH(t *testing.T) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	contents := join([]byte{1}, words(0x0020), vector16(key.PublicKey().Bytes()), vector16(words(1, 1)), []byte{32}, vector8([]byte("public.example")), words(0))
	list := vector16(join(words(0xfe0d), vector16(contents)))
	h := parse(t, captureGo(t, &tls.Config{ServerName: "secret.example", EncryptedClientHelloConfigList: list}))
	if !h.ECH || h.ServerName != "public.example" {
		t.Errorf("ECH %v, name %q", h.ECH, h.ServerName)
	}
}

func TestParseTLCP(t *testing.T) {
	h := parse(t, captureTLCP(t))
	if !h.TLCP() || !h.Suites.Has(0xe013) || h.Offers(tls.VersionTLS10) || h.Offers(0x0101) {
		t.Errorf("version %#x, suites %x", h.Version, h.Suites)
	}
	o := offer{version: 0x0101, suites: []uint16{0xe053, 0xe051}, compress: []byte{0}, bare: true}
	if h = parse(t, records(0x0101, o.message(), 16384)); !h.TLCP() || len(h.Extensions) != 0 {
		t.Errorf("without extensions: %+v", h)
	}
	o.extensions, o.bare = []extension{sni("Bank.Example."), alpn("h2")}, false
	if h = parse(t, records(0x0101, o.message(), 16384)); h.ServerName != "bank.example" || !h.Protocols.Has("h2") {
		t.Errorf("with extensions: %+v", h)
	}
}

func TestParseOpenSSL(t *testing.T) {
	h := parse(t, captureOpenSSL(t, "-servername", "www.example.org", "-alpn", "h2,http/1.1", "-status", "-groups", "P-256:X25519"))
	if h.ServerName != "www.example.org" || !h.Protocols.Has("h2") || !h.StatusRequest || !h.Offers(tls.VersionTLS13) {
		t.Errorf("%+v", h)
	}
	if got := slices.Collect(h.Groups.All()); !slices.Equal(got, []uint16{23, 29}) {
		t.Errorf("groups %d", got)
	}
	if key, ok := h.KeyShares.Find(23); !ok || len(key) != 65 {
		t.Errorf("key share of %d bytes", len(key))
	}
	h = parse(t, captureOpenSSL(t, "-tls1_2", "-noservername", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-max_send_frag", "512"))
	if h.ServerName != "" || h.Suites.Len() != 2 || !h.Suites.Has(0xc02f) || !h.Suites.Has(0x00ff) || !h.Offers(tls.VersionTLS12) || h.Offers(tls.VersionTLS13) {
		t.Errorf("%+v", h)
	}
}

// Hellos of OpenSSL of many kinds are taken, and say what was asked for.
func TestParseOpenSSLKinds(t *testing.T) {
	tests := []struct {
		args []string
		ok   func(h *hello.ClientHello) bool
	}{
		{[]string{"-tls1", "-cipher", "ALL:@SECLEVEL=0"}, func(h *hello.ClientHello) bool {
			return h.Version == 0x0301 && h.Offers(0x0301) && !h.Offers(0x0302) && len(h.Versions) == 0
		}},
		{[]string{"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-groups", "X448", "-sigalgs", "ed25519"}, func(h *hello.ClientHello) bool {
			key, ok := h.KeyShares.Find(30)
			return ok && len(key) == 56 && h.Suites.Has(0x1303) && !h.Suites.Has(0x1301) && h.Signatures.Len() == 1 && h.Signatures.At(0) == 0x0807
		}},
		{[]string{"-psk", "00112233445566778899aabbccddeeff", "-tls1_3"}, func(h *hello.ClientHello) bool {
			return h.PSK && len(h.PSKModes) > 0 && !h.EarlyData
		}},
		{[]string{"-nextprotoneg", "http/1.1", "-serverinfo", "18", "-no_ticket", "-tls1_2"}, func(h *hello.ClientHello) bool {
			_, npn := h.Extensions.Find(13172)
			_, sct := h.Extensions.Find(18)
			return npn && sct && !h.Ticket
		}},
		{[]string{"-servername", "A.Example.", "-alpn", "a,b,c"}, func(h *hello.ClientHello) bool {
			return h.ServerName == "a.example" && h.Protocols.Has("c")
		}},
	}
	for _, test := range tests {
		if h := parse(t, captureOpenSSL(t, test.args...)); !test.ok(h) {
			t.Errorf("%q: %+v", test.args, h)
		}
	}
}

// A message that is cut at any byte, with its lengths left or corrected, and any
// two bytes that are set to extremes, never does more than fail.
func TestParseCut(t *testing.T) {
	for name, p := range map[string][]byte{
		"crypto/tls": captureGo(t, &tls.Config{ServerName: "example.org", NextProtos: []string{"h2"}}),
		"resumption": captureResumption(t, tls.VersionTLS13),
		"tlcp":       captureTLCP(t),
	} {
		msg := message(t, p)
		var h hello.ClientHello
		for n := range len(msg) {
			cut := bytes.Clone(msg[:n])
			if err := h.Parse(cut); err == nil {
				t.Fatalf("%s: cut at %d is accepted", name, n)
			}
			if n >= 4 {
				cut[1], cut[2], cut[3] = 0, byte((n-4)>>8), byte(n-4)
				if err := h.Parse(cut); err == nil && len(h.Extensions) > 0 {
					t.Fatalf("%s: cut at %d and shortened is accepted", name, n)
				}
			}
			for _, v := range []byte{0, 1, 0x7f, 0xff} {
				bent := bytes.Clone(msg)
				bent[n] = v
				if h.Parse(bent) == nil {
					h.AppendJA4Raw(h.AppendJA3(nil), hello.TCP)
				}
			}
		}
	}
}

func TestParseAllocations(t *testing.T) {
	msg := message(t, captureGo(t, &tls.Config{ServerName: "example.org", NextProtos: []string{"h2"}}))
	var h hello.ClientHello
	if n := testing.AllocsPerRun(20, func() {
		if err := h.Parse(msg); err != nil {
			t.Fatal(err)
		}
		if !h.Protocols.Has("h2") {
			t.Fatal("no h2")
		}
	}); n > 1 {
		t.Errorf("%v allocations, want the server name's", n)
	}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(20, func() { h.AppendJA4(h.AppendJA3(buf), hello.TCP) }); n != 0 {
		t.Errorf("%v allocations for the fingerprints", n)
	}
}

func TestGREASE(t *testing.T) {
	n := 0
	for v := range 1 << 16 {
		if hello.IsGREASE(uint16(v)) {
			n++
			if b := binary.BigEndian.AppendUint16(nil, uint16(v)); b[0] != b[1] || b[0]&15 != 10 {
				t.Errorf("%#x is not GREASE", v)
			}
		}
	}
	if n != 16 {
		t.Errorf("%d values", n)
	}
}
