package health

import (
	"container/heap"
	"context"
	"fmt"
	"time"
)

// Check is a target that is being checked.
type Check struct {
	group  *Group
	target Target
	ctx    context.Context
	cancel context.CancelFunc

	// Under scheduler.mu:
	next     time.Time
	index    int // in the queue; -1 when not there
	removed  bool
	doubted  bool      // a request could not connect since the last check
	hastened time.Time // when the last check was due that was for that; zero: there was none

	// Only the one check under way uses these.
	state State
	row   int // results in a row that contradict the state
	fresh bool
}

// Remove ends the checks of one target. One under way is broken off; its report
// may still come.
func (c *Check) Remove() {
	s := c.group.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	c.removed = true
	c.cancel()
	if c.index >= 0 {
		heap.Remove(&s.due, c.index)
		c.target.drop()
	}
}

// doubtPause is the least time between two checks of a target that come of Doubt.
const doubtPause = time.Second

// Doubt has the target checked at once, because a request could not connect to it. If the
// check can't connect either, that is enough for it to be down, whatever the threshold.
func (c *Check) Doubt() {
	s := c.group.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.removed || c.doubted {
		return
	}
	c.doubted = true
	if c.index >= 0 && c.hasten() {
		heap.Fix(&s.due, c.index)
		s.wakeUp()
	}
}

// hasten makes the next check one that is for a doubt, if it was to come later.
func (c *Check) hasten() bool {
	at := time.Now()
	if least := c.hastened.Add(doubtPause); at.Before(least) {
		at = least
	}
	if !at.Before(c.next) {
		return false
	}
	c.next, c.hastened = at, at
	return true
}

// run makes one check and puts the next one into the queue.
func (c *Check) run(began time.Time) {
	g, s := c.group, c.group.scheduler
	defer g.checks.Done()
	timeout := c.target.Config.timeout()
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	err := g.probe(ctx, &c.target)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = &networkError{error: fmt.Errorf("no answer within %s", timeout)}
	}
	cancel()
	valid := c.ctx.Err() == nil // a check that was broken off says nothing
	s.mu.Lock()
	doubted := c.doubted
	c.doubted = false
	s.mu.Unlock()
	if valid {
		c.judge(err, doubted)
		if c.target.Result != nil {
			c.target.Result(err)
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if valid {
		g.stats.count(err)
	}
	if !c.removed && !g.closed {
		c.next = began.Add(c.interval(err == nil))
		if c.doubted {
			c.hasten()
		}
		heap.Push(&s.due, c)
	} else {
		c.target.drop()
	}
	s.wakeUp()
}

// interval is the time to the next check, after one that passed or not.
func (c *Check) interval(passed bool) time.Duration {
	config, s := c.target.Config, c.group.scheduler
	d := config.after(c.state, passed, c.target.Used == nil || c.target.Used())
	if c.fresh {
		d, c.fresh = s.part(d), false
	}
	return d + s.part(config.Jitter) + s.part(d/100*time.Duration(max(config.JitterPercent, 0)))
}

// after is the time to the next check without its random parts. The edges are where a
// result contradicts the state, and more of them are needed.
func (c *Config) after(state State, passed, used bool) time.Duration {
	every := c.every()
	unhealthy := positive(c.UnhealthyInterval, every)
	switch {
	case !used && c.NoTraffic > 0 && state != Down:
		return positive(c.NoTrafficHealthy, c.NoTraffic)
	case !used && c.NoTraffic > 0:
		return c.NoTraffic
	case passed && state == Down:
		return positive(c.HealthyEdge, every)
	case passed:
		return every
	case state == Up:
		return positive(c.UnhealthyEdge, unhealthy)
	}
	return unhealthy
}

// judge applies one result to the state.
func (c *Check) judge(err error, doubted bool) {
	next, needed := Up, c.target.Config.healthy()
	if err != nil {
		next, needed = Down, c.target.Config.unhealthy()
	}
	if next == c.state {
		c.row = 0
		return
	}
	c.row++
	if c.state != Unchecked && c.row < needed && !decisive(err, doubted) {
		return
	}
	event := Event{Old: c.state, New: next}
	switch {
	case err != nil:
		event.Reason = err.Error()
	case c.row == 1:
		event.Reason = "1 check passed"
	default:
		event.Reason = fmt.Sprintf("%d checks passed", c.row)
	}
	c.state, c.row = next, 0
	c.target.Report(event)
}

// decisive tells whether a failure needs no others to make the target down.
func decisive(err error, doubted bool) bool {
	switch e := err.(type) {
	case *finalError:
		return true
	case *networkError:
		return doubted && e.connect
	}
	return false
}

func (s *Stats) count(err error) {
	s.Attempts++
	if err == nil {
		s.Successes++
		return
	}
	s.Failures++
	if _, network := err.(*networkError); network {
		s.NetworkFailures++
	}
}
