package balance

import (
	"math"
	"slices"
	"testing"
)

var hashing = []Algorithm{RingHash, Maglev}

// Every worker finds the same endpoint for a hash, also when some are excluded,
// and the same with a table of its own.
func TestWorkersAgreeOnHashes(t *testing.T) {
	l := addresses(40)
	for i := range l.weights {
		l.weights[i] = uint32(i%5 + 1)
	}
	for _, algorithm := range hashing {
		o := l.options(Settings{})
		shared := NewTable(algorithm, o)
		var workers []Balancer
		for seed := range uint64(4) {
			o.Seed, o.Table = seed, nil
			if seed%2 == 0 {
				o.Table = shared
			}
			workers = append(workers, New(algorithm, o))
		}
		for n := range uint64(2000) {
			r := &Request{Hash: scatter(n), HasHash: true}
			first := workers[0].Pick(r)
			tried := []int{first}
			for range 5 { // and the tries after
				r.Exclude = func(i int) bool { return slices.Contains(tried, i) }
				next := workers[0].Pick(r)
				for _, w := range workers {
					if got := w.Pick(r); got != next {
						t.Fatalf("%v: hash %d, after %v: one worker takes %d, another %d", algorithm, r.Hash, tried, next, got)
					}
				}
				if slices.Contains(tried, next) {
					t.Fatalf("%v: took %d after %v", algorithm, next, tried)
				}
				tried = append(tried, next)
			}
		}
	}
}

// Requests without a hash go by weight.
func TestNoHashIsRandom(t *testing.T) {
	l := addresses(20)
	for i := range l.weights {
		l.weights[i] = uint32(i%5 + 1)
	}
	for _, algorithm := range hashing {
		o := l.options(Settings{})
		b := New(algorithm, o)
		const picks = 100_000
		got := make([]int, 20)
		for range picks {
			got[b.Pick(nil)]++
		}
		parts := shares(NewTable(algorithm, o).places, 20)
		for i, share := range parts {
			if want := share * picks; math.Abs(float64(got[i])-want) > 5*math.Sqrt(want) {
				t.Errorf("%v: endpoint %d was picked %d times, want %.0f", algorithm, i, got[i], want)
			}
		}
	}
}

// The second choices of one endpoint's hashes are spread over all others, in a ring as
// well as its points are, in Maglev's table by weight.
func TestSecondChoicesAreSpread(t *testing.T) {
	l := addresses(20)
	for _, algorithm := range hashing {
		b := New(algorithm, l.options(Settings{}))
		got, all := make([]int, 20), 0
		for n := range uint64(40_000) {
			r := &Request{Hash: scatter(n), HasHash: true}
			if b.Pick(r) == 3 {
				r.Exclude = func(i int) bool { return i == 3 }
				got[b.Pick(r)]++
				all++
			}
		}
		for i, n := range got {
			if part := float64(n) / float64(all); i != 3 && (part < 0.4/19 || part > 2./19) {
				t.Errorf("%v: %.4f of the second choices are endpoint %d's", algorithm, part, i)
			}
		}
	}
}

// With a bound no endpoint has ever more requests than ceil(factor × mean), however
// uneven the hashes are; and what fits stays where its hash is.
func TestBoundedLoads(t *testing.T) {
	l := addresses(50)
	for i := range l.weights {
		l.weights[i] = uint32(i%3 + 1)
	}
	for _, algorithm := range hashing {
		for _, factor := range []int{100, 125, 200} {
			loads, total := make([]int64, 50), int64(0)
			o := l.options(Settings{})
			o.HashBalanceFactor = factor
			o.Load, o.Total = func(i int) int64 { return loads[i] }, func() int64 { return total }
			b := New(algorithm, o)
			o.HashBalanceFactor = 0
			plain := New(algorithm, o)
			var under []int // way
			stayed := 0
			for n := range 20_000 {
				hash := scatter(uint64(n * n % 97)) // a few keys have most requests
				r := &Request{Hash: hash, HasHash: true}
				i, owner := b.Pick(r), plain.Pick(r)
				most := math.Ceil(float64(factor) / 100 * float64(total+1) * float64(l.weights[i]) / sum(l.weights))
				if loads[i]++; float64(loads[i]) > most {
					t.Fatalf("%v, factor %d: endpoint %d has %d requests of %d, more than %.0f", algorithm, factor, i, loads[i], total+1, most)
				}
				if i == owner {
					stayed++
				} else if room := float64(factor) / 100 * float64(total+1) * float64(l.weights[owner]) / sum(l.weights); float64(loads[owner]) < room {
					t.Fatalf("%v, factor %d: endpoint %d has %d requests and room for %.2f, and was passed over", algorithm, factor, owner, loads[owner], room)
				}
				total++
				under = append(under, i)
				if len(under) > 500 {
					loads[under[n%500]]--
					under = slices.Delete(under, n%500, n%500+1)
					total--
				}
			}
			if stayed < 20_000/5 {
				t.Errorf("%v, factor %d: %d of 20000 requests stayed at their hash's endpoint", algorithm, factor, stayed)
			}
		}
	}
}

// Where all have too much, which counts that change meanwhile may say, the
// hash's own endpoint has to do, unless it is excluded.
func TestBoundedLoadsWithoutRoom(t *testing.T) {
	l := addresses(10)
	for _, algorithm := range hashing {
		o := l.options(Settings{})
		plain := New(algorithm, o)
		o.HashBalanceFactor = 150
		o.Load, o.Total = func(int) int64 { return 1000 }, func() int64 { return 1 }
		b := New(algorithm, o)
		for n := range uint64(100) {
			r := &Request{Hash: scatter(n), HasHash: true}
			owner := plain.Pick(r)
			if got := b.Pick(r); got != owner {
				t.Errorf("%v: took %d, want %d", algorithm, got, owner)
			}
			r.Exclude = func(i int) bool { return i == owner }
			if got := b.Pick(r); got == owner || got < 0 {
				t.Errorf("%v: took %d after %d", algorithm, got, owner)
			}
			r.Exclude = func(i int) bool { return i != 4 }
			if got := b.Pick(r); got != 4 {
				t.Errorf("%v: took %d, only 4 is left", algorithm, got)
			}
		}
	}
}
