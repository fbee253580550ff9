package hello

import (
	"crypto/md5"
	"encoding/hex"
	"strconv"
)

// AppendJA3 appends the JA3 fingerprint, the MD5 of JA3Text in 32 hex digits. A
// buffer that can hold that text, some 400 bytes for a browser, is not grown.
// Clients that shuffle their extensions have many; JA4 does not change with them.
func (h *ClientHello) AppendJA3(dst []byte) []byte {
	text := h.AppendJA3Text(dst)
	sum := md5.Sum(text[len(dst):])
	return hex.AppendEncode(text[:len(dst)], sum[:])
}

// AppendJA3Text appends what JA3 is the hash of: legacy version, suites,
// extensions, groups and point formats in the client's order and in decimal,
// "771,4865-4866,0-10-11,29-23,0", without GREASE values.
func (h *ClientHello) AppendJA3Text(dst []byte) []byte {
	dst = strconv.AppendUint(dst, uint64(h.Version), 10)
	dst = appendDecimals(append(dst, ','), h.Suites)
	dst = append(dst, ',')
	from := len(dst)
	for id := range h.Extensions.All() {
		dst = appendDecimal(dst, from, id)
	}
	dst = appendDecimals(append(dst, ','), h.Groups)
	dst = append(dst, ',')
	from = len(dst)
	for _, format := range h.PointFormats {
		dst = appendDecimal(dst, from, uint16(format))
	}
	return dst
}

func appendDecimals(dst []byte, list Uint16s) []byte {
	from := len(dst)
	for i := range list.Len() {
		dst = appendDecimal(dst, from, list.At(i))
	}
	return dst
}

// appendDecimal appends v to the list that dst[from:] is, unless it is GREASE.
func appendDecimal(dst []byte, from int, v uint16) []byte {
	if IsGREASE(v) {
		return dst
	}
	if len(dst) > from {
		dst = append(dst, '-')
	}
	return strconv.AppendUint(dst, uint64(v), 10)
}
