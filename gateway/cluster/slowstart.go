package cluster

import (
	"math"
	"time"
)

// Defaults of SlowStart, and how fine its steps are: weights are in hundredths while it is
// configured.
const (
	defaultAggression       = 1
	defaultMinWeightPercent = 10
	fullWeight              = 100
)

// percent is how much of its weight an endpoint has that began so long ago.
func (s *SlowStart) percent(age time.Duration) uint32 {
	if age >= s.Window {
		return fullWeight
	}
	aggression, least := s.Aggression, s.MinWeightPercent
	if aggression <= 0 {
		aggression = defaultAggression
	}
	if least <= 0 {
		least = defaultMinWeightPercent
	}
	factor := 100 * math.Pow(max(age, 0).Seconds()/s.Window.Seconds(), 1/aggression)
	return uint32(min(max(factor, least, 1), fullWeight))
}

// step is how often weights are looked at while an endpoint begins.
func (s *SlowStart) step() time.Duration {
	return min(max(s.Window/20, 50*time.Millisecond), time.Second)
}

// slow tells whether endpoints begin slowly. What hashes decide is not divided by
// weights of the moment: tables would be made anew with every step, and requests move.
func (c *Cluster) slow() bool { return c.config.SlowStart.Window > 0 && !c.config.Balance.Hashes() }

// weightNow is the endpoint's weight in the balancers.
func (c *Cluster) weightNow(e *Endpoint) uint32 {
	w := e.weight()
	if !c.slow() {
		return w
	}
	return uint32(min(max(uint64(w)*uint64(e.percent.Load()), 1), math.MaxUint32))
}

// begin lets the endpoint begin slowly.
func (c *Cluster) begin(e *Endpoint, now time.Time) {
	if !c.slow() {
		return
	}
	if e.percent.Load() == fullWeight {
		c.beginners = append(c.beginners, e)
	}
	e.began = now
	e.percent.Store(c.config.SlowStart.percent(0))
}

// grow gives the endpoints that begin the weight that they have by now.
func (c *Cluster) grow(now time.Time) {
	left := c.beginners[:0]
	for _, e := range c.beginners {
		if e.Gone() {
			continue
		}
		if percent := c.config.SlowStart.percent(now.Sub(e.began)); percent != e.percent.Load() {
			e.percent.Store(percent)
			c.changes = append(c.changes, e)
		}
		if e.percent.Load() < fullWeight {
			left = append(left, e)
		}
	}
	clear(c.beginners[len(left):])
	c.beginners = left
}

// inheritBeginners goes on with what previous has begun.
func (c *Cluster) inheritBeginners(previous *Cluster) {
	for _, e := range previous.beginners {
		switch {
		case e.Gone():
		case c.slow():
			c.beginners = append(c.beginners, e)
		default:
			e.percent.Store(fullWeight)
		}
	}
	previous.beginners = nil
}
