package cluster

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Workers report while versions of the cluster follow each other, with outlier detection
// and without: nothing is lost on the way, and in the end nobody is ejected for ever.
func TestReportsDuringReloads(t *testing.T) {
	w := newWorld(t)
	config := func(outliers bool) *Config {
		c := passive()
		c.Outlier.BaseEjectionTime, c.Outlier.Consecutive5xx, c.Outlier.MaxEjectionPercent = time.Millisecond, 2, 100
		c.Outlier.MaxEjectionTime = time.Millisecond
		if !outliers {
			c.Outlier = nil
		}
		return c
	}
	var current atomic.Pointer[Cluster]
	c := New(config(true))
	c.Start(w.runtime)
	current.Store(c)
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := current.Load()
				d := c.Outliers()
				if d == nil {
					continue
				}
				endpoints := c.Hosts().Endpoints
				m := d.Monitor(endpoints[random.IntN(len(endpoints))].Outlier())
				for range 100 {
					m.Status([]int{200, 500, 503}[random.IntN(3)])
				}
			}
		})
	}
	for n := range 40 {
		next := New(config(n%5 != 4))
		next.Inherit(current.Load())
		next.Start(w.runtime)
		current.Store(next)
		if d := next.Outliers(); d != nil && n%5 == 2 {
			for before := d.Stats().Enforced[0]; d.Stats().Enforced[0] == before; { // it works
				time.Sleep(time.Millisecond)
			}
		}
	}
	close(stop)
	workers.Wait()
	last := New(config(true))
	last.Inherit(current.Load())
	last.Start(w.runtime)
	defer last.Close()
	for end := time.Now().Add(10 * time.Second); len(last.Hosts().Usable()) != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("only %s are used; %+v", addresses(last.Hosts().Usable()), last.Outliers().Stats())
		}
	}
}
