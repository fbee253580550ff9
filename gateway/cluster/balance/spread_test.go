package balance

import (
	"fmt"
	"math"
	"testing"
)

// crew is several workers' balancers over one list, with a Table that they share or
// each its own.
func crew(algorithm Algorithm, o Options, workers int, shared bool) []Balancer {
	var all []Balancer
	o.Table = NewTable(algorithm, o)
	for w := range workers {
		if !shared {
			o.Table = nil
		}
		o.Seed = scatter(uint64(w))
		all = append(all, New(algorithm, o))
	}
	return all
}

var spreads = map[string][]uint32{
	"two":      {1, 1},
	"canary":   {95, 5},
	"equal":    weights(20, func(int) uint32 { return 3 }),
	"few":      {5, 1, 1, 2},
	"many":     weights(300, func(i int) uint32 { return uint32(i%7 + 1) }),
	"lopsided": {1, 10_000, 70},
}

// Turns are exact: however many workers there are and however few requests each has
// had, no endpoint is further from its part than some requests for each worker. The
// classical bound of one for each holds for rotations; smooth sequences and
// deadlines keep within 2.5.
func TestTurnsOfManyWorkers(t *testing.T) {
	for name, w := range spreads {
		for _, workers := range []int{1, 2, 16} {
			all := crew(RoundRobin, Options{Weights: w}, workers, true)
			got := make([]int, len(w))
			for k := 1; k <= 20_000; k++ {
				got[all[k%workers].Pick(nil)]++
				if k%501 != 0 {
					continue
				}
				for i := range w {
					ideal := float64(k) * float64(w[i]) / sum(w)
					if off := math.Abs(float64(got[i]) - ideal); off > 2.5*float64(workers) {
						t.Fatalf("%s, %d workers: after %d requests endpoint %d has %d, ideal %.1f", name, workers, k, i, got[i], ideal)
					}
				}
			}
			// By chance of where they begin the errors of workers cancel each other.
			squares := 0.0
			for i := range w {
				off := float64(got[i]) - 20_000*float64(w[i])/sum(w)
				squares += off * off
			}
			if deviation := math.Sqrt(squares / float64(len(w))); deviation > 1.2*math.Sqrt(float64(workers)) {
				t.Errorf("%s, %d workers: deviation %.2f", name, workers, deviation)
			}
		}
	}
}

// Pearson's test of what several workers pick together, and of the pairs of
// picks of two workers one after the other: they do not go along with each other.
func TestChanceOfManyWorkers(t *testing.T) {
	known := make([]Latency, 300) // of nothing
	for _, algorithm := range []Algorithm{Random, LeastRequest, PeakEWMA} {
		for name, w := range spreads {
			o := Options{Weights: w, Load: noLoad, Latency: func(i int) *Latency { return &known[i] }, Now: func() int64 { return 0 }}
			for _, workers := range []int{2, 16} {
				all := crew(algorithm, o, workers, workers == 16)
				const picks = 50_000
				got := make([]int, len(w))
				pairs := 0
				for k := range picks {
					i := all[k%workers].Pick(nil)
					got[i]++
					if i == all[(k+1)%workers].Pick(nil) {
						pairs++
					}
				}
				k := float64(len(w) - 1)
				if x := chiSquare(got, w, picks); x > k+5*math.Sqrt(2*k) {
					t.Errorf("%v, %s, %d workers: chi-square %.1f of %d endpoints", algorithm, name, workers, x, len(w))
				}
				same := 0.0
				for _, x := range w {
					same += float64(x) / sum(w) * float64(x) / sum(w)
				}
				if off := math.Abs(float64(pairs) - same*picks); off > 5*math.Sqrt(same*(1-same)*picks)+1 {
					t.Errorf("%v, %s, %d workers: pick the same %d times, want %.0f", algorithm, name, workers, pairs, same*picks)
				}
			}
		}
	}
}

// Hashed requests that come by chance fall to each endpoint as often as its part of the
// table says, whichever worker they come to, and the table's parts are the weights'.
func TestHashesOfManyWorkers(t *testing.T) {
	for _, algorithm := range hashing {
		for name, w := range spreads {
			l := list{addresses(len(w)).keys, w}
			all := crew(algorithm, l.options(Settings{}), 8, true)
			parts := shares(NewTable(algorithm, l.options(Settings{})).places, len(w))
			const picks = 30_000
			got := make([]int, len(w))
			for k := range uint64(picks) {
				got[all[k%8].Pick(&Request{Hash: Hash(fmt.Appendf(nil, "user-%d", k)), HasHash: true})]++
			}
			x, k := 0.0, float64(len(w)-1)
			for i, part := range parts {
				ideal := part * picks
				x += (float64(got[i]) - ideal) * (float64(got[i]) - ideal) / ideal
				// 512 points for a mean weight, fewer for a light one.
				tolerance := 5 * math.Sqrt(sum(w)/float64(len(w))/512/float64(w[i])) * float64(w[i]) / sum(w)
				if algorithm == Maglev {
					tolerance = 2. / DefaultMaglevSize
				}
				if name == "lopsided" {
					tolerance += 1. / 1024 // who has less than a point has one
				}
				if off := math.Abs(part - float64(w[i])/sum(w)); off > tolerance {
					t.Errorf("%v, %s: endpoint %d of weight %d has %.5f of the hashes", algorithm, name, i, w[i], part)
				}
			}
			if x > k+5*math.Sqrt(2*k)+1 {
				t.Errorf("%v, %s: chi-square %.1f of %d endpoints", algorithm, name, x, len(w))
			}
		}
	}
}

// Least request keeps to weights, and queues to their ideal, at any load. What an
// idle site gives the light ones above their part is the price of looking at
// two only: with nothing under way everyone is equal.
func TestLeastRequestOfManyWorkers(t *testing.T) {
	w := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for _, c := range []struct {
		underWay     float64
		below, above float64 // an endpoint's part
	}{{2, .9, 1.4}, {10, .9, 1.6}, {55, .9, 1.1}, {500, .95, 1.05}} {
		s := newSite(LeastRequest, Settings{}, w, 8)
		longest, mean := 0.0, 0
		got, _ := s.run(60_000, c.underWay*100, func(int) (int64, bool) {
			if mean++; mean > 20_000 {
				most := 0.0
				for i := range w {
					most = max(most, float64(s.loads[i])/float64(w[i])*sum(w))
				}
				longest += most / 40_000
			}
			return s.exponential(10 * ms), false
		})
		for i, n := range got {
			if part := float64(n) / 60_000 * sum(w) / float64(w[i]); part < c.below || part > c.above {
				t.Errorf("%.0f under way: endpoint %d has %.3f of its part", c.underWay, i, part)
			}
		}
		if c.underWay >= 50 && longest > c.underWay+40 {
			t.Errorf("%.0f under way: the longest queue is as of %.1f", c.underWay, longest)
		}
	}
}

// Equally loaded endpoints are taken by weight, also when all are compared.
func TestFullScan(t *testing.T) {
	w := []uint32{1, 2, 3, 4}
	loads := []int64{5, 0, 0, 7}
	o := Options{Weights: w, Load: func(i int) int64 { return loads[i] }, Settings: Settings{LeastRequest: LeastRequestSettings{FullScan: true}}, Seed: 3}
	b := New(LeastRequest, o)
	got := counts(b, 4, 50_000, nil)
	if got[0]+got[3] > 0 || math.Abs(float64(got[1])/50_000-0.4) > 0.01 {
		t.Errorf("%v", got)
	}
	if i := b.Pick(except(func(i int) bool { return i == 1 || i == 2 })); i != 3 { // 7 for 4 are less than 5 for 1
		t.Errorf("picked %d", i)
	}
	if i := b.Pick(except(func(int) bool { return true })); i != -1 {
		t.Errorf("picked %d of none", i)
	}
}
