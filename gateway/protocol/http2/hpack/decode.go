package hpack

import "longmen/gateway/stream"

// defaultTable is the size of a table before SETTINGS say otherwise (RFC 9113
// section 6.5.2).
const defaultTable = 4096

// Limit bounds what a block may expand to.
type Limit struct {
	Fields int // fields
	Size   int // bytes, each field counted with 32 more (RFC 9113 section 10.5.1)
	Hard   int // size above which decoding stops
}

// Decoder is one connection's state of what its peer encodes. Its table takes
// memory from the first field that is put into it.
type Decoder struct {
	table     table
	announced uint32
	confirmed bool // the peer knows announced
}

// Init begins a connection on which SETTINGS_HEADER_TABLE_SIZE maxTable is
// announced.
func (d *Decoder) Init(maxTable uint32) {
	d.Release()
	d.announced, d.confirmed = maxTable, maxTable == defaultTable
	d.table.max = defaultTable
}

// Confirm notes that the peer acknowledged our SETTINGS. A table that is larger
// than announced must be made smaller by the next block (RFC 7541 section 4.2).
func (d *Decoder) Confirm() { d.confirmed = true }

// Release gives the memory back when the connection is over.
func (d *Decoder) Release() { d.table.clear() }

// decoding is one block on its way into a Header.
type decoding struct {
	h       *stream.Header
	arena   []byte // of h
	size    int
	fields  int
	limit   Limit
	pseudo  uint64 // the pseudo-header fields there were
	regular bool   // other fields came
	err     error  // *FieldError or ErrListSize: what follows is only counted
}

// Decode decodes one whole field block and appends its fields to h, in lines.
// Pseudo-header fields come first, each at most once: the codec takes them out.
//
// Errors are a *CompressionError or ErrBomb, behind which the connection cannot
// go on; or a *FieldError or ErrListSize, of which h has the fields before.
func (d *Decoder) Decode(h *stream.Header, block []byte, limit Limit) error {
	s := decoding{h: h, arena: h.Arena(), limit: limit}
	err := d.decode(&s, block)
	h.SetArena(s.arena)
	if err != nil {
		return err
	}
	return s.err
}

func (d *Decoder) decode(s *decoding, p []byte) error {
	for len(p) > 0 && p[0]&0xe0 == 0x20 {
		n, rest, err := integer(p, 5)
		if err != nil {
			return err
		}
		if n > d.announced && (d.confirmed || n > defaultTable) {
			return errUpdate
		}
		d.table.resize(n)
		p = rest
	}
	if d.confirmed && d.table.max > d.announced {
		return errNoUpdate
	}
	for len(p) > 0 {
		b := p[0]
		var err error
		switch {
		case b > 0x80 && b < 0x80+1+staticCount:
			f := staticTable[b&0x7f]
			p = p[1:]
			err = s.indexed([]byte(f.line), f.nameLen, f.id, sound)
		case b >= 0x80:
			var n uint32
			if n, p, err = integer(p, 7); err != nil {
				return err
			}
			n -= staticCount + 1 // of the small ones only 0 comes here
			if n >= d.table.count() {
				return errIndex
			}
			e := d.table.at(d.table.next - 1 - n)
			err = s.indexed(d.table.line(e), int(e.nameLen), e.id, e.fault)
		case b >= 0x40:
			p, err = d.literal(s, p, 6, true)
		case b >= 0x20:
			return errUpdateLate
		default:
			p, err = d.literal(s, p, 4, false)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// indexed takes a field that stands in a table.
func (s *decoding) indexed(line []byte, nameLen int, id stream.Known, f fault) error {
	if s.count(len(line), id, f) {
		off := len(s.arena)
		s.arena = append(s.arena, line...)
		s.h.AppendSpan(id, off, nameLen, off+nameLen+2, len(line)-nameLen-4, true)
		return nil
	}
	return s.drop(id, f)
}

// count counts a field and reports whether it is to be kept; else it has to be
// dropped.
func (s *decoding) count(lineLen int, id stream.Known, f fault) bool {
	s.size += lineLen + lineOverhead
	s.fields++
	if s.size > s.limit.Size || s.fields > s.limit.Fields || f != sound {
		return false
	}
	if id < stream.PseudoMethod {
		s.regular = true
		return true
	}
	bit := uint64(1) << id
	twice := s.pseudo & bit
	s.pseudo |= bit
	return twice == 0 && !s.regular
}

// drop notes why a field is not kept. Those behind it are not, either.
func (s *decoding) drop(id stream.Known, f fault) error {
	if s.size > s.limit.Hard {
		return ErrBomb
	}
	if f == sound && id >= stream.PseudoMethod {
		switch {
		case s.regular:
			f = faultPseudoLate
		case s.pseudo&(1<<id) != 0:
			f = faultPseudoTwice
		}
	}
	s.limit.Fields = 0 // count drops what follows
	if f != sound {
		s.err = fieldErrors[f]
	} else if s.err == nil {
		s.err = ErrListSize
	}
	return nil
}

// literal takes a field whose value, and maybe name, stands in the block
// (RFC 7541 section 6.2).
func (d *Decoder) literal(s *decoding, p []byte, prefix uint8, index bool) ([]byte, error) {
	never := p[0]&0xf0 == 0x10
	n, p, err := integer(p, prefix)
	if err != nil {
		return nil, err
	}
	arena, off := s.arena, len(s.arena)
	nameLen, id, f := 0, stream.Other, sound
	switch {
	case n == 0:
		if arena, p, err = appendText(arena, p); err != nil {
			return nil, err
		}
		name := arena[off:]
		nameLen, id = len(name), stream.KnownName(name)
		if id == stream.Other {
			f = checkName(name)
		}
		arena = append(arena, ": "...)
	case n <= staticCount:
		e := staticTable[n]
		nameLen, id = e.nameLen, e.id
		arena = append(arena, e.line[:nameLen+2]...)
	case n-staticCount > d.table.count():
		return nil, errIndex
	default:
		e := d.table.at(d.table.next - (n - staticCount))
		nameLen, id = int(e.nameLen), e.id
		arena = append(arena, d.table.line(e)[:nameLen+2]...)
		if e.fault != sound && id == stream.Other {
			f = checkName(arena[off : off+nameLen])
		}
	}
	value := len(arena)
	if arena, p, err = appendText(arena, p); err != nil {
		return nil, err
	}
	if f == sound {
		f = checkValue(arena[value:])
	}
	valueLen := len(arena) - value
	arena = append(arena, "\r\n"...)
	line := arena[off:]
	if index {
		if e := d.table.add(line); e != nil {
			e.nameLen, e.id, e.fault = uint32(nameLen), id, f
		}
	}
	s.arena = arena
	if !s.count(len(line), id, f) {
		s.arena = arena[:off]
		return p, s.drop(id, f)
	}
	s.h.AppendSpan(id, off, nameLen, value, valueLen, true)
	if never {
		s.h.MarkSensitive()
	}
	return p, nil
}

// appendText appends the string literal that p begins with (RFC 7541 section
// 5.2).
func appendText(dst, p []byte) (_, rest []byte, err error) {
	if len(p) == 0 {
		return dst, nil, errTruncated
	}
	huffman := p[0]&0x80 != 0
	n, p, err := integer(p, 7)
	if err != nil {
		return dst, nil, err
	}
	if uint64(n) > uint64(len(p)) {
		return dst, nil, errTruncated
	}
	text, rest := p[:n], p[n:]
	if !huffman {
		return append(dst, text...), rest, nil
	}
	dst, ok := appendHuffman(dst, text)
	if !ok {
		return dst, nil, errHuffman
	}
	return dst, rest, nil
}

// integer reads the integer that p, which is not empty, begins with (RFC 7541
// section 5.1). Nothing in a block can be as large as 2^28.
func integer(p []byte, prefix uint8) (n uint32, rest []byte, err error) {
	mask := byte(1)<<prefix - 1
	if b := p[0] & mask; b < mask {
		return uint32(b), p[1:], nil
	}
	n = uint32(mask)
	for i := 1; i < len(p); i++ {
		b := p[i]
		if i > 4 {
			return 0, nil, errInteger
		}
		n += uint32(b&0x7f) << (7 * (i - 1))
		if b < 0x80 {
			return n, p[i+1:], nil
		}
	}
	return 0, nil, errTruncated
}
