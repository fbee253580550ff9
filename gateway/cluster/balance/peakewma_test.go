package balance

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// site is endpoints with queues of answers under way, and workers that balance
// over them: requests come by chance, and are answered after a time that an
// endpoint draws.
type site struct {
	now      int64
	weights  []uint32
	loads    []int64
	known    []Latency
	settings Settings
	workers  []Balancer
	due      answers
	random   *rand.Rand
}

type answer struct {
	at, took int64
	i        int
	failed   bool
}

type answers []answer

func (a answers) Len() int           { return len(a) }
func (a answers) Less(i, k int) bool { return a[i].at < a[k].at }
func (a answers) Swap(i, k int)      { a[i], a[k] = a[k], a[i] }
func (a *answers) Push(x any)        { *a = append(*a, x.(answer)) }
func (a *answers) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func newSite(algorithm Algorithm, settings Settings, weights []uint32, workers int) *site {
	s := &site{now: second, weights: weights, loads: make([]int64, len(weights)), known: make([]Latency, len(weights)),
		settings: settings, random: rand.New(rand.NewPCG(7, 8))}
	o := Options{Settings: settings, Weights: weights,
		Load:    func(i int) int64 { return s.loads[i] },
		Latency: func(i int) *Latency { return &s.known[i] },
		Now:     func() int64 { return s.now },
	}
	o.Table = NewTable(algorithm, o)
	for w := range workers {
		o.Seed = uint64(w + 1)
		s.workers = append(s.workers, New(algorithm, o))
	}
	return s
}

// run sends n requests, a number of them a second on average, and returns how
// many each endpoint got and the mean time of the answers. serve says how long an endpoint takes, and
// whether it fails.
func (s *site) run(n int, each float64, serve func(i int) (took int64, failed bool)) (got []int, mean int64) {
	got = make([]int, len(s.weights))
	for k := range n {
		s.now += int64(s.random.ExpFloat64() * float64(second) / each)
		for len(s.due) > 0 && s.due[0].at <= s.now {
			a := heap.Pop(&s.due).(answer)
			s.loads[a.i]--
			if a.failed {
				s.known[a.i].Fail(&s.settings.PeakEWMA, a.at, a.took)
			} else {
				s.known[a.i].Observe(&s.settings.PeakEWMA, a.at, a.took)
			}
		}
		i := s.workers[k%len(s.workers)].Pick(nil)
		took, failed := serve(i)
		got[i]++
		mean += took / int64(n)
		s.loads[i]++
		heap.Push(&s.due, answer{s.now + took, took, i, failed})
	}
	return got, mean
}

// exponential draws answers of a mean time.
func (s *site) exponential(mean int64) int64 { return int64(s.random.ExpFloat64() * float64(mean)) }

// Endpoints that answer alike get requests by weight, within what choosing between
// two by chance measurements costs.
func TestPeakEWMAByWeight(t *testing.T) {
	for _, weights := range [][]uint32{{1, 1, 1, 1}, {1, 2, 3, 4}} {
		s := newSite(PeakEWMA, Settings{}, weights, 4)
		got, _ := s.run(100_000, 2000, func(int) (int64, bool) { return 10 * ms, false })
		for i, n := range got {
			if part := float64(n) / 100_000 * sum(weights) / float64(weights[i]); math.Abs(part-1) > 0.06 {
				t.Errorf("%v: endpoint %d has %.3f of its part: %v", weights, i, part, got)
			}
		}
	}
}

// A slow endpoint gets few requests, and least request, which sees only
// numbers, gives it more.
func TestPeakEWMALeavesTheSlow(t *testing.T) {
	weights := []uint32{1, 1, 1, 1, 1}
	slow := func(s *site) func(i int) (int64, bool) {
		return func(i int) (int64, bool) {
			if i == 2 {
				return s.exponential(200 * ms), false
			}
			return s.exponential(10 * ms), false
		}
	}
	ewma, least := newSite(PeakEWMA, Settings{}, weights, 4), newSite(LeastRequest, Settings{}, weights, 4)
	quick, quickMean := ewma.run(50_000, 500, slow(ewma))
	even, evenMean := least.run(50_000, 500, slow(least))
	if part := float64(quick[2]) / 50_000; part > 0.03 {
		t.Errorf("the slow one gets %.4f of the requests", part)
	}
	if quick[2] == 0 || quick[2]*2 > even[2] || quickMean > evenMean {
		t.Errorf("peak EWMA gives the slow one %d and takes %d ns, least request %d and %d ns", quick[2], quickMean, even[2], evenMean)
	}
}

// After it has become quick again it gets its part again, within a few decay times.
func TestPeakEWMAComesBack(t *testing.T) {
	s := newSite(PeakEWMA, Settings{}, []uint32{1, 1, 1, 1, 1}, 2)
	factor := int64(50)
	serve := func(i int) (int64, bool) {
		if i == 2 {
			return s.exponential(10 * ms * factor), false
		}
		return s.exponential(10 * ms), false
	}
	s.run(5000, 500, serve)
	factor = 1
	s.run(500*60, 500, serve) // a minute
	got, _ := s.run(20_000, 500, serve)
	if part := float64(got[2]) / 20_000; math.Abs(part-0.2) > 0.03 {
		t.Errorf("after a minute it gets %.4f of the requests", part)
	}
}

// One that fails at once looks quick, and is left nevertheless; one that fails now and then
// keeps the most of its part.
func TestPeakEWMALeavesTheFailing(t *testing.T) {
	for _, c := range []struct{ failing, least, most float64 }{{1, 0, 0.002}, {0.5, 0, 0.06}, {0.01, 0.18, 0.26}} {
		s := newSite(PeakEWMA, Settings{}, []uint32{1, 1, 1, 1}, 4)
		got, _ := s.run(100_000, 300, func(i int) (int64, bool) { // five minutes
			if i == 1 && s.random.Float64() < c.failing {
				return ms / 2, true
			}
			return s.exponential(10 * ms), false
		})
		if part := float64(got[1]) / 100_000; part < c.least || part > c.most {
			t.Errorf("one of which %.2f fail gets %.4f of the requests", c.failing, part)
		}
	}
}

// What one worker learns keeps the others from a slow endpoint at once.
func TestPeakEWMAIsLearntOnce(t *testing.T) {
	s := newSite(PeakEWMA, Settings{}, []uint32{1, 1}, 8)
	s.known[0].Observe(&s.settings.PeakEWMA, s.now, 10*ms)
	s.known[1].Observe(&s.settings.PeakEWMA, s.now, 10*ms)
	s.known[1].Observe(&s.settings.PeakEWMA, s.now, second)
	for k, w := range s.workers {
		if got := counts(w, 2, 400, nil); got[1] > 0 {
			t.Errorf("worker %d picks the slow one %d times of 400", k, got[1])
		}
	}
}

// Of an unknown endpoint one request is enough until its answer is there.
func TestPeakEWMAProbesOnce(t *testing.T) {
	s := newSite(PeakEWMA, Settings{}, []uint32{1, 1, 1}, 1)
	s.known[0].Observe(&s.settings.PeakEWMA, s.now, 100*ms)
	s.known[1].Observe(&s.settings.PeakEWMA, s.now, 100*ms)
	s.loads[2] = 1
	except := func(i int) bool { return i == 1 }
	for range 300 {
		i := s.workers[0].Pick(&Request{Exclude: except})
		if i == 1 {
			t.Fatal("picked what is excluded")
		}
	}
	// It is taken only if it is drawn alone.
	got := counts(s.workers[0], 3, 9000, nil)
	if part := float64(got[2]) / 9000; part > 0.13 {
		t.Errorf("an unknown endpoint with a request gets %.3f", part)
	}
	s.loads[2] = 0
	got = counts(s.workers[0], 3, 9000, nil)
	if part := float64(got[2]) / 9000; part < 0.5 {
		t.Errorf("an unknown endpoint without a request gets %.3f", part)
	}
}

// All unknown, as after a start: by the number of requests.
func TestPeakEWMAOfTheUnknown(t *testing.T) {
	s := newSite(PeakEWMA, Settings{}, weights(10, func(int) uint32 { return 1 }), 4)
	for range 200 {
		for _, w := range s.workers {
			s.loads[w.Pick(nil)]++
		}
	}
	if most, least := slices.Max(s.loads), slices.Min(s.loads); most > 84 || least < 76 {
		t.Errorf("loads %v", s.loads)
	}
}
