package hello

import (
	"encoding/binary"
	"iter"
)

// Uint16s is a list of two-byte numbers as it is on the wire: cipher suites,
// groups, signature schemes, versions. GREASE values (RFC 8701) are still in it;
// they are equal to no real value.
type Uint16s []byte

// Len is the number of values.
func (l Uint16s) Len() int { return len(l) / 2 }

// At is value i, which must be below Len.
func (l Uint16s) At(i int) uint16 { return binary.BigEndian.Uint16(l[2*i:]) }

// Has says whether v is in the list.
func (l Uint16s) Has(v uint16) bool {
	for i := range l.Len() {
		if l.At(i) == v {
			return true
		}
	}
	return false
}

// All gives the values in the client's order of preference.
func (l Uint16s) All() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		for i := range l.Len() {
			if !yield(l.At(i)) {
				return
			}
		}
	}
}

// IsGREASE says whether v is one of the values that clients mix in to keep
// servers tolerant of the unknown (RFC 8701, 2).
func IsGREASE(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

// Protocols is the client's ALPN list as it is on the wire (RFC 7301, 3.1):
// names of 1 to 255 bytes behind their length.
type Protocols []byte

// Has says whether the client offers that protocol.
func (l Protocols) Has(protocol string) bool {
	for p := range l.All() {
		if string(p) == protocol {
			return true
		}
	}
	return false
}

// All gives the names in the client's order of preference; each is a part of the
// ClientHello.
func (l Protocols) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(l) > 0 {
			n := 1 + int(l[0])
			if !yield(l[1:n]) {
				return
			}
			l = l[n:]
		}
	}
}

// Pairs is a list of numbered values as it is on the wire, each with two bytes of
// number and two of length: extensions, or the groups and keys of key_share.
type Pairs []byte

// All gives the values in their order; each is a part of the ClientHello.
func (l Pairs) All() iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(l) > 0 {
			n := 4 + int(binary.BigEndian.Uint16(l[2:]))
			if !yield(binary.BigEndian.Uint16(l), l[4:n]) {
				return
			}
			l = l[n:]
		}
	}
}

// Find is the value of that number, and whether there is one.
func (l Pairs) Find(number uint16) (value []byte, ok bool) {
	for n, v := range l.All() {
		if n == number {
			return v, true
		}
	}
	return nil, false
}

// wellFormed says whether the lengths in l add up to it, which All relies on.
func (l Pairs) wellFormed() bool {
	for len(l) > 0 {
		if len(l) < 4 {
			return false
		}
		n := 4 + int(binary.BigEndian.Uint16(l[2:]))
		if n > len(l) {
			return false
		}
		l = l[n:]
	}
	return true
}

// repeats says whether a number occurs twice. A client sends about 20; for a
// list that is made to cost time, the numbers are marked off in a table.
func (l Pairs) repeats() bool {
	var few [32]uint16
	n := 0
	for number := range l.All() {
		for _, other := range few[:n] {
			if other == number {
				return true
			}
		}
		if n == len(few) {
			return l.repeatsMany()
		}
		few[n] = number
		n++
	}
	return false
}

func (l Pairs) repeatsMany() bool {
	var seen [1 << 16 / 64]uint64
	for number := range l.All() {
		bit := uint64(1) << (number % 64)
		if seen[number/64]&bit != 0 {
			return true
		}
		seen[number/64] |= bit
	}
	return false
}
