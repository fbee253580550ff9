package http1

import (
	"errors"
	"io"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
	"longmen/tls/handshake"
)

// serverConn is a client's connection. While it is idle this struct is all
// there is of it: no goroutine, no stack, no buffer.
type serverConn struct {
	connection.Conn
	srv        *Server
	st         *serverStream     // while phaseStream
	tls        *handshake.Result // nil: plain
	next, prev *serverConn
	timer      worker.Timer
	began      int64 // loop time when the head under way began, or idleness or lingering did
	served     uint32
	scanned    uint32 // of the head under way, see headEnd
	remote     address
	local      address
	phase      connPhase
	leaving    bool // ends after its stream: the listener has left its address
	rested     bool // gave up what idleness can do without
}

type connPhase uint8

const (
	phaseIdle   connPhase = iota // between requests
	phaseHead                    // a part of a head is there
	phaseStream                  // a stream is served
	phaseOut                     // the last bytes go out, then it is closed
	phaseLinger                  // all is sent; what the client still sends is dropped
)

const (
	// restAfter is how long a connection over TLS is idle before it rests, and any
	// before it ends, when the server drains.
	restAfter = time.Second
	// headRead bounds the first read of a head.
	headRead = 16 << 10
	// A lingering close (RFC 9112 section 9.6) ends when the client sends
	// nothing for lingerIdle, and after lingerTime at the latest.
	lingerIdle = 2 * time.Second
	lingerTime = 30 * time.Second
	// lingerReads bounds the reads of one look.
	lingerReads = 16
)

var (
	errDrained       = errors.New("the gateway is stopping")
	errIdleHead      = errors.New("request head did not arrive in time")
	errSlowHead      = errors.New("request head arrives too slowly")
	errSlowBody      = errors.New("request body arrives too slowly")
	errBodyTimeout   = errors.New("request body did not arrive in time")
	errWriteTimeout  = errors.New("the client takes no bytes")
	errSlowRead      = errors.New("the client takes the response too slowly")
	errStreamIdle    = errors.New("no byte moved in either direction")
	errClientGone    = errors.New("the client closed the connection")
	errHalfClosed    = errors.New("the client closed its sending side")
	errCut           = errors.New("the connection ended within a message")
	errRequestTime   = errors.New("the request did not arrive whole in time")
	errUnconfirmed   = errors.New("the TLS handshake was not completed")
	errShortResponse = errors.New("the response ended before its content-length")
	errLongResponse  = errors.New("the response is longer than its content-length")
)

func (c *serverConn) reset() {
	c.srv, c.st, c.tls = nil, nil, nil
	c.began, c.served, c.scanned, c.phase, c.leaving = 0, 0, 0, phaseIdle, false
}

// ConnReady is told of events by the connection.
func (c *serverConn) ConnReady(ev worker.Events) {
	if !c.IsOpen() {
		// The bytes that the close waited for are out.
		c.srv.gone(c)
		return
	}
	switch c.phase {
	case phaseIdle, phaseHead:
		if c.parse() {
			c.start()
		}
	case phaseStream:
		c.st.connReady(ev)
	case phaseOut:
		if c.Err() != nil {
			c.closeNow()
		}
	case phaseLinger:
		c.linger()
	}
}

// idle waits for the next request.
func (c *serverConn) idle() {
	c.phase, c.rested = phaseIdle, false
	c.began = c.srv.loop.Now()
	wait := c.srv.hurry.Idle(c.srv.config.IdleTimeout)
	if c.IsSecure() || c.srv.draining {
		wait = min(wait, restAfter)
	}
	c.srv.loop.Arm(&c.timer, wait)
}

// idled does what the end of a step of idleness asks for: first a connection
// over TLS gives up what its keys expand to, then any one is closed.
func (c *serverConn) idled() {
	if c.srv.draining { // its handshake was under way when that began, and no request came
		c.end()
		return
	}
	idle := time.Duration(c.srv.loop.Now() - c.began)
	if left := c.srv.hurry.Idle(c.srv.config.IdleTimeout) - idle; left > 0 {
		if c.IsSecure() && !c.rested {
			c.rested = true
			c.Rest()
		}
		c.srv.loop.Arm(&c.timer, left)
		return
	}
	c.srv.countIdle(idle)
	c.end()
}

// parse reads until a request head is complete and begins a stream with it. It
// returns false when the connection waits for more, or is over.
func (c *serverConn) parse() bool {
	cfg := c.srv.config
	for {
		buf := c.Bytes()
		if c.phase == phaseIdle {
			// Empty lines before a request are skipped (RFC 9112 section 2.2).
			for len(buf) > 1 && buf[0] == '\r' && buf[1] == '\n' {
				c.Consume(2)
				buf = c.Bytes()
			}
		}
		// A lone CR may yet become an empty line.
		if len(buf) > 0 && (c.phase == phaseHead || len(buf) > 1 || buf[0] != '\r') {
			if c.phase == phaseIdle {
				c.phase, c.scanned = phaseHead, 0
				c.began = c.srv.loop.Now()
				if stream.TokenLower[buf[0]] == 0 {
					return c.refuse(errMethod)
				}
			}
			end, scanned := 0, 0
			switch c.greeting(buf) {
			case greeted:
				c.srv.pass(c)
				return false
			case notHTTP2:
				end, scanned = headEnd(buf, int(c.scanned))
			}
			if end > 0 && end <= cfg.Limits.Head {
				return c.begin(buf[:end])
			}
			if end > 0 || len(buf) > cfg.Limits.Head {
				if lineEnd(buf, cfg.Limits.Line) {
					return c.refuse(errHeadLarge)
				}
				return c.refuse(errLineLong)
			}
			if len(buf) > cfg.Limits.Line && !lineEnd(buf, cfg.Limits.Line) {
				return c.refuse(errLineLong)
			}
			c.scanned = uint32(scanned)
		}
		switch err := c.Fill(headRead); err {
		case nil:
		case connection.ErrWait:
			if c.phase == phaseHead {
				c.armHead()
			}
			return false
		default:
			if c.phase == phaseHead && (err == io.EOF || err == io.ErrUnexpectedEOF) {
				c.fail(stream.Error{Phase: stream.PhaseRequestHead, Flag: stream.DownstreamConnectionEnd, Cause: errCut})
			}
			c.end()
			return false
		}
	}
}

// preface is what HTTP/2 begins with (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// beginning is what a connection's first bytes are.
type beginning uint8

const (
	notHTTP2 beginning = iota // a request, or not the first bytes
	perhaps                   // the beginning of HTTP/2's preface
	greeted                   // the preface, or what only HTTP/2 shall answer
)

// greeting looks whether the connection begins with HTTP/2's preface.
func (c *serverConn) greeting(buf []byte) beginning {
	cfg := c.srv.config
	if c.served > 0 || buf[0] != 'P' && !cfg.OnlyHTTP2 || cfg.HTTP2 == nil {
		return notHTTP2
	}
	n := min(len(buf), len(preface))
	switch {
	case string(buf[:n]) != preface[:n]:
		if cfg.OnlyHTTP2 {
			return greeted
		}
		return notHTTP2
	case n < len(preface):
		return perhaps
	}
	return greeted
}

// lineEnd reports whether the first line of p ends within max bytes.
func lineEnd(p []byte, max int) bool {
	for _, b := range p[:min(len(p), max+1)] {
		if b == '\n' {
			return true
		}
	}
	return false
}

// armHead sets the time at which the head under way is looked at.
func (c *serverConn) armHead() {
	cfg := c.srv.config
	elapsed := time.Duration(c.srv.loop.Now() - c.began)
	wait := cfg.HeaderTimeout - elapsed
	if cfg.MinRequestRate > 0 {
		wait = min(wait, max(cfg.RateGrace-elapsed, time.Second))
	}
	c.srv.loop.Arm(&c.timer, max(wait, time.Millisecond))
}

// begin parses a complete head and makes it the connection's stream.
func (c *serverConn) begin(raw []byte) bool {
	srv := c.srv
	st := srv.streams.get(srv.loop)
	c.st = st
	st.begin(c)
	m := parseRequest(&st.Request, raw, &srv.config.Limits, &st.f)
	c.Consume(len(raw))
	if m != nil {
		return c.refuse(m)
	}
	c.phase = phaseStream
	if c.served++; c.served > 1 {
		srv.streams.kept = srv.loop.Now()
		srv.loop.Gently()
	}
	st.prepare()
	return true
}

// refuse answers a request that cannot be served, and closes. Nothing that
// follows it on the connection is looked at.
func (c *serverConn) refuse(m *Malformed) bool {
	c.fail(stream.Error{Phase: stream.PhaseRequestHead, Flag: stream.DownstreamProtocolError, Status: m.Status, Cause: m})
	return false
}

// fail records a request that never became a stream, answers it when e has a
// status, and closes.
func (c *serverConn) fail(e stream.Error) {
	st := c.st
	if st == nil {
		st = c.srv.streams.get(c.srv.loop)
		c.st = st
		st.begin(c)
	}
	e.Side = stream.Downstream
	st.Record.Err = &e
	var resp *stream.Response
	if e.Status != 0 {
		resp = st.cfg.Reply(&st.Stream, &e)
		st.sendLocal(resp)
	}
	st.over(resp)
	if e.Status != 0 {
		c.lingerOn()
	}
}

// closeNow closes the socket and forgets the connection.
func (c *serverConn) closeNow() {
	c.Close()
	c.srv.gone(c)
}

// end closes a connection on which no more requests are served, once the
// answers to the earlier ones are sent.
func (c *serverConn) end() {
	if (c.Pending() > 0 || c.IsSecure()) && c.Err() == nil { // TLS says goodbye
		c.closeAfterWrite()
	} else {
		c.closeNow()
	}
}

// retire ends an idle connection. A request that is there already, as on a
// connection that was accepted just now, is answered before.
func (c *serverConn) retire() {
	if c.phase != phaseIdle {
		return
	}
	if c.MayRead() && c.parse() {
		c.st.handOver() // who retires many connections is not kept by one
		return
	}
	switch {
	case c.srv == nil || c.phase != phaseIdle:
	case c.served == 0:
		// Its first request may be on its way. To a client of HTTP/2, which begins
		// here too, the end of the connection would be that of the request.
		c.srv.loop.Arm(&c.timer, restAfter)
	default:
		c.end()
	}
}

// closeAfterWrite closes once all is sent; the client has nothing left to say.
func (c *serverConn) closeAfterWrite() {
	c.phase = phaseOut
	c.srv.loop.Arm(&c.timer, c.srv.config.WriteTimeout)
	c.CloseAfterWrite()
}

// lingerOn ends the sending side once all is sent, and drops what the client
// still sends for a while: closing at once would reset the connection and
// could take the response away from the client (RFC 9112 section 9.6).
func (c *serverConn) lingerOn() {
	c.phase = phaseLinger
	c.began = c.srv.loop.Now()
	c.Finish()
	c.linger()
}

// linger drops what has come. It takes only so much at a time: what a client
// sends for nothing must not hold up others.
func (c *serverConn) linger() {
	for range lingerReads {
		c.Consume(c.Buffered())
		switch c.Fill(bodyRead) {
		case nil:
		case connection.ErrWait:
			c.srv.loop.Arm(&c.timer, lingerIdle)
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
	c.srv.loop.Arm(&c.timer, time.Millisecond)
}

// lingerExpired goes on dropping, or ends the connection.
func (c *serverConn) lingerExpired() {
	elapsed := time.Duration(c.srv.loop.Now() - c.began)
	switch {
	case elapsed >= lingerTime || c.Err() != nil:
		c.closeNow()
	case c.MayRead():
		c.linger()
	case c.Pending() > 0 && elapsed < c.srv.config.WriteTimeout:
		// A client that takes the response slowly gets it whole.
		c.srv.loop.Arm(&c.timer, lingerIdle)
	default:
		c.closeNow()
	}
}

// connTimer is the connection's timer: idle, head, last bytes, lingering.
type connTimer serverConn

// Expire ends the phase that lasted too long.
func (t *connTimer) Expire(*worker.Timer) {
	c := (*serverConn)(t)
	cfg := c.srv.config
	switch c.phase {
	case phaseIdle:
		c.idled()
	case phaseOut:
		cfg.timedOut(metrics.TimeoutWrite)
		c.closeNow()
	case phaseLinger:
		c.lingerExpired()
	case phaseHead:
		elapsed := time.Duration(c.srv.loop.Now() - c.began)
		switch {
		case elapsed >= cfg.HeaderTimeout:
			c.late(metrics.TimeoutHeader, errIdleHead)
		case tooSlow(int64(c.Buffered()), elapsed, cfg.MinRequestRate, cfg.RateGrace):
			c.late(metrics.TimeoutRate, errSlowHead)
		default:
			c.armHead()
		}
	}
}

func (c *serverConn) late(t metrics.Timeout, cause error) {
	c.srv.config.timedOut(t)
	c.fail(stream.Error{Phase: stream.PhaseRequestHead, Flag: stream.DurationTimeout, Status: 408, Cause: cause})
}

// tooSlow reports whether n bytes in elapsed are below rate bytes a second.
func tooSlow(n int64, elapsed time.Duration, rate int, grace time.Duration) bool {
	return rate > 0 && elapsed >= grace && n*int64(time.Second) < int64(rate)*int64(elapsed)
}
