package hpack

import "longmen/gateway/stream"

// Encoder is one connection's state of what its peer decodes. What it appends
// must be sent, whole and in that order. Its table takes memory from the first
// field that is put into it.
//
// A field is put into the table when it comes for the second time within
// a short while: what changes with each message never pushes out what repeats.
// Strings are sent as they are: Huffman code would cost more time than any copy of
// them does, and what repeats is sent once only.
type Encoder struct {
	table   table
	index   *index
	limit   uint32 // the peer's bound of the table
	lowest  uint32 // the smallest size the table had since the last block
	pending bool   // the peer has to be told of a new size
	ready   bool   // limit is set
}

// index finds entries by their hash. It may forget some.
type index struct {
	slots [slotCount]uint32 // number of an entry + 1
	seen  [seenCount]uint32 // hashes of fields that were sent and not put into the table
}

const (
	slotCount = 256
	seenCount = 64
	// indexedSize is that of the largest entry that is put into the table.
	indexedSize = 512
)

// SetMax sets the peer's SETTINGS_HEADER_TABLE_SIZE, of which no more than 4096
// is used. Without it that is 4096.
func (e *Encoder) SetMax(n uint32) {
	e.begin()
	if n = min(n, defaultTable); n != e.limit {
		e.limit = n
		e.resize(n)
	}
}

// Shed empties the table, which an idle connection need not hold.
func (e *Encoder) Shed() {
	if e.table.count() > 0 {
		e.resize(0)
		e.resize(e.limit)
	}
	e.index = nil
}

// Release makes e that of a new connection, without any memory.
func (e *Encoder) Release() {
	*e = Encoder{}
}

func (e *Encoder) begin() {
	if !e.ready {
		e.ready, e.limit, e.table.max = true, defaultTable, defaultTable
	}
}

func (e *Encoder) resize(n uint32) {
	if !e.pending {
		e.pending, e.lowest = true, n
	}
	e.lowest = min(e.lowest, n)
	e.table.resize(n)
}

// AppendStatus appends the pseudo-header field :status.
func (e *Encoder) AppendStatus(dst []byte, status int) []byte {
	dst = e.appendUpdates(dst)
	switch status {
	case 200:
		return append(dst, 0x88)
	case 204:
		return append(dst, 0x89)
	case 206:
		return append(dst, 0x8a)
	case 304:
		return append(dst, 0x8b)
	case 400:
		return append(dst, 0x8c)
	case 404:
		return append(dst, 0x8d)
	case 500:
		return append(dst, 0x8e)
	}
	return append(dst, 0x08, 3, byte('0'+status/100%10), byte('0'+status/10%10), byte('0'+status%10))
}

// AppendPseudo appends a pseudo-header field of a request.
func (e *Encoder) AppendPseudo(dst []byte, id stream.Known, value []byte) []byte {
	dst = e.appendUpdates(dst)
	name := ":protocol"
	switch id {
	case stream.PseudoMethod:
		switch string(value) {
		case "GET":
			return append(dst, 0x82)
		case "POST":
			return append(dst, 0x83)
		}
		name = ":method"
	case stream.PseudoPath:
		if string(value) == "/" {
			return append(dst, 0x84)
		}
		name = ":path"
	case stream.PseudoScheme:
		switch string(value) {
		case "http":
			return append(dst, 0x86)
		case "https":
			return append(dst, 0x87)
		}
		name = ":scheme"
	case stream.PseudoAuthority:
		name = ":authority"
	}
	return appendField(e, dst, id, name, value, false)
}

// AppendField appends a field. id must be KnownName(name).
func (e *Encoder) AppendField(dst []byte, id stream.Known, name, value []byte) []byte {
	return appendField(e, e.appendUpdates(dst), id, name, value, false)
}

// AppendHeader appends every field of h, but for the known ones whose bit
// (1 << id) is in skip.
func (e *Encoder) AppendHeader(dst []byte, h *stream.Header, skip uint64) []byte {
	dst = e.appendUpdates(dst)
	for i := range h.Len() {
		name, value, id, ok := h.At(i)
		if !ok || skip&(1<<id) != 0 {
			continue
		}
		dst = appendField(e, dst, id, name, value, h.Sensitive(i))
	}
	return dst
}

// EncodedSize is an upper bound of what AppendHeader appends; each field
// appended alone takes no more than 16 bytes beside its name and value.
func EncodedSize(h *stream.Header) int { return h.WireSize() + 12*h.Len() + 16 }

// appendUpdates appends what the peer must know before the next block: the
// smallest size the table had, and its size (RFC 7541 section 4.2).
func (e *Encoder) appendUpdates(dst []byte) []byte {
	if !e.ready {
		e.begin()
	}
	if !e.pending {
		return dst
	}
	e.pending = false
	if e.lowest < e.table.max {
		dst = appendInteger(dst, 0x20, 5, e.lowest)
	}
	return appendInteger(dst, 0x20, 5, e.table.max)
}

func appendField[T ~string | ~[]byte](e *Encoder, dst []byte, id stream.Known, name T, value []byte, sensitive bool) []byte {
	how := byte(0x00)
	switch {
	case sensitive:
		how = 0x10
	case len(name)+len(value)+entryOverhead > min(indexedSize, int(e.table.max)):
	case id == stream.Authorization || id == stream.ProxyAuthorization:
		how = 0x10
	case id == stream.Cookie || id == stream.SetCookie:
		// A short one could be guessed (RFC 7541 section 7.1.3).
		if len(value) < 20 {
			how = 0x10
		}
	case id == stream.PseudoPath && hasQuery(value):
	case id == stream.ContentLength || id == stream.XRequestID:
	default:
		h := hash(id, name, value)
		if number, ok := find(e, h, name, value); ok {
			return appendInteger(dst, 0x80, 7, e.table.next-number+staticCount)
		}
		if e.seenBefore(h) {
			insert(e, h, name, value)
			how = 0x40
		}
	}
	prefix := uint8(4)
	if how == 0x40 {
		prefix = 6
	}
	if n := staticName(id, name); n > 0 {
		dst = appendInteger(dst, how, prefix, uint32(n))
	} else {
		dst = append(dst, how)
		dst = appendInteger(dst, 0, 7, uint32(len(name)))
		dst = append(dst, name...)
	}
	dst = appendInteger(dst, 0, 7, uint32(len(value)))
	return append(dst, value...)
}

func hasQuery(path []byte) bool {
	for _, b := range path {
		if b == '?' {
			return true
		}
	}
	return false
}

// find looks for an entry and returns its number.
func find[T ~string | ~[]byte](e *Encoder, hash uint32, name T, value []byte) (uint32, bool) {
	if e.index == nil {
		return 0, false
	}
	bucket := hash % (slotCount / 2) * 2
	for _, slot := range e.index.slots[bucket : bucket+2] {
		number := slot - 1
		if e.table.next-number-1 >= e.table.count() { // gone, or never there
			continue
		}
		f := e.table.at(number)
		if f.hash != hash || int(f.nameLen) != len(name) {
			continue
		}
		line := e.table.line(f)
		if string(line[:len(name)]) == string(name) && string(line[len(name)+2:len(line)-2]) == string(value) {
			return number, true
		}
	}
	return 0, false
}

// seenBefore notes a field and reports whether it was noted already.
func (e *Encoder) seenBefore(hash uint32) bool {
	if e.index == nil {
		e.index = new(index)
	}
	slot := &e.index.seen[hash>>8%seenCount]
	if *slot == hash {
		return true
	}
	*slot = hash
	return false
}

func insert[T ~string | ~[]byte](e *Encoder, hash uint32, name T, value []byte) {
	var line [indexedSize - lineOverhead]byte
	p := append(append(append(append(line[:0], name...), ": "...), value...), "\r\n"...)
	f := e.table.add(p)
	f.hash, f.nameLen = hash, uint32(len(name))
	slots := e.index.slots[hash%(slotCount/2)*2:][:2]
	slots[0], slots[1] = e.table.next, slots[0] // number + 1
}

// appendInteger appends an integer (RFC 7541 section 5.1) whose first byte has
// the bits of how above its prefix.
func appendInteger(dst []byte, how byte, prefix uint8, n uint32) []byte {
	mask := uint32(1)<<prefix - 1
	if n < mask {
		return append(dst, how|byte(n))
	}
	dst = append(dst, how|byte(mask))
	for n -= mask; n >= 0x80; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}
