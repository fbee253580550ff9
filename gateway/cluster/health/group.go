package health

import (
	"container/heap"
	"context"
	"net"
	"sync"
	"time"
)

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
	Host     string        // Host header; "": what Config says, or Hostname
	Hostname string        // Host header then, and the name for Secure; "": the address
	Initial  State         // what is known from before
	HTTP2    bool          // checks of HTTP speak HTTP/2 unless Config says otherwise
	// Secure, if not nil, makes a connection one that speaks TLS, for a host; alpn
	// is offered (RFC 7301), or what requests offer when it is nil.
	Secure func(conn net.Conn, hostname string, alpn []string) (net.Conn, error)
	// Used tells whether requests ever went to the cluster; nil: it does not matter.
	Used func() bool
	// Report is called with every change of state, in order, from some
	// goroutine. It must not block, and not call into this package.
	Report func(Event)
	// Result, if not nil, is called with what each check came to, nil if it passed,
	// likewise, and after Report.
	Result func(error)

	kept *session // for the next check; the one check under way has it, or the queue
}

// Group makes an empty group whose checks use the given dialer.
func (s *Scheduler) Group(dial Dialer) *Group {
	ctx, cancel := context.WithCancel(context.Background())
	g := &Group{scheduler: s, ctx: ctx, cancel: cancel}
	g.probe = func(ctx context.Context, t *Target) error { return probe(ctx, dial, t) }
	return g
}

// Add has a target checked, at once (or after a random part of InitialJitter) and then again
// and again. The second check comes after a random part of the interval, so that
// targets added together spread over it.
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
	c.next = time.Now().Add(s.part(t.Config.InitialJitter))
	heap.Push(&s.due, c)
	s.wakeUp()
	return c
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
			c.target.drop()
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

// Add adds up.
func (s Stats) Add(o Stats) Stats {
	return Stats{s.Attempts + o.Attempts, s.Successes + o.Successes, s.Failures + o.Failures, s.NetworkFailures + o.NetworkFailures}
}

// Stats returns the group's counts.
func (g *Group) Stats() Stats {
	g.scheduler.mu.Lock()
	defer g.scheduler.mu.Unlock()
	return g.stats
}
