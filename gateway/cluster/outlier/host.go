package outlier

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Host is what is known of one endpoint. It lives as long as the endpoint, through
// new configurations.
type Host struct {
	Owner fmt.Stringer // the endpoint

	ejection atomic.Pointer[Ejection] // the last one; nil: there was none
	watch    atomic.Pointer[watch]    // nil: no detector has it
}

// watch is what one detector has of an endpoint.
type watch struct {
	detector *Detector
	host     *Host

	// What workers write, when something fails.
	rows [rowCount]atomic.Uint32 // failures in a row
	due  atomic.Uint32           // causes whose row has reached its threshold, a bit each
	next *watch                  // in the detector's inbox, while due is not 0

	// Under the detector's mutex:
	gone     bool // the detector has let go of it
	index    int  // in its watches
	monitors []*Monitor
	backoff  int       // how many times BaseEjectionTime an ejection lasts
	back     time.Time // when the present ejection ends
	turn     int       // its index among those that are ejected
	seen     [2]sum
	rates    [2]float64 // of the last interval, in percent; -1: there were too few requests
}

// sum is what all workers' tallies came to.
type sum struct{ total, good uint32 }

// Ejection is an endpoint's last ejection.
type Ejection struct {
	Active bool
	Cause  Cause
	Reason string    // one line
	Since  time.Time // when it began
	Until  time.Time // when it will end, or has ended
	Times  int       // ejections of the endpoint up to and with this one
}

// Ejected tells whether the endpoint is ejected now: one atomic load.
func (h *Host) Ejected() bool {
	e := h.ejection.Load()
	return e != nil && e.Active
}

// Ejection is the endpoint's last ejection; its Times is 0 when there was none.
func (h *Host) Ejection() Ejection {
	if e := h.ejection.Load(); e != nil {
		return *e
	}
	return Ejection{}
}

// end ends a row of failures.
func (w *watch) end(cause Cause) {
	if row := &w.rows[cause]; row.Load() != 0 {
		row.Store(0)
	}
}

// sum adds up what workers saw since the last time.
func (w *watch) sum() (recent [2]sum) {
	var now [2]sum
	for _, m := range w.monitors {
		for i, t := range [...]*tally{&m.external, &m.local} {
			both := t.both.Load()
			now[i].total += uint32(both >> 32)
			now[i].good += uint32(both)
		}
	}
	for i := range now {
		recent[i] = sum{now[i].total - w.seen[i].total, now[i].good - w.seen[i].good}
	}
	w.seen = now
	return recent
}

// waiting is a heap of endpoints that are ejected, by when they come back.
type waiting []*watch

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].back.Before(w[j].back) }
func (w waiting) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].turn, w[j].turn = i, j
}

func (w *waiting) Push(x any) {
	one := x.(*watch)
	one.turn = len(*w)
	*w = append(*w, one)
}

func (w *waiting) Pop() any {
	last := len(*w) - 1
	one := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	return one
}
