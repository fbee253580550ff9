package outlier

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Detector finds the outliers of one cluster. It goes on through the versions of the
// cluster's configuration, and with it what its endpoints have done.
type Detector struct {
	config atomic.Pointer[Config]
	random func() float64 // in [0, 1)

	inbox atomic.Pointer[watch] // endpoints with something due, each with a link to the next
	wake  chan struct{}         // holds one

	mu      sync.Mutex
	deliver func(Event) // nil: nobody listens
	watches []*watch
	ejected waiting // those that are ejected now
	stats   Stats
}

// Event is an ejection, or its end.
type Event struct {
	Host     *Host
	Ejected  bool // or else it is the end of one
	Enforced bool // false: the endpoint goes on being used, for Config.Enforcing or MaxEjectionPercent
	Cause    Cause
	Reason   string        // one line
	Times    int           // ejections of the endpoint so far
	Lasts    time.Duration // how long the ejection lasts, or has lasted
}

// Stats count ejections.
type Stats struct {
	Active   [CauseCount]int    // endpoints ejected now
	Detected [CauseCount]uint64 // outliers found
	Enforced [CauseCount]uint64 // outliers ejected
	Overflow uint64             // outliers not ejected for MaxEjectionPercent
}

// New makes a detector of no endpoints. It keeps the configuration.
func New(config *Config) *Detector {
	d := &Detector{random: rand.Float64, wake: make(chan struct{}, 1)}
	d.config.Store(config)
	return d
}

// Configure takes another configuration, for what happens from now on.
func (d *Detector) Configure(config *Config) { d.config.Store(config) }

// Add takes an endpoint that is not another detector's.
func (d *Detector) Add(h *Host) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &watch{detector: d, host: h, index: len(d.watches), rates: [2]float64{-1, -1}}
	d.watches = append(d.watches, w)
	h.watch.Store(w)
}

// Remove lets go of an endpoint, whose ejection ends without an event.
func (d *Detector) Remove(h *Host) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.watch(h)
	if w == nil {
		return
	}
	last := d.watches[len(d.watches)-1]
	d.watches[w.index], last.index = last, w.index
	d.watches[len(d.watches)-1] = nil
	d.watches = d.watches[:len(d.watches)-1]
	if h.Ejected() {
		d.release(w, time.Now())
	}
	w.gone = true
	h.watch.Store(nil)
}

// watch is what the detector has of an endpoint; nil: it does not have that.
func (d *Detector) watch(h *Host) *watch {
	if w := h.watch.Load(); w != nil && w.detector == d {
		return w
	}
	return nil
}

// Monitor makes a worker's Monitor of one endpoint; nil when the detector does not have that.
func (d *Detector) Monitor(h *Host) *Monitor {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.watch(h)
	if w == nil {
		return nil
	}
	m := &Monitor{detector: d, watch: w}
	w.monitors = append(w.monitors, m)
	return m
}

// Of tells whether the Monitor reports to the detector; a nil one to a nil one.
func (m *Monitor) Of(d *Detector) bool {
	if m == nil {
		return d == nil
	}
	return m.detector == d
}

// Stats returns the counts.
func (d *Detector) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	stats := d.stats
	for _, w := range d.ejected {
		stats.Active[w.host.Ejection().Cause]++
	}
	return stats
}

// Rates returns an endpoint's success rates of the last interval in percent, external
// and, with SplitLocalOrigin, local; -1 where there were too few requests.
func (d *Detector) Rates(h *Host) (external, local float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.watch(h)
	if w == nil {
		return -1, -1
	}
	return w.rates[0], w.rates[1]
}

// post tells Run that a row has reached its threshold. Any worker calls it.
func (d *Detector) post(w *watch, cause Cause) {
	if w.due.Or(1<<cause) != 0 {
		return // it is in the inbox
	}
	for {
		first := d.inbox.Load()
		w.next = first
		if d.inbox.CompareAndSwap(first, w) {
			break
		}
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Run ejects and brings back endpoints until ctx is done. deliver is called with each
// event, from this goroutine or that of Healthy; it must not block for long, and not call back.
func (d *Detector) Run(ctx context.Context, deliver func(Event)) {
	d.mu.Lock()
	d.deliver = deliver
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.deliver = nil
		d.mu.Unlock()
	}()
	swept := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-timer.C:
		}
		now, config := time.Now(), d.config.Load()
		sweep := now.Sub(swept) >= config.interval()
		if sweep {
			swept = now
		}
		timer.Reset(d.work(config, now, sweep, swept.Add(config.interval())))
	}
}

// work does what is due now, and says after how long there is more.
func (d *Detector) work(config *Config, now time.Time, sweep bool, next time.Time) time.Duration {
	var events []Event
	d.mu.Lock()
	for w := d.inbox.Swap(nil); w != nil; {
		following := w.next // before due is 0, when a worker may put it in again
		w.next = nil
		events = append(events, d.rows(config, w, now)...)
		w = following
	}
	events = append(events, d.bringBack(now)...)
	if sweep {
		for _, f := range d.outliers(config) {
			events = append(events, d.found(config, f, now)...)
		}
		d.forgive(config, now)
	}
	if len(d.ejected) > 0 && d.ejected[0].back.Before(next) {
		next = d.ejected[0].back
	}
	deliver := d.deliver
	d.mu.Unlock()
	for _, e := range events {
		deliver(e)
	}
	return next.Sub(now)
}

// rows looks at an endpoint some of whose rows have reached their thresholds.
func (d *Detector) rows(config *Config, w *watch, now time.Time) (events []Event) {
	due := w.due.Swap(0)
	if w.gone {
		return nil
	}
	for cause := range rowCount {
		if due&(1<<cause) == 0 {
			continue
		}
		if !w.host.Ejected() {
			n := config.threshold(cause)
			events = append(events, d.found(config, found{w, cause, reason(cause, n)}, now)...)
		}
	}
	return events
}

// reason puts a row of n failures into words.
func reason(cause Cause, n uint32) string {
	words := [...][2]string{
		By5xx:                {"a response 5xx", "responses 5xx"},
		ByGatewayFailure:     {"a response 502 to 504", "responses 502 to 504"},
		ByLocalOriginFailure: {"a request without response", "requests without response"},
		ByRefusal:            {"a connection was refused", "connections refused"},
	}[cause]
	if n == 1 {
		return words[0]
	}
	return fmt.Sprintf("%d %s in a row", n, words[1])
}

// found ejects an outlier, if it may be.
func (d *Detector) found(config *Config, f found, now time.Time) []Event {
	w, h := f.watch, f.host
	if h.Ejected() {
		return nil
	}
	d.stats.Detected[f.cause]++
	times := h.Ejection().Times
	percent := 100 * float64(len(d.ejected)+1) / float64(len(d.watches))
	if percent > float64(config.MaxEjectionPercent) && !(config.AlwaysEjectOneHost && len(d.ejected) == 0) {
		d.stats.Overflow++
		return []Event{{
			Host: h, Ejected: true, Cause: f.cause, Times: times,
			Reason: fmt.Sprintf("%s; %d of %d endpoints are ejected, of at most %d %%", f.reason, len(d.ejected), len(d.watches), config.MaxEjectionPercent),
		}}
	}
	if d.random()*100 >= float64(config.enforced(f.cause)) {
		return []Event{{Host: h, Ejected: true, Cause: f.cause, Reason: f.reason, Times: times}}
	}
	d.stats.Enforced[f.cause]++
	most := config.MaxEjectionTime
	if time.Duration(w.backoff)*config.BaseEjectionTime < most+config.BaseEjectionTime {
		w.backoff++
	}
	lasts := min(time.Duration(w.backoff)*config.BaseEjectionTime, most) +
		time.Duration(d.random()*float64(config.MaxEjectionTimeJitter))
	h.ejection.Store(&Ejection{Active: true, Cause: f.cause, Reason: f.reason, Since: now, Until: now.Add(lasts), Times: times + 1})
	w.back = now.Add(lasts)
	heap.Push(&d.ejected, w)
	return []Event{{Host: h, Ejected: true, Enforced: true, Cause: f.cause, Reason: f.reason, Times: times + 1, Lasts: lasts}}
}

// bringBack ends the ejections whose time is over.
func (d *Detector) bringBack(now time.Time) (events []Event) {
	for len(d.ejected) > 0 && !d.ejected[0].back.After(now) {
		event := d.release(d.ejected[0], now)
		event.Reason = "its time is over"
		events = append(events, event)
	}
	return events
}

// Healthy reports that an active check of the endpoint has passed, and none says that it is
// down, which ends an ejection where the configuration has it so.
func (d *Detector) Healthy(h *Host) {
	if !h.Ejected() || !d.config.Load().UnejectOnHealthy {
		return
	}
	d.mu.Lock()
	var event Event
	deliver := d.deliver
	if w := d.watch(h); w != nil && h.Ejected() {
		event = d.release(w, time.Now())
		event.Reason = "an active check has passed"
	}
	d.mu.Unlock()
	if event.Host != nil && deliver != nil {
		deliver(event)
	}
}

// release ends an ejection, with a fresh start: one more failure is not to eject it again
// for those before.
func (d *Detector) release(w *watch, now time.Time) Event {
	e := w.host.Ejection()
	e.Active, e.Until = false, now
	w.host.ejection.Store(&e)
	for cause := range w.rows {
		w.end(Cause(cause))
	}
	heap.Remove(&d.ejected, w.turn)
	return Event{Host: w.host, Enforced: true, Cause: e.Cause, Times: e.Times, Lasts: now.Sub(e.Since)}
}

// forgive makes the next ejection shorter for those that have been in use for an interval.
func (d *Detector) forgive(config *Config, now time.Time) {
	for _, w := range d.watches {
		if w.backoff > 0 && !w.host.Ejected() && now.Sub(w.host.Ejection().Until) >= config.interval() {
			w.backoff--
		}
	}
}
