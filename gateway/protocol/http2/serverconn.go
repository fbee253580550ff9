package http2

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/protocol/http2/hpack"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
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
	startTime      = int64(250 * time.Microsecond)
	startsPerClock = 8
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

// headersCame begins a stream, or takes its trailers.
func (c *serverConn) headersCame(id uint32, flags uint8, _ bool, block []byte) *ConnError {
	c.blockSince = 0
	end := flags&flagEndStream != 0
	if f := c.flows.find(id); f != nil {
		return c.trailers(f, end, block)
	}
	switch {
	case id%2 == 0:
		return broke(CodeProtocol, "a client's stream has an even id")
	case id <= c.lastID:
		if e := c.decodeError(c.decode(&c.worker.spare, block)); e != nil {
			return e
		}
		if c.ignored.has(id) {
			return c.glitch()
		}
		return broke(CodeStreamClosed, "HEADERS on a closed stream")
	}
	c.lastID = id
	c.ignored.advance(id)
	cfg := c.srv.config
	if c.phase >= phaseLast || c.live >= cfg.MaxStreams {
		if e := c.decodeError(c.decode(&c.worker.spare, block)); e != nil {
			return e
		}
		c.sendReset(id, CodeRefusedStream)
		if cfg.Stats != nil {
			cfg.Stats.HTTP2.Refused.Inc()
		}
		if c.phase >= phaseLast {
			return c.glitch() // it may not have heard
		}
		return c.brokeOff()
	}
	return c.newStream(id, end, block)
}

// newStream begins a stream.
func (c *serverConn) newStream(id uint32, end bool, block []byte) *ConnError {
	srv := c.srv
	st := c.worker.stream(srv.loop)
	st.begin(c, id)
	st.flow.gotEnd = end
	err := c.decode(&st.Request.Header, block)
	c.updates = min(c.updates+updatesOfRequest, maxUpdates)
	if c.served++; c.served > 1 {
		srv.loop.Gently()
	}
	if e := c.decodeError(err); e != nil {
		st.abandon()
		return e
	}
	if m := st.request(err); m != nil {
		return st.refuse(m)
	}
	c.begun = append(c.begun, st)
	if cfg := st.cfg; cfg.MaxRequests > 0 && int(c.served) >= cfg.MaxRequests {
		c.retire()
	}
	return nil
}

// decode decodes a header block.
func (c *conn) decode(h *stream.Header, block []byte) error {
	h.Reset()
	return c.dec.Decode(h, block, c.rules.Header)
}

// decodeError is what a decoding that went wrong means for the connection; nil
// when it concerns the one message alone.
func (c *conn) decodeError(err error) *ConnError {
	if err == nil {
		return nil
	}
	if err == hpack.ErrBomb {
		return broke(CodeEnhanceYourCalm, "a header block expands beyond all measure")
	}
	if e, ok := err.(*hpack.CompressionError); ok {
		return broke(CodeCompression, e.Error())
	}
	return nil
}

// trailers takes the trailer section of a request.
func (c *serverConn) trailers(f *flow, end bool, block []byte) *ConnError {
	err := c.decode(&f.trailer, block)
	if e := c.decodeError(err); e != nil {
		return e
	}
	switch {
	case f.gaveUp:
		return broke(CodeStreamClosed, "HEADERS on a stream that the client reset")
	case f.isReset:
		return nil
	case f.gotEnd:
		f.user.fault(CodeStreamClosed)
		return c.brokeOff()
	case !end || err != nil || !trailerFields(&f.trailer):
		f.trailer.Reset()
		f.user.fault(CodeProtocol)
		return c.brokeOff()
	}
	f.hasTrail = f.trailer.Count() > 0
	f.end()
	return nil
}

// armIdle lets the timer look at what is next due on a connection.
func (c *serverConn) armIdle() {
	cfg := c.srv.config
	wait := cfg.IdleTimeout
	switch {
	case !c.peer.seen:
		wait = cfg.HeaderTimeout
	case c.live == 0:
		wait = min(wait, restAfter)
	}
	if cfg.PingInterval > 0 {
		wait = min(wait, cfg.PingInterval)
	}
	c.Loop().Arm(&c.timer, wait)
}

// streamDone is told of a stream whose handler is done.
func (c *serverConn) streamDone() {
	c.live--
	if c.live > 0 {
		return
	}
	if c.phase >= phaseOut {
		if c.phase == phaseClosed {
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
	c.Loop().ArmBy(&c.timer, min(restAfter, c.srv.config.IdleTimeout))
}

// retire tells the client to open no more streams. It may have opened some
// already, so those are served until it has heard (RFC 9113 section 6.8).
func (c *serverConn) retire() {
	if c.phase != phaseServing {
		return
	}
	c.phase = phaseLeaving
	out := appendGoAway(c.Reserve(2*headerLen+16), maxID, CodeNo, "")
	c.Commit(appendPing(out, false, pingDrain))
	c.draining = true
	c.leftAt = c.Loop().Now()
	c.Loop().ArmBy(&c.timer, leaveAfter)
}

// last refuses the streams that come from now on, and closes after those there
// are: a little after, since a client may have chosen the connection just before
// it heard, and can repeat what is refused, but not what finds no connection.
func (c *serverConn) last() {
	c.phase = phaseLast
	c.Commit(appendGoAway(c.Reserve(headerLen+8), c.lastID, CodeNo, ""))
	if c.live == 0 {
		c.since = c.Loop().Now()
		c.Loop().ArmBy(&c.timer, partAfter)
	}
}

// ended ends the connection: the client is gone, or broke it.
func (c *serverConn) ended(err error) {
	if c.phase >= phaseOut {
		return
	}
	cause := fmt.Errorf("%w: %w", errClientGone, err)
	flag := stream.DownstreamConnectionEnd
	e, ok := err.(*ConnError)
	if ok {
		cause, flag = err, stream.DownstreamProtocolError
		if stats := c.srv.config.Stats; stats != nil {
			stats.HTTP2.Ended(uint32(e.Code))
		}
		c.srv.logEnd(c, e)
	}
	c.abortStreams(&stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestBody, Flag: flag, Cause: cause})
	switch {
	case !ok || c.Err() != nil:
		if errors.Is(err, errPeerClosed) && c.Pending() > 0 && c.Err() == nil {
			c.closeAfterWrite()
			return
		}
		c.closeNow()
	default:
		c.phase = phaseLinger
		c.since = c.Loop().Now()
		c.Finish()
		c.Flush() // before it may be closed for what still comes
		c.linger()
	}
}

var errClientGone = errors.New("the client is gone")

// end ends the connection at once; its streams fail with e.
func (c *serverConn) end(e *stream.Error) {
	if c.phase == phaseClosed {
		return
	}
	c.abortStreams(e)
	if c.phase < phaseOut && c.Err() == nil {
		c.Commit(appendGoAway(c.Reserve(headerLen+8), c.lastID, CodeNo, ""))
		c.Flush()
		c.Part()
	}
	c.closeNow()
}

// abortStreams lets every stream fail with e.
func (c *serverConn) abortStreams(e *stream.Error) {
	if c.failed == nil {
		c.failed = broke(CodeNo, "the connection is over")
	}
	for _, st := range c.begun {
		if st != nil {
			st.Abort(e)
		}
	}
	c.flows.each(func(f *flow) {
		st := f.user.(*serverStream)
		st.Abort(e)
		st.wakeWaiters()
	})
	c.start()
}

// closeAfterWrite closes once all is sent; the client has nothing left to say.
func (c *serverConn) closeAfterWrite() {
	c.phase = phaseOut
	c.Loop().Arm(&c.timer, c.srv.config.WriteTimeout)
	c.CloseAfterWrite()
}

// linger drops what has come, so that the last bytes are not lost to a reset: as
// much as may have been on its way, and no more.
func (c *serverConn) linger() {
	for c.lingered < lingerBytes {
		c.lingered += c.Buffered()
		c.Consume(c.Buffered())
		switch c.Fill(readSize) {
		case nil:
		case connection.ErrWait:
			c.Loop().Arm(&c.timer, lingerIdle)
			return
		default:
			if c.Finished() || c.Err() != nil {
				c.closeNow()
			} else {
				c.closeAfterWrite()
			}
			return
		}
	}
	c.closeNow()
}

// closeNow closes the socket.
func (c *serverConn) closeNow() {
	c.Close()
	c.closed()
}

// closed forgets the connection when its streams are over, too.
func (c *serverConn) closed() {
	if c.phase != phaseClosed {
		c.phase = phaseClosed
		c.abortStreams(&stream.Error{Side: stream.Downstream, Phase: stream.PhaseResponseBody, Flag: stream.DownstreamConnectionEnd, Cause: errClientGone})
		c.release()
		if stats := c.srv.config.Stats; stats != nil {
			stats.HTTP2.ConnectionsActive.Dec()
		}
	}
	if c.live == 0 {
		c.srv.gone(c)
	}
}

// connTimer is the connection's timer.
type connTimer serverConn

// Expire does what is due.
func (t *connTimer) Expire(*worker.Timer) {
	c := (*serverConn)(t)
	cfg, now := c.srv.config, c.Loop().Now()
	since := time.Duration(now - c.since)
	switch c.phase {
	case phaseClosed:
		return
	case phaseOut:
		cfg.timedOut(metrics.TimeoutWrite)
		c.closeNow()
		return
	case phaseLinger:
		if since >= lingerTime || !c.MayRead() && (c.Finished() || since >= cfg.WriteTimeout) {
			c.closeNow()
		} else {
			c.linger()
		}
		return
	case phaseLeaving:
		if time.Duration(now-c.leftAt) >= leaveAfter {
			c.last()
		}
	case phaseLast:
		if c.live == 0 && since >= partAfter {
			c.closeAfterWrite()
			return
		}
	}
	switch {
	case !c.peer.seen && since >= cfg.HeaderTimeout:
		cfg.timedOut(metrics.TimeoutHeader)
		c.fail(broke(CodeNo, "no preface in time"))
		return
	case c.blockSince != 0 && time.Duration(now-c.blockSince) >= cfg.HeaderTimeout:
		cfg.timedOut(metrics.TimeoutHeader)
		c.fail(broke(CodeEnhanceYourCalm, errHeaderTimeout.Error()))
		return
	case c.stuckSince != 0 && time.Duration(now-c.stuckSince) >= cfg.WriteTimeout:
		cfg.timedOut(metrics.TimeoutWrite)
		c.ended(errWriteTimeout)
		return
	case c.pinged != 0 && time.Duration(now-c.pinged) >= cfg.PingTimeout:
		c.ended(errPingTimeout)
		return
	case c.phase == phaseServing && c.live == 0 && c.peer.seen:
		if since >= cfg.IdleTimeout {
			cfg.timedOut(metrics.TimeoutIdle)
			c.last()
			return
		}
		if !c.rested && since >= restAfter {
			c.rested = true
			c.Rest()
			c.enc.Shed()
		}
	}
	c.keepAlive(cfg, now)
	next := cfg.IdleTimeout
	if c.live == 0 && c.phase == phaseServing {
		if left := cfg.IdleTimeout - since; left > 0 {
			next = left
		}
		if !c.rested {
			next = min(next, restAfter)
		}
	}
	if !c.peer.seen || c.blockSince != 0 {
		next = min(next, cfg.HeaderTimeout)
	}
	switch {
	case c.phase == phaseLeaving:
		next = min(next, leaveAfter)
	case c.phase == phaseLast && c.live == 0:
		next = min(next, partAfter)
	}
	if c.stuckSince != 0 {
		next = min(next, cfg.WriteTimeout)
	}
	if cfg.PingInterval > 0 {
		next = min(next, cfg.PingInterval)
		if c.pinged != 0 {
			next = min(next, cfg.PingTimeout)
		}
	}
	c.Loop().Arm(&c.timer, max(next, 10*time.Millisecond))
}

// keepAlive asks a silent client whether it is there.
func (c *serverConn) keepAlive(cfg *Config, now int64) {
	if cfg.PingInterval <= 0 || c.pinged != 0 || time.Duration(now-c.active) < cfg.PingInterval {
		return
	}
	c.pinged = now
	c.Commit(appendPing(c.Reserve(headerLen+8), false, pingKeepalive))
}
