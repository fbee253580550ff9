package http1

import (
	"fmt"
	"io"
	"runtime/debug"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// serverStream is a request on a client's connection and the response to it.
type serverStream struct {
	stream.Stream
	conn    *serverConn
	cfg     *Config
	f       framing
	body    reader
	trailer stream.Header
	timer   worker.Timer

	bodyWaiter  *worker.Coroutine // waits for bytes of the request body
	writeWaiter *worker.Coroutine // waits for the client to take bytes
	bodySince   int64             // since when; 0: it does not
	writeSince  int64
	bodyBegan   int64   // when the body was first asked for
	sendBegan   int64   // when the response head went out
	active      int64   // when bytes last moved
	early       outcome // of an Inline, when only a coroutine can send it
	headSent    bool
	continued   bool // 100 Continue was sent
	tunneling   bool
	bodyStopped bool // nobody pulls the request body any more
	begun       bool // Inline.Begin was called
	handled     bool // early is set
	inlined     bool // a part of Inline runs
	handedOver  bool // a coroutine will go on
	logged      bool // Config.Finish was called
}

// What the output of a connection may hold before its writer waits, and down
// to what it must shrink before the writer goes on.
const (
	highWater = 64 << 10
	lowWater  = 16 << 10
)

func (p *Streams) get(l *worker.Loop) *serverStream {
	if n := len(p.free); n > 0 {
		st := p.free[n-1]
		p.free = p.free[:n-1]
		return st
	}
	p.made++
	st := &serverStream{}
	st.Loop, st.IdleTimer = l, &st.timer
	st.timer.Init((*streamTimer)(st))
	return st
}

func (p *Streams) put(st *serverStream) {
	st.Stream.Reset()
	st.trailer.Reset()
	st.conn, st.cfg = nil, nil
	st.bodyWaiter, st.writeWaiter = nil, nil
	st.bodySince, st.writeSince, st.bodyBegan, st.sendBegan = 0, 0, 0, 0
	st.early = outcome{}
	st.headSent, st.continued, st.tunneling, st.bodyStopped = false, false, false, false
	st.begun, st.handled, st.inlined, st.handedOver, st.logged = false, false, false, false, false
	if len(p.free) < keepStreams {
		p.free = append(p.free, st)
		st.Loop.Disarm(&st.timer)
	} else {
		st.Loop.Drop(&st.timer)
	}
}

// begin ties a stream to its connection.
func (st *serverStream) begin(c *serverConn) {
	srv := c.srv
	now := srv.loop.Now()
	st.conn, st.cfg = c, srv.config
	srv.ids++
	st.ID = srv.ids
	st.Remote, st.Local = c.remote.unpack(), c.local.unpack()
	st.Client = st.Remote.Addr()
	st.f = framing{}
	st.active = now
	st.Record.Start = srv.loop.Wall()
	st.Record.Begin, st.Record.HeadDone = now, now
	if c.began != 0 {
		st.Record.Begin = c.began
	}
	st.TLS, st.Request.Scheme = c.tls, "http"
	if c.tls != nil {
		st.Request.Scheme = "https"
	}
	if c.Early() {
		st.Early = (*earlyStream)(st)
	}
	st.body.start(&c.Conn, noBody, 0, &st.cfg.Limits, nil)
}

// prepare makes a parsed request ready for its handler.
func (st *serverStream) prepare() {
	r := &st.Request
	switch {
	case r.Length < 0:
		st.body.start(&st.conn.Conn, chunkedBody, 0, &st.cfg.Limits, &st.trailer)
	case r.Length > 0:
		st.body.start(&st.conn.Conn, fixedBody, r.Length, &st.cfg.Limits, nil)
	}
	if r.Length != 0 {
		r.Body = (*requestBody)(st)
	}
	if r.Length == 0 || st.conn.Buffered() > 0 {
		r.ExpectContinue = false // there is nothing to wait for, or it came unasked
	}
	if r.Minor >= 1 {
		st.Informational = st
	}
	if st.cfg.AbortOnHalfClose && st.conn.PeerClosed() && st.body.received() {
		st.Abort(st.clientGone(stream.PhaseRequestHead, errHalfClosed))
	}
	if st.cfg.StreamIdle > 0 {
		st.Loop.Arm(&st.timer, st.cfg.StreamIdle)
	}
}

// Run serves the stream that begins on c, and those that follow it at once.
func (c *serverConn) Run(co *worker.Coroutine) {
	defer c.guard()
	for served := 1; ; served++ {
		st := c.st
		st.Co = co
		resp, whole := st.serve(co)
		if !c.conclude(resp, whole) {
			return
		}
		if served%64 == 0 {
			co.Yield()
		}
	}
}

// conclude ends the connection's stream. It reports whether the next one has
// begun already; else the connection is idle, or at its end.
func (c *serverConn) conclude(resp *stream.Response, whole bool) (next bool) {
	st := c.st
	st.finish(resp)
	again := whole && st.mayKeep(resp) && st.skipBody()
	unread := !st.body.done || c.Buffered() > 0 || c.MayRead()
	tunnel := resp != nil && resp.Upgraded != nil
	st.release()
	switch {
	case !c.IsOpen():
		c.srv.gone(c)
		return false
	case !again && whole && !tunnel && unread:
		c.lingerOn()
		return false
	case !again:
		c.closeAfterWrite()
		return false
	}
	c.idle()
	return (c.Buffered() > 0 || c.MayRead()) && c.parse()
}

// serve answers the stream. whole is false when the connection is in no state
// to go on: a response was cut, or bytes could not be sent.
func (st *serverStream) serve(co *worker.Coroutine) (resp *stream.Response, whole bool) {
	var err error
	switch in := st.cfg.Inline; {
	case st.handled:
		resp, err = st.early.resp, st.early.err
		st.early = outcome{}
	case in == nil:
		resp, err = st.call(st.cfg.Handle)
	case st.begun:
		resp, err = st.call(in.Resume)
	default:
		if resp, err = st.call(in.Begin); err == stream.ErrCoroutine {
			resp, err = st.call(in.Resume)
		}
	}
	return st.answer(co, resp, err)
}

// answer sends what the handler returned. co may be nil when atOnce is true.
func (st *serverStream) answer(co *worker.Coroutine, resp *stream.Response, err error) (_ *stream.Response, whole bool) {
	if err != nil {
		e := stream.AsError(err)
		st.Record.Err = e
		if e.Status == 0 || st.conn.Err() != nil {
			st.conn.Close()
			return nil, false
		}
		resp = st.cfg.Reply(&st.Stream, e)
	}
	if resp.Upgraded != nil {
		st.tunnel(co, resp)
		return resp, false
	}
	if string(st.Request.Method) == "CONNECT" {
		st.f.close = true // what follows may be meant for the tunnel that was refused
	}
	if err := st.send(co, resp); err != nil {
		st.Record.Err = stream.AsError(err)
		st.cut(resp)
		return resp, false
	}
	return resp, true
}

// call calls a handler; a panic in it ends this stream and no other.
func (st *serverStream) call(h stream.Handler) (resp *stream.Response, err error) {
	defer st.caught(&err)
	return h(&st.Stream)
}

// caught, when deferred, makes the stream's error of a panic.
func (st *serverStream) caught(err *error) {
	v := recover()
	switch {
	case v == nil:
	case worker.Unwinding(v):
		panic(v)
	default:
		st.Loop.Log.Error("panic in a stream", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		*err = &stream.Error{Side: stream.Local, Phase: stream.PhaseRoute, Flag: stream.LocalError, Status: 500, Cause: fmt.Errorf("panic: %v", v)}
	}
}

// mayKeep reports whether the connection may carry another request once the
// request body is out of the way.
func (st *serverStream) mayKeep(resp *stream.Response) bool {
	c := st.conn
	switch {
	case resp == nil || resp.Upgraded != nil, c.srv.draining, c.srv.hurry.Close, c.leaving, st.f.close:
		return false
	case st.cfg.MaxRequests > 0 && int(c.served) >= st.cfg.MaxRequests:
		return false
	}
	return st.Request.Minor >= 1 || st.f.keepAlive
}

// skipBody drops what is left of a request body when all of it is at hand, so
// that an answer that did not need it need not cost the connection.
func (st *serverStream) skipBody() bool {
	b := &st.body
	if st.Request.ExpectContinue && !st.continued && b.total == 0 && st.conn.Buffered() == 0 {
		return false // the client may send the body or not
	}
	for !b.done {
		b.release()
		p, m := b.peek()
		if m != nil {
			return false
		}
		if len(p) == 0 {
			return b.done
		}
		b.take(p)
	}
	return true
}

// frame decides how the body of resp is delimited.
func (st *serverStream) frame(resp *stream.Response) (f responseFraming, body bool) {
	head := string(st.Request.Method) == "HEAD"
	f.length = -1
	switch {
	case resp.Status < 200 || resp.Status == 204:
	case head || resp.Status == 304:
		f.length = resp.Length
	case resp.Body == nil:
		f.length = 0
	case st.Request.Minor >= 1 && (resp.Length < 0 || resp.Header.HasKnown(stream.Trailer)):
		f.chunked, body = true, true // trailers need it
	case resp.Length >= 0:
		f.length, body = resp.Length, true
	default:
		body = true // until the connection closes
		st.f.close = true
	}
	// When nobody holds the request body any more, it is dropped if it is at
	// hand, or else the connection is. An answer of known length to a request
	// that has not ended is the connection's last, too: the client may send the
	// rest or not. (Of a length that is not known, it may end with the request.)
	if st.End == nil {
		st.f.close = st.f.close || !st.skipBody()
	} else if resp.Length >= 0 && !st.body.received() {
		st.f.close = true
	}
	if !st.mayKeep(resp) {
		st.f.close = true
		f.close = true
	} else if st.Request.Minor == 0 {
		f.keep = true
	}
	return f, body
}

func (st *serverStream) sendHead(resp *stream.Response, f responseFraming) {
	c := st.conn
	n := responseSize(resp)
	c.Commit(appendResponse(c.Reserve(n), resp, f, st.conn.srv.streams.date(st.Loop)))
	st.headSent = true
	st.Record.Status = resp.Status
}

// sendLocal sends a local reply whose body is at hand, without waiting.
func (st *serverStream) sendLocal(resp *stream.Response) {
	st.f.close = true
	f, body := st.frame(resp)
	st.sendHead(resp, f)
	if body {
		p, _ := resp.Body.Buffered()
		st.Record.ResponseBytes += int64(len(p))
		st.conn.Write(p)
	}
}

// send writes the response; a body as fast as its source gives and the client
// takes it.
func (st *serverStream) send(co *worker.Coroutine, resp *stream.Response) (err error) {
	defer st.caught(&err)
	c := st.conn
	f, body := st.frame(resp)
	st.sendHead(resp, f)
	if !body {
		return st.bound(co)
	}
	st.sendBegan = st.Loop.Now()
	left := f.length
	for {
		p, err := resp.Body.Next(co)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if len(p) == 0 {
			continue // as a chunk it would end the body
		}
		if f.length >= 0 {
			if left -= int64(len(p)); left < 0 {
				return &stream.Error{Side: stream.Local, Phase: stream.PhaseResponseBody, Flag: stream.LocalError, Cause: errLongResponse}
			}
		}
		st.active = st.Loop.Now()
		st.Record.ResponseBytes += int64(len(p))
		if f.chunked {
			c.Commit(appendChunkSize(c.Reserve(chunkOverhead), len(p)))
			c.Write(p)
			c.Commit(append(c.Reserve(2), '\r', '\n'))
		} else {
			c.Write(p)
		}
		if c.Pending() > highWater {
			if err := st.drain(co, lowWater); err != nil {
				return err
			}
		}
	}
	if f.length >= 0 && left > 0 {
		return &stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseBody, Flag: stream.UpstreamConnectionEnd, Cause: errShortResponse}
	}
	if f.chunked {
		trailer := resp.Body.Trailer()
		n := 8
		if trailer != nil {
			n += trailer.WireSize()
		}
		c.Commit(appendLastChunk(c.Reserve(n), trailer))
	}
	return st.bound(co)
}

// bound lets no more pile up for a client that takes nothing, however many
// requests it sends.
func (st *serverStream) bound(co *worker.Coroutine) error {
	if st.conn.Pending() > highWater {
		return st.drain(co, highWater)
	}
	return nil
}

// drain waits until the client has taken all but n bytes. Without a coroutine
// it does not: what atOnce lets through is at most a head and a little more, and
// the connection's next stream waits.
func (st *serverStream) drain(co *worker.Coroutine, n int) error {
	c := st.conn
	c.Flush()
	if c.Pending() <= n || co == nil {
		return nil
	}
	st.writeWaiter, st.writeSince = co, st.Loop.Now()
	st.armWrite()
	defer func() { st.writeWaiter, st.writeSince = nil, 0 }()
	for c.Pending() > n {
		if err := st.Wait(co); err != nil {
			return err
		}
		if err := c.Err(); err != nil {
			return st.clientGone(stream.PhaseResponseBody, err)
		}
	}
	return nil
}

func (st *serverStream) clientGone(p stream.Phase, cause error) *stream.Error {
	return &stream.Error{Side: stream.Downstream, Phase: p, Flag: stream.DownstreamConnectionEnd, Cause: fmt.Errorf("%w: %w", errClientGone, cause)}
}

// cut ends the connection so that the client can see that the response is not
// whole: a delimited body just stops; one that ends with the connection is reset.
func (st *serverStream) cut(resp *stream.Response) {
	c := st.conn
	delimited := resp.Length >= 0 || st.Request.Minor >= 1
	if !delimited || c.Err() != nil || st.Record.Err.Flag == stream.StreamIdleTimeout || st.Record.Err.Side == stream.Downstream {
		c.Reset()
	}
}

// over ends a stream that nothing more is done with.
func (st *serverStream) over(resp *stream.Response) {
	st.finish(resp)
	st.release()
}

// finish gives back what the handler holds, and writes the log line.
func (st *serverStream) finish(resp *stream.Response) {
	if end := st.End; end != nil {
		st.End = nil
		end.EndStream(&st.Stream)
	}
	st.Record.RequestBytes = st.body.total
	st.Record.End = st.Loop.Now()
	st.logged = true
	st.cfg.Finish(&st.Stream, resp)
}

// release takes the stream off its connection and returns it to its pool.
func (st *serverStream) release() {
	st.body.release()
	st.conn.st = nil
	st.conn.srv.streams.put(st)
}

// connReady is told of events on the client's connection.
func (st *serverStream) connReady(ev worker.Events) {
	c := st.conn
	if err := c.Err(); err != nil || ev&worker.HangUp != 0 && !c.Finished() {
		if err == nil {
			err = errHalfClosed
		}
		st.Abort(st.clientGone(st.phase(), err))
	} else if c.PeerClosed() && st.cfg.AbortOnHalfClose && st.body.received() && !st.tunneling {
		st.Abort(st.clientGone(st.phase(), errHalfClosed))
	}
	if st.bodyWaiter != nil && c.MayRead() {
		st.bodyWaiter.Wake()
	}
	if st.writeWaiter != nil {
		// That the client sends does not count: it may do so for ever and
		// take nothing.
		if ev&worker.Writable != 0 {
			st.writeSince = st.Loop.Now()
			st.active = st.writeSince
		}
		st.writeWaiter.Wake()
	}
}

func (st *serverStream) phase() stream.Phase {
	switch {
	case st.tunneling:
		return stream.PhaseTunnel
	case st.headSent:
		return stream.PhaseResponseBody
	case !st.body.done:
		return stream.PhaseRequestBody
	}
	return stream.PhaseResponseHead
}

// Inform sends an informational response (RFC 9110 section 15.2).
func (st *serverStream) Inform(status int, h *stream.Header) {
	if st.headSent || status == 100 && (st.continued || !st.Request.ExpectContinue) {
		return
	}
	if status == 100 {
		st.continued = true
	}
	c := st.conn
	c.Commit(appendInformational(c.Reserve(h.WireSize()+64), status, h))
}
