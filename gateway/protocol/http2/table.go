package http2

// table finds the open streams of a connection by their id. Ids of one side are
// successive odd or even numbers, so a half of them is as good as a hash.
type table struct {
	buckets []*flow // a power of two of them; nil until the first stream
	count   int
	next    uint32 // the id of the next stream that we open
}

const firstBuckets = 8

func (t *table) find(id uint32) *flow {
	if t.count == 0 {
		return nil
	}
	f := t.buckets[int(id>>1)&(len(t.buckets)-1)]
	for f != nil && f.id != id {
		f = f.chain
	}
	return f
}

func (t *table) add(f *flow) {
	if t.count >= len(t.buckets) {
		t.enlarge()
	}
	t.count++
	b := &t.buckets[int(f.id>>1)&(len(t.buckets)-1)]
	f.chain, *b = *b, f
}

func (t *table) enlarge() {
	old := t.buckets
	t.buckets = make([]*flow, max(firstBuckets, 2*len(old)))
	for _, f := range old {
		for f != nil {
			next := f.chain
			b := &t.buckets[int(f.id>>1)&(len(t.buckets)-1)]
			f.chain, *b = *b, f
			f = next
		}
	}
}

func (t *table) remove(f *flow) {
	at := &t.buckets[int(f.id>>1)&(len(t.buckets)-1)]
	for *at != f {
		if *at == nil {
			return
		}
		at = &(*at).chain
	}
	*at, f.chain = f.chain, nil
	if t.count--; t.count == 0 && len(t.buckets) > firstBuckets {
		t.buckets = nil // an idle connection holds little
	}
}

// each calls f for every stream; f may remove the one it is given, and no other.
func (t *table) each(do func(*flow)) {
	for i := range t.buckets {
		for f := t.buckets[i]; f != nil; {
			next := f.chain
			do(f)
			f = next
		}
	}
}

// ignoredIDs remembers, of the last streams that the peer opened, which we
// reset: it may not know yet, and what it still sends on them is no mistake (RFC
// 9113 section 5.1).
type ignoredIDs struct {
	bits [4]uint64
	top  uint32 // ids above it were never looked at
}

const ignoredSpan = 256 // streams

func (g *ignoredIDs) place(id uint32) (word, bit int) {
	n := int(id>>1) % ignoredSpan
	return n / 64, n % 64
}

// advance forgets streams so that id has a place.
func (g *ignoredIDs) advance(id uint32) {
	if id-g.top >= 2*ignoredSpan {
		g.bits = [4]uint64{}
		g.top = id
		return
	}
	for g.top < id {
		g.top += 2
		word, bit := g.place(g.top)
		g.bits[word] &^= 1 << bit
	}
}

func (g *ignoredIDs) add(id uint32) {
	if id > g.top {
		g.advance(id)
	} else if g.top-id >= 2*ignoredSpan {
		return
	}
	word, bit := g.place(id)
	g.bits[word] |= 1 << bit
}

// forgive reports whether the peer's RST_STREAM of a closed stream crossed ours,
// which it may do once.
func (g *ignoredIDs) forgive(id uint32) bool {
	if id > g.top || g.top-id >= 2*ignoredSpan || !g.has(id) {
		return false
	}
	word, bit := g.place(id)
	g.bits[word] &^= 1 << bit
	return true
}

// has reports whether frames on a closed stream are to be ignored: we reset it,
// or it is so old that nobody knows.
func (g *ignoredIDs) has(id uint32) bool {
	if id > g.top {
		return false
	}
	if g.top-id >= 2*ignoredSpan {
		return true
	}
	word, bit := g.place(id)
	return g.bits[word]&(1<<bit) != 0
}
