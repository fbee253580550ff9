package worker

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"time"
)

// Watchdog looks from outside whether loops are held up. A turn that lasts
// longer than Limit is reported with the label of what runs (see Loop.Label)
// and its stack, at most once in Pause for each loop.
type Watchdog struct {
	Loops []*Loop
	Limit time.Duration // default 500 ms
	Pause time.Duration // default 10 s
	Log   *slog.Logger
}

// Run watches until stop is closed.
func (w Watchdog) Run(stop <-chan struct{}) {
	if w.Limit <= 0 {
		w.Limit = 500 * time.Millisecond
	}
	if w.Pause <= 0 {
		w.Pause = 10 * time.Second
	}
	tick := time.NewTicker(w.Limit / 2)
	defer tick.Stop()
	reported := make([]time.Time, len(w.Loops))
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			for i, l := range w.Loops {
				held := l.BusyFor()
				if held < w.Limit || now.Sub(reported[i]) < w.Pause {
					continue
				}
				reported[i] = now
				l.stats.Held.Add(1)
				label := "the loop itself"
				if p := l.label.Load(); p != nil {
					label = *p
				}
				w.Log.Error("a worker is held up", "worker", l.ID, "by", label, "for", held, "stack", heldStack())
			}
		}
	}
}

// BusyFor is how long the turn under way has lasted; 0 while the loop sleeps.
func (l *Loop) BusyFor() time.Duration {
	since := l.busySince.Load()
	if since == 0 {
		return 0
	}
	return time.Since(l.base) - time.Duration(since)
}

// heldStack finds the goroutine that holds a loop among all: one that is in a
// loop or a coroutine and is not parked. Of several, all are given.
func heldStack() string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var found []string
	for _, g := range bytes.Split(buf, []byte("\n\n")) {
		head, _, _ := bytes.Cut(g, []byte("\n"))
		if bytes.Contains(head, []byte("[coroutine")) || bytes.Contains(g, []byte("worker.(*Loop).sleep(")) {
			continue
		}
		if bytes.Contains(g, []byte("worker.(*Loop).Run(")) || bytes.Contains(g, []byte("worker.(*Coroutine).main(")) {
			found = append(found, string(g))
		}
	}
	return strings.Join(found, "\n\n")
}
