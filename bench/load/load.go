package load

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"longmen/bench/epoll"
	"longmen/bench/tlsclient"
)

const (
	retryAfter = 10 * time.Millisecond  // after a failure, before the next attempt
	scanEvery  = 100 * time.Millisecond // how often timeouts are looked for
)

var errSurplus = errors.New("more bytes than the response")

// generator is one run's state, all of it on one thread.
type generator struct {
	cfg     Config
	poller  *epoll.Poller
	heads   [][]byte
	sources []netip.Addr
	body    []byte // a piece of a long body
	buf     []byte // what every read goes to
	conns   []conn
	ready   ring    // places with nothing to do, longest waiting first
	retries []int32 // failed places, longest waiting first
	tally   tally
	tls     *tlsclient.Client // nil without TLS

	start      time.Time
	now        time.Duration // since start
	scanned    time.Duration
	owed       int // requests begun and neither answered nor failed
	nextHead   int
	nextSource int
	atOnce     bool  // closed loop: a place that is ready begins its next request at once
	resuming   bool  // every further handshake must be by ticket
	firstErr   error // of all failures, to explain them
}

// Run makes the load and returns what came of it. Failed requests are counted,
// not returned as an error; the error is for a load that could not be made.
func Run(ctx context.Context, cfg Config) (Result, error) {
	if cfg.Duration <= 0 {
		return Result{}, fmt.Errorf("duration of %v: must be positive", cfg.Duration)
	}
	g, err := newGenerator(cfg)
	if err != nil {
		return Result{}, err
	}
	defer g.close()
	if err := steady(); err != nil {
		return Result{}, err
	}
	if cfg.Resume {
		if err := g.prime(ctx); err != nil {
			return Result{}, err
		}
	}
	if err := g.establish(ctx); err != nil {
		return Result{}, err
	}
	before, begun := used(), time.Now()
	if err := g.run(ctx); err != nil {
		return Result{}, err
	}
	r := g.tally.result()
	r.Busy = float64(used()-before) / float64(time.Since(begun))
	if g.firstErr != nil {
		r.FirstError = g.firstErr.Error()
	}
	return r, nil
}

// steady keeps this goroutine on one thread whose sleeps end when they are
// due: by default the kernel may add 50 µs to each.
func steady() error {
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl: %w", err)
	}
	return nil
}

// used is the CPU time of this process so far.
func used() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot be: both arguments are good
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func newGenerator(cfg Config) (*generator, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	var client *tlsclient.Client
	if cfg.TLS != "" {
		var err error
		if client, err = tlsclient.New(tlsclient.Config{Protocol: cfg.TLS, Resume: cfg.Resume}); err != nil {
			return nil, err
		}
	}
	poller, err := epoll.New(1024)
	if err != nil {
		return nil, err
	}
	g := &generator{
		cfg: cfg, poller: poller, tls: client, heads: cfg.requests(), sources: cfg.sources(),
		buf: make([]byte, 256<<10), conns: make([]conn, cfg.Conns),
		ready: newRing(cfg.Conns), retries: make([]int32, 0, cfg.Conns), start: time.Now(),
	}
	if cfg.Body > inlineBody {
		g.body = make([]byte, 256<<10)
	}
	for i := range g.conns {
		g.conns[i] = conn{index: int32(i), fd: -1}
	}
	return g, nil
}

func (g *generator) close() {
	for i := range g.conns {
		g.disconnect(&g.conns[i])
	}
	g.poller.Close()
}

func (g *generator) clock() time.Duration {
	g.now = time.Since(g.start)
	return g.now
}

// establish makes every connection that the load begins with, so that their
// making is not part of it.
func (g *generator) establish(ctx context.Context) error {
	for i := range g.conns {
		c := &g.conns[i]
		if g.cfg.New {
			g.release(c)
			continue
		}
		g.connect(c)
	}
	for g.ready.len() < len(g.conns) {
		if err := g.turn(ctx, scanEvery); err != nil {
			return err
		}
		if g.firstErr != nil {
			return fmt.Errorf("connecting to %s: %w", g.cfg.Addr, g.firstErr)
		}
	}
	return nil
}

// run begins requests until the time is over and awaits what is under way.
func (g *generator) run(ctx context.Context) error {
	g.start = time.Now()
	g.now, g.scanned = 0, 0
	for i := range g.conns {
		g.conns[i].since = 0
	}
	var begun, total uint64
	if g.cfg.Rate > 0 {
		total = uint64(g.cfg.Rate * g.cfg.Duration.Seconds())
	}
	due := func(k uint64) time.Duration { return time.Duration(float64(k) / g.cfg.Rate * 1e9) }
	for {
		g.clock()
		wait := scanEvery
		switch {
		case g.cfg.Rate > 0:
			for begun < total && g.ready.len() > 0 {
				if d := due(begun); d > g.now {
					wait = min(wait, d-g.now)
					break
				}
				g.begin(&g.conns[g.ready.pop()], due(begun))
				begun++
			}
			if begun == total && g.owed == 0 || g.now > g.cfg.Duration+g.cfg.Timeout {
				g.tally.failed[failUnsent] += total - begun
				g.tally.failed[failTimeout] += uint64(g.owed)
				return nil
			}
		case g.now < g.cfg.Duration:
			g.atOnce = true
			for g.ready.len() > 0 {
				g.begin(&g.conns[g.ready.pop()], g.now)
			}
			wait = min(wait, g.cfg.Duration-g.now)
		default:
			g.atOnce = false
			if g.owed == 0 || g.now > g.cfg.Duration+g.cfg.Timeout {
				g.tally.failed[failTimeout] += uint64(g.owed)
				return nil
			}
		}
		if err := g.turn(ctx, wait); err != nil {
			return err
		}
	}
}

// turn waits for events and handles them, retries and times out.
func (g *generator) turn(ctx context.Context, wait time.Duration) error {
	if len(g.retries) > 0 {
		wait = min(wait, retryAfter)
	}
	events, err := g.poller.Wait(wait)
	if err != nil {
		return err
	}
	g.clock()
	for _, ev := range events {
		g.handle(&g.conns[ev.Key], ev)
	}
	for len(g.retries) > 0 && g.conns[g.retries[0]].since+retryAfter <= g.now {
		c := &g.conns[g.retries[0]]
		g.retries = g.retries[:copy(g.retries, g.retries[1:])]
		g.again(c)
	}
	if g.now-g.scanned < scanEvery {
		return nil
	}
	g.scanned = g.now
	for i := range g.conns {
		c := &g.conns[i]
		if (c.state == connecting || c.state == shaking || c.state == busy || c.state == ending) && g.now-c.since > g.cfg.Timeout {
			g.fail(c, failTimeout, fmt.Errorf("nothing within %v", g.cfg.Timeout))
		}
	}
	return context.Cause(ctx)
}

// release makes a place ready for the next request.
func (g *generator) release(c *conn) {
	if c.fd >= 0 {
		c.state = free
	}
	if g.atOnce {
		g.begin(c, g.now)
		return
	}
	g.ready.push(c.index)
}
