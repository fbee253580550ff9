package record

import (
	"encoding/binary"
	"math/bits"
)

// sm3Compress is SM3's compression function (GB/T 32905-2016 §5.3). gmsm's is several times
// faster and hashes all that it can; this one is for the few last blocks of a CBC record, whose
// number must not be told by the time they take.
func sm3Compress(v *[8]uint32, block *[64]byte) {
	var w [68]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	for i := 16; i < len(w); i++ {
		x := w[i-16] ^ w[i-9] ^ bits.RotateLeft32(w[i-3], 15)
		p1 := x ^ bits.RotateLeft32(x, 15) ^ bits.RotateLeft32(x, 23)
		w[i] = p1 ^ bits.RotateLeft32(w[i-13], 7) ^ w[i-6]
	}
	a, b, c, d, e, f, g, h := v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
	for i := range 64 {
		t, ff, gg := uint32(0x79cc4519), a^b^c, e^f^g
		if i >= 16 {
			t, ff, gg = 0x7a879d8a, a&b|a&c|b&c, e&f|^e&g
		}
		ss1 := bits.RotateLeft32(bits.RotateLeft32(a, 12)+e+bits.RotateLeft32(t, i), 7)
		tt1 := ff + d + (ss1 ^ bits.RotateLeft32(a, 12)) + (w[i] ^ w[i+4])
		tt2 := gg + h + ss1 + w[i]
		a, b, c, d = tt1, a, bits.RotateLeft32(b, 9), c
		e, f, g, h = tt2^bits.RotateLeft32(tt2, 9)^bits.RotateLeft32(tt2, 17), e, bits.RotateLeft32(f, 19), g
	}
	v[0], v[1], v[2], v[3] = v[0]^a, v[1]^b, v[2]^c, v[3]^d
	v[4], v[5], v[6], v[7] = v[4]^e, v[5]^f, v[6]^g, v[7]^h
}
