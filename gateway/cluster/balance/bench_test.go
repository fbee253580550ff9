package balance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// spent reports the processor's time, which others on the machine do not lengthen.
func spent(b *testing.B) func() {
	used := func() int64 {
		var u unix.Rusage
		unix.Getrusage(unix.RUSAGE_SELF, &u)
		return u.Utime.Nano() + u.Stime.Nano()
	}
	begun := used()
	return func() { b.ReportMetric(float64(used()-begun)/float64(b.N), "cpu-ns/op") }
}

func BenchmarkPick(b *testing.B) {
	for _, form := range slices.Sorted(maps.Keys(forms)) {
		for _, n := range []int{2, 10, 1000, 10_000} {
			for kind, weight := range map[string]func(int) uint32{
				"equal":    func(int) uint32 { return 1 },
				"weighted": func(i int) uint32 { return uint32(i%10 + 1) },
			} {
				b.Run(fmt.Sprintf("%s/%d/%s", strings.ReplaceAll(form, " ", "_"), n, kind), func(b *testing.B) {
					balancer := New(forms[form].algorithm, formOptions(form, weights(n, weight)))
					r := &Request{HasHash: true}
					b.ReportAllocs()
					defer spent(b)()
					for b.Loop() {
						r.Hash = r.Hash*0xd1342543de82ef95 + 1
						balancer.Pick(r)
					}
				})
			}
		}
	}
}

// BenchmarkTable is what a change of the list costs whoever publishes it, and
// BenchmarkNew what it costs each worker.
func BenchmarkTable(b *testing.B) { benchmarkLists(b, true) }
func BenchmarkNew(b *testing.B)   { benchmarkLists(b, false) }

func benchmarkLists(b *testing.B, table bool) {
	for _, form := range slices.Sorted(maps.Keys(forms)) {
		for _, n := range []int{100, 10_000} {
			for kind, weight := range map[string]func(int) uint32{
				"equal":    func(int) uint32 { return 1 },
				"weighted": func(i int) uint32 { return uint32(i%10 + 1) },
			} {
				b.Run(fmt.Sprintf("%s/%d/%s", strings.ReplaceAll(form, " ", "_"), n, kind), func(b *testing.B) {
					o := formOptions(form, weights(n, weight))
					o.Table = NewTable(forms[form].algorithm, o)
					defer spent(b)()
					for b.Loop() {
						if table {
							NewTable(forms[form].algorithm, o)
						} else {
							New(forms[form].algorithm, o)
						}
					}
					if table {
						b.ReportMetric(float64(o.Table.Size()), "bytes")
					}
				})
			}
		}
	}
}

// BenchmarkObserve is what learning of an answer costs when all workers tell of the same
// endpoint, beside counting the request on the same line of memory.
func BenchmarkObserve(b *testing.B) {
	for name, observe := range map[string]bool{"count_only": false, "observe": true} {
		b.Run(name, func(b *testing.B) {
			var endpoint struct {
				_       [64]byte
				active  atomic.Int64
				latency Latency
				_       [64]byte
			}
			b.RunParallel(func(pb *testing.PB) {
				s, now := new(PeakEWMASettings), int64(second)
				for pb.Next() {
					endpoint.active.Add(1)
					if now += 100_000; observe {
						endpoint.latency.Observe(s, now, now&0xfffff)
					}
					endpoint.active.Add(-1)
				}
			})
		})
	}
}
