package cluster

import (
	"math"
	"testing"
)

// The tables of Envoy's documentation (load_balancing/priority, panic_threshold); it rounds
// to whole percents.
func TestDivide(t *testing.T) {
	for _, test := range []struct {
		health    []uint64 // healthy endpoints of 100, by priority
		threshold int
		loads     []float64 // percent
		panics    []bool
	}{
		// Two priorities.
		{health: []uint64{100, 100}, threshold: 50, loads: []float64{100, 0}},
		{health: []uint64{72, 72}, threshold: 50, loads: []float64{100, 0}},
		{health: []uint64{71, 71}, threshold: 50, loads: []float64{99, 1}},
		{health: []uint64{50, 50}, threshold: 50, loads: []float64{70, 30}},
		{health: []uint64{25, 100}, threshold: 50, loads: []float64{35, 65}},
		{health: []uint64{25, 25}, threshold: 0, loads: []float64{50, 50}},
		// Three priorities.
		{health: []uint64{100, 100, 100}, threshold: 50, loads: []float64{100, 0, 0}},
		{health: []uint64{72, 72, 100}, threshold: 50, loads: []float64{100, 0, 0}},
		{health: []uint64{71, 71, 100}, threshold: 50, loads: []float64{99, 1, 0}},
		{health: []uint64{50, 50, 100}, threshold: 50, loads: []float64{70, 30, 0}},
		{health: []uint64{25, 100, 100}, threshold: 50, loads: []float64{35, 65, 0}},
		{health: []uint64{25, 25, 100}, threshold: 50, loads: []float64{35, 35, 30}},
		{health: []uint64{25, 25, 20}, threshold: 0, loads: []float64{36, 36, 28}},
		// Panic.
		{health: []uint64{72, 5}, threshold: 50, loads: []float64{100, 0}},
		{health: []uint64{71, 10}, threshold: 50, loads: []float64{99, 1}},
		{health: []uint64{60, 30}, threshold: 50, loads: []float64{84, 16}},
		{health: []uint64{50, 10}, threshold: 50, loads: []float64{83, 17}, panics: []bool{false, true}},
		{health: []uint64{5, 60}, threshold: 50, loads: []float64{8, 92}, panics: []bool{true, false}},
		{health: []uint64{25, 25}, threshold: 50, loads: []float64{50, 50}, panics: []bool{true, true}},
		{health: []uint64{5, 5}, threshold: 50, loads: []float64{50, 50}, panics: []bool{true, true}},
		{health: []uint64{0, 0}, threshold: 50, loads: []float64{50, 50}, panics: []bool{true, true}},
		{health: []uint64{0, 0}, threshold: 0, loads: []float64{0, 0}},
	} {
		n := len(test.health)
		counts, health := make([]strength, n), make([]float64, n)
		for i, h := range test.health {
			counts[i] = strength{h, 100}
			health[i] = counts[i].health(0)
		}
		loads, panics := make([]float64, n), make([]bool, n)
		divide(health, counts, test.threshold, loads, panics)
		for i := range loads {
			if math.Abs(100*loads[i]-test.loads[i]) > 1 {
				t.Errorf("%v, threshold %d: priority %d gets %.2f %%, want %v", test.health, test.threshold, i, 100*loads[i], test.loads[i])
			}
			if want := test.panics != nil && test.panics[i]; panics[i] != want {
				t.Errorf("%v, threshold %d: priority %d panics: %v", test.health, test.threshold, i, panics[i])
			}
		}
	}
}

// When all are in panic, requests go by the number of endpoints, and priorities
// without any get none.
func TestDivideInTotalPanic(t *testing.T) {
	loads, panics := make([]float64, 3), make([]bool, 3)
	if a := divide([]float64{0, 0, 0.14}, []strength{{0, 60}, {0, 0}, {4, 40}}, 50, loads, panics); a != 0.14 {
		t.Errorf("available %v", a)
	}
	if loads[0] != 0.6 || loads[1] != 0 || loads[2] != 0.4 || !panics[0] || !panics[2] {
		t.Errorf("%v %v", loads, panics)
	}
}

// The table of Envoy's documentation (load_balancing/locality_weight): X has weight 1, Y weight 2,
// and Y is healthy; at 140 %.
func TestLocalities(t *testing.T) {
	for _, test := range []struct {
		healthy uint64
		x       float64
	}{{100, 33}, {70, 33}, {69, 32}, {50, 26}, {25, 15}, {0, 0}} {
		shares := make([]float64, 2)
		if !localities([]float64{1, 2}, []strength{{test.healthy, 100}, {100, 100}}, 0, shares) {
			t.Fatal("no shares")
		}
		if math.Abs(100*shares[0]-test.x) > 1 || math.Abs(shares[0]+shares[1]-1) > 1e-9 {
			t.Errorf("%d %% of X are healthy: X gets %.2f %%, want %v", test.healthy, 100*shares[0], test.x)
		}
	}
	if localities([]float64{0, 0}, []strength{{1, 1}, {1, 1}}, 0, make([]float64, 2)) {
		t.Error("localities without weights divide requests")
	}
}

func TestZoneAware(t *testing.T) {
	for _, test := range []struct {
		upstream, local, want []float64
		own                   int
	}{
		{[]float64{.5, .5}, []float64{.5, .5}, []float64{1, 0}, 0},
		{[]float64{.6, .4}, []float64{.5, .5}, []float64{1, 0}, 0},
		// Of a zone with 40 % of the endpoints and half of the gateways 80 % stay.
		{[]float64{.6, .4}, []float64{.5, .5}, []float64{.2, .8}, 1},
		{[]float64{.2, .3, .5}, []float64{.4, .3, .3}, []float64{.5, 0, .5}, 0},
		{[]float64{.1, .5, .4}, []float64{.5, .3, .2}, []float64{.2, .4, .4}, 0},
		// There are gateways where no endpoint is.
		{[]float64{.5, .5}, []float64{.2, .2}, []float64{1, 0}, 0},
	} {
		shares := make([]float64, len(test.want))
		zoneAware(test.upstream, test.local, test.own, shares)
		for i := range shares {
			if math.Abs(shares[i]-test.want[i]) > 1e-9 {
				t.Errorf("endpoints %v, gateways %v, own %d: %v, want %v", test.upstream, test.local, test.own, shares, test.want)
				break
			}
		}
	}
}
