package balance

import (
	"math"
	"slices"
	"testing"
)

// without is the list less the endpoint i.
func (l list) without(i int) list {
	return list{slices.Delete(slices.Clone(l.keys), i, i+1), slices.Delete(slices.Clone(l.weights), i, i+1)}
}

// change is what part of all hashes goes elsewhere when a list becomes another.
type change struct {
	from   float64 // of endpoints that are in the first only
	others float64 // between endpoints
}

// changed compares at 2^16 even hashes, or place by place.
func changed(a, b list, algorithm Algorithm, s Settings) (c change) {
	before, after := a.places(algorithm, s), b.places(algorithm, s)
	samples, step := uint64(1<<16), uint64(1<<48)
	if m, ok := before.(*maglev); ok {
		samples, step = m.count, 1
	}
	each := 1 / float64(samples)
	for n := range samples {
		hash := n * step
		from, to := a.keys[before.at(before.find(hash))], b.keys[after.at(after.find(hash))]
		switch {
		case from == to:
		case !slices.Contains(b.keys, from):
			c.from += each
		default:
			c.others += each
		}
	}
	return c
}

// When an endpoint leaves, only its own hashes go elsewhere; and so, the other way
// round, when it joins only those that become its own (Karger et al.: monotone).
func TestRingMovesNothingElse(t *testing.T) {
	for _, n := range []int{2, 3, 10, 100, 250, 1000} {
		l := addresses(n)
		for i := range l.weights {
			l.weights[i] = uint32(i%3 + 1)
		}
		for _, gone := range []int{0, n / 2, n - 1} {
			if gone > 0 && n == 2 {
				continue // the mean of 1, 2 and of 1 are not of one power of two
			}
			leaves := changed(l, l.without(gone), RingHash, Settings{})
			if leaves.others != 0 {
				t.Errorf("%d endpoints: %.4f of the hashes move between others", n, leaves.others)
			}
			mean := float64(l.weights[gone]) / sum(l.weights)
			if n <= 256 && math.Abs(leaves.from-mean) > mean/4 {
				t.Errorf("%d endpoints: %.4f of the hashes leave, want %.4f", n, leaves.from, mean)
			}
		}
	}
}

// A weight that grows takes hashes and gives none to or between others.
func TestRingFollowsWeights(t *testing.T) {
	l := addresses(50)
	more := list{l.keys, slices.Clone(l.weights)}
	more.weights[7] = 2
	before, after := l.places(RingHash, Settings{}), more.places(RingHash, Settings{})
	moved := 0
	for n := range uint64(1 << 16) {
		from, to := before.at(before.find(n<<48)), after.at(after.find(n<<48))
		if from != to {
			if moved++; to != 7 {
				t.Fatalf("a hash went from %d to %d", from, to)
			}
		}
	}
	if part := float64(moved) / (1 << 16); math.Abs(part-1./51) > 0.005 {
		t.Errorf("%.4f of the hashes moved, want %.4f", part, 1./51)
	}
}

// The limits are twice what comes out, which is by chance of the keys.
func TestMaglevMovesLittleElse(t *testing.T) {
	for _, c := range []struct {
		n    int
		size uint64
		most float64 // of all places, between endpoints that stay
	}{
		{3, 65537, .002}, {10, 65537, .005}, {100, 65537, .01}, {1000, 65537, .012}, {10_000, 65537, .002},
		{1000, 655373, .007},
	} {
		l := addresses(c.n)
		s := Settings{Maglev: MaglevSettings{TableSize: c.size}}
		for _, gone := range []int{0, c.n / 2} {
			rest := l.without(gone)
			leaves := changed(l, rest, Maglev, s)
			if leaves.others > c.most {
				t.Errorf("%d endpoints, %d places: one leaves, and %.5f of the places change between others", c.n, c.size, leaves.others)
			}
			if want := 1 / float64(c.n); math.Abs(leaves.from-want) > want/5 {
				t.Errorf("%d endpoints, %d places: %.5f of the places were its own", c.n, c.size, leaves.from)
			}
		}
	}
}

func sum(weights []uint32) (sum float64) {
	for _, w := range weights {
		sum += float64(w)
	}
	return sum
}

// shares is the part of all hashes that is each endpoint's, exactly.
func shares(p places, n int) []float64 {
	shares := make([]float64, n)
	switch p := p.(type) {
	case *ring:
		for i, point := range p.points {
			before := p.points[(i+len(p.points)-1)%len(p.points)]
			shares[point.index] += float64(point.hash-before.hash) / (1 << 32) / (1 << 32)
		}
	case *maglev:
		for place := range p.count {
			shares[p.at(place)] += 1 / float64(p.count)
		}
	}
	return shares
}

// No endpoint has more than a place more than its part.
func TestMaglevIsEven(t *testing.T) {
	for _, n := range []int{1, 7, 100, 1000, 10_000, 70_000} {
		l := addresses(n)
		m := l.places(Maglev, Settings{})
		for i, share := range shares(m, n) {
			if off := (share - 1/float64(n)) * DefaultMaglevSize; math.Abs(off) >= 1 {
				t.Fatalf("%d endpoints: endpoint %d has %.1f places too many", n, i, off)
			}
		}
	}
	l := addresses(500)
	for i := range l.weights {
		l.weights[i] = uint32(i%17 + 1)
	}
	for i, share := range shares(l.places(Maglev, Settings{}), 500) {
		if off := (share - float64(l.weights[i])/sum(l.weights)) * DefaultMaglevSize; math.Abs(off) > 2 {
			t.Errorf("endpoint %d of weight %d has %.1f places too many", i, l.weights[i], off)
		}
	}
}

// Shares differ from what they should be as those of random points do: by 1/sqrt(points)
// of themselves.
func TestRingIsAsEvenAsItsPoints(t *testing.T) {
	for _, c := range []struct {
		n      int
		size   uint64
		points float64 // each
	}{{10, 0, 512}, {100, 0, 512}, {256, 0, 512}, {1000, 0, 128}, {10_000, 0, 8}, {100, 100 << 12, 4096}} {
		l := addresses(c.n)
		r := l.places(RingHash, ringOf(c.size)).(*ring)
		if len(r.points) != c.n*int(c.points) {
			t.Errorf("%d endpoints have %d points", c.n, len(r.points))
		}
		squares := 0.0
		for _, share := range shares(r, c.n) {
			off := share*float64(c.n) - 1
			squares += off * off
		}
		deviation, want := math.Sqrt(squares/float64(c.n)), 1/math.Sqrt(c.points)
		if deviation > 1.3*want || deviation < want/2 {
			t.Errorf("%d endpoints of %.0f points: deviation %.4f, want %.4f", c.n, c.points, deviation, want)
		}
	}
}

// Where an endpoint stands in the list does not matter.
func TestPlacesDoNotDependOnTheOrder(t *testing.T) {
	l := addresses(60)
	for i := range l.weights {
		l.weights[i] = uint32(i%4 + 1)
	}
	turned := list{slices.Clone(l.keys), slices.Clone(l.weights)}
	slices.Reverse(turned.keys)
	slices.Reverse(turned.weights)
	for _, algorithm := range []Algorithm{RingHash, Maglev} {
		if c := changed(l, turned, algorithm, Settings{}); c != (change{}) {
			t.Errorf("%v: %+v", algorithm, c)
		}
	}
}

// Everyone has a place on rings that are too small, and sizes have bounds.
func TestRingSizes(t *testing.T) {
	for _, c := range []struct {
		n        int
		settings RingHashSettings
		points   int
	}{
		{1, RingHashSettings{}, 512},
		{3, RingHashSettings{MinSize: 1024}, 1536},
		{1, RingHashSettings{MinSize: 1024}, 1024},
		{100, RingHashSettings{MaxSize: 10}, 100},
		{100, RingHashSettings{MinSize: 1000, MaxSize: 800}, 800},
		{2, RingHashSettings{MinSize: 1 << 62}, 8 << 20},
	} {
		l := addresses(c.n)
		o := l.options(Settings{RingHash: c.settings})
		if counts, total := ringCounts(&o, l.keys); total != c.points || slices.Min(counts) == 0 {
			t.Errorf("%d endpoints, %+v: %d points, the fewest of an endpoint %d", c.n, c.settings, total, slices.Min(counts))
		}
	}
}

// When an endpoint is down, the table of all is used on: only what was its own goes elsewhere, with Maglev
// too, and by weight to all others. Of a ring the outcome is as if it had no points.
func TestPartsMoveNothingElse(t *testing.T) {
	l := addresses(100)
	for i := range l.weights {
		l.weights[i] = uint32(i%2 + 1)
	}
	for _, algorithm := range hashing {
		whole := NewTable(algorithm, l.options(Settings{}))
		for _, down := range [][]int{{7}, {0, 1, 2, 50, 98, 99}} {
			o, rest := l.options(Settings{}), l
			for _, i := range slices.Backward(down) {
				rest = rest.without(i)
			}
			o.Whole, o.Where = whole, make([]int32, 100)
			for i := range o.Where {
				o.Where[i] = int32(slices.Index(rest.keys, l.keys[i]))
			}
			o.Weights = rest.weights
			part, all := New(algorithm, o), New(algorithm, l.options(Settings{}))
			alone := New(algorithm, rest.options(Settings{}))
			got, moved := make([]int, len(rest.keys)), 0
			const samples = 1 << 16
			for n := range uint64(samples) {
				r := &Request{Hash: scatter(n), HasHash: true}
				from, to := all.Pick(r), part.Pick(r)
				switch {
				case slices.Contains(down, from):
					got[to]++
					moved++
				case rest.keys[to] != l.keys[from]:
					t.Fatalf("%v: a hash of %s went to %s", algorithm, l.keys[from], rest.keys[to])
				}
				if algorithm == RingHash && to != alone.Pick(r) {
					t.Fatalf("%d is %s's, and in a ring of its own %s's", r.Hash, rest.keys[to], rest.keys[alone.Pick(r)])
				}
			}
			if x, k := chiSquare(got, rest.weights, moved), float64(len(got)-1); algorithm == Maglev && x > k+5*math.Sqrt(2*k) {
				t.Errorf("%d are down: chi-square %.1f of what they had", len(down), x)
			}
		}
	}
}

// Of a long list with few that are up these get all, evenly enough.
func TestPartsOfFew(t *testing.T) {
	l := addresses(5000)
	for _, algorithm := range hashing {
		o := l.options(Settings{})
		o.Whole, o.Where, o.Weights = NewTable(algorithm, o), make([]int32, 5000), []uint32{1, 1, 1, 1}
		for i := range o.Where {
			if o.Where[i] = -1; i%1250 == 3 {
				o.Where[i] = int32(i / 1250)
			}
		}
		b, again := New(algorithm, o), New(algorithm, o)
		got := make([]int, 4)
		for n := range uint64(4000) {
			r := &Request{Hash: scatter(n), HasHash: true}
			i := b.Pick(r)
			got[i]++
			if k := again.Pick(r); k != i {
				t.Fatalf("%v: picked %d and %d for one hash", algorithm, i, k)
			}
		}
		if slices.Min(got) < 500 {
			t.Errorf("%v: %v", algorithm, got)
		}
	}
}
