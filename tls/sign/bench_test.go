package sign

import (
	"crypto"
	"crypto/rand"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkHop is what the way to the pool and back costs, without any work:
// "waiting" the time until Done, which a handshake waits longer; "submitting" the time
// that the loop spends, with a thread that sleeps each time.
func BenchmarkHop(b *testing.B) {
	for _, nice := range []int{-1, 19} {
		name := "nice 19"
		if nice < 0 {
			name = "nice 0"
		}
		b.Run("waiting/"+name, func(b *testing.B) {
			p := newPool(b, Options{Threads: 1, Nice: nice})
			var done atomic.Bool
			task := &Task{Flow: new(Flow), Run: func() error { return nil }, Done: func(error) { done.Store(true) }}
			b.ReportAllocs()
			for b.Loop() {
				done.Store(false)
				if err := p.Submit(task); err != nil {
					b.Fatal(err)
				}
				for !done.Load() {
					runtime.Gosched()
				}
			}
		})
	}
	b.Run("submitting", func(b *testing.B) {
		p := newPool(b, Options{Threads: 1})
		var done sync.WaitGroup
		task := &Task{Flow: new(Flow), Run: func() error { return nil }, Done: func(error) { done.Done() }}
		for b.Loop() {
			b.StopTimer()
			for p.idle.Load() == 0 {
				runtime.Gosched()
			}
			done.Add(1)
			b.StartTimer()
			if err := p.Submit(task); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			done.Wait()
			b.StartTimer()
		}
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
