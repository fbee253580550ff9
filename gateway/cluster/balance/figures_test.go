package balance

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// BenchmarkPlaces prints what docs/balancing.md says of hashing: how uneven shares are, and
// what moves when an endpoint leaves, in percent of all hashes.
func BenchmarkPlaces(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		for _, c := range []struct {
			name      string
			algorithm Algorithm
			settings  Settings
		}{
			{"Maglev/65537", Maglev, Settings{}},
			{"Maglev/655373", Maglev, Settings{Maglev: MaglevSettings{TableSize: 655373}}},
			{"ring", RingHash, Settings{}},
			{"ring/min=1Mi", RingHash, ringOf(1 << 20)},
		} {
			b.Run(fmt.Sprintf("%s/%d", c.name, n), func(b *testing.B) {
				l := addresses(n)
				var table *Table
				for b.Loop() {
					table = NewTable(c.algorithm, l.options(c.settings))
				}
				squares, parts := 0.0, shares(table.places, n)
				for _, part := range parts {
					off := part*float64(n) - 1
					squares += off * off
				}
				moves := changed(l, l.without(n/3), c.algorithm, c.settings)
				b.ReportMetric(100*math.Sqrt(squares/float64(n)), "deviation-%")
				b.ReportMetric(100*slices.Max(parts)*float64(n), "largest-%")
				b.ReportMetric(100*moves.from, "own-%")
				b.ReportMetric(100*moves.others, "others-%")
				b.ReportMetric(float64(table.Size()), "bytes")
			})
		}
	}
}

// BenchmarkQueues prints what it says of queues: ten endpoints of weights 1 to 10 and
// answers of 10 ms on average, 8 workers, several numbers of requests under way.
func BenchmarkQueues(b *testing.B) {
	w := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	least := func(s LeastRequestSettings) Settings { return Settings{LeastRequest: s} }
	for _, underWay := range []float64{2, 10, 55, 500} {
		for _, c := range []struct {
			name      string
			algorithm Algorithm
			settings  Settings
		}{
			{"round_robin", RoundRobin, Settings{}}, {"random", Random, Settings{}}, {"least_request", LeastRequest, Settings{}},
			{"full_scan", LeastRequest, least(LeastRequestSettings{FullScan: true})},
			{"bias=1", LeastRequest, least(LeastRequestSettings{Biased: true, Bias: 1})}, {"peak_ewma", PeakEWMA, Settings{}},
		} {
			b.Run(fmt.Sprintf("%s/%.0f", c.name, underWay), func(b *testing.B) {
				for b.Loop() {
					s := newSite(c.algorithm, c.settings, w, 8)
					longest := 0.0
					const requests = 100_000
					got, _ := s.run(requests, underWay*100, func(int) (int64, bool) {
						most := 0.0
						for i := range w {
							most = max(most, float64(s.loads[i])/float64(w[i]))
						}
						longest += most * sum(w) / underWay / requests
						return s.exponential(10 * ms), false
					})
					b.ReportMetric(100*longest, "longest-%") // of the mean queue for its weight
					b.ReportMetric(100*float64(got[0])/requests*sum(w), "lightest-%")
					b.ReportMetric(100*float64(got[9])/requests*sum(w)/10, "heaviest-%")
				}
			})
		}
	}
}

// BenchmarkSlow prints what it says of endpoints that are slow or fail: five, 8 workers, 500 requests a second,
// answers of 10 ms; the third takes 200 ms, or fails in 1 ms.
func BenchmarkSlow(b *testing.B) {
	for _, algorithm := range []Algorithm{RoundRobin, LeastRequest, PeakEWMA} {
		for _, fails := range []bool{false, true} {
			b.Run(fmt.Sprintf("%v/fails=%v", algorithm, fails), func(b *testing.B) {
				for b.Loop() {
					s := newSite(algorithm, Settings{}, []uint32{1, 1, 1, 1, 1}, 8)
					got, mean := s.run(100_000, 500, func(i int) (int64, bool) {
						switch {
						case i == 2 && fails:
							return ms, true
						case i == 2:
							return s.exponential(200 * ms), false
						}
						return s.exponential(10 * ms), false
					})
					b.ReportMetric(float64(got[2])/1000, "its-%")
					b.ReportMetric(float64(mean)/float64(ms), "mean-ms")
				}
			})
		}
	}
}
