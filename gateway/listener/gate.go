package listener

import (
	"sync/atomic"
	"time"
)

// Gate bounds connections over all workers. It is passed once a connection,
// never on a request's path.
type Gate struct {
	max  atomic.Int64 // connections at once; 0: no limit
	open atomic.Int64
	rate atomic.Int64 // connections a second; 0: no limit
	next atomic.Int64 // when the next connection is due, Unix nanoseconds (GCRA)
}

// SetLimits changes the limits; what is open stays open.
func (g *Gate) SetLimits(max, rate int) {
	g.max.Store(int64(max))
	g.rate.Store(int64(rate))
}

// Open is how many connections are open.
func (g *Gate) Open() int { return int(g.open.Load()) }

// Enter asks for one more connection; each true must be answered by Leave.
func (g *Gate) Enter() bool {
	if max := g.max.Load(); g.open.Add(1) > max && max > 0 {
		g.open.Add(-1)
		return false
	}
	return true
}

// Leave ends a connection.
func (g *Gate) Leave() { g.open.Add(-1) }

// InRate asks whether another connection is within the rate at now. Up to a
// tenth of a second's worth may come at once.
func (g *Gate) InRate(now time.Time) bool {
	rate := g.rate.Load()
	if rate <= 0 {
		return true
	}
	interval := int64(time.Second) / rate
	burst := max(int64(time.Second)/10, interval)
	t := now.UnixNano()
	for {
		due := g.next.Load()
		from := max(due, t)
		if due-t > burst+int64(time.Second) {
			from = t // the wall clock was set back: no limit for that long
		}
		if from-t > burst-interval {
			return false
		}
		if g.next.CompareAndSwap(due, from+interval) {
			return true
		}
	}
}
