package supervisor

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"longmen/gateway/cgroup"
)

// A collection of garbage holds a worker up for some milliseconds, altogether,
// where it has no processor to spare. A gateway with little live memory that makes
// much garbage (a storm of full handshakes: 50 KB each) would collect several
// times a second. collector lets more garbage gather then, and goes back when the
// storm is over.
type collector struct {
	garbage uint64 // bytes of garbage that may gather before a collection
	quiet   int    // looks in a row without a collection
	cycles  uint64 // at the last look
	samples [3]metrics.Sample
}

const (
	collectorLook   = time.Second
	collectorQuiet  = 30 // looks without a collection until it goes back
	ordinaryPercent = 100
	// Garbage that may gather: no more than an eighth of what the process may
	// use altogether.
	mostGarbage  = 96 << 20
	garbageShare = 8
)

func newCollector() *collector {
	c := &collector{garbage: mostGarbage}
	if limit := cgroup.MemoryLimit(os.DirFS("/")); limit > 0 {
		c.garbage = min(c.garbage, uint64(limit)/garbageShare)
	}
	for i, name := range []string{"/gc/cycles/automatic:gc-cycles", "/gc/heap/live:bytes", "/gc/gogc:percent"} {
		c.samples[i].Name = name
	}
	return c
}

// run looks once a second until stop is closed.
func (c *collector) run(stop <-chan struct{}) {
	tick := time.NewTicker(collectorLook)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		metrics.Read(c.samples[:])
		now := int(c.samples[2].Value.Uint64())
		if percent := c.percent(c.samples[0].Value.Uint64(), c.samples[1].Value.Uint64(), now); percent != now {
			debug.SetGCPercent(percent)
		}
	}
}

// percent is how much garbage may gather, in percent of the live memory, after a
// look that found that many cycles altogether and that percentage.
func (c *collector) percent(cycles, live uint64, now int) int {
	collected := cycles - c.cycles
	c.cycles = cycles
	if now < ordinaryPercent || live == 0 { // somebody else's setting: GOGC, or the first reading of a large file
		return now
	}
	if collected == 0 {
		if c.quiet++; c.quiet >= collectorQuiet {
			return ordinaryPercent
		}
		return now
	}
	c.quiet = 0
	most := max(int(c.garbage*100/live), ordinaryPercent)
	return min(2*now, most)
}
