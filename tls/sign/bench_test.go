package sign

import (
	"crypto"
	"crypto/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkHop is what the way to the pool and back costs, without any work.
// With a thread that sleeps: "submit-ns" is what the loop spends, "done-ns" when Done is
// called, seen from a loop on another CPU. "queueing" is Submit to a busy thread.
func BenchmarkHop(b *testing.B) {
	b.Run("sleeping", func(b *testing.B) {
		if runtime.NumCPU() < 2 {
			b.Skip("needs two CPUs")
		}
		p := newPool(b, Options{Threads: 1})
		var done atomic.Bool
		task := &Task{Flow: new(Flow), Run: func() error { return nil }, Done: func(error) { done.Store(true) }}
		var submit, whole time.Duration
		b.ReportAllocs()
		for b.Loop() {
			for p.idle.Load() == 0 {
			}
			done.Store(false)
			begin := time.Now()
			if err := p.Submit(task); err != nil {
				b.Fatal(err)
			}
			submit += time.Since(begin)
			for !done.Load() {
			}
			whole += time.Since(begin)
		}
		b.ReportMetric(float64(submit)/float64(b.N), "submit-ns")
		b.ReportMetric(float64(whole)/float64(b.N), "done-ns")
	})
	b.Run("queueing", func(b *testing.B) { // a thread that is busy anyway
		p := newPool(b, Options{Threads: 1, Queue: 1 << 20})
		tasks := make([]Task, 1000)
		var done sync.WaitGroup
		flow := new(Flow)
		for i := range tasks {
			tasks[i] = Task{Flow: flow, Run: func() error { return nil }, Done: func(error) { done.Done() }}
		}
		n := 0
		for b.Loop() {
			if n == len(tasks) {
				b.StopTimer()
				done.Wait()
				n = 0
				b.StartTimer()
			}
			done.Add(1)
			if err := p.Submit(&tasks[n]); err != nil {
				b.Fatal(err)
			}
			n++
		}
		done.Wait()
	})
}

// BenchmarkPoolSign is signatures in the pool with all its threads busy.
func BenchmarkPoolSign(b *testing.B) {
	for _, name := range []string{"RSA-2048", "ECDSA P-256", "ECDSA P-384"} {
		b.Run(name, func(b *testing.B) {
			key := load(b, goKeys(b)[name], Auto)
			p := newPool(b, Options{Threads: 1})
			d := make([]byte, 32)
			var done sync.WaitGroup
			window := make(chan *Task, 16)
			for range cap(window) {
				t := &Task{Flow: key.Flow()}
				t.Run = func() error { _, err := key.Sign(rand.Reader, d, crypto.SHA256); return err }
				t.Done = func(err error) {
					if err != nil {
						b.Error(err)
					}
					done.Done()
					window <- t
				}
				window <- t
			}
			b.ReportAllocs()
			for b.Loop() {
				done.Add(1)
				if err := p.Submit(<-window); err != nil {
					b.Fatal(err)
				}
			}
			done.Wait()
		})
	}
}
