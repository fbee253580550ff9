package hpack

import (
	"encoding/binary"
	"errors"
)

// CompressionError says why a block cannot be decoded: the connection is
// beyond repair, and ends with COMPRESSION_ERROR (RFC 9113 section 4.3).
type CompressionError struct{ what string }

func (e *CompressionError) Error() string { return "hpack: " + e.what }

var (
	errTruncated  = &CompressionError{"the block ends within a field"}
	errInteger    = &CompressionError{"integer is too large"}
	errIndex      = &CompressionError{"no entry of that index"}
	errHuffman    = &CompressionError{"malformed Huffman code"}
	errUpdate     = &CompressionError{"table size update above the limit"}
	errUpdateLate = &CompressionError{"table size update within a block"}
	errNoUpdate   = &CompressionError{"the table was not made smaller as SETTINGS demanded"}
)

// FieldError says what is wrong with a field of a block that was decoded: its
// message is malformed (RFC 9113 section 8.1.1).
type FieldError struct{ what string }

func (e *FieldError) Error() string { return e.what }

var (
	// ErrListSize says that a block has more fields, or a larger field section
	// (RFC 9113 section 10.5.1), than Limit allows. It was decoded to its end.
	ErrListSize = errors.New("hpack: the field section is too large")
	// ErrBomb says that a field section is larger than Limit.Hard. It was not
	// decoded to its end: the connection must not be used any more.
	ErrBomb = errors.New("hpack: the field section expands beyond all measure")
)

// A fault is the number of a FieldError, as an entry of the table keeps it.
type fault uint8

const (
	sound fault = iota
	faultName
	faultCase
	faultValue
	faultSpace
	faultPseudo
	faultPseudoLate
	faultPseudoTwice
)

var fieldErrors = [...]*FieldError{
	faultName:        {"malformed field name"},
	faultCase:        {"field name in upper case"},
	faultValue:       {"control character in a field value"},
	faultSpace:       {"whitespace around a field value"},
	faultPseudo:      {"unknown pseudo-header field"},
	faultPseudoLate:  {"pseudo-header field behind other fields"},
	faultPseudoTwice: {"pseudo-header field twice"},
}

// nameBytes are those of a token (RFC 9110 section 5.6.2) in lower case.
var nameBytes = [256]bool{
	'!': true, '#': true, '$': true, '%': true, '&': true, '\'': true, '*': true, '+': true, '-': true, '.': true,
	'^': true, '_': true, '`': true, '|': true, '~': true,
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true, 'g': true, 'h': true, 'i': true, 'j': true,
	'k': true, 'l': true, 'm': true, 'n': true, 'o': true, 'p': true, 'q': true, 'r': true, 's': true, 't': true,
	'u': true, 'v': true, 'w': true, 'x': true, 'y': true, 'z': true,
}

// checkName looks for what RFC 9113 section 8.2.1 forbids. Of pseudo-header
// fields only the known ones come here with their colon.
func checkName(name []byte) fault {
	if len(name) == 0 {
		return faultName
	}
	for i, b := range name {
		switch {
		case nameBytes[b]:
		case 'A' <= b && b <= 'Z':
			return faultCase
		case b == ':' && i == 0:
			return faultPseudo
		default:
			return faultName
		}
	}
	return sound
}

// checkValue looks for what RFC 9113 section 8.2.1 forbids: controls but tab,
// DEL, and whitespace at either end. Eight bytes are looked at at a time; a byte
// that merely might be one is looked at alone.
func checkValue(p []byte) fault {
	if len(p) == 0 {
		return sound
	}
	if first, last := p[0], p[len(p)-1]; first == ' ' || first == '\t' || last == ' ' || last == '\t' {
		return faultSpace
	}
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for len(p) >= 8 {
		x := binary.LittleEndian.Uint64(p)
		del := x ^ ones*0x7f
		if ((x-ones*0x20)&^x|(del-ones)&^del)&highs != 0 && hasControl(p[:8]) {
			return faultValue
		}
		p = p[8:]
	}
	if hasControl(p) {
		return faultValue
	}
	return sound
}

func hasControl(p []byte) bool {
	for _, b := range p {
		if b < 0x20 && b != '\t' || b == 0x7f {
			return true
		}
	}
	return false
}
