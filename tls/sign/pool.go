package sign

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// What Submit refuses with, and what Done is told when Run was not called.
var (
	ErrFull     = errors.New("sign: the queue is full")
	ErrClosed   = errors.New("sign: the pool is closed")
	ErrExpired  = errors.New("sign: waited too long in the queue")
	ErrCanceled = errors.New("sign: canceled in the queue")
)

// Options are the bounds of a Pool.
type Options struct {
	Threads int           // 1 to 256; 0: GOMAXPROCS at the time, which is a worker each where workers have set it
	Queue   int           // tasks that wait, of all flows together; default 1024
	Wait    time.Duration // how long a task without a Deadline may wait; default 5 s
	Nice    int           // niceness of the threads, 1 to 19; 0: 19; -1: that of the process
}

// A Task is one piece of work. Its owner fills in the exported fields, submits
// it and leaves them alone until Done is called; then it may be used again.
type Task struct {
	Run      func() error // on a thread of the pool; a panic becomes a *PanicError
	Done     func(error)  // on a thread of the pool, once; must not block
	Notify   Notifier     // told after Done, once for several tasks that ended; may be nil
	Flow     *Flow        // whose turn it takes; see Key.Flow
	Deadline time.Time    // Run is not begun after it; zero: Options.Wait after Submit

	next      *Task
	submitted time.Time
	canceled  atomic.Bool
}

// A Notifier wakes those whom Done prepared to go on, such as a worker's loop: a
// thread of low priority loses its processor to whom it wakes, so while there is work to do it
// wakes them for a few tasks at once.
type Notifier interface {
	Notify()
}

// Cancel says that nobody waits for the task any more: if Run has not begun
// it is not called, and Done is told ErrCanceled when the turn comes.
func (t *Task) Cancel() { t.canceled.Store(true) }

// A PanicError is what a task's Run panicked with.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("sign: panic: %v", e.Value) }

// A Pool runs tasks on a few threads of low priority, so that a storm of
// handshakes takes only the CPU time that streams leave over.
//
// Submit is for a worker's loop: it never blocks and takes no lock. A lock that
// a thread of low priority holds, while the kernel lets another run, would stop
// the loop for as long. So tasks are pushed on a stack (inbox) that the threads
// empty into the flows' queues, under a lock of their own. An idle thread
// sleeps in the kernel (futex), not in Go's scheduler, which would need a second
// thread to find and wake a locked one: that was measured at some 80 µs a
// task beside a loop that keeps its processor busy, and the futex at 2 to 4.
type Pool struct {
	limit int64
	wait  time.Duration
	now   func() time.Time

	inbox  atomic.Pointer[Task] // last submitted first
	end    Task                 // stands in inbox when the pool is closed
	queued atomic.Int64         // tasks accepted and not yet taken
	idle   atomic.Int32         // threads that sleep, or are about to
	turn   atomic.Uint32        // what they sleep on: changes when there is work

	mu     sync.Mutex // the threads'
	ring   ring
	closed atomic.Bool

	threads  sync.WaitGroup
	counters counters
}

// NewPool starts the threads.
func NewPool(o Options) (*Pool, error) {
	if o.Threads == 0 {
		o.Threads = min(runtime.GOMAXPROCS(0), 256)
	}
	if o.Queue == 0 {
		o.Queue = 1024
	}
	if o.Wait == 0 {
		o.Wait = 5 * time.Second
	}
	if o.Nice == 0 {
		o.Nice = 19
	}
	if o.Threads < 1 || o.Threads > 256 || o.Queue < 1 || o.Wait < 0 || o.Nice < -1 || o.Nice > 19 {
		return nil, fmt.Errorf("sign: %d threads, a queue of %d, a wait of %v, niceness %d", o.Threads, o.Queue, o.Wait, o.Nice)
	}
	p := &Pool{limit: int64(o.Queue), wait: o.Wait, now: time.Now}
	started := make(chan error, o.Threads)
	for range o.Threads {
		p.threads.Add(1)
		go p.thread(o.Nice, started)
	}
	var err error
	for range o.Threads {
		err = errors.Join(err, <-started)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// share bounds one flow: it may have that many times as many tasks in the queue
// as there are free places. So one flood takes eight ninths of the queue, n of
// them together leave 1/(8n+1) of it, and a flow with few tasks finds a place.
const share = 8

// Submit queues t, and wakes a thread when one is idle. After ErrFull or
// ErrClosed t was not taken and Done is not called. It may be called from any
// goroutine.
func (p *Pool) Submit(t *Task) error {
	if t.Run == nil || t.Done == nil || t.Flow == nil {
		return errors.New("sign: a task without Run, Done or Flow")
	}
	n, own := p.queued.Add(1), t.Flow.queued.Add(1)
	if free := p.limit - n + 1; free <= 0 || own > share*free {
		p.leave(t)
		p.counters.shed.Add(1)
		return ErrFull
	}
	t.submitted = p.now()
	t.canceled.Store(false)
	for {
		head := p.inbox.Load()
		if head == &p.end {
			p.leave(t)
			return ErrClosed
		}
		t.next = head
		if p.inbox.CompareAndSwap(head, t) {
			break
		}
	}
	if p.idle.Load() > 0 {
		p.turn.Add(1)
		wake(&p.turn, 1)
	}
	return nil
}

// leave gives the task's place in the queue back.
func (p *Pool) leave(t *Task) {
	t.Flow.queued.Add(-1)
	p.queued.Add(-1)
}

// Close refuses new tasks, waits for those that run, tells ErrClosed to those
// that wait, and ends the threads. It may be called more than once.
func (p *Pool) Close() {
	p.mu.Lock()
	p.collect(p.inbox.Swap(&p.end))
	p.mu.Unlock()
	p.closed.Store(true)
	p.turn.Add(1)
	wake(&p.turn, 1<<30)
	p.threads.Wait()
}
