package worker

// Buffers lends byte slices of a few sizes to the connections of one loop.
// A slice that is given back is lent again; what exceeds the bound is left to
// the garbage collector.
type Buffers struct {
	free  [len(classes)][][]byte
	lent  int // slices out
	bytes int // bytes out
}

// classes are the capacities, and how many idle slices of each are kept. The third
// holds 64 KB with what TLS adds to it.
var classes = [...]struct{ size, keep int }{{2 << 10, 256}, {16 << 10, 64}, {68 << 10, 16}, {256 << 10, 4}}

// Get lends an empty slice with room for at least n bytes.
func (b *Buffers) Get(n int) []byte {
	b.lent++
	for i, c := range &classes {
		if n > c.size {
			continue
		}
		b.bytes += c.size
		if k := len(b.free[i]); k > 0 {
			p := b.free[i][k-1]
			b.free[i] = b.free[i][:k-1]
			return p
		}
		return make([]byte, 0, c.size)
	}
	b.bytes += n
	return make([]byte, 0, n)
}

// Put takes back a slice that Get lent; nothing may refer to it any more.
func (b *Buffers) Put(p []byte) {
	b.lent--
	b.bytes -= cap(p)
	for i, c := range &classes {
		if cap(p) == c.size {
			if len(b.free[i]) < c.keep {
				b.free[i] = append(b.free[i], p[:0])
			}
			return
		}
	}
}

// Grow returns p's bytes in a slice with room for n more, and takes p back if
// it had to change.
func (b *Buffers) Grow(p []byte, n int) []byte {
	if cap(p)-len(p) >= n {
		return p
	}
	q := append(b.Get(len(p)+n), p...)
	b.Put(p)
	return q
}

// Release leaves the slices that are not lent to the garbage collector.
func (b *Buffers) Release() {
	for i := range b.free {
		b.free[i] = nil
	}
}

// Lent is how many slices, and bytes, are out.
func (b *Buffers) Lent() (slices, bytes int) { return b.lent, b.bytes }
