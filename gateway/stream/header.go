package stream

import "slices"

// Header is an ordered list of header (or trailer) fields. Names are kept in
// lower case; order and duplicates are kept as received. All bytes live in one
// arena that is reused from stream to stream, so the slices handed out are
// valid only until the stream ends and must not be changed.
//
// The zero value is an empty, usable Header.
type Header struct {
	arena  []byte
	fields []field
	known  uint64 // bit i is set when a live field with Known i exists, or existed
	live   int
}

type field struct {
	name, value span
	id          Known
	removed     bool
	sensitive   bool // never to be put into a compression table
	line        bool // the arena holds "name: value" and CR LF in one piece
}

type span struct{ off, len uint32 }

// Reset empties the header and keeps its memory, unless a stream made it
// unusually large.
func (h *Header) Reset() {
	const keepArena, keepFields = 16 << 10, 128
	if cap(h.arena) > keepArena {
		h.arena = nil
	}
	if cap(h.fields) > keepFields {
		h.fields = nil
	}
	h.arena, h.fields = h.arena[:0], h.fields[:0]
	h.known, h.live = 0, 0
}

// Load empties the header and copies raw into its arena, where a parser may
// work in place. AppendSpan then refers to offsets in the returned slice.
func (h *Header) Load(raw []byte) []byte {
	h.fields, h.known, h.live = h.fields[:0], 0, 0
	h.arena = append(h.arena[:0], raw...)
	return h.arena
}

// Arena returns the bytes held so far, for a decoder that appends to them and
// gives the result back by SetArena before the header is looked at. Meanwhile
// it may call AppendSpan, with offsets in what it has.
func (h *Header) Arena() []byte { return h.arena }

// SetArena takes back what Arena gave out.
func (h *Header) SetArena(arena []byte) { h.arena = arena }

// AppendSpan adds a field whose name (already in lower case) and value lie in
// the arena at the given offsets. id must be KnownName(name). line tells that
// they stand there as a line of HTTP/1: "name: value" and CR LF.
func (h *Header) AppendSpan(id Known, nameOff, nameLen, valueOff, valueLen int, line bool) {
	n := len(h.fields)
	if n == cap(h.fields) {
		h.fields = slices.Grow(h.fields, max(16, n))
	}
	h.fields = h.fields[:n+1]
	// Each part is stored where it belongs: a struct that is put together first
	// is copied by wider loads, which wait for the stores.
	f := &h.fields[n]
	f.name.off, f.name.len = uint32(nameOff), uint32(nameLen)
	f.value.off, f.value.len = uint32(valueOff), uint32(valueLen)
	f.id, f.removed, f.sensitive, f.line = id, false, false, line
	h.known |= 1 << id
	h.live++
}

// MarkSensitive marks the field that was appended last as one that must not be
// put into a compression table on its way (RFC 7541 section 7.1.3).
func (h *Header) MarkSensitive() { h.fields[len(h.fields)-1].sensitive = true }

// Sensitive reports whether entry i was marked so.
func (h *Header) Sensitive(i int) bool { return h.fields[i].sensitive }

// Len is the number of entries to pass to At, removed ones included.
func (h *Header) Len() int { return len(h.fields) }

// Count is the number of fields that are present.
func (h *Header) Count() int { return h.live }

// At returns entry i. ok is false for an entry that was removed: skip it.
func (h *Header) At(i int) (name, value []byte, id Known, ok bool) {
	f := &h.fields[i]
	if f.removed {
		return nil, nil, f.id, false
	}
	return h.bytes(f.name), h.bytes(f.value), f.id, true
}

func (h *Header) bytes(s span) []byte { return h.arena[s.off : s.off+s.len : s.off+s.len] }

// Get returns the value of the first field of that name (lower case), or nil.
// A field that is present and empty gives a non-nil empty slice.
func (h *Header) Get(name string) []byte {
	id := KnownName(name)
	if id != Other {
		return h.GetKnown(id)
	}
	for i := range h.fields {
		f := &h.fields[i]
		if f.id == Other && !f.removed && string(h.bytes(f.name)) == name {
			return h.bytes(f.value)
		}
	}
	return nil
}

// GetKnown is Get for a name of the Known list; absent names cost one test.
func (h *Header) GetKnown(id Known) []byte {
	if h.known&(1<<id) == 0 {
		return nil
	}
	for i := range h.fields {
		if f := &h.fields[i]; f.id == id && !f.removed {
			return h.bytes(f.value)
		}
	}
	return nil
}

// Has reports whether a field of that name (lower case) is present.
func (h *Header) Has(name string) bool { return h.Get(name) != nil }

// HasKnown is Has for a name of the Known list.
func (h *Header) HasKnown(id Known) bool { return h.GetKnown(id) != nil }

// HasAny reports whether a field of the known names in mask (1 << id) may be
// present. One that was removed may count.
func (h *Header) HasAny(mask uint64) bool { return h.known&mask != 0 }

// Add appends a field; name must be lower case and both must be valid field
// text (RFC 9110 section 5.5): the caller checks what comes from outside.
func (h *Header) Add(name string, value []byte) {
	h.add(KnownName(name), name, value)
}

// AddString is Add for a value that is a string.
func (h *Header) AddString(name, value string) {
	off := len(h.arena)
	h.arena = append(append(append(append(h.arena, name...), ": "...), value...), "\r\n"...)
	h.AppendSpan(KnownName(name), off, len(name), off+len(name)+2, len(value), true)
}

func (h *Header) add(id Known, name string, value []byte) {
	off := len(h.arena)
	h.arena = append(append(append(append(h.arena, name...), ": "...), value...), "\r\n"...)
	h.AppendSpan(id, off, len(name), off+len(name)+2, len(value), true)
}

// Set replaces every field of that name by one, in the place of the first.
func (h *Header) Set(name string, value []byte) {
	id := KnownName(name)
	first := true
	for i := range h.fields {
		f := &h.fields[i]
		if f.removed || !h.named(f, id, name) {
			continue
		}
		if first {
			first = false
			off := len(h.arena)
			h.arena = append(h.arena, value...)
			f.value, f.line = span{uint32(off), uint32(len(value))}, false
			continue
		}
		f.removed = true
		h.live--
	}
	if first {
		h.add(id, name, value)
	}
}

// Remove removes every field of that name (lower case).
func (h *Header) Remove(name string) {
	id := KnownName(name)
	if id != Other && h.known&(1<<id) == 0 {
		return
	}
	for i := range h.fields {
		if f := &h.fields[i]; !f.removed && h.named(f, id, name) {
			f.removed = true
			h.live--
		}
	}
	if id != Other {
		h.known &^= 1 << id
	}
}

// RemoveAt removes entry i.
func (h *Header) RemoveAt(i int) {
	if f := &h.fields[i]; !f.removed {
		f.removed = true
		h.live--
	}
}

func (h *Header) named(f *field, id Known, name string) bool {
	return f.id == id && (id != Other || string(h.bytes(f.name)) == name)
}

// CopyFrom makes h a copy of src.
func (h *Header) CopyFrom(src *Header) {
	h.arena = append(h.arena[:0], src.arena...)
	h.fields = append(h.fields[:0], src.fields...)
	h.known, h.live = src.known, src.live
}

// WireSize is an upper bound of the bytes that all fields take as lines of
// "name: value" and CR LF.
func (h *Header) WireSize() int { return len(h.arena) + 4*len(h.fields) }

// AppendLines appends every field as a line of HTTP/1, but for the known ones
// whose bit (1 << id) is in skip. Lines that stand side by side in the arena, as
// they were received, are copied in one piece.
func (h *Header) AppendLines(dst []byte, skip uint64) []byte {
	var start, end uint32 // of the lines to be copied
	for i := range h.fields {
		f := &h.fields[i]
		if f.removed || skip&(1<<f.id) != 0 {
			continue
		}
		if !f.line {
			dst = append(dst, h.arena[start:end]...)
			start, end = 0, 0
			dst = append(append(append(append(dst, h.bytes(f.name)...), ": "...), h.bytes(f.value)...), "\r\n"...)
			continue
		}
		if f.name.off != end {
			dst = append(dst, h.arena[start:end]...)
			start = f.name.off
		}
		end = f.value.off + f.value.len + 2
	}
	return append(dst, h.arena[start:end]...)
}
