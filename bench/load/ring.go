package load

// ring is a queue of connection indices that never holds one twice. First in,
// first out: all connections take their turns, also when few would do.
type ring struct {
	slots []int32
	head  int
	n     int
}

func newRing(size int) ring { return ring{slots: make([]int32, size)} }

func (r *ring) len() int { return r.n }

func (r *ring) push(v int32) {
	r.slots[(r.head+r.n)%len(r.slots)] = v
	r.n++
}

func (r *ring) pop() int32 {
	v := r.slots[r.head]
	r.head = (r.head + 1) % len(r.slots)
	r.n--
	return v
}

// remove takes v out, wherever it stands.
func (r *ring) remove(v int32) {
	for range r.n {
		if x := r.pop(); x != v {
			r.push(x)
		}
	}
}
