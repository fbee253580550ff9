package hpack

import "longmen/gateway/stream"

// entryOverhead is what an entry counts beside its name and value (RFC 7541
// section 4.1); as a line it has four bytes more than these two.
const (
	entryOverhead = 32
	lineOverhead  = entryOverhead - len(": \r\n")
)

// A table is a dynamic table (RFC 7541 section 2.3.2). Its lines stand one behind
// the other, oldest first, in an arena that is moved together when its end is
// reached. An empty table that was never used, or was cleared, holds no memory.
type table struct {
	ring   []entry // a power of two of them
	oldest uint32  // number of the oldest entry; numbers count insertions and wrap
	next   uint32  // number of the next one
	lines  []byte
	size   uint32 // as RFC 7541 section 4.1 counts
	max    uint32
}

type entry struct {
	off, len, nameLen uint32 // of the line
	hash              uint32 // of an encoder's entry
	id                stream.Known
	fault             fault // of a decoder's entry
}

func (t *table) count() uint32 { return t.next - t.oldest }

func (t *table) at(number uint32) *entry { return &t.ring[number&uint32(len(t.ring)-1)] }

func (t *table) line(e *entry) []byte { return t.lines[e.off : e.off+e.len] }

// add inserts a line, which may be part of the arena of another, and evicts
// what has no room beside it. It returns nil when the line is larger than the
// table, which is empty then.
func (t *table) add(line []byte) *entry {
	need := uint32(len(line) + lineOverhead)
	if need > t.max {
		t.clear()
		return nil
	}
	t.evict(t.max - need)
	if int(t.count()) == len(t.ring) {
		t.growRing()
	}
	if len(t.lines)+len(line) > cap(t.lines) {
		t.makeRoom(len(line))
	}
	e := t.at(t.next)
	t.next++
	t.size += need
	*e = entry{off: uint32(len(t.lines)), len: uint32(len(line))}
	t.lines = append(t.lines, line...)
	return e
}

// evict drops the oldest entries until the size is at most max.
func (t *table) evict(max uint32) {
	for t.size > max {
		t.size -= t.at(t.oldest).len + uint32(lineOverhead)
		t.oldest++
	}
	if t.size == 0 {
		t.lines = t.lines[:0]
	}
}

// resize sets the table's maximum size (RFC 7541 section 4.3).
func (t *table) resize(max uint32) {
	t.max = max
	if t.evict(max); t.size == 0 {
		t.clear()
	}
}

// clear empties the table and gives its memory back.
func (t *table) clear() {
	t.oldest = t.next
	t.ring, t.lines, t.size = nil, nil, 0
}

func (t *table) growRing() {
	ring := make([]entry, max(16, 2*len(t.ring)))
	for n := t.oldest; n != t.next; n++ {
		ring[n&uint32(len(ring)-1)] = *t.at(n)
	}
	t.ring = ring
}

// makeRoom moves the live lines to the front of the arena, of a larger one when they
// would fill more than half of it: so each byte is moved about once more.
func (t *table) makeRoom(n int) {
	var live []byte
	if t.count() > 0 {
		live = t.lines[t.at(t.oldest).off:]
	}
	shift := uint32(len(t.lines) - len(live))
	arena := t.lines[:0]
	if need := 2 * (len(live) + n); need > cap(arena) {
		arena = make([]byte, 0, max(512, need, min(2*cap(arena), 2*int(t.max))))
	}
	t.lines = append(arena, live...)
	for number := t.oldest; number != t.next; number++ {
		t.at(number).off -= shift
	}
}
