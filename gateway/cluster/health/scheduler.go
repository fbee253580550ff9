package health

import (
	"container/heap"
	"math/rand/v2"
	"sync"
	"time"
)

// DefaultLimit is how many checks a Scheduler runs at once unless told otherwise.
const DefaultLimit = 1024

// Scheduler runs checks when they are due. It costs one goroutine, and one for
// each check that is under way.
type Scheduler struct {
	limit  int
	random func() float64 // in [0, 1)
	wake   chan struct{}  // holds one
	end    chan struct{}
	ended  chan struct{}
	close  sync.Once

	mu      sync.Mutex
	due     queue
	running int
}

// NewScheduler starts a scheduler that runs at most limit checks at once; more
// that are due wait for their turn. A limit of 0 is DefaultLimit.
func NewScheduler(limit int) *Scheduler {
	s := &Scheduler{
		limit:  positive(limit, DefaultLimit),
		random: rand.Float64,
		wake:   make(chan struct{}, 1),
		end:    make(chan struct{}),
		ended:  make(chan struct{}),
	}
	go s.run()
	return s
}

// Close stops the scheduler. Its groups must be closed before.
func (s *Scheduler) Close() {
	s.close.Do(func() { close(s.end) })
	<-s.ended
}

func (s *Scheduler) run() {
	defer close(s.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if wait, sleep := s.begin(time.Now()); sleep {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-timer.C:
		case <-s.wake:
		case <-s.end:
			return
		}
	}
}

// part is a random part of a time.
func (s *Scheduler) part(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(s.random() * float64(d))
}

// begin starts what is due, and says how long to sleep; with no sleep only a
// wake can bring something to do.
func (s *Scheduler) begin(now time.Time) (wait time.Duration, sleep bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.due) > 0 && s.running < s.limit {
		first := s.due[0]
		if wait := first.next.Sub(now); wait > 0 {
			return wait, true
		}
		heap.Pop(&s.due)
		s.running++
		first.group.checks.Add(1)
		go first.run(now)
	}
	return 0, false
}

func (s *Scheduler) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// queue is a heap of checks by the time that they are due.
type queue []*Check

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue) Push(x any) {
	c := x.(*Check)
	c.index = len(*q)
	*q = append(*q, c)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	c.index = -1
	return c
}
