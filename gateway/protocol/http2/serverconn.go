package http2

import (
	"errors"
	"net/netip"
	"time"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
	"longmen/tls/handshake"
)

// serverConn is a client's connection.
type serverConn struct {
	conn
	srv        *Server
	tls        *handshake.Result // nil: plain
	next, prev *serverConn
	remote     netip.AddrPort
	local      netip.AddrPort
	timer      worker.Timer
	begun      []*serverStream // that are to be started
	starting   bool            // they are, further up on the stack
	fed        []*serverStream // that got content

	unconfirmed []*worker.Coroutine // streams that wait for the handshake, see earlyStream
	live        int                 // streams whose handler is not done
	served      uint32
	lingered    int   // bytes that were dropped
	since       int64 // loop time when what the phase waits for began
	leftAt      int64 // when the client was told to go
	stuckSince  int64 // since when it takes nothing of more than stopReading octets; 0: it does
	blockSince  int64 // when the header block under way began
	phase       connPhase
	rested      bool
	closing     bool // closed is under way, and sees to what is left
	left        bool // it is gone
}

type connPhase uint8

const (
	phaseServing connPhase = iota
	phaseLeaving           // the client was told to open no more streams, and may not have heard it
	phaseLast              // streams that come now are refused
	phaseOut               // the last bytes go out, then it is closed
	phaseLinger            // all is sent; what the client still sends is dropped
	phaseClosed
)

const (
	// restAfter is how long a connection without a stream is idle before it gives
	// up what it can do without.
	restAfter = time.Second
	// partAfter is how long a client that was told to go, and has no streams, may
	// take to close the connection.
	partAfter = 250 * time.Millisecond
	// leaveAfter is how long the client has to hear that it shall go.
	leaveAfter = time.Second
	// A lingering close ends when the client sends nothing for lingerIdle, and when
	// it sends more than lingerBytes or goes on for longer than lingerTime.
	lingerIdle  = time.Second
	lingerTime  = 5 * time.Second
	lingerBytes = 256 << 10
	// updatesOfRequest is how many WINDOW_UPDATE and PRIORITY frames may go with a
	// request: clients open its window, and arrange it among others.
	updatesOfRequest = 4
)

var (
	errPeerClosed    = errors.New("the client closed the connection")
	errDrained       = errors.New("the gateway is stopping")
	errSlowBody      = errors.New("request body arrives too slowly")
	errBodyTimeout   = errors.New("request body did not arrive in time")
	errWriteTimeout  = errors.New("the client takes no bytes")
	errSlowRead      = errors.New("the client takes the response too slowly")
	errStreamIdle    = errors.New("no byte moved in either direction")
	errRequestTime   = errors.New("the request did not arrive whole in time")
	errShortResponse = errors.New("the response ended before its content-length")
	errLongResponse  = errors.New("the response is longer than its content-length")
	errPingTimeout   = errors.New("no answer to a PING")
	errHeaderTimeout = errors.New("a header block did not arrive in time")
)

func (c *serverConn) reset() {
	buckets, begun := c.flows.buckets, c.begun[:0]
	timer := c.timer
	*c = serverConn{timer: timer, begun: begun}
	c.flows.buckets = buckets
}

// begin sends our settings and takes what has come.
func (c *serverConn) begin() {
	cfg := c.srv.config
	if cfg.Stats != nil {
		cfg.Stats.HTTP2.Connections.Inc()
		cfg.Stats.HTTP2.ConnectionsActive.Inc()
	}
	c.open(c.srv.shared, c, cfg.rules(), false)
	c.dec.Init(uint32(cfg.HeaderTable))
	out := c.Reserve(128)
	at := len(out)
	out = appendFrame(out, 0, frameSettings, 0, 0)
	out = appendSetting(out, settingMaxStreams, uint32(cfg.MaxStreams))
	if cfg.HeaderTable != defaultHeaderTable {
		out = appendSetting(out, settingHeaderTable, uint32(cfg.HeaderTable))
	}
	if cfg.StreamWindow != defaultWindow {
		out = appendSetting(out, settingInitialWindow, uint32(cfg.StreamWindow))
	}
	if cfg.MaxHead > 0 {
		out = appendSetting(out, settingMaxHeaderList, uint32(cfg.MaxHead))
	}
	if cfg.ExtendedConnect {
		out = appendSetting(out, settingConnectProtocol, 1)
	}
	out = appendSetting(out, settingNoPriorities7540, 1)
	putFrame(out[at:], len(out)-at-headerLen, frameSettings, 0, 0)
	if n := cfg.ConnWindow - defaultWindow; n > 0 {
		out = appendWindowUpdate(out, 0, n)
	}
	c.Commit(out)
	c.since = c.Loop().Now()
	if c.srv.draining {
		c.retire()
	}
	c.armIdle()
	defer c.guard()
	c.read()
	c.watch()
}

// ConnReady is told of events by the connection.
func (c *serverConn) ConnReady(ev worker.Events) {
	if c.phase == phaseClosed {
		return
	}
	if !c.IsOpen() {
		c.closed() // the bytes that the close waited for are out
		return
	}
	switch c.phase {
	case phaseOut:
		if c.Err() != nil {
			c.closeNow()
		}
	case phaseLinger:
		c.linger()
	default:
		defer c.guard()
		if ev&worker.HangUp != 0 && c.Err() == nil && !c.Finished() {
			c.read()
			if c.IsOpen() && c.phase < phaseOut {
				c.ended(errPeerClosed)
			}
			return
		}
		if ev&worker.Writable != 0 {
			c.stuckSince = 0 // it took something
		}
		c.ready(ev)
		c.confirmed()
		c.watch()
	}
}

// watch bounds, after a look at the connection, what the client may be late with.
func (c *serverConn) watch() {
	if !c.IsOpen() || c.phase >= phaseOut {
		return
	}
	now, cfg := c.Loop().Now(), c.srv.config
	switch stuck := c.Pending() > stopReading; {
	case !stuck:
		c.stuckSince = 0
	case c.stuckSince == 0:
		c.stuckSince = now
		c.Loop().ArmBy(&c.timer, cfg.WriteTimeout)
	}
	switch open := c.block.id != 0; {
	case !open:
		c.blockSince = 0
	case c.blockSince == 0:
		c.blockSince = now
		c.Loop().ArmBy(&c.timer, cfg.HeaderTimeout)
	}
}

// guard, when deferred, ends the connection when serving it panics where nothing
// can make an error of it. The panic goes on: the worker logs it.
func (c *serverConn) guard() {
	v := recover()
	if v == nil {
		return
	}
	if !worker.Unwinding(v) {
		c.end(&stream.Error{Side: stream.Local, Phase: stream.PhaseResponseBody, Flag: stream.LocalError, Cause: errAbandoned})
	}
	panic(v)
}

var errAbandoned = errors.New("panic while the connection was served")

// started serves the streams that have begun.
func (c *serverConn) started() {
	c.start()
	c.feed()
}

const (
	// startTime is how long a connection starts streams before the others have their
	// turn; startsPerClock is how many it starts between two looks at the clock.
	startTime      = int64(100 * time.Microsecond)
	startsPerClock = 4
)

// start starts the streams that have begun; those that would take it too long are
// started when it goes on. Those of a connection that is over are only ended, and
// do not wait.
func (c *serverConn) start() {
	if c.starting || len(c.begun) == 0 {
		return
	}
	c.starting = true
	n, since := 0, c.Loop().Clock()
	defer func() { // also when starting one panics
		c.starting = false
		left := copy(c.begun, c.begun[n:])
		clear(c.begun[left:])
		c.begun = c.begun[:left]
	}()
	for n < len(c.begun) {
		if n > 0 && n%startsPerClock == 0 && c.failed == nil && c.Loop().Clock()-since > startTime {
			c.tired = true
			c.rest()
			return
		}
		st := c.begun[n]
		c.begun[n] = nil
		n++
		st.start()
	}
}

// feed lets the streams that got content pass it on, before there is more.
func (c *serverConn) feed() {
	for i := 0; i < len(c.fed); i++ {
		st := c.fed[i]
		c.fed[i] = nil
		if st.conn == c && st.fed {
			st.fed = false
			if st.bodyWaiter != nil {
				st.bodyWaiter.Resume()
			}
		}
	}
	c.fed = c.fed[:0]
}

// goOn takes what was left.
func (c *serverConn) goOn() {
	if c.IsOpen() && c.phase < phaseOut {
		defer c.guard()
		if c.start(); c.resting {
			return
		}
		c.ready(0)
		c.confirmed()
		c.watch()
	}
}

// settingsCame is of no concern to streams: their windows were shifted.
func (c *serverConn) settingsCame(bool) {}

// wentAway is told of the client's GOAWAY: it opens no more streams, or does; we
// push nothing.
func (c *serverConn) wentAway(uint32, ErrCode, []byte) {}

// frameOf takes a frame that only clients send.
func (c *serverConn) frameOf(h frameHeader, p []byte) *ConnError {
	switch h.typ {
	case framePushPromise:
		return broke(CodeProtocol, "PUSH_PROMISE from a client")
	case framePriorityUpdate:
		return c.onPriorityUpdate(h, p)
	}
	return c.glitch()
}

// drained is told that the client has heard that it shall go.
func (c *serverConn) drained() {
	if c.phase == phaseLeaving {
		c.last()
	}
}

// streamDone is told of a stream whose handler is done.
func (c *serverConn) streamDone() {
	c.live--
	if c.live > 0 {
		return
	}
	if c.phase >= phaseOut {
		if c.phase == phaseClosed && !c.closing {
			c.srv.gone(c)
		}
		return
	}
	c.since = c.Loop().Now()
	if c.phase == phaseLast {
		c.Loop().ArmBy(&c.timer, partAfter)
		return
	}
	c.rested = false
	c.Loop().ArmBy(&c.timer, min(restAfter, c.srv.idle()))
}
