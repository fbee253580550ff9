package cluster

import "sync/atomic"

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

func (l *limit) try() bool {
	if l.used == nil {
		return true
	}
	if l.used.n.Add(1) > l.max {
		l.used.n.Add(-1)
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

// The Try methods take one unit of a limit over all workers and tell whether
// there was one. Each true must be answered by one call of the Release method of
// the same Cluster: whoever holds a unit keeps the Cluster that it came from,
// since another one of the same name may have other limits.

// TryConnection asks for a connection to any endpoint.
func (c *Cluster) TryConnection() bool { return c.connections.try() }

// ReleaseConnection gives a connection back.
func (c *Cluster) ReleaseConnection() { c.connections.release() }

// TryPending asks to wait for a connection.
func (c *Cluster) TryPending() bool { return c.pending.try() }

// ReleasePending ends a wait.
func (c *Cluster) ReleasePending() { c.pending.release() }

// TryRequest asks for a request.
func (c *Cluster) TryRequest() bool { return c.requests.try() }

// ReleaseRequest gives a request back.
func (c *Cluster) ReleaseRequest() { c.requests.release() }

// TryRetry asks for a retry.
func (c *Cluster) TryRetry() bool { return c.retries.try() }

// ReleaseRetry gives a retry back.
func (c *Cluster) ReleaseRetry() { c.retries.release() }

// InUse is what is used of the limits now; 0 where there is no limit.
func (c *Cluster) InUse() (connections, pending, requests, retries int64) {
	return c.connections.inUse(), c.pending.inUse(), c.requests.inUse(), c.retries.inUse()
}
