package health

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
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

// Group is the checks of one cluster: they are counted together and end together.
type Group struct {
	scheduler *Scheduler
	probe     func(context.Context, *Target) error
	ctx       context.Context
	cancel    context.CancelFunc
	checks    sync.WaitGroup // under way

	closed bool  // under scheduler.mu
	stats  Stats // under scheduler.mu
}

// Target is an endpoint to check.
type Target struct {
	Config   *Config
	Address  func() string // host:port, asked for before each check
	Hostname string        // Host header unless Config says otherwise; "": the address
	Initial  State         // what is known from before
	HTTP2    bool          // checks of HTTP speak HTTP/2, without TLS by prior knowledge
	// Secure, if not nil, makes a connection one that speaks TLS, for a host; alpn
	// is offered (RFC 7301), or what requests offer when it is nil.
	Secure func(conn net.Conn, hostname string, alpn []string) (net.Conn, error)
	// Report is called with every change of state, in order, from some
	// goroutine. It must not block, and not call into this package.
	Report func(Event)
}

// Group makes an empty group whose checks use the given dialer.
func (s *Scheduler) Group(dial Dialer) *Group {
	ctx, cancel := context.WithCancel(context.Background())
	g := &Group{scheduler: s, ctx: ctx, cancel: cancel}
	g.probe = func(ctx context.Context, t *Target) error { return probe(ctx, dial, t) }
	return g
}

// Check is a target that is being checked.
type Check struct {
	group  *Group
	target Target
	ctx    context.Context
	cancel context.CancelFunc

	// Under scheduler.mu:
	next    time.Time
	index   int // in the queue; -1 when not there
	removed bool

	// Only the one check under way uses these.
	state State
	row   int // results in a row that contradict the state
	fresh bool
}

// Add has a target checked, at once and then again and again. The second check
// comes after a random part of the interval, so that targets added together
// spread over it.
func (g *Group) Add(t Target) *Check {
	c := &Check{group: g, target: t, state: t.Initial, fresh: true, index: -1}
	c.ctx, c.cancel = context.WithCancel(g.ctx)
	s := g.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.closed {
		c.removed = true
		c.cancel()
		return c
	}
	c.next = time.Now()
	heap.Push(&s.due, c)
	s.wakeUp()
	return c
}

// Remove ends the checks of one target. One under way is broken off; its report
// may still come.
func (c *Check) Remove() {
	s := c.group.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	c.remove()
}

func (c *Check) remove() {
	c.removed = true
	c.cancel()
	if c.index >= 0 {
		heap.Remove(&c.group.scheduler.due, c.index)
	}
}

// Close ends all checks of the group and waits for those under way, which it
// breaks off. No report comes after it returned.
func (g *Group) Close() {
	s := g.scheduler
	s.mu.Lock()
	g.closed = true
	rest := s.due[:0]
	for _, c := range s.due {
		if c.group == g {
			c.removed, c.index = true, -1
		} else {
			c.index = len(rest)
			rest = append(rest, c)
		}
	}
	clear(s.due[len(rest):])
	s.due = rest
	heap.Init(&s.due)
	s.mu.Unlock()
	g.cancel()
	g.checks.Wait()
}

// Stats returns the group's counts.
func (g *Group) Stats() Stats {
	g.scheduler.mu.Lock()
	defer g.scheduler.mu.Unlock()
	return g.stats
}

// run makes one check and puts the next one into the queue.
func (c *Check) run(began time.Time) {
	g, s := c.group, c.group.scheduler
	defer g.checks.Done()
	timeout := c.target.Config.timeout()
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	err := g.probe(ctx, &c.target)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = &networkError{fmt.Errorf("no answer within %s", timeout)}
	}
	cancel()
	valid := c.ctx.Err() == nil // a check that was broken off says nothing
	if valid {
		c.judge(err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	if valid {
		g.stats.count(err)
	}
	if !c.removed && !g.closed {
		interval := c.target.Config.every()
		if c.fresh {
			interval = time.Duration(s.random() * float64(interval))
			c.fresh = false
		}
		interval += time.Duration(s.random() * float64(max(c.target.Config.Jitter, 0)))
		c.next = began.Add(interval)
		heap.Push(&s.due, c)
	}
	s.wakeUp()
}

// judge applies one result to the state.
func (c *Check) judge(err error) {
	next, needed := Up, c.target.Config.healthy()
	if err != nil {
		next, needed = Down, c.target.Config.unhealthy()
	}
	if next == c.state {
		c.row = 0
		return
	}
	c.row++
	if c.state != Unchecked && c.row < needed {
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
