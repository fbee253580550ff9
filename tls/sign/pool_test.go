package sign

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func newPool(t testing.TB, o Options) *Pool {
	t.Helper()
	p, err := NewPool(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// A stopper occupies the pool's threads until it is let go.
type stopper struct {
	goOn chan struct{}
	done sync.WaitGroup
}

// stop occupies every one of n threads.
func stop(t *testing.T, p *Pool, n int) *stopper {
	t.Helper()
	s := &stopper{goOn: make(chan struct{})}
	began := make(chan struct{})
	for range n {
		s.done.Add(1)
		err := p.Submit(&Task{
			Flow: new(Flow),
			Run:  func() error { began <- struct{}{}; <-s.goOn; return nil },
			Done: func(error) { s.done.Done() },
		})
		if err != nil {
			t.Fatal(err)
		}
		<-began
	}
	return s
}

func (s *stopper) letGo() {
	close(s.goOn)
	s.done.Wait()
}

// An order is the order in which tasks were run.
type order struct {
	names []string // written by the pool's only thread
	done  sync.WaitGroup
}

func (o *order) task(name string, f *Flow) *Task {
	o.done.Add(1)
	return &Task{
		Flow: f,
		Run:  func() error { o.names = append(o.names, name); return nil },
		Done: func(error) { o.done.Done() },
	}
}

// A flow with few tasks waits for one turn of the flood, not for the flood.
func TestFlowsTakeTurns(t *testing.T) {
	p := newPool(t, Options{Threads: 1})
	s := stop(t, p, 1)
	var o order
	var a, b, c Flow
	for _, task := range []*Task{
		o.task("a1", &a), o.task("a2", &a), o.task("a3", &a), o.task("a4", &a),
		o.task("b1", &b), o.task("b2", &b), o.task("c1", &c),
	} {
		if err := p.Submit(task); err != nil {
			t.Fatal(err)
		}
	}
	if st := p.Stats(); st.Queued != 7 || st.Running != 1 {
		t.Errorf("%d queued, %d running", st.Queued, st.Running)
	}
	s.letGo()
	o.done.Wait()
	if got := strings.Join(o.names, " "); got != "a1 b1 c1 a2 b2 a3 a4" {
		t.Error(got)
	}
}

// A flood on one flow, and then floods on more, leave room for others.
func TestFloodLeavesRoom(t *testing.T) {
	const queue = 90
	p := newPool(t, Options{Threads: 1, Queue: queue})
	s := stop(t, p, 1)
	var o order
	flood := func(f *Flow) (accepted int) {
		for range 10 * queue {
			task := o.task("x", f)
			switch err := p.Submit(task); err {
			case nil:
				accepted++
			case ErrFull:
				o.done.Done()
			default:
				t.Fatal(err)
			}
		}
		return accepted
	}
	var a, b, c Flow
	if n := flood(&a); n != 80 {
		t.Errorf("one flood had %d of %d places", n, queue)
	}
	if n := flood(&b); n != 9 {
		t.Errorf("a second flood had %d more", n)
	}
	if n := flood(&c); n != 1 {
		t.Errorf("a third one had %d more", n)
	}
	if st := p.Stats(); st.Queued != queue || st.Shed != 30*queue-queue {
		t.Errorf("%d queued, %d shed", st.Queued, st.Shed)
	}
	s.letGo()
	o.done.Wait()
	if st := p.Stats(); len(o.names) != queue || st.Done != queue+1 || st.Queued != 0 || st.Running != 0 {
		t.Errorf("%d were run, of them %d are counted; %d queued, %d running", len(o.names), st.Done, st.Queued, st.Running)
	}
	if a.queued.Load()+b.queued.Load()+c.queued.Load() != 0 {
		t.Error("places were not given back")
	}
}

func TestDeadlineAndCancel(t *testing.T) {
	p := newPool(t, Options{Threads: 1, Wait: time.Second})
	var clock atomic.Int64
	begin := time.Now()
	p.now = func() time.Time { return begin.Add(time.Duration(clock.Load())) }
	s := stop(t, p, 1)
	var f Flow
	got := map[string]error{}
	var done sync.WaitGroup
	submit := func(name string, deadline time.Duration) *Task {
		done.Add(1)
		task := &Task{
			Flow: &f,
			Run:  func() error { return errors.New("run") },
			Done: func(err error) { got[name] = err; done.Done() },
		}
		if deadline != 0 {
			task.Deadline = begin.Add(deadline)
		}
		if err := p.Submit(task); err != nil {
			t.Fatal(err)
		}
		return task
	}
	submit("default", 0)
	submit("early", time.Millisecond)
	submit("late", time.Hour)
	canceled := submit("canceled", time.Hour)
	canceled.Cancel()
	clock.Store(int64(2 * time.Second))
	submit("fresh", 0)
	s.letGo()
	done.Wait()
	for name, want := range map[string]string{
		"default": ErrExpired.Error(), "early": ErrExpired.Error(), "late": "run", "canceled": ErrCanceled.Error(), "fresh": "run",
	} {
		if err := got[name]; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	st := p.Stats()
	if st.Done != 3 || st.Expired != 2 || st.Canceled != 1 {
		t.Errorf("%+v", st)
	}
	// Two waited for nothing, four for two seconds.
	if st.Wait != 8*time.Second || st.Waits[0] != 2 || st.Waits[waitBuckets-1] != 4 {
		t.Errorf("%+v", st)
	}
	// A task that was canceled may be used again.
	done.Add(1)
	if err := p.Submit(canceled); err != nil {
		t.Fatal(err)
	}
	done.Wait()
	if err := got["canceled"]; err == nil || err.Error() != "run" {
		t.Error(err)
	}
}

func TestPanic(t *testing.T) {
	p := newPool(t, Options{Threads: 1})
	c := make(chan error)
	task := &Task{Flow: new(Flow), Run: func() error { panic("boom") }, Done: func(err error) { c <- err }}
	if err := p.Submit(task); err != nil {
		t.Fatal(err)
	}
	var panicked *PanicError
	if err := <-c; !errors.As(err, &panicked) || panicked.Value != "boom" || !strings.Contains(string(panicked.Stack), "TestPanic") || err.Error() != "sign: panic: boom" {
		t.Error(err)
	}
	task = &Task{Flow: new(Flow), Run: func() error { return nil }, Done: func(error) { panic("in Done") }}
	if err := p.Submit(task); err != nil {
		t.Fatal(err)
	}
	s := stop(t, p, 1) // the thread lives
	if st := p.Stats(); st.Panics != 2 {
		t.Errorf("%d panics", st.Panics)
	}
	s.letGo()
}

// Close waits for what runs, tells what waits, and refuses what comes.
func TestClose(t *testing.T) {
	p := newPool(t, Options{Threads: 2})
	s := stop(t, p, 2)
	var told atomic.Int64
	for range 10 {
		err := p.Submit(&Task{
			Flow: new(Flow),
			Run:  func() error { t.Error("run after Close"); return nil },
			Done: func(err error) {
				if err == ErrClosed {
					told.Add(1)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	closed := make(chan struct{})
	go func() { p.Close(); p.Close(); close(closed) }()
	for !p.closed.Load() {
		runtime.Gosched()
	}
	select {
	case <-closed:
		t.Error("Close did not wait for what runs")
	default:
	}
	if err := p.Submit(&Task{Flow: new(Flow), Run: func() error { return nil }, Done: func(error) {}}); err != ErrClosed {
		t.Errorf("after Close: %v", err)
	}
	s.letGo()
	<-closed
	if told.Load() != 10 {
		t.Errorf("%d of 10 were told", told.Load())
	}
	if st := p.Stats(); st.Queued != 0 || st.Running != 0 || st.Done != 2 {
		t.Errorf("%+v", st)
	}
}

// Tasks of many goroutines and flows: Done is called once for each one that
// was accepted, also when the pool is closed under them.
func TestSubmitUnderClose(t *testing.T) {
	for range 30 {
		p := newPool(t, Options{Threads: 3, Queue: 64})
		var submitters sync.WaitGroup
		var accepted, done, shed atomic.Int64
		flows := make([]Flow, 5)
		started := make(chan struct{}, 4000)
		for g := range 4 {
			submitters.Go(func() {
				for i := range 1000 {
					err := p.Submit(&Task{
						Flow: &flows[(g+i)%len(flows)],
						Run:  func() error { return nil },
						Done: func(error) { done.Add(1) },
					})
					switch err {
					case nil:
						accepted.Add(1)
					case ErrFull:
						shed.Add(1)
						runtime.Gosched()
					case ErrClosed:
						return
					default:
						t.Error(err)
					}
					started <- struct{}{}
				}
			})
		}
		for range 100 {
			<-started
		}
		p.Close()
		submitters.Wait()
		if accepted.Load() != done.Load() {
			t.Fatalf("%d accepted, %d done", accepted.Load(), done.Load())
		}
		if st := p.Stats(); st.Queued != 0 || st.Running != 0 || st.Shed != uint64(shed.Load()) {
			t.Fatalf("%+v, %d shed", st, shed.Load())
		}
		for i := range flows {
			if n := flows[i].queued.Load(); n != 0 {
				t.Fatalf("flow %d has %d places", i, n)
			}
		}
	}
}

// No wake-up is lost: each task is submitted when the threads may just be
// going to sleep after the one before.
func TestWakes(t *testing.T) {
	for _, threads := range []int{1, 3} {
		p := newPool(t, Options{Threads: threads})
		c := make(chan struct{})
		task := &Task{Flow: new(Flow), Run: func() error { return nil }, Done: func(error) { c <- struct{}{} }}
		for range 5000 {
			if err := p.Submit(task); err != nil {
				t.Fatal(err)
			}
			<-c
		}
		p.Close()
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Threads: -1}, {Threads: 257}, {Queue: -1}, {Wait: -1}, {Nice: 20}, {Nice: -2}} {
		if p, err := NewPool(o); err == nil {
			t.Errorf("%+v was taken", o)
			p.Close()
		}
	}
	p := newPool(t, Options{Nice: -1})
	for _, task := range []*Task{{}, {Run: func() error { return nil }}, {Run: func() error { return nil }, Done: func(error) {}}} {
		if p.Submit(task) == nil {
			t.Errorf("%+v was taken", task)
		}
	}
	if st := p.Stats(); st.Queued != 0 {
		t.Errorf("%d queued", st.Queued)
	}
}

func TestWaitBuckets(t *testing.T) {
	for d, want := range map[time.Duration]int{
		0: 0, 16 * time.Microsecond: 0, 16*time.Microsecond + 1: 1, 32 * time.Microsecond: 1, 33 * time.Microsecond: 2,
		time.Second: 16, 2 * time.Second: 17, time.Hour: 17,
	} {
		if got := waitBucket(d); got != want {
			t.Errorf("%v: bucket %d, want %d", d, got, want)
		}
	}
	for i := range waitBuckets - 1 {
		if waitBucket(WaitBound(i)) != i || waitBucket(WaitBound(i)+1) != i+1 {
			t.Errorf("bucket %d ends at %v", i, WaitBound(i))
		}
	}
	if WaitBound(waitBuckets-1) != 0 {
		t.Error("the last bucket has a bound")
	}
}
