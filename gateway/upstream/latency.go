package upstream

import (
	"golang.org/x/sys/unix"

	"longmen/gateway/cluster"
)

// clock gives workers one time: that of each loop begins when it was made.
type clock struct{ offset int64 }

// newClock makes the clock of a loop that reads now at this moment.
func newClock(now int64) (c clock) {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) == nil { // it always is
		c.offset = t.Nano() - now
	}
	return c
}

// now is the time of the loop's turn, in nanoseconds, for balancers that know
// of other workers' answers.
func (w *Worker) now() int64 { return w.loop.Now() + w.clock.offset }

// RequestSent notes that all of the request was given to the connection: what comes after
// is the endpoint's time.
func (c *Conn) RequestSent() { c.sent = c.loop().Now() }

// Measured reports whether the balancer goes by how long answers take, so that it wants
// to know the Outcome.
func (c *Conn) Measured() bool { return c.pool.cluster.config.Balance == cluster.PeakEWMA }

// Outcome tells the balancer that the try came to a response's head, or failed. A try whose request was not sent as a whole counts only if it
// failed: how long the client took for its body says nothing of the endpoint.
func (c *Conn) Outcome(failed bool) {
	if !c.Measured() {
		return
	}
	c.told = true
	mine := c.pool.cluster
	took, latency := int64(0), &c.pool.endpoint.Latency
	if c.sent != 0 {
		took = c.loop().Now() - c.sent
	}
	switch settings := &mine.config.Balancing.PeakEWMA; {
	case failed:
		latency.Fail(settings, mine.worker.now(), took)
	case c.sent != 0:
		latency.Observe(settings, mine.worker.now(), took)
	}
}

// abandoned tells the balancer that nobody waits for the try's response any more: another
// try was faster, or the client has gone.
func (c *Conn) abandoned() {
	mine := c.pool.cluster
	c.pool.endpoint.Latency.AtLeast(&mine.config.Balancing.PeakEWMA, mine.worker.now(), c.loop().Now()-c.sent)
}

// noConnection tells the balancer that no connection to the endpoint could be made.
func (p *pool) noConnection() {
	if c := p.cluster; c.config.Balance == cluster.PeakEWMA {
		p.endpoint.Latency.Fail(&c.config.Balancing.PeakEWMA, c.worker.now(), 0)
	}
}
