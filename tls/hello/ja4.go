package hello

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Transport is the first letter of a JA4 fingerprint.
type Transport byte

const (
	TCP  Transport = 't'
	QUIC Transport = 'q'
)

// AppendJA4 appends the JA4 fingerprint of FoxIO's published specification
// (github.com/FoxIO-LLC/ja4, technical_details/JA4.md), 36 bytes like
// "t13d1516h2_8daaf6152771_e5627efa2ab1": transport, version, whether a server is
// named, how many suites and extensions, the first ALPN name's first and last
// character; the hash of the sorted suites; the hash of the sorted extensions and
// of the signature algorithms. GREASE values do not count. A buffer that can hold
// AppendJA4Raw's text, some 250 bytes for a browser, is not grown.
func (h *ClientHello) AppendJA4(dst []byte, transport Transport) []byte {
	dst = append(h.appendJA4A(dst, transport), '_')
	dst = hashed(h.appendJA4Suites(dst), len(dst))
	dst = append(dst, '_')
	return hashed(h.appendJA4Extensions(dst), len(dst))
}

// AppendJA4Raw appends JA4_r, the fingerprint with the lists themselves in the
// place of their hashes.
func (h *ClientHello) AppendJA4Raw(dst []byte, transport Transport) []byte {
	dst = append(h.appendJA4A(dst, transport), '_')
	dst = append(h.appendJA4Suites(dst), '_')
	return h.appendJA4Extensions(dst)
}

func (h *ClientHello) appendJA4A(dst []byte, transport Transport) []byte {
	dst = append(append(dst, byte(transport)), h.ja4Version()...)
	_, named := h.Extensions.Find(extServerName)
	if named {
		dst = append(dst, 'd')
	} else {
		dst = append(dst, 'i')
	}
	suites, extensions := 0, 0
	for v := range h.Suites.All() {
		suites += ja4Counts(v)
	}
	for id := range h.Extensions.All() {
		extensions += ja4Counts(id)
	}
	dst = appendTwoDigits(appendTwoDigits(dst, suites), extensions)
	first, last := h.ja4Protocol()
	return append(dst, first, last)
}

func ja4Counts(v uint16) int {
	if IsGREASE(v) {
		return 0
	}
	return 1
}

func appendTwoDigits(dst []byte, n int) []byte {
	n = min(n, 99)
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// ja4Version is the highest version offered.
func (h *ClientHello) ja4Version() string {
	version := h.Version
	if len(h.Versions) > 0 {
		version = 0
		for v := range h.Versions.All() {
			if !IsGREASE(v) {
				version = max(version, v)
			}
		}
	}
	switch version {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	}
	return "00"
}

// ja4Protocol is the first ALPN name's first and last character, those of its hex
// form when one of its ends is no letter or digit, and 00 without a name.
func (h *ClientHello) ja4Protocol() (first, last byte) {
	for p := range h.Protocols.All() {
		first, last = p[0], p[len(p)-1]
		if len(p) == 2 && IsGREASE(versionAt(p)) {
			continue
		}
		if alphanumeric(first) && alphanumeric(last) {
			return first, last
		}
		const digits = "0123456789abcdef"
		return digits[first>>4], digits[last&15]
	}
	return '0', '0'
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func (h *ClientHello) appendJA4Suites(dst []byte) []byte {
	var few [64]uint16
	suites := few[:0]
	for v := range h.Suites.All() {
		if !IsGREASE(v) {
			suites = append(suites, v)
		}
	}
	slices.Sort(suites)
	return appendHex(dst, suites)
}

// appendJA4Extensions leaves out server_name and ALPN, which the first part tells
// of: so a client has one value whatever it goes to.
func (h *ClientHello) appendJA4Extensions(dst []byte) []byte {
	var few [64]uint16
	extensions := few[:0]
	for id := range h.Extensions.All() {
		if id != extServerName && id != extALPN && !IsGREASE(id) {
			extensions = append(extensions, id)
		}
	}
	slices.Sort(extensions)
	dst = appendHex(dst, extensions)
	signatures := few[:0]
	for v := range h.Signatures.All() {
		if !IsGREASE(v) {
			signatures = append(signatures, v)
		}
	}
	if len(signatures) == 0 {
		return dst
	}
	return appendHex(append(dst, '_'), signatures)
}

// appendHex appends values as "1301,1302".
func appendHex(dst []byte, values []uint16) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = hex.AppendEncode(dst, []byte{byte(v >> 8), byte(v)})
	}
	return dst
}

// hashed puts 12 digits of the SHA-256 of p[from:] in its place, zeros when that
// is empty.
func hashed(p []byte, from int) []byte {
	if len(p) == from {
		return append(p, "000000000000"...)
	}
	sum := sha256.Sum256(p[from:])
	return hex.AppendEncode(p[:from], sum[:6])
}
