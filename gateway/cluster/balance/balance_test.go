package balance

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func weights(n int, weight func(i int) uint32) []uint32 {
	w := make([]uint32, n)
	for i := range w {
		w[i] = weight(i)
	}
	return w
}

func except(exclude func(int) bool) *Request { return &Request{Exclude: exclude} }

func counts(b Balancer, n, picks int, exclude func(int) bool) []int {
	c := make([]int, n)
	for range picks {
		c[b.Pick(except(exclude))]++
	}
	return c
}

func noLoad(int) int64 { return 0 }

var algorithms = []Algorithm{RoundRobin, Random, LeastRequest, PeakEWMA, RingHash, Maglev}

// forms are the algorithms in all that they may turn out to be.
var forms = map[string]struct {
	algorithm Algorithm
	settings  Settings
	factor    int
}{
	"round robin":        {RoundRobin, Settings{}, 0},
	"random":             {Random, Settings{}, 0},
	"least request":      {LeastRequest, Settings{}, 0},
	"full scan":          {LeastRequest, Settings{LeastRequest: LeastRequestSettings{FullScan: true}}, 0},
	"biased":             {LeastRequest, Settings{LeastRequest: LeastRequestSettings{Biased: true, Bias: 1}}, 0},
	"peak EWMA":          {PeakEWMA, Settings{}, 0},
	"ring hash":          {RingHash, Settings{}, 0},
	"Maglev":             {Maglev, Settings{}, 0},
	"bounded ring hash":  {RingHash, Settings{}, 150},
	"bounded Maglev":     {Maglev, Settings{}, 150},
	"small Maglev table": {Maglev, Settings{Maglev: MaglevSettings{TableSize: 2}}, 0},
}

// formOptions are a form's for a list that nothing is known of.
func formOptions(name string, w []uint32) Options {
	var l Latency
	l.Observe(new(PeakEWMASettings), second, 10*ms)
	keys := addresses(len(w)).keys
	return Options{
		Settings: forms[name].settings, HashBalanceFactor: forms[name].factor, Weights: w, Seed: 5,
		Key: func(i int) string { return keys[i] }, Load: noLoad, Total: func() int64 { return 0 },
		Latency: func(int) *Latency { return &l }, Now: func() int64 { return 3 * second },
	}
}

func TestSmoothSequence(t *testing.T) {
	for _, c := range []struct {
		weights []uint32
		want    string
	}{
		{[]uint32{5, 1, 1}, "aabacaa"},
		{[]uint32{10, 2, 2}, "aabacaa"},
		{[]uint32{2, 1}, "aba"},
		{[]uint32{1, 2, 3}, "cbacbc"},
		{[]uint32{0, 2}, "bab"},
	} {
		var got strings.Builder
		for _, i := range smooth(&Options{Weights: c.weights}) {
			got.WriteByte('a' + byte(i))
		}
		if got.String() != c.want {
			t.Errorf("%v: %s, want %s", c.weights, got.String(), c.want)
		}
	}
}

func TestSmoothIsBounded(t *testing.T) {
	if s := smooth(&Options{Weights: []uint32{math.MaxUint32, math.MaxUint32 - 1}}); s != nil {
		t.Errorf("laid out %d turns", len(s))
	}
	if s := smooth(&Options{Weights: weights(10_000, func(i int) uint32 { return uint32(i%2 + 1) })}); s != nil {
		t.Errorf("laid out %d turns", len(s))
	}
}

// Over one cycle each form gives each endpoint exactly its weight, wherever it begins.
func TestRoundRobinIsExact(t *testing.T) {
	for _, c := range []struct {
		name    string
		weights []uint32
		form    string
	}{
		{"one", []uint32{7}, "*balance.rotation"},
		{"equal", []uint32{3, 3, 3, 3}, "*balance.rotation"},
		{"few", []uint32{5, 1, 3}, "*balance.schedule"},
		{"many", weights(1000, func(i int) uint32 { return uint32(i%7 + 1) }), "*balance.deadlines"},
		{"heavy", []uint32{40_000, 29_999}, "*balance.deadlines"},
	} {
		for seed := range uint64(5) {
			b := New(RoundRobin, Options{Weights: c.weights, Seed: seed})
			if form := fmt.Sprintf("%T", b); form != c.form {
				t.Errorf("%s: %s, want %s", c.name, form, c.form)
			}
			total := 0
			for _, w := range c.weights {
				total += int(w)
			}
			got := counts(b, len(c.weights), 2*total, nil)
			for i, w := range c.weights {
				if got[i] != 2*int(w) {
					t.Fatalf("%s, seed %d: endpoint %d of weight %d was picked %d times in two cycles", c.name, seed, i, w, got[i])
				}
			}
		}
	}
}

// No endpoint of the heap is ever far from its share.
func TestDeadlinesAreSmooth(t *testing.T) {
	heavy := weights(1000, func(int) uint32 { return 1 })
	heavy[400] = 3000
	for name, w := range map[string][]uint32{
		"classes":  weights(500, func(i int) uint32 { return uint32(i%50 + 1) }),
		"heavy":    heavy,
		"distinct": weights(400, func(i int) uint32 { return uint32(i*i + 1000) }),
	} {
		b := New(RoundRobin, Options{Weights: w, Seed: 4})
		got := make([]int, len(w))
		for step := 1; step <= 12_000; step++ {
			got[b.Pick(nil)]++
			if step%97 != 0 {
				continue
			}
			for i := range w {
				if ideal := float64(step) * float64(w[i]) / sum(w); math.Abs(float64(got[i])-ideal) > 2 {
					t.Fatalf("%s: after %d picks endpoint %d of weight %d has %d, ideal %.2f", name, step, i, w[i], got[i], ideal)
				}
			}
		}
	}
}

func TestDeadlinesTakeTheLargestWeights(t *testing.T) {
	b := New(RoundRobin, Options{Weights: []uint32{math.MaxUint32, math.MaxUint32 - 1, 1}, Seed: 1})
	got := counts(b, 3, 10_000, nil)
	if got[0] < 4990 || got[1] < 4990 || got[2] > 1 {
		t.Errorf("picked %v", got)
	}
}

// Workers begin at different places, so that many workers with few requests
// each do not all use the first endpoint.
func TestWorkersBeginApart(t *testing.T) {
	for _, w := range [][]uint32{weights(64, func(int) uint32 { return 1 }), {3, 1, 2}, weights(5000, func(i int) uint32 { return uint32(i%3 + 1) })} {
		first := map[int]bool{}
		for seed := range uint64(64) {
			first[New(RoundRobin, Options{Weights: w, Seed: seed}).Pick(nil)] = true
		}
		if len(first) < min(len(w), 20) {
			t.Errorf("64 workers of %d endpoints begin at %d places", len(w), len(first))
		}
	}
}

// Pearson's statistic of observed counts against shares; for k endpoints it is
// about k-1 with deviation sqrt(2(k-1)).
func chiSquare(got []int, w []uint32, picks int) float64 {
	total := 0.0
	for _, x := range w {
		total += float64(x)
	}
	sum := 0.0
	for i := range w {
		ideal := float64(picks) * float64(w[i]) / total
		sum += (float64(got[i]) - ideal) * (float64(got[i]) - ideal) / ideal
	}
	return sum
}

func TestRandomFollowsWeights(t *testing.T) {
	for _, w := range [][]uint32{{1, 1, 1}, {1, 2, 3, 4}, {95, 5}, weights(200, func(i int) uint32 { return uint32(i*i%31 + 1) }), {math.MaxUint32, math.MaxUint32, 1 << 31}} {
		const picks = 200_000
		for _, algorithm := range []Algorithm{Random, LeastRequest} { // with equal load, least request goes by weight
			b := New(algorithm, Options{Weights: w, Seed: 11, Load: noLoad})
			k := float64(len(w) - 1)
			if x := chiSquare(counts(b, len(w), picks, nil), w, picks); x > k+5*math.Sqrt(2*k) {
				t.Errorf("%d endpoints, algorithm %d: chi-square %.1f", len(w), algorithm, x)
			}
		}
	}
}

// The table holds every weight exactly.
func TestAliasIsExact(t *testing.T) {
	for _, w := range [][]uint32{{1, 2}, {5, 1, 1}, {math.MaxUint32, 1, 7}, weights(10_000, func(i int) uint32 { return uint32(i*7919%1000 + 1) })} {
		a := newAlias(&Options{Weights: w})
		mass := make([]uint64, len(w))
		for i, c := range a.columns {
			own := min(c.own, a.total)
			mass[i] += own
			mass[c.other] += a.total - own
		}
		for i := range w {
			if mass[i] != uint64(w[i])*uint64(len(w)) {
				t.Fatalf("endpoint %d of weight %d has mass %d, want %d", i, w[i], mass[i], uint64(w[i])*uint64(len(w)))
			}
		}
	}
}

func TestLeastRequestTakesTheLeastLoaded(t *testing.T) {
	load := []int64{4, 1, 7}
	b := New(LeastRequest, Options{Weights: []uint32{1, 1, 1}, Choices: 3, Seed: 2, Load: func(i int) int64 { return load[i] }})
	for range 100 {
		if i := b.Pick(nil); i != 1 {
			t.Fatalf("picked %d", i)
		}
	}
	if i := b.Pick(except(func(i int) bool { return i == 1 })); i != 0 {
		t.Errorf("picked %d when the least loaded is excluded", i)
	}
	// 6 requests for weight 10 are less than 1 for weight 1.
	load = []int64{6, 1}
	b = New(LeastRequest, Options{Weights: []uint32{10, 1}, Seed: 2, Load: func(i int) int64 { return load[i] }})
	for range 100 {
		if i := b.Pick(nil); i != 0 {
			t.Fatalf("picked %d", i)
		}
	}
}

// Two choices keep the longest queue far shorter than one.
func TestTwoChoicesKeepQueuesShort(t *testing.T) {
	const n = 1000
	longest := func(algorithm Algorithm) int64 {
		load := make([]int64, n)
		b := New(algorithm, Options{Weights: weights(n, func(int) uint32 { return 1 }), Seed: 3, Load: func(i int) int64 { return load[i] }})
		for range n * 10 {
			load[b.Pick(nil)]++
		}
		return slices.Max(load)
	}
	one, two := longest(Random), longest(LeastRequest)
	if two > 14 || one < 18 {
		t.Errorf("longest queue of ten on average: %d with one choice, %d with two", one, two)
	}
}

func TestExclude(t *testing.T) {
	lists := map[string][]uint32{
		"one":   {1},
		"equal": {1, 1, 1, 1, 1},
		"few":   {50, 1, 1},
		"many":  weights(3000, func(i int) uint32 { return uint32(i%9 + 1) }),
		"heavy": {1_000_000, 1, 3},
	}
	for form, a := range forms {
		for name, w := range lists {
			b := New(a.algorithm, formOptions(form, w))
			calls := 0
			if i := b.Pick(except(func(int) bool { calls++; return true })); i != -1 {
				t.Errorf("%s, %s: picked %d of none", form, name, i)
			}
			if limit := 2*len(w) + 64; calls > limit {
				t.Errorf("%s, %s: %d calls of exclude, more than %d", form, name, calls, limit)
			}
			// Any single one that is left is found.
			for _, left := range []int{0, len(w) / 2, len(w) - 1} {
				if i := b.Pick(except(func(i int) bool { return i != left })); i != left {
					t.Errorf("%s, %s: picked %d, only %d is left", form, name, i, left)
				}
			}
			// The one that failed is not picked again while there are others.
			if len(w) == 1 {
				continue
			}
			for range 200 {
				previous := b.Pick(nil)
				if again := b.Pick(except(func(i int) bool { return i == previous })); again == previous || again < 0 {
					t.Fatalf("%s, %s: picked %d after %d failed", form, name, again, previous)
				}
			}
		}
	}
}

func TestEmptyList(t *testing.T) {
	for _, a := range algorithms {
		if i := New(a, Options{}).Pick(nil); i != -1 {
			t.Errorf("%v: picked %d", a, i)
		}
		if size := NewTable(a, Options{}).Size(); size != 0 {
			t.Errorf("%v: the table has %d bytes", a, size)
		}
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	for form, a := range forms {
		for _, w := range [][]uint32{{1, 1}, {1, 2}, weights(10_000, func(i int) uint32 { return uint32(i%5 + 1) })} {
			b := New(a.algorithm, formOptions(form, w))
			r := &Request{HasHash: true}
			if n := testing.AllocsPerRun(100, func() { r.Hash = scatter(r.Hash); b.Pick(r) }); n != 0 {
				t.Errorf("%s of %d: %v allocations a pick", form, len(w), n)
			}
			r.Exclude = func(i int) bool { return i == 1 }
			if n := testing.AllocsPerRun(100, func() { r.Hash = scatter(r.Hash); b.Pick(r) }); n != 0 {
				t.Errorf("%s of %d, one excluded: %v allocations a pick", form, len(w), n)
			}
		}
	}
}
