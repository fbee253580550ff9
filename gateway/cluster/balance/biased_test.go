package balance

import (
	"math"
	"testing"
)

func biasedOptions(w []uint32, bias float64, load func(i int) int64) Options {
	return Options{Weights: w, Load: load, Seed: 5, Settings: Settings{LeastRequest: LeastRequestSettings{Biased: true, Bias: bias}}}
}

// Requests follow weight / (requests under way + 1) ^ bias (Envoy's definition).
func TestBiasFollowsItsDefinition(t *testing.T) {
	w, loads := []uint32{1, 2, 4, 8}, []int64{0, 1, 3, 7}
	for _, bias := range []float64{0, 0.5, 1, 1.5, 4, -1, math.NaN()} {
		want := make([]float64, len(w))
		total, effective := 0.0, bias
		if !(bias > 0) {
			effective = 0
		}
		for i := range w {
			want[i] = float64(w[i]) / math.Pow(float64(loads[i]+1), min(effective, maxBias))
			total += want[i]
		}
		got := counts(New(LeastRequest, biasedOptions(w, bias, func(i int) int64 { return loads[i] })), 4, 100_000, nil)
		for i := range w {
			if ideal := want[i] / total * 100_000; math.Abs(float64(got[i])-ideal) > 3 {
				t.Errorf("bias %v: endpoint %d was picked %d times, want %.1f", bias, i, got[i], ideal)
			}
		}
	}
}

// A bias is for unequal weights only.
func TestBiasOfEqualWeights(t *testing.T) {
	b := New(LeastRequest, biasedOptions([]uint32{2, 2, 2}, 1, noLoad))
	if _, ok := b.(*leastRequest); !ok {
		t.Errorf("%T", b)
	}
}

// Times are counted anew before they lose precision, and shares stay.
func TestBiasedHorizon(t *testing.T) {
	w := []uint32{1, math.MaxUint32, math.MaxUint32}
	load := int64(math.MaxInt64)
	b := New(LeastRequest, biasedOptions(w, 1, func(int) int64 { return load })).(*biased)
	got := counts(b, 3, 1_000_000, nil)
	if math.Abs(float64(got[1]-got[2])) > 2 || got[0] > 1 {
		t.Errorf("%v", got)
	}
	for _, a := range b.heap {
		if a.at > 1<<33*b.pace[a.index] || math.IsNaN(a.at) {
			t.Errorf("endpoint %d is due at %g", a.index, a.at)
		}
	}
}

func TestBiasedExcludes(t *testing.T) {
	w := weights(100, func(i int) uint32 { return uint32(i%4 + 1) })
	b := New(LeastRequest, biasedOptions(w, 1, noLoad))
	for left := range 100 {
		if i := b.Pick(except(func(i int) bool { return i != left })); i != left {
			t.Errorf("picked %d, only %d is left", i, left)
		}
	}
	if i := b.Pick(except(func(int) bool { return true })); i != -1 {
		t.Errorf("picked %d of none", i)
	}
	if n := testing.AllocsPerRun(100, func() { b.Pick(nil) }); n != 0 {
		t.Errorf("%v allocations a pick", n)
	}
}
