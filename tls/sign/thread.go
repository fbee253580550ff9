package sign

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// thread is one thread of the pool. It never unlocks itself from its
// goroutine, so Go ends the thread with it: no other goroutine gets its niceness.
func (p *Pool) thread(nice int, started chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The process's first thread cannot be ended, and its niceness is
		// what tools show for the process: another one takes its place, which
		// is sure to be another while this one is locked.
		locked := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(locked)
			p.thread(nice, started)
		}()
		<-locked
		runtime.UnlockOSThread()
		return
	}
	defer p.threads.Done()
	err := setNice(nice)
	started <- err
	if err != nil {
		return
	}
	var ended batch
	for t := p.next(&ended); t != nil; t = p.next(&ended) {
		whom := t.Notify // the task is its owner's again when it is done
		took := p.serve(t)
		ended.add(whom, took, p.now())
	}
}

const (
	batchTasks = 4                // that may end before somebody is told
	batchTime  = time.Millisecond // since the first of them ended, at most before another begins
)

// batch is whom to tell of tasks that ended.
type batch struct {
	whom  []Notifier
	tasks int
	began time.Time
}

// add notes that a task ended at a time, which took that long.
func (b *batch) add(n Notifier, took time.Duration, now time.Time) {
	if b.tasks == 0 {
		b.began = now
	}
	b.tasks++
	if n != nil && !slices.Contains(b.whom, n) {
		b.whom = append(b.whom, n)
	}
	if b.tasks >= batchTasks || took > batchTime || now.Sub(b.began) > batchTime {
		b.notify()
	}
}

func (b *batch) notify() {
	for _, n := range b.whom {
		n.Notify()
	}
	clear(b.whom)
	b.whom, b.tasks = b.whom[:0], 0
}

// setNice makes the calling thread at least that nice.
func setNice(nice int) error {
	const self = 0
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, self) // 20 - niceness
	if err != nil {
		return fmt.Errorf("sign: the niceness of a thread: %w", err)
	}
	if 20-raw >= nice {
		return nil
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, self, nice); err != nil {
		return fmt.Errorf("sign: niceness %d: %w", nice, err)
	}
	// A thread that runs is left to run for a slice of some milliseconds (EEVDF),
	// however nice it is, while a loop that has woken up waits. Linux 6.12 and
	// later take a shorter one; others know nothing of it.
	unix.SchedSetAttr(self, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: int32(nice), Runtime: uint64(slice),
	}, 0)
	return nil
}

// slice is the shortest that the kernel takes.
const slice = 100 * time.Microsecond

// next waits for a task; nil when the pool is closed and empty. Those that ended are told of
// before it waits.
func (p *Pool) next(ended *batch) *Task {
	for {
		if t := p.take(); t != nil {
			return t
		}
		ended.notify()
		if p.closed.Load() {
			return nil
		}
		// The order matters: whoever submits after the look at queued sees
		// idle, and changes turn, which sleep then finds changed.
		turn := p.turn.Load()
		p.idle.Add(1)
		if p.queued.Load() == 0 && !p.closed.Load() {
			sleep(&p.turn, turn)
		}
		p.idle.Add(-1)
	}
}

func (p *Pool) take() *Task {
	p.mu.Lock()
	defer p.mu.Unlock()
	for head := p.inbox.Load(); head != nil && head != &p.end; head = p.inbox.Load() {
		if p.inbox.CompareAndSwap(head, nil) {
			p.collect(head)
		}
	}
	t := p.ring.take()
	if t != nil {
		p.leave(t)
		p.counters.running.Add(1)
	}
	return t
}

// collect moves what was in the inbox to the flows, first submitted first.
func (p *Pool) collect(head *Task) {
	var first *Task
	for head != nil && head != &p.end {
		head, head.next, first = head.next, first, head
	}
	for first != nil {
		t := first
		first = t.next
		p.ring.add(t)
	}
}

// serve runs a task, unless it is too late for it, and returns how long it took.
func (p *Pool) serve(t *Task) (took time.Duration) {
	begin := p.now()
	c := &p.counters
	waited := begin.Sub(t.submitted)
	c.waited(waited)
	var err error
	switch {
	case p.closed.Load():
		err = ErrClosed
	case t.canceled.Load():
		err = ErrCanceled
		c.canceled.Add(1)
	case p.late(t, begin, waited):
		err = ErrExpired
		c.expired.Add(1)
	default:
		err = c.protect(t.Run)
		took = p.now().Sub(begin)
		c.busy.Add(int64(took))
		c.done.Add(1)
	}
	c.running.Add(-1)
	done := t.Done
	c.protect(func() error { done(err); return nil })
	return took
}

func (p *Pool) late(t *Task, now time.Time, waited time.Duration) bool {
	if t.Deadline.IsZero() {
		return waited > p.wait
	}
	return now.After(t.Deadline)
}

// protect makes an error of a panic.
func (c *counters) protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			c.panics.Add(1)
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}
