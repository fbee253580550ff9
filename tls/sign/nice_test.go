package sign

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The threads have their niceness, no other thread gets it, and they end with
// the pool.
func TestNice(t *testing.T) {
	if !waitNices(t, 0) {
		t.Skip("a thread of this process is at niceness 19 without a pool")
	}
	p := newPool(t, Options{Threads: 3})
	var free sync.WaitGroup
	for range 20 { // new threads while the pool's exist
		free.Go(func() { runtime.LockOSThread() })
	}
	free.Wait()
	if !waitNices(t, 3) {
		t.Errorf("%d threads at niceness 19", len(nices(t)))
	}
	p.Close()
	if !waitNices(t, 0) {
		t.Errorf("%d threads at niceness 19 after Close", len(nices(t)))
	}
}

// waitNices waits, for an ended thread's entry goes a moment after its last
// instruction, until that many threads are at niceness 19.
func waitNices(t *testing.T, want int) bool {
	for range 10000 {
		if len(nices(t)) == want {
			return true
		}
		runtime.Gosched()
	}
	return false
}

// nices are the threads of this process that are at niceness 19 (proc(5)).
func nices(t *testing.T) (all []string) {
	paths, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		_, rest, ok := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); ok && len(fields) > 16 && fields[16] == "19" {
			all = append(all, path)
		}
	}
	return all
}

// Threads of niceness 19 get on while all CPUs are busy.
func TestProgressUnderLoad(t *testing.T) {
	p := newPool(t, Options{Threads: 1})
	var end atomic.Bool
	var busy sync.WaitGroup
	for range runtime.NumCPU() {
		busy.Go(func() {
			for !end.Load() {
			}
		})
	}
	c := make(chan struct{})
	task := &Task{Flow: new(Flow), Run: func() error { return nil }, Done: func(error) { c <- struct{}{} }}
	for range 10 {
		if err := p.Submit(task); err != nil {
			t.Fatal(err)
		}
		<-c
	}
	end.Store(true)
	busy.Wait()
}
