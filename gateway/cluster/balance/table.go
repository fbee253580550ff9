package balance

import "unsafe"

// Table is what an algorithm makes of a list before the first pick. It depends on
// the endpoints' keys and weights alone, never changes, and serves any number
// of workers: whoever publishes a list makes its Table with it, so that no
// worker's loop stands still for it.
type Table struct {
	equal    bool      // all weights are the same
	alias    *alias    // Random, LeastRequest, PeakEWMA; nil: equal weights
	sequence []uint32  // RoundRobin: its cycle, when that is short
	phases   []uint32  // RoundRobin: of endpoints with other weights, when it is long
	places   places    // RingHash, Maglev
	where    []int32   // the index in the list of what places give, or -1; nil: it is that
	sum      uint64    // of the weights
	parts    []float64 // PeakEWMA: mean weight / weight; nil: equal weights
}

// places says whose a hash is. It gives the endpoints of a hash in an order
// that is its own: the first one is the hash's, the others follow when that one
// must not be picked. An endpoint comes more than once in it.
type places interface {
	// find returns the cursor of a hash.
	find(hash uint64) uint64
	// at is the endpoint at a cursor.
	at(cursor uint64) int
	// next moves a cursor on.
	next(cursor uint64) uint64
	size() int // bytes
}

// NewTable makes the Table of the list that o describes; nil for an empty one.
func NewTable(algorithm Algorithm, o Options) *Table {
	if len(o.Weights) == 0 {
		return nil
	}
	t := &Table{equal: true, sum: uint64(o.Even) * uint64(len(o.Weights))}
	if o.Even == 0 {
		t.equal = o.equal()
		for i := range o.Weights {
			t.sum += o.weight(i)
		}
	}
	if o.Whole != nil && o.Whole.places != nil {
		t.places, t.where = o.Whole.places, o.Where
		return t
	}
	switch algorithm {
	case Random, LeastRequest, PeakEWMA:
		if !t.equal {
			t.alias = newAlias(&o)
		}
		if !t.equal && algorithm == PeakEWMA {
			t.parts = make([]float64, len(o.Weights))
			for i := range t.parts {
				t.parts[i] = float64(t.sum) / float64(len(o.Weights)) / float64(o.weight(i))
			}
		}
	case RingHash:
		t.places = newRing(&o)
	case Maglev:
		t.places = newMaglev(&o)
	default:
		if t.equal {
			break
		}
		if t.sequence = smooth(&o); t.sequence == nil {
			t.phases = phases(&o)
		}
	}
	return t
}

// Size is about how many bytes the table takes, that of the whole list included.
func (t *Table) Size() int {
	if t == nil {
		return 0
	}
	size := int(unsafe.Sizeof(*t)) + 4*len(t.sequence) + 8*len(t.parts) + 4*len(t.where) + 4*len(t.phases)
	if t.alias != nil {
		size += len(t.alias.columns) * int(unsafe.Sizeof(column{}))
	}
	if t.places != nil {
		size += t.places.size()
	}
	return size
}
