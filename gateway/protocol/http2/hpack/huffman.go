package hpack

import (
	"encoding/binary"
	"slices"
)

// appendHuffman appends what src, a Huffman-encoded string (RFC 7541 section
// 5.2), decodes to: at most 8/5 of its length. ok is false when its padding is
// wrong or it holds EOS.
func appendHuffman(dst, src []byte) (_ []byte, ok bool) {
	at := len(dst)
	dst = slices.Grow(dst, len(src)*8/5+1)
	out := dst[:cap(dst)]
	var window uint64 // the next bits, from the top
	var bits uint     // how many of them
	for {
		if len(src) >= 8 {
			// What of these eight bytes has no room is there already when it
			// comes again.
			window |= binary.BigEndian.Uint64(src) >> (bits & 63)
			n := (63 - bits) >> 3
			src = src[n:]
			bits += n << 3
		} else {
			for ; bits <= 56 && len(src) > 0; src = src[1:] {
				window |= uint64(src[0]) << (56 - bits)
				bits += 8
			}
		}
		for bits >= 8 {
			code := shortCodes[window>>56]
			if code == 0 {
				symbol, n := longCode(uint32(window >> 32))
				if n == 0 {
					return dst, false
				}
				if n > bits {
					break
				}
				out[at] = symbol
				at++
				window <<= n & 63
				bits -= n
				continue
			}
			out[at] = byte(code >> 4)
			at++
			window <<= code & 15
			bits -= uint(code & 15)
		}
		if len(src) == 0 {
			break
		}
	}
	for bits > 0 {
		code := shortCodes[window>>56]
		n := uint(code & 15)
		if n > bits || code == 0 {
			break
		}
		out[at] = byte(code >> 4)
		at++
		window <<= n
		bits -= n
	}
	// What is left is padding: fewer than eight bits, the first ones of EOS.
	return out[:at], bits < 8 && window == ^(^uint64(0)>>bits)
}

// longCode decodes a code of more than eight bits at the top of window. n is its
// length, 0 for EOS.
func longCode(window uint32) (symbol byte, n uint) {
	for _, c := range longCodes {
		if window < c.end {
			return longSymbols[uint32(c.base)+window>>(32-c.len)-c.first], uint(c.len)
		}
	}
	return 0, 0
}
