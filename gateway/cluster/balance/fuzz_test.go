package balance

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
)

// FuzzLists makes balancers of any weights, keys and settings. Each must pick what is in the list and not
// excluded, whatever the loads and times are.
func FuzzLists(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0}, uint8(0), uint64(7), uint64(0), uint64(0), int64(5), 1.0)
	f.Add([]byte{255, 255, 255, 255, 1, 0, 0, 0}, uint8(4), uint64(1)<<63, uint64(12), uint64(6), int64(math.MaxInt64), 0.0)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}, uint8(5), uint64(0), uint64(7), uint64(1), int64(-3), math.Inf(1))
	f.Add([]byte("0000000000000001"), uint8(5), uint64(0), uint64(7), uint64(92), int64(-85), math.Inf(1)) // a table smaller than the list
	f.Add([]byte{9, 0, 0, 0}, uint8(2), uint64(3), uint64(1), uint64(3), int64(0), math.NaN())
	f.Add([]byte{5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, uint8(3), uint64(3), uint64(0), uint64(0), int64(1)<<40, -2.0)
	f.Fuzz(func(t *testing.T, raw []byte, algorithm uint8, seed, small, large uint64, load int64, bias float64) {
		var o Options
		var keys []string
		for ; len(raw) >= 4 && len(keys) < 64; raw = raw[4:] {
			w := binary.LittleEndian.Uint32(raw)
			o.Weights = append(o.Weights, w)
			keys = append(keys, fmt.Sprint(w%8)) // several have the same
		}
		n := len(o.Weights)
		var known Latency
		o.Settings = Settings{
			LeastRequest: LeastRequestSettings{FullScan: seed&1 != 0, Biased: seed&2 != 0, Bias: bias},
			RingHash:     RingHashSettings{MinSize: small % 4096, MaxSize: large % 4096, Hash: HashFunction(seed & 1)},
			Maglev:       MaglevSettings{TableSize: []uint64{0, 2, 3, 251, 1009}[small%5]},
		}
		o.Seed, o.Choices, o.HashBalanceFactor = seed, int(small%9), int(large%300)
		o.Key = func(i int) string { return keys[i] }
		o.Load, o.Total = func(int) int64 { return load }, func() int64 { return load }
		o.Latency, o.Now = func(int) *Latency { return &known }, func() int64 { return load }
		b := New(Algorithm(algorithm%6), o)
		r := &Request{}
		for k := range uint64(20) {
			r.Hash, r.HasHash, r.Exclude = seed*(2*k+1), k&1 != 0, nil
			i := b.Pick(r)
			if i < -1 || i >= n || i < 0 && n > 0 {
				t.Fatalf("picked %d of %d", i, n)
			}
			if n == 0 {
				continue
			}
			if k&2 != 0 {
				known.Observe(&o.Settings.PeakEWMA, load-int64(k)<<30, load)
			} else {
				known.Fail(&o.Settings.PeakEWMA, load+int64(k)<<50, -load)
			}
			calls, left := 0, int(k)%n
			r.Exclude = func(i int) bool { calls++; return i != left }
			if i := b.Pick(r); i != left || calls > 2*n+64 {
				t.Fatalf("picked %d after %d calls, only %d is left", i, calls, left)
			}
			r.Exclude = func(int) bool { return true }
			if i := b.Pick(r); i != -1 {
				t.Fatalf("picked %d of none", i)
			}
		}
		if value := known.Average(); n > 0 && (value < 0 || value > int64(maxLatency)) || known.Failures() < 0 || known.Failures() > 1 {
			t.Fatalf("average %d, failures %v", value, known.Failures())
		}
	})
}

// FuzzTurns: over a cycle of any weights everyone has exactly its weight.
func FuzzTurns(f *testing.F) {
	f.Add([]byte{5, 1, 1}, uint64(1))
	f.Add([]byte{200, 0, 0, 0, 255}, uint64(9))
	f.Fuzz(func(t *testing.T, raw []byte, seed uint64) {
		if len(raw) == 0 || len(raw) > 400 {
			return
		}
		w := make([]uint32, len(raw))
		cycle := 0
		for i, x := range raw {
			w[i] = max(uint32(x), 1)
			cycle += int(w[i])
		}
		got := counts(New(RoundRobin, Options{Weights: w, Seed: seed}), len(w), cycle, nil)
		if !slices.EqualFunc(got, w, func(n int, w uint32) bool { return n == int(w) }) {
			t.Errorf("weights %v, picks %v", w, got)
		}
	})
}
