package router

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// The tables of this package hash with fold, a piece at a time: the hash of a
// path up to one slash is what the hash up to the next one goes on from. Only
// configuration gets into the tables and every hit is compared in full, so the
// hash has to be even, not secret.

const hashSeed = 0x9E3779B97F4A7C15

// fold goes on from the hash h with one more piece.
func fold(h uint64, piece []byte) uint64 {
	h += uint64(len(piece)) * 0xD6E8FEB86659FD93
	for len(piece) > 8 {
		h = mix(h ^ binary.LittleEndian.Uint64(piece))
		piece = piece[8:]
	}
	return mix(h ^ tail(piece))
}

// foldLower is fold of the piece in lower case (ASCII).
func foldLower(h uint64, piece []byte) uint64 {
	h += uint64(len(piece)) * 0xD6E8FEB86659FD93
	for len(piece) > 8 {
		h = mix(h ^ lowerWord(binary.LittleEndian.Uint64(piece)))
		piece = piece[8:]
	}
	return mix(h ^ lowerWord(tail(piece)))
}

func mix(x uint64) uint64 {
	high, low := bits.Mul64(x^0xA0761D6478BD642F, 0xE7037ED1A0B428DB)
	return high ^ low
}

// tail is a number made of all of at most 8 bytes; some may be in it twice.
func tail(p []byte) uint64 {
	switch n := len(p); {
	case n >= 8:
		return binary.LittleEndian.Uint64(p)
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(p)) | uint64(binary.LittleEndian.Uint32(p[n-4:]))<<32
	case n > 0:
		return uint64(p[0]) | uint64(p[n/2])<<8 | uint64(p[n-1])<<16
	}
	return 0
}

// lowerWord puts eight bytes into lower case at once: bit 7 of each byte of
// upper tells whether that byte is one of "A" to "Z".
func lowerWord(w uint64) uint64 {
	const ones, sevens = 0x0101010101010101, 0x7F7F7F7F7F7F7F7F
	low := w & sevens
	upper := (low + (0x80-'A')*ones) &^ (low + (0x7F-'Z')*ones) &^ w & (0x80 * ones)
	return w | upper>>2
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// lowerString is s in lower case (ASCII).
func lowerString(s string) string {
	for i := range len(s) {
		if lower(s[i]) != s[i] {
			b := []byte(s)
			for i, c := range b {
				b[i] = lower(c)
			}
			return string(b)
		}
	}
	return s
}

// equalLower reports whether text is key, which is in lower case, but for case.
func equalLower(key string, text []byte) bool {
	if len(key) != len(text) {
		return false
	}
	for i := range len(key) {
		if lower(text[i]) != key[i] {
			return false
		}
	}
	return true
}

// tableSize is the number of slots for n keys: a power of two, half empty.
func tableSize(n int) int {
	return 1 << bits.Len(uint(2*n-1))
}

// gathered copies the keys of a table into one piece of memory, where they lie
// closer together than where they came from.
type gathered struct {
	room int // bytes of all keys
	text strings.Builder
}

func (g *gathered) add(key string) string {
	g.text.Grow(g.room) // once: then there is room
	g.room -= len(key)
	g.text.WriteString(key)
	text := g.text.String()
	return text[len(text)-len(key):]
}
