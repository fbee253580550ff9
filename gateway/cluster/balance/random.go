package balance

import "math/rand/v2"

// random picks each endpoint with a probability of exactly its share of the
// weights, in constant time.
type random struct {
	source *rand.PCG
	n      uint64
	table  *alias // nil: equal weights
}

func newRandom(o *Options, source *rand.PCG) Balancer { return makeRandom(o, source) }

func makeRandom(o *Options, source *rand.PCG) *random {
	r := &random{source: source, n: uint64(len(o.Weights)), table: o.Table.alias}
	return r
}

func (r *random) Pick(request *Request) int { return r.pick(request.excluded()) }

func (r *random) pick(exclude func(int) bool) int {
	if exclude == nil {
		return r.draw()
	}
	// Drawing again keeps the shares among those that are left.
	for range 16 {
		if i := r.draw(); !exclude(i) {
			return i
		}
	}
	return scan(int(r.n), int(below(r.source, r.n)), exclude)
}

func (r *random) draw() int {
	i := below(r.source, r.n)
	if r.table == nil {
		return int(i)
	}
	column := &r.table.columns[i]
	if below(r.source, r.table.total) < column.own {
		return int(i)
	}
	return int(column.other)
}

// alias is Walker's table in Vose's construction. The weights, times n, are
// poured into n columns that hold the sum of weights each; a column holds some
// of its own endpoint and is filled up with one other. To draw is to choose a
// column, then a level in it. All numbers are integers, so nothing is rounded.
type alias struct {
	columns []column
	total   uint64
}

type column struct {
	own   uint64 // below this level it is the column's own endpoint
	other uint32
}

func newAlias(o *Options) *alias {
	n := len(o.Weights)
	a := &alias{columns: make([]column, n)}
	for i := range n {
		a.total += o.weight(i)
	}
	var small, large []uint32
	for i := range n {
		mass := o.weight(i) * uint64(n) // both less than 2^32
		a.columns[i] = column{own: mass, other: uint32(i)}
		if mass < a.total {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.columns[s].other = l
		rest := &a.columns[l].own
		*rest -= a.total - a.columns[s].own
		if *rest < a.total {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	return a
}
