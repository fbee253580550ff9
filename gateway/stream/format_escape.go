package stream

import (
	"encoding/binary"
	"unicode/utf8"
)

const lowerHex = "0123456789abcdef"

// control reports what a field value must not hold: a control byte other than
// the tab.
func control(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

func blankControls(p []byte) {
	for i, c := range p {
		if control(c) {
			p[i] = ' '
		}
	}
}

func breaksText(c byte) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }

// plain reports whether none of eight bytes breaks text.
func plain(x uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, backslash, del := x^ones*'"', x^ones*'\\', x^ones*0x7f
	return (x|(x-ones*' ')&^x|(quote-ones)&^quote|(backslash-ones)&^backslash|(del-ones)&^del)&highs == 0
}

// escapeText writes each byte of dst[start:] that would break a line of a text
// log as \xNN. The longer form is built behind the text and moved over it, so
// dst is all the memory it takes.
func escapeText(dst []byte, start int) []byte {
	for len(dst)-start >= 8 && plain(binary.LittleEndian.Uint64(dst[start:])) {
		start += 8
	}
	for start < len(dst) && !breaksText(dst[start]) {
		start++
	}
	end := len(dst)
	if start == end {
		return dst
	}
	for i := start; i < end; i++ {
		if c := dst[i]; breaksText(c) {
			dst = append(dst, '\\', 'x', upperHexDigits[c>>4], upperHexDigits[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst[:start+copy(dst[start:], dst[end:])]
}

const upperHexDigits = "0123456789ABCDEF"

// escapeJSON makes of dst[start:] the inside of a JSON string (RFC 8259 section
// 7), in the manner of escapeText. Bytes that are not UTF-8 become U+FFFD.
func escapeJSON(dst []byte, start int) []byte {
	for start < len(dst) && !breaksText(dst[start]) {
		start++
	}
	end := len(dst)
	for i := start; i < end; {
		c := dst[i]
		if c < utf8.RuneSelf {
			dst = appendJSONByte(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(dst[i:end])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, `\ufffd`...)
		} else {
			dst = append(dst, dst[i:i+size]...)
		}
		i += size
	}
	if start == end {
		return dst
	}
	return dst[:start+copy(dst[start:], dst[end:])]
}

func appendJSONByte(dst []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(dst, '\\', c)
	case c == '\n':
		return append(dst, '\\', 'n')
	case c == '\r':
		return append(dst, '\\', 'r')
	case c == '\t':
		return append(dst, '\\', 't')
	case c < ' ' || c == 0x7f:
		return append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
	}
	return append(dst, c)
}
