package router

import (
	"bytes"
	"slices"
)

// pathKind is a rule's condition on the path.
type pathKind uint8

const (
	anyPath       pathKind = iota // every path, or a regular expression that begins with no literal
	exactPath                     // the literal
	segmentPrefix                 // the literal, at the path's end or before a "/"
	rawPrefix                     // begins with the literal
	connectPath
)

// paths files rules under the literal that their path begins with. The comment
// in table.go explains its part in a lookup.
type paths struct {
	slots   []pathSlot // a power of two; half of them free
	short   uint64     // bit n: a literal of n bytes exists, n < 64
	longest int        // literal, in bytes
	raw     []int      // lengths of the raw prefixes, ascending: those may end anywhere
	folded  bool       // literals are in lower case and paths are looked up as if they were
	lists   []rule     // rules of the literals that have several; see listed
	long    []uint64   // goes on from short: bit n of word w is about 64(w+1)+n bytes
}

// A pathSlot is free when its literal is empty. It holds the literal's rule, or
// (listed) says where its rules are. Two slots fill a cache line.
type pathSlot struct {
	literal string
	rule    rule
}

// search offers s every rule whose literal the path begins with.
func (p *paths) search(s *search) {
	path, raw := s.request.Path, p.raw
	hash := uint64(hashSeed) // of path[:at]
	for at := 0; at < len(path); {
		end := len(path) // of the segment that begins at path[at]
		if n := bytes.IndexByte(path[at+1:], '/'); n >= 0 {
			end = at + 1 + n
		}
		for len(raw) > 0 && raw[0] < end {
			if n := raw[0]; n > at {
				p.probe(s, p.fold(hash, path[at:n]), n)
			}
			raw = raw[1:]
		}
		if end > p.longest {
			return
		}
		hash = p.fold(hash, path[at:end])
		if p.has(end) {
			p.probe(s, hash, end)
		}
		at = end
	}
}

// has reports whether a literal of n bytes exists; n is at most longest.
func (p *paths) has(n int) bool {
	if n < 64 {
		return p.short>>n&1 != 0
	}
	return p.long[n/64-1]>>(n%64)&1 != 0
}

func (p *paths) fold(hash uint64, piece []byte) uint64 {
	if p.folded {
		return foldLower(hash, piece)
	}
	return fold(hash, piece)
}

// hash is the hash of a literal, made of the same pieces as a path's.
func (p *paths) hash(literal []byte) uint64 {
	hash := uint64(hashSeed)
	for at := 0; at < len(literal); {
		end := len(literal)
		if n := bytes.IndexByte(literal[at+1:], '/'); n >= 0 {
			end = at + 1 + n
		}
		hash = p.fold(hash, literal[at:end])
		at = end
	}
	return hash
}

// probe looks for the literal path[:n] and offers its rules.
func (p *paths) probe(s *search, hash uint64, n int) {
	mask := uint64(len(p.slots) - 1)
	for i := hash; ; i++ {
		slot := &p.slots[i&mask]
		if slot.literal == "" {
			return
		}
		if slot.rule.tag == tagOf(hash) && len(slot.literal) == n && p.equal(slot.literal, s.request.Path[:n]) {
			p.offer(s, &slot.rule, n)
			return
		}
	}
}

func (p *paths) equal(literal string, text []byte) bool {
	if p.folded {
		return equalLower(literal, text)
	}
	return literal == string(text)
}

// tagOf tells most literals that share a slot apart without looking at their
// bytes. A slot's place comes from the low bits of the hash.
func tagOf(hash uint64) uint16 { return uint16(hash >> 48) }

// offer tests the rules of a literal of n bytes, in their order.
func (p *paths) offer(s *search, r *rule, n int) {
	if r.flags&listed == 0 {
		p.offerOne(s, r, n)
		return
	}
	for i := r.order; ; i++ {
		r := &p.lists[i]
		if r.order >= s.order || p.offerOne(s, r, n) || r.flags&lastOfList != 0 {
			return
		}
	}
}

func (p *paths) offerOne(s *search, r *rule, n int) bool {
	if r.order >= s.order || !ends(r.kind, s.request.Path, n) || !s.holds(r) {
		return false
	}
	s.route, s.order = r.route, r.order
	return true
}

// ends reports whether a literal of that kind may end at path[:n].
func ends(kind pathKind, path []byte, n int) bool {
	switch kind {
	case exactPath:
		return n == len(path)
	case segmentPrefix:
		return n == len(path) || path[n] == '/'
	}
	return true
}

// A filing is a rule and its literal, on the way into a paths.
type filing struct {
	literal string
	rule    rule
}

// newPaths files rules, which come in their order; nil when there are none.
func newPaths(filings []filing, folded bool) *paths {
	if len(filings) == 0 {
		return nil
	}
	p := &paths{folded: folded}
	slots := make(map[string]int32, len(filings)) // literal → its first filing
	next := make([]int32, len(filings))           // filing → the next one of that literal; 0: none
	last := make([]int32, len(filings))           // first filing → last one of that literal
	for i, f := range filings {
		first, found := slots[f.literal]
		if !found {
			slots[f.literal], last[i] = int32(i), int32(i)
			continue
		}
		next[last[first]], last[first] = int32(i), int32(i)
	}
	p.slots = make([]pathSlot, tableSize(len(slots)))
	var literals gathered
	for literal := range slots {
		literals.room += len(literal)
	}
	for i, f := range filings {
		if slots[f.literal] != int32(i) {
			continue
		}
		hash := p.hash([]byte(f.literal))
		head := f.rule
		if next[i] != 0 {
			head = rule{order: uint32(len(p.lists)), flags: listed}
			for at := int32(i); ; at = next[at] {
				p.lists = append(p.lists, filings[at].rule)
				if next[at] == 0 {
					break
				}
			}
			p.lists[len(p.lists)-1].flags |= lastOfList
		}
		head.tag = tagOf(hash)
		p.insert(hash, literals.add(f.literal), head)
	}
	p.measure(filings)
	return p
}

func (p *paths) insert(hash uint64, literal string, r rule) {
	mask := uint64(len(p.slots) - 1)
	for p.slots[hash&mask].literal != "" {
		hash++
	}
	p.slots[hash&mask] = pathSlot{literal, r}
}

// measure notes the lengths of the literals.
func (p *paths) measure(filings []filing) {
	for _, f := range filings {
		p.longest = max(p.longest, len(f.literal))
	}
	p.long = make([]uint64, p.longest/64)
	isRaw := make([]bool, p.longest+1)
	for _, f := range filings {
		n := len(f.literal)
		if n < 64 {
			p.short |= 1 << n
		} else {
			p.long[n/64-1] |= 1 << (n % 64)
		}
		if f.rule.kind == rawPrefix && !isRaw[n] {
			isRaw[n] = true
			p.raw = append(p.raw, n)
		}
	}
	slices.Sort(p.raw)
}
