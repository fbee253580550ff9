package metrics

import "sync/atomic"

// Counter only grows. One goroutine, the worker's loop, writes it; any may read it.
// That is why adding needs no locked instruction.
type Counter struct{ n uint64 }

// Inc adds one. Only the owning loop may call it.
func (c *Counter) Inc() { store(&c.n, c.n+1) }

// Add adds n. Only the owning loop may call it.
func (c *Counter) Add(n uint64) { store(&c.n, c.n+n) }

// Load is the current value, from any goroutine.
func (c *Counter) Load() uint64 { return atomic.LoadUint64(&c.n) }

// Gauge goes up and down. Like a Counter it has one writer and many readers.
type Gauge struct{ n uint64 }

// Inc adds one. Only the owning loop may call it.
func (g *Gauge) Inc() { store(&g.n, g.n+1) }

// Dec takes one away. Only the owning loop may call it.
func (g *Gauge) Dec() { store(&g.n, g.n-1) }

// Add adds n, which may be negative. Only the owning loop may call it.
func (g *Gauge) Add(n int64) { store(&g.n, g.n+uint64(n)) }

// Set replaces the value. Only the owning loop may call it.
func (g *Gauge) Set(n int64) { store(&g.n, uint64(n)) }

// Load is the current value, from any goroutine.
func (g *Gauge) Load() int64 { return int64(atomic.LoadUint64(&g.n)) }
