package cluster

import (
	"math"
	"sync/atomic"
)

// limit is one circuit breaker. Without a limit nothing is counted, so that no
// memory shared by the workers is touched.
type limit struct {
	max  int64
	used *counter // nil: no limit
}

// counter has a cache line of its own.
type counter struct {
	n atomic.Int64
	_ [56]byte
}

func newLimit(max int) limit {
	if max <= 0 {
		return limit{}
	}
	return limit{max: int64(max), used: new(counter)}
}

// counted is a limit that is counted even if there is none.
func counted(max int) limit {
	if max <= 0 {
		max = math.MaxInt64
	}
	return newLimit(max)
}

func (l *limit) try() bool { return l.used == nil || l.used.tryBelow(l.max) }

// tryBelow takes a unit if fewer than max are in use.
func (c *counter) tryBelow(max int64) bool {
	if c.n.Add(1) > max {
		c.n.Add(-1)
		return false
	}
	return true
}

func (l *limit) release() {
	if l.used != nil {
		l.used.n.Add(-1)
	}
}

func (l *limit) inUse() int64 {
	if l.used == nil {
		return 0
	}
	return l.used.n.Load()
}

// inherit goes on counting in the counter of before, which holds what is still
// in use. It needs a limit on both sides: what began uncounted ends uncounted.
func (l *limit) inherit(previous *limit) {
	if l.used != nil && previous.used != nil {
		l.used = previous.used
	}
}

// Breakers are the limits for the requests of one priority, over all workers. The Try
// methods take one unit and tell whether there was one. Each true must be
// answered by one call of the Release method of the same Breakers: whoever holds a
// unit keeps the Breakers that it came from, since those of another version of the
// cluster may have other limits.
type Breakers struct {
	connections, pending, requests, retries limit
	budget                                  *RetryBudget // nil: retries.max is what counts
}

func newBreakers(l *Limits) Breakers {
	b := Breakers{newLimit(l.Connections), newLimit(l.Pending), newLimit(l.Requests), newLimit(l.Retries), nil}
	if l.RetryBudget == nil {
		return b
	}
	b.budget = &RetryBudget{Percent: 20, MinConcurrency: 3}
	if l.RetryBudget.Percent > 0 {
		b.budget.Percent = l.RetryBudget.Percent
	}
	if l.RetryBudget.MinConcurrency > 0 {
		b.budget.MinConcurrency = l.RetryBudget.MinConcurrency
	}
	b.requests, b.retries = counted(l.Requests), counted(0)
	return b
}

func (b *Breakers) inherit(previous *Breakers) {
	b.connections.inherit(&previous.connections)
	b.pending.inherit(&previous.pending)
	b.requests.inherit(&previous.requests)
	b.retries.inherit(&previous.retries)
}

// mostRetries is how many retries there may be at once. Of a budget it changes with
// the requests under way; those that wait for a connection are among them.
func (b *Breakers) mostRetries() int64 {
	if b.budget == nil {
		return b.retries.max
	}
	return max(int64(b.budget.Percent/100*float64(b.requests.inUse())), int64(b.budget.MinConcurrency))
}

// TryConnection asks for a connection to any endpoint.
func (b *Breakers) TryConnection() bool { return b.connections.try() }

// ConnectionsFull tells whether there is no connection left.
func (b *Breakers) ConnectionsFull() bool {
	return b.connections.used != nil && b.connections.inUse() >= b.connections.max
}

// SharesConnections tells whether a connection that other gives back is one for b.
func (b *Breakers) SharesConnections(other *Breakers) bool {
	return b.connections.used == other.connections.used
}

// ReleaseConnection gives a connection back.
func (b *Breakers) ReleaseConnection() { b.connections.release() }

// TryPending asks to wait for a connection.
func (b *Breakers) TryPending() bool { return b.pending.try() }

// ReleasePending ends a wait.
func (b *Breakers) ReleasePending() { b.pending.release() }

// TryRequest asks for a request.
func (b *Breakers) TryRequest() bool { return b.requests.try() }

// ReleaseRequest gives a request back.
func (b *Breakers) ReleaseRequest() { b.requests.release() }

// TryRetry asks for a retry, of the limit or the budget of retries.
func (b *Breakers) TryRetry() bool {
	return b.retries.used == nil || b.retries.used.tryBelow(b.mostRetries())
}

// ReleaseRetry gives a retry back.
func (b *Breakers) ReleaseRetry() { b.retries.release() }

// Breaker is the state of one limit.
type Breaker struct {
	InUse int64 // 0 if there is no limit: it is not counted
	Most  int64 // 0: no limit
}

// Remaining is what is left of the limit, never below 0.
func (b Breaker) Remaining() int64 { return max(b.Most-b.InUse, 0) }

// BreakerStates are the states of the limits of one priority.
type BreakerStates struct{ Connections, Pending, Requests, Retries Breaker }

// States are what is used of the limits now.
func (b *Breakers) States() BreakerStates {
	state := func(l *limit) Breaker {
		if l.max == math.MaxInt64 {
			return Breaker{InUse: l.inUse()}
		}
		return Breaker{InUse: l.inUse(), Most: l.max}
	}
	all := BreakerStates{state(&b.connections), state(&b.pending), state(&b.requests), state(&b.retries)}
	if b.budget != nil {
		all.Retries.Most = b.mostRetries()
	}
	return all
}

// Breakers are the limits for requests of high or default priority.
func (c *Cluster) Breakers(high bool) *Breakers {
	if high {
		return &c.breakers[1]
	}
	return &c.breakers[0]
}

// Waiting is how many requests wait for a connection, over all workers, as far as they are
// counted: where their number has a limit.
func (c *Cluster) Waiting() int64 {
	return c.breakers[0].pending.inUse() + c.breakers[1].pending.inUse()
}

// InUse is what is used of the limits of both priorities now; 0 where there is no limit.
func (c *Cluster) InUse() (connections, pending, requests, retries int64) {
	for i := range c.breakers {
		b := &c.breakers[i]
		connections += b.connections.inUse()
		pending += b.pending.inUse()
		requests += b.requests.inUse()
		retries += b.retries.inUse()
	}
	return connections, pending, requests, retries
}

// newEntered is what Enter counts in; nil: nobody asks.
func newEntered(config *Config) *counter {
	if !config.Balance.Hashes() || config.HashBalanceFactor == 0 {
		return nil
	}
	return new(counter)
}

// Enter counts a request that is at an endpoint, where hashed requests are bounded by
// the mean, and tells whether it did: then it is to be answered by Leave.
func (c *Cluster) Enter() bool {
	if c.entered == nil {
		return false
	}
	c.entered.n.Add(1)
	return true
}

// Leave ends what Enter began.
func (c *Cluster) Leave() {
	if c.entered != nil {
		c.entered.n.Add(-1)
	}
}

// Active is how many requests have entered and not left.
func (c *Cluster) Active() int64 {
	if c.entered == nil {
		return 0
	}
	return c.entered.n.Load()
}
