package listener

import (
	"errors"
	"net/netip"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/handshake"
	"longmen/tls/hello"
	"longmen/tls/server"
	"longmen/tls/sign"
)

// A greeting is a connection until its handshake is done.
type greeting struct {
	connection.Conn
	t             *Terminator
	config        *server.Config
	timer         worker.Timer
	co            *worker.Coroutine // while the handshake runs
	remote, local netip.AddrPort
	began         int64
	phase         greetingPhase
	in            *list // of the terminator: its queue, or the handshakes under way
	waits         bool  // for bytes of the client
	woken         bool  // goOn will be called
	started       int64 // when its handshake began
	since         int64 // when it began to wait for them
	waited        int64 // how long it has before that
	next, prev    *greeting
	ended         error // why it is to end: time, or the gateway stops
}

type greetingPhase uint8

const (
	phaseHello     greetingPhase = iota // reads the ClientHello
	phaseQueued                         // it is there
	phaseHandshake                      // its coroutine runs
	phaseLast                           // the alert goes out
)

// lastWords bounds how long a refused connection is kept for its alert.
const lastWords = time.Second

// Why a connection ended before its handshake did.
var (
	errStopping  = errors.New("the gateway is stopping")
	errTime      = errors.New("the handshake was not complete in time")
	errSSLv2     = errors.New("a hello in the form of SSL 2.0")
	errPlain     = errors.New("no TLS: the first bytes are no ClientHello")
	errPlainHTTP = errors.New("plain HTTP on a port for TLS")
	errPanic     = errors.New("panic in a handshake")
)

func (g *greeting) reset() {
	g.config, g.co, g.ended, g.phase, g.began, g.started = nil, nil, nil, phaseHello, 0, 0
	g.waits, g.woken, g.since, g.waited = false, false, 0, 0
}

// ConnReady is told of events by the connection.
func (g *greeting) ConnReady(worker.Events) {
	switch g.phase {
	case phaseHello:
		g.read()
	case phaseQueued:
		if g.Err() != nil {
			g.fail(g.Err())
		}
	case phaseHandshake:
		if g.co != nil && !g.woken {
			g.woken = true
			g.t.loop.Burn(g.goOn)
		}
	case phaseLast:
		g.drop()
	}
}

// goOn lets the handshake go on, in the loop's time for what burns CPU.
func (g *greeting) goOn() {
	g.woken = false
	if g.co != nil {
		g.co.Wake()
	}
}

// read looks for the whole ClientHello.
func (g *greeting) read() {
	for {
		p := g.Bytes()
		switch hello.Sniff(p) {
		case hello.Plain:
			g.plain()
			return
		case hello.SSLv2:
			g.refuse(handshake.ProtocolVersion, errSSLv2)
			return
		case hello.TLS, hello.TLCP:
			msg, used, err := hello.Find(p, nil)
			if err != nil {
				g.refuseHello(err)
				return
			}
			if used > 0 {
				if !g.passThrough(msg) {
					g.t.enqueue(g)
				}
				return
			}
		}
		switch err := g.Fill(hello.MaxBytes); err {
		case nil:
		case connection.ErrWait:
			return
		default:
			g.fail(err)
			return
		}
	}
}

// passThrough splices a connection whose server name is another's to serve.
func (g *greeting) passThrough(msg []byte) bool {
	if g.config.Passthrough.Len() == 0 {
		return false
	}
	var h hello.ClientHello
	if h.Parse(msg) != nil {
		return false // the handshake says what is wrong
	}
	cluster, ok := g.config.Passthrough.Find(h.ServerName)
	if ok {
		g.t.next.Splice(&g.Conn, g.remote, g.local, h.ServerName, cluster)
		g.t.forget(g)
	}
	return ok
}

// plain passes a connection without TLS on, where it may come, or tells it off.
func (g *greeting) plain() {
	if g.config.Plain {
		g.pass(nil)
		return
	}
	if !looksHTTP(g.Bytes()) {
		g.fail(errPlain)
		return
	}
	g.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 46\r\nConnection: close\r\n\r\n" +
		"This port speaks TLS: use https:// to reach it"))
	g.last(errPlainHTTP)
}

// looksHTTP reports whether p begins as a request does.
func looksHTTP(p []byte) bool {
	for _, b := range p[:min(len(p), 3)] {
		if b < 'A' || b > 'Z' {
			return false
		}
	}
	return len(p) >= 3
}

// Run runs the handshake.
func (g *greeting) Run(co *worker.Coroutine) {
	g.co = co
	var result *handshake.Result
	err := errPanic // until there is something else to say
	defer func() {
		g.co = nil
		if err != nil {
			g.fail(err)
		}
	}()
	if g.ended == nil {
		result, err = g.handshake()
	}
	if g.ended != nil {
		err = g.ended // a handshake may be complete although it was told to end
	}
	if err == nil {
		g.co = nil
		g.done(result)
	}
}

func (g *greeting) handshake() (*handshake.Result, error) {
	msg, _, err := hello.Find(g.Bytes(), nil)
	if err != nil {
		return nil, err
	}
	var h hello.ClientHello
	if err := h.Parse(append([]byte(nil), msg...)); err != nil { // Scratch is others' while it waits
		alert := handshake.DecodeError
		if e, ok := errors.AsType[*hello.Error](err); ok {
			alert = handshake.Alert(e.Alert)
		}
		g.Write(server.Alert(alert, h.TLCP()))
		return nil, &handshake.Error{Alert: alert, Sent: true, Cause: err}
	}
	wire := &connection.Wire{Conn: &g.Conn, Wait: g.wait, Local: g.local, Remote: g.remote}
	run := &server.Handshake{Challenges: g.t.shared.Challenges, Conn: wire, Hello: &h, Now: g.t.loop.Wall(), Offload: g.offload, Burn: g.burn, Loading: &g.t.shared.Loading, Verifying: &g.t.shared.Verify,
		Sessions: g.t.shared.TLCP, Replays: g.t.shared.Replays, KeyMissing: g.t.keyMissing}
	if g.config.KeyLog != "" {
		run.KeyLog = g.t.shared.KeyLog(g.config.KeyLog)
	}
	result, err := g.config.Run(run)
	if err == nil && g.t.fingerprints {
		result.Fingerprints = fingerprints(&h)
	}
	return result, err
}

func fingerprints(h *hello.ClientHello) *handshake.Fingerprints {
	var room [512]byte
	return &handshake.Fingerprints{JA3: string(h.AppendJA3(room[:0])), JA4: string(h.AppendJA4(room[:0], hello.TCP))}
}

// wait parks the handshake until bytes may be there.
func (g *greeting) wait() error {
	if g.ended == nil {
		g.waits, g.since = true, g.t.loop.Now()
		g.co.Wait()
		g.waits = false
		g.waited += g.t.loop.Now() - g.since
	}
	return g.ended
}

// offload runs f on the pool's threads and waits for it. When the connection
// ends meanwhile it does not wait, and f's outcome is nobody's.
func (g *greeting) offload(flow *sign.Flow, f func() error) error {
	var err error
	done, co, loop := false, g.co, g.t.loop
	task := &sign.Task{Run: f, Flow: flow, Notify: loop, Done: func(e error) {
		loop.PostQuietly(func() {
			done, err = true, e
			loop.Burn(co.Wake)
		})
	}}
	if err := g.t.shared.Pool.Submit(task); err != nil {
		return err
	}
	for !done {
		if g.ended != nil {
			task.Cancel()
			return g.ended
		}
		co.Wait()
	}
	return err
}

// burn runs what takes less than half a millisecond, and waits for that: on the
// loop when others have had their turn, which takes the least CPU; but on the
// pool's threads of low priority while there are streams on established
// connections, which must not wait for it. When the connection ends meanwhile it
// does not wait.
func (g *greeting) burn(flow *sign.Flow, f func() error) error {
	if kept := g.t.traffic.Kept(); kept != 0 && g.t.loop.Now()-kept < established {
		return g.offload(flow, f)
	}
	err := errPanic
	done, given, co := false, false, g.co
	g.t.loop.Burn(func() {
		if given {
			return
		}
		defer func() {
			done = true
			co.Wake()
		}()
		err = f()
	})
	for !done {
		if g.ended != nil {
			given = true
			return g.ended
		}
		co.Wait()
	}
	return err
}

// done passes the connection on.
func (g *greeting) done(r *handshake.Result) {
	stats := &g.t.stats.TLS
	stats.Handshakes[metrics.TLSVersionOf(r.Version, r.Suite)].Inc()
	if r.Resumed {
		stats.Resumed.Inc()
	}
	stats.EarlyData[r.EarlyData].Inc()
	stats.Duration.Observe(g.t.loop.Now() - g.began)
	g.Secure(r.Session)
	r.Session, r.PeerChain = nil, nil // the connection's; Peer has the chain
	if r.Protocol == server.ChallengeProtocol {
		g.end()
		return
	}
	g.pass(r)
}

func (g *greeting) pass(r *handshake.Result) {
	if err := g.t.next.Take(&g.Conn, g.remote, g.local, r); err != nil {
		g.fail(err)
		return
	}
	g.t.forget(g)
}

// refuse sends an alert, and ends.
func (g *greeting) refuse(a handshake.Alert, cause error) {
	g.Write(server.Alert(a, hello.Sniff(g.Bytes()) == hello.TLCP))
	g.fail(&handshake.Error{Alert: a, Sent: true, Cause: cause})
}

func (g *greeting) refuseHello(err error) {
	alert := handshake.DecodeError
	if e, ok := errors.AsType[*hello.Error](err); ok {
		alert = handshake.Alert(e.Alert)
	}
	g.refuse(alert, err)
}

// fail counts and ends a connection whose handshake failed with err.
func (g *greeting) fail(err error) {
	if g.Err() == nil && g.Pending() > 0 && g.ended != errStopping {
		g.last(err)
		return
	}
	g.failed(err)
	g.Close()
	g.t.gone(g)
}

func (g *greeting) failed(err error) {
	if g.ended != nil {
		err = g.ended
	}
	why := reason(err)
	g.t.stats.TLS.Failures[why].Inc()
	g.t.log(g, why, err)
}

// last sends what is written, then the end, and drops what still comes: closing
// at once would reset the connection, and the alert with it.
func (g *greeting) last(err error) {
	g.failed(err)
	g.end()
}

func (g *greeting) end() {
	g.phase = phaseLast
	g.t.stop(g)
	g.Finish()
	g.t.loop.Arm(&g.timer, lastWords)
	g.drop()
}

func (g *greeting) drop() {
	for range 16 {
		g.Consume(g.Buffered())
		switch g.Fill(hello.MaxBytes) {
		case nil:
		case connection.ErrWait:
			return
		default:
			if g.Finished() || g.Err() != nil {
				g.Close()
				g.t.gone(g)
			}
			return
		}
	}
}

// Expire ends a connection that took too long.
func (g *greeting) Expire(*worker.Timer) {
	if g.phase == phaseLast {
		g.Close()
		g.t.gone(g)
		return
	}
	g.abort(errTime)
}

// abort ends the connection from outside its coroutine.
func (g *greeting) abort(err error) {
	if g.ended == nil {
		g.ended = err
	}
	switch {
	case g.phase == phaseLast:
		g.Close()
		g.t.gone(g)
	case g.phase == phaseHandshake && g.co == nil: // it begins in this turn, and finds ended
	case g.phase == phaseHandshake:
		g.co.Wake()
	default:
		g.phase = phaseLast
		g.failed(err)
		g.Close()
		g.t.gone(g)
	}
}

// retire ends a connection of which nothing came yet: its client, which finds it
// closed before it said anything, makes another one.
func (g *greeting) retire() {
	if g.phase != phaseHello {
		return
	}
	if g.MayRead() {
		g.read()
	}
	if g.IsOpen() && g.phase == phaseHello && g.Buffered() == 0 {
		g.abort(errStopping)
	}
}

// reason is what a failure counts as.
func reason(err error) metrics.TLSFailure {
	if e, ok := errors.AsType[*handshake.Error](err); ok {
		switch {
		case e.Received:
			return metrics.TLSAlert
		case e.Alert == handshake.UnrecognizedName:
			return metrics.TLSName
		case errors.Is(e.Cause, sign.ErrFull), errors.Is(e.Cause, sign.ErrExpired):
			return metrics.TLSOverload
		case e.Alert == handshake.InternalError:
			return metrics.TLSInternal
		}
		return metrics.TLSProtocol
	}
	switch {
	case errors.Is(err, errTime):
		return metrics.TLSTimeout
	case errors.Is(err, errPlain), errors.Is(err, errPlainHTTP):
		return metrics.TLSNotTLS
	case errors.Is(err, errTooMany), errors.Is(err, errCrowded):
		return metrics.TLSOverload
	case errors.Is(err, errPanic):
		return metrics.TLSInternal
	}
	return metrics.TLSClosed
}
