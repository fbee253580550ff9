package record

import (
	"fmt"
	"testing"
)

// BenchmarkSeal and BenchmarkOpen are one record of 16 KB or 1 KB.
func BenchmarkSeal(b *testing.B) {
	eachBenchmark(b, func(b *testing.B, s *suite, n int) {
		seal, _ := pairOf(b, s, 1)
		payload := make([]byte, n)
		buf := make([]byte, 0, MaxSize)
		for b.Loop() {
			buf = seal.Seal(buf[:0], TypeApplicationData, payload)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	eachBenchmark(b, func(b *testing.B, s *suite, n int) {
		seal, open := pairOf(b, s, 1)
		rec := seal.Seal(nil, TypeApplicationData, make([]byte, n))
		buf := make([]byte, len(rec))
		for b.Loop() {
			open.seq = 0
			copy(buf, rec)
			if _, _, err := open.Open(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func eachBenchmark(b *testing.B, f func(b *testing.B, s *suite, n int)) {
	for _, i := range []int{0, 1, 2, 3, 4, 13, 15} {
		for _, n := range []int{16 << 10, 1 << 10} {
			b.Run(fmt.Sprintf("%v/%d", suites[i], n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				f(b, suites[i], n)
			})
		}
	}
}

// BenchmarkSessionOpen is a read of 64 KB in full records: the plaintext is moved together.
func BenchmarkSessionOpen(b *testing.B) {
	client, server := sessionsOf(b, suites[0])
	client.sent = smallUntil
	records := client.Seal(nil, make([]byte, 64<<10))
	buf := make([]byte, len(records))
	b.SetBytes(64 << 10)
	for b.Loop() {
		server.in.seq = 0
		copy(buf, records)
		if plain, _, err := server.Open(buf); err != nil || len(plain) != 64<<10 {
			b.Fatal(len(plain), err)
		}
	}
}

// BenchmarkKeys is what Release leaves to the next record.
func BenchmarkKeys(b *testing.B) {
	seal, _ := pairOf(b, suites[0], 1)
	b.ReportAllocs()
	for b.Loop() {
		seal.Release()
		seal.ensure()
	}
}
