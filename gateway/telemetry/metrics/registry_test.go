package metrics

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

func TestWorkersAddUp(t *testing.T) {
	r := NewRegistry()
	one, two := r.NewWorker(nil), r.NewWorker(nil)
	if one.ID() != 0 || two.ID() != 1 {
		t.Fatalf("ids %d, %d", one.ID(), two.ID())
	}
	failed := &stream.Record{Begin: 1000, End: 4000, Status: 503, Err: &stream.Error{Flag: stream.NoHealthyUpstream, Cause: errors.New("none")}}
	one.Listener("http").Done(failed)
	two.Listener("http").Done(failed)
	two.Listener("http").Done(&stream.Record{Status: 204})
	two.Listener("admin").Connections.Inc()
	one.Cluster("web").Requests.Count(200)

	if first, again := one.Listener("http"), one.Listener("http"); first != again {
		t.Error("a listener's stats are made anew")
	}
	listeners := r.Listeners()
	names := []string{}
	for _, l := range listeners {
		names = append(names, l.Name)
	}
	if !slices.Equal(names, []string{"admin", "http"}) {
		t.Fatalf("listeners %v", names)
	}
	var d Distribution
	var flagged, failures, fine uint64
	for _, l := range listeners[1].Workers {
		l.Duration.AddTo(&d)
		flagged += l.Flag(stream.NoHealthyUpstream)
		failures += l.Requests[5].Load()
		fine += l.Requests[2].Load()
	}
	if flagged != 2 || failures != 2 || fine != 1 || d.Count != 3 || d.Sum != 6*time.Microsecond {
		t.Errorf("flagged %d, 5xx %d, 2xx %d, durations %d in %v", flagged, failures, fine, d.Count, d.Sum)
	}
}

func TestRetain(t *testing.T) {
	r := NewRegistry()
	w := r.NewWorker(nil)
	kept := w.Cluster("kept")
	gone := w.Cluster("gone")
	w.Listener("gone")
	r.Retain(func(string) bool { return false }, func(name string) bool { return name == "kept" })
	gone.Retries.Inc() // a stream of the old snapshot
	if len(r.Listeners()) != 0 || len(r.Clusters()) != 1 || w.Cluster("kept") != kept {
		t.Errorf("listeners %v, clusters %v", r.Listeners(), r.Clusters())
	}
}

func TestStatusClasses(t *testing.T) {
	var c ByClass
	for _, status := range []int{0, 101, 200, 299, 301, 404, 500, 599, 600, 999, -1} {
		c.Count(status)
	}
	want := [ClassCount]uint64{4, 1, 2, 1, 1, 2}
	for i := range c {
		if c[i].Load() != want[i] {
			t.Errorf("%s: %d, want %d", ClassName(i), c[i].Load(), want[i])
		}
	}
}

func TestEveryKindHasAName(t *testing.T) {
	names := map[string]bool{}
	add := func(name string) {
		if name == "" || names[name] {
			t.Errorf("name %q is empty or used twice", name)
		}
		names[name] = true
	}
	for r := range RefusalCount {
		add("refusal " + r.String())
	}
	for k := range TimeoutCount {
		add("timeout " + k.String())
	}
	for k := range UpstreamTimeoutCount {
		add("upstream " + k.String())
	}
	for l := range LimitCount {
		add("limit " + l.String())
	}
	for c := range ClassCount {
		add("class " + ClassName(c))
	}
}

func TestGauge(t *testing.T) {
	var g Gauge
	g.Inc()
	g.Dec()
	g.Dec()
	g.Add(-3)
	if g.Load() != -4 {
		t.Errorf("gauge %d, want -4", g.Load())
	}
	g.Set(7)
	if g.Load() != 7 {
		t.Errorf("gauge %d, want 7", g.Load())
	}
}

func TestLoops(t *testing.T) {
	r := NewRegistry()
	r.NewWorker(nil)
	stats := new(worker.Stats)
	r.NewWorker(stats)
	if loops := r.Loops(); len(loops) != 2 || loops[0] != nil || loops[1] != stats {
		t.Errorf("loops %v", loops)
	}
}

func TestReloads(t *testing.T) {
	r := NewRegistry()
	first, second := time.Unix(100, 0), time.Unix(200, 0)
	r.Reloads.Succeeded("7f3a", first)
	r.Reloads.Failed(second)
	want := ReloadState{Version: "7f3a", Succeeded: 1, Failed: 1, LastSuccess: first, LastFailure: second}
	if got := r.Reloads.State(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// One loop counts while readers read: for the race detector, and that what is
// read never goes back.
func TestReadersBesideTheLoop(t *testing.T) {
	r := NewRegistry()
	w := r.NewWorker(nil)
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			var last uint64
			for {
				select {
				case <-done:
					return
				default:
				}
				for _, l := range r.Listeners() {
					var d Distribution
					l.Workers[0].Duration.AddTo(&d)
					if d.Count < last {
						t.Errorf("count went back from %d to %d", last, d.Count)
					}
					last = d.Count
				}
			}
		})
	}
	l := w.Listener("http")
	for i := range 20_000 {
		l.Done(&stream.Record{Status: 200, End: int64(i)})
	}
	close(done)
	readers.Wait()
	if got := l.Requests[2].Load(); got != 20_000 {
		t.Errorf("%d requests counted, want 20000", got)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	w := NewRegistry().NewWorker(nil)
	l, c := w.Listener("http"), w.Cluster("web")
	record := &stream.Record{Status: 200, End: 1_500_000, Err: &stream.Error{Flag: stream.UpstreamTimeout}}
	allocs := testing.AllocsPerRun(1000, func() {
		l.Done(record)
		l.BytesSent.Add(100)
		l.ConnectionsActive.Inc()
		l.ConnectionsActive.Dec()
		c.Requests.Count(200)
		c.Duration.Observe(1_400_000)
	})
	if allocs != 0 {
		t.Errorf("%v allocations a request", allocs)
	}
}
