package sign

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// firstWait is the upper bound of the first bucket of the waiting times; each
// other's is twice that of the one before, and the last one has none.
const (
	firstWait   = 16 * time.Microsecond
	waitBuckets = 18 // the last bound is 1.05 s
)

type counters struct {
	running                               atomic.Int64
	done, shed, expired, canceled, panics atomic.Uint64
	busy, wait                            atomic.Int64 // nanoseconds
	waits                                 [waitBuckets]atomic.Uint64
}

func (c *counters) waited(d time.Duration) {
	c.wait.Add(int64(d))
	c.waits[waitBucket(d)].Add(1)
}

// waitBucket is the index of the first bucket whose bound is not below d.
func waitBucket(d time.Duration) int {
	if d <= firstWait {
		return 0
	}
	return min(bits.Len64(uint64(d-1)/uint64(firstWait)), waitBuckets-1)
}

// Stats are a Pool's counters since its start. They are read one by one, so
// they may be a task apart from each other.
type Stats struct {
	Queued   int64         // tasks that wait now
	Running  int64         // tasks that run now
	Done     uint64        // tasks whose Run was called, panics included
	Shed     uint64        // tasks that Submit refused: the queue, or the flow's share of it, was full
	Expired  uint64        // tasks that waited past their deadline
	Canceled uint64        // tasks canceled while they waited
	Panics   uint64        // panics of Run and Done
	Busy     time.Duration // time in Run, of all threads together
	Wait     time.Duration // time in the queue, of all taken tasks together
	// Waits counts taken tasks by their time in the queue: Waits[i] those of at
	// most WaitBound(i) that are in no earlier bucket.
	Waits [waitBuckets]uint64
}

// WaitBound is the upper bound of bucket i of Stats.Waits: 16 µs << i; the
// last bucket has none, and its bound is 0.
func WaitBound(i int) time.Duration {
	if i >= waitBuckets-1 {
		return 0
	}
	return firstWait << i
}

// Stats reads the counters. It takes no lock.
func (p *Pool) Stats() Stats {
	c := &p.counters
	s := Stats{
		Queued: p.queued.Load(), Running: c.running.Load(),
		Done: c.done.Load(), Shed: c.shed.Load(), Expired: c.expired.Load(), Canceled: c.canceled.Load(), Panics: c.panics.Load(),
		Busy: time.Duration(c.busy.Load()), Wait: time.Duration(c.wait.Load()),
	}
	for i := range s.Waits {
		s.Waits[i] = c.waits[i].Load()
	}
	return s
}
