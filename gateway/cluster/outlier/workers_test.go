package outlier

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const workers = 8

// each runs f on as many goroutines as there are workers, and waits for them.
func each(f func(worker int)) {
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// A row is as long as all workers make it: it reaches its threshold with the last failure
// and with none before, and one success of any worker ends it.
func TestRowsOverWorkers(t *testing.T) {
	const failures = 2000
	for _, c := range []struct{ threshold, want int }{{workers * failures, 1}, {workers*failures + 1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			f := run(t, 1, func(config *Config) {
				config.Consecutive5xx, config.ConsecutiveGatewayFailure = c.threshold, 0
				config.Enforcing.Consecutive5xx = 0
				config.FailurePercentage.MinimumHosts = 2
			})
			all := make([]*Monitor, workers)
			for i := range all {
				all[i] = f.Monitor(f.hosts[0])
			}
			fail := func(i int) {
				for range failures {
					all[i].Status(503)
				}
			}
			for range 3 {
				each(fail)
				synctest.Wait()
				all[3].Status(200)
			}
			if n := f.Stats().Detected[By5xx]; n != uint64(3*c.want) {
				t.Errorf("found %d times with a threshold of %d", n, c.threshold)
			}
		})
	}
}

// No result is lost or counted twice, whenever the shares are looked at.
func TestTalliesOverWorkers(t *testing.T) {
	d := New(&Config{Interval: time.Hour})
	h := &Host{Owner: name("a")}
	d.Add(h)
	const requests = 20_000
	stop, looked := make(chan struct{}), make(chan sum)
	go func() {
		var all sum
		look := func() {
			d.mu.Lock()
			recent := h.watch.Load().sum()[external]
			d.mu.Unlock()
			if recent.good > recent.total {
				t.Errorf("%d of %d are good", recent.good, recent.total)
			}
			all.total += recent.total
			all.good += recent.good
		}
		for {
			look()
			select {
			case <-stop:
				look()
				looked <- all
				return
			default:
			}
		}
	}()
	each(func(i int) {
		m := d.Monitor(h)
		for n := range requests {
			if n%workers == i {
				m.Status(500)
			} else {
				m.Status(200)
			}
		}
	})
	close(stop)
	if all := <-looked; all != (sum{workers * requests, workers*requests - requests}) {
		t.Errorf("%+v", all)
	}
}

// Whoever is found while others are is looked at: nothing is lost on the way.
func TestAllThatAreFoundAreEjected(t *testing.T) {
	config := Defaults()
	config.MaxEjectionPercent, config.Consecutive5xx = 100, 1
	d := New(&config)
	hosts := make([]*Host, 500)
	for i := range hosts {
		hosts[i] = &Host{Owner: name("a")}
		d.Add(hosts[i])
	}
	ctx, cancel := context.WithCancel(t.Context())
	events := make(chan Event, len(hosts))
	var running sync.WaitGroup
	running.Go(func() { d.Run(ctx, func(e Event) { events <- e }) })
	each(func(i int) {
		for _, h := range hosts {
			d.Monitor(h).Status(500 + i)
		}
	})
	for range hosts {
		<-events
	}
	cancel()
	running.Wait()
	if stats := d.Stats(); stats.Active[By5xx] != len(hosts) || stats.Enforced[By5xx] != uint64(len(hosts)) || len(events) != 0 {
		t.Errorf("%+v, %d more", stats, len(events))
	}
}

func TestReportsDoNotAllocate(t *testing.T) {
	config := Defaults()
	d := New(&config)
	h := &Host{Owner: name("a")}
	d.Add(h)
	m := d.Monitor(h)
	if n := testing.AllocsPerRun(1000, func() {
		m.Status(200)
		m.Status(503)
		m.Timeout()
		m.ConnectFailed(true)
		m.Connected()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStatus(b *testing.B) {
	config := Defaults()
	d := New(&config)
	h := &Host{Owner: name("a")}
	d.Add(h)
	b.Run("off", func(b *testing.B) {
		var m *Monitor
		for b.Loop() {
			m.Status(200)
		}
	})
	b.Run("one worker", func(b *testing.B) {
		m := d.Monitor(h)
		for b.Loop() {
			m.Status(200)
		}
	})
	b.Run("workers", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			m := d.Monitor(h)
			for pb.Next() {
				m.Status(200)
			}
		})
	})
}

// What it costs to eject one endpoint of so many and to bring it back, half of
// them being ejected.
func BenchmarkEjection(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			config := Defaults()
			config.MaxEjectionPercent, config.Consecutive5xx, config.MaxEjectionTimeJitter = 100, 1, time.Minute
			d := New(&config)
			d.deliver = func(Event) {}
			now := time.Now()
			monitors := make([]*Monitor, n)
			for i := range monitors {
				h := &Host{Owner: name("a")}
				d.Add(h)
				if monitors[i] = d.Monitor(h); i < n/2 {
					monitors[i].Status(500)
				}
			}
			d.work(&config, now, false, now.Add(time.Second))
			one := monitors[n-1]
			b.ReportAllocs()
			for b.Loop() {
				one.Status(500)
				d.work(&config, now, false, now.Add(time.Second))
				d.Healthy(one.watch.host)
			}
			if d.Stats().Active[By5xx] != n/2 {
				b.Error("the endpoint was not ejected or did not come back")
			}
		})
	}
}
