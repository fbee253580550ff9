package upstream

import (
	"slices"
	"time"

	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// pollEvery is how often a stream that waits for a connection looks whether
// another worker has freed one.
const pollEvery = 20 * time.Millisecond

// wait waits, as the last of those who do, until a connection may have become
// free. starved says that what other workers have may be in the way.
func (a *acquisition) wait(starved bool) error {
	c := a.Cluster
	if a.queued == nil {
		breakers := c.shared.Breakers(a.Pick.High)
		if !breakers.TryPending() {
			c.Stats.Overflows[metrics.LimitPending].Inc()
			return c.unavailable(stream.UpstreamOverflow, errConnections)
		}
		a.queued = breakers
		a.limitWait()
		c.Stats.RequestsPending.Inc()
		c.waiting = append(c.waiting, a.co)
	}
	if starved && c.worker.Starved != nil && !c.poll.Armed() { // once in each pollEvery
		c.worker.Starved(c.shared)
	}
	c.worker.loop.ArmBy(&c.poll, pollEvery)
	if err := a.s.Wait(a.co); err != nil {
		return err
	}
	if a.late != nil && a.late.over {
		c.Stats.Overflows[metrics.LimitPending].Inc()
		return c.unavailable(stream.UpstreamOverflow, errPatience)
	}
	return nil
}

// impatience ends a wait that lasts too long.
type impatience struct {
	timer worker.Timer
	co    *worker.Coroutine
	over  bool
}

// Expire ends the wait.
func (i *impatience) Expire(*worker.Timer) {
	i.over = true
	i.co.Wake()
}

// limitWait bounds the wait that begins.
func (a *acquisition) limitWait() {
	limits := &a.config.Limits
	if a.Pick.High {
		limits = &a.config.HighLimits
	}
	if limits.PendingTimeout > 0 {
		a.late = &impatience{co: a.co}
		a.late.timer.Init(a.late)
		a.worker.loop.Arm(&a.late.timer, limits.PendingTimeout)
	}
}

// leaveQueue takes the stream out of those who wait, and lets the first of the
// others look: what it was woken for may be there for more than one.
func (a *acquisition) leaveQueue() {
	if a.queued == nil {
		return
	}
	a.queued.ReleasePending()
	a.queued = nil
	c := a.Cluster
	if a.late != nil {
		c.worker.loop.Drop(&a.late.timer)
	}
	c.Stats.RequestsPending.Dec()
	if i := slices.Index(c.waiting, a.co); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
	}
	c.wakeFirst()
}

// wakeFirst tells who has waited longest that there may be a connection.
func (c *Cluster) wakeFirst() {
	if len(c.waiting) > 0 {
		c.waiting[0].Wake()
	}
}

// freed tells other workers that something they may wait for has become free.
func (c *Cluster) freed() {
	if len(c.waiting) == 0 && c.worker.Freed != nil && c.shared.Waiting() > 0 {
		c.worker.Freed(c.shared)
	}
}

func (c *Cluster) wakeWaiting() {
	for _, co := range c.waiting {
		co.Wake()
	}
}

// pollTimer lets streams that wait for a connection look again: one may have
// been freed by another worker.
type pollTimer Cluster

// Expire wakes who waits.
func (t *pollTimer) Expire(*worker.Timer) { (*Cluster)(t).wakeWaiting() }
