package listener

import (
	"errors"
	"io"
	"net/netip"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/handshake"
	"longmen/tls/replay"
	"longmen/tls/server"
	"longmen/tls/sign"
	"longmen/tls/tlcp"
)

// Taker takes connections whose beginning is done: after a TLS handshake, or
// plain ones with a nil result.
type Taker interface {
	// Take moves the connection, with what was read of it. On an error it is
	// still the caller's.
	Take(c *connection.Conn, remote, local netip.AddrPort, tls *handshake.Result) error
	// Splice moves a connection that is passed through to a cluster.
	Splice(c *connection.Conn, remote, local netip.AddrPort, name, cluster string)
}

// Security is what the handshakes of all listeners and workers share.
type Security struct {
	Pool    *sign.Pool             // makes the dear signatures
	Loading sign.Flow              // turns of keys that are used for the first time
	Verify  sign.Flow              // turns of client certificates
	TLCP    tlcp.SessionCache      // its sessions; its contexts keep listeners and domains apart
	Replays *replay.Register       // tells early data that is sent again; nil: none is accepted
	KeyLog  func(string) io.Writer // by path; nil when it cannot be written

	Challenges server.Challenges // of ACME; nil for none
}

// Terminator takes the accepted sockets of one listener with TLS, on one
// worker: it reads what a connection begins with, runs its handshake and passes
// it on. Its methods must be called on the worker's loop.
type Terminator struct {
	loop     *worker.Loop
	config   *server.Config
	shared   *Security
	share    int // handshakes at once: the worker's part of Config.MaxHandshakes
	workers  int
	next     Taker
	observer Observer
	traffic  Traffic
	stats    *metrics.ListenerStats

	fingerprints bool // of the clients are taken

	open    map[*greeting]struct{}
	free    []*greeting
	queue   list         // whose ClientHello is there and whose turn is not
	running list         // handshakes under way, the oldest first
	pumping bool         // begin will be called
	crowded worker.Timer // looks for a place again
	logged  [metrics.TLSFailureCount]logged
}

// Traffic tells of the worker's established traffic.
type Traffic interface {
	// Kept is the loop's time when a request came last on a kept connection.
	Kept() int64
}

// Observer hears of the connections that were taken from an Acceptor.
type Observer interface {
	// ConnectionClosed is called once for each connection that ended; remote is its
	// client.
	ConnectionClosed(remote netip.AddrPort)
}

const (
	// queueFactor bounds the queue, as a multiple of the handshakes at once.
	queueFactor = 16
	// stalled is how long a handshake may wait for its client when others wait
	// for its place: a flood of clients that say hello and no more takes the
	// places of its own kind.
	stalled = int64(time.Second)
	// lookAgain is how often such places are looked for while others wait.
	lookAgain = 100 * time.Millisecond
	// established is for how long after a request on a kept connection signatures
	// are made where they hold nobody up.
	established = int64(time.Second)
	// keepGreetings bounds the pool of greetings.
	keepGreetings = 256
	// logEvery is how often failed handshakes are logged, at most.
	logEvery = int64(time.Second)
)

// NewTerminator makes the terminator of a listener. workers is how many share
// the listener's limits.
func NewTerminator(l *worker.Loop, config *server.Config, shared *Security, workers int, next Taker, o Observer, traffic Traffic, stats *metrics.ListenerStats) *Terminator {
	t := &Terminator{loop: l, shared: shared, workers: workers, next: next, observer: o, traffic: traffic, stats: stats, open: map[*greeting]struct{}{}}
	t.crowded.Init(t)
	t.Configure(config, false)
	return t
}

// Configure sets the settings for handshakes that begin from now on, and whether
// the fingerprints of their clients are taken.
func (t *Terminator) Configure(config *server.Config, fingerprints bool) {
	t.config, t.fingerprints = config, fingerprints
	t.share = max(1, (config.MaxHandshakes+t.workers-1)/t.workers)
}

// Connections is how many connections have not been passed on yet.
func (t *Terminator) Connections() int { return len(t.open) }

// Each calls f for every connection that has not been passed on yet.
func (t *Terminator) Each(f func(remote netip.AddrPort)) {
	for g := range t.open {
		f(g.remote)
	}
}

var (
	errTooMany = errors.New("too many handshakes wait for their turn")
	errCrowded = errors.New("the client was slow, and others waited for its handshake's place")
)

// Serve takes an accepted, non-blocking socket. On an error the socket is still
// the caller's.
func (t *Terminator) Serve(fd int, remote, local netip.AddrPort) error {
	var g *greeting
	if n := len(t.free); n > 0 {
		g, t.free = t.free[n-1], t.free[:n-1]
	} else {
		g = &greeting{t: t}
		g.timer.Init(g)
	}
	if err := g.Open(t.loop, fd, g); err != nil {
		t.recycle(g)
		return err
	}
	g.CountIn(&t.stats.Traffic)
	g.config, g.remote, g.local, g.began = t.config, remote, local, t.loop.Now()
	t.open[g] = struct{}{}
	t.stats.TLS.Active.Inc()
	t.loop.Arm(&g.timer, g.config.HandshakeTimeout)
	return nil
}

// enqueue lets a handshake begin when its turn comes.
func (t *Terminator) enqueue(g *greeting) {
	if t.queue.count >= queueFactor*t.share {
		g.fail(errTooMany)
		return
	}
	g.phase = phaseQueued
	t.queue.push(g)
	t.pump()
}

// pump has the loop begin the handshake that has waited longest, when others
// have had their turn: each costs some hundred microseconds, and a flood of them must
// not hold up the streams that are there.
func (t *Terminator) pump() {
	if t.queue.count > 0 && !t.pumping {
		t.pumping = true
		t.loop.Burn(t.begin)
	}
}

// begin begins a handshake, if there is a place for it.
func (t *Terminator) begin() {
	t.pumping = false
	if t.queue.count == 0 {
		return
	}
	if !t.place() { // when one is free, pump is called again; or one may be taken later
		t.loop.ArmBy(&t.crowded, lookAgain)
		return
	}
	g := t.queue.first
	t.queue.remove(g)
	g.phase, g.started = phaseHandshake, t.loop.Now()
	t.running.push(g)
	t.pump()
	t.loop.Go(g)
}

// Expire looks again for a place.
func (t *Terminator) Expire(*worker.Timer) { t.pump() }

// place reports whether one more handshake may begin, if need be in the place
// of one that waits for its client.
func (t *Terminator) place() bool {
	if t.running.count < t.share {
		return true
	}
	now := t.loop.Now()
	for g := t.running.first; g != nil && now-g.started > stalled; g = g.next {
		// The time that it took us to answer is not the client's.
		if g.waits && g.ended == nil && g.waited+now-g.since > stalled {
			g.abort(errCrowded)
			return true
		}
	}
	return false
}

// gone forgets a connection that ended here.
func (t *Terminator) gone(g *greeting) {
	remote := g.remote
	t.forget(g)
	t.observer.ConnectionClosed(remote)
}

// forget gives up a greeting: its connection ended, or was passed on.
func (t *Terminator) forget(g *greeting) {
	t.loop.Drop(&g.timer)
	delete(t.open, g)
	t.stop(g)
	if g.in == &t.queue {
		t.queue.remove(g)
	}
	t.stats.TLS.Active.Dec()
	t.recycle(g)
}

// stop notes that a handshake is not under way any more.
func (t *Terminator) stop(g *greeting) {
	if g.in == &t.running {
		t.running.remove(g)
		t.pump()
	}
}

func (t *Terminator) recycle(g *greeting) {
	if g.co != nil || len(t.free) >= keepGreetings {
		return // a coroutine still looks at it
	}
	g.reset()
	t.free = append(t.free, g)
}

// Drain ends the connections that are of no use yet; the handshakes that have
// begun go on, and so do those that wait for their turn.
func (t *Terminator) Drain() {
	for g := range t.open {
		g.retire()
	}
}

// Close ends every connection whose handshake is not done.
func (t *Terminator) Close() {
	t.loop.Drop(&t.crowded)
	for g := range t.open {
		g.abort(errStopping)
	}
}

// keyMissing tells of a certificate whose private key is not to be had. It is as
// rare as keys are asked for.
func (t *Terminator) keyMissing(name string, err error) {
	t.loop.Log.Warn("no private key for a certificate", "certificate", name, "error", err)
}

// log tells of a failed handshake, of some of them in a flood: one of each reason
// in logEvery.
func (t *Terminator) log(g *greeting, why metrics.TLSFailure, err error) {
	last, now := &t.logged[why], t.loop.Now()
	if last.at != 0 && now-last.at < logEvery {
		last.silent++
		return
	}
	t.loop.Log.Info("TLS handshake failed", "client", g.remote, "listener", g.local, "reason", why.String(), "error", err, "unlogged_before", last.silent)
	*last = logged{at: now}
}

// logged is when a failure was logged last, and how many were not since then.
type logged struct {
	at     int64
	silent int
}
