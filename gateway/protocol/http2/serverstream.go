package http2

import (
	"errors"
	"fmt"
	"runtime/debug"

	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

// serverStream is a request on a client's connection and the response to it.
type serverStream struct {
	stream.Stream
	flow  flow
	conn  *serverConn
	cfg   *Config
	timer worker.Timer

	bodyWaiter  *worker.Coroutine // waits for content of the request
	writeWaiter *worker.Coroutine // waits for the client to take content
	bodySince   int64             // since when; 0: it does not
	writeSince  int64
	bodyBegan   int64 // when the body was first asked for
	sendBegan   int64 // when the response head went out
	active      int64 // when bytes last moved
	length      int64 // of the request body, as announced; -1: it was not
	early       outcome
	headSent    bool
	continued   bool // 100 Continue was sent
	connect     bool // a CONNECT: the content is a tunnel's
	extended    bool // of RFC 8441
	tunneling   bool
	begun       bool // Inline.Begin was called
	handled     bool // early is set
	inlined     bool // a part of Inline runs
	handedOver  bool // a coroutine will go on
	logged      bool // Config.Finish was called
	fed         bool // its reader will be told of content
}

// outcome is what a handler returned.
type outcome struct {
	resp *stream.Response
	err  error
}

// stream takes a stream from the pool.
func (w *Worker) stream(l *worker.Loop) *serverStream {
	if n := len(w.streams); n > 0 {
		st := w.streams[n-1]
		w.streams = w.streams[:n-1]
		return st
	}
	st := &serverStream{}
	st.Loop, st.IdleTimer = l, &st.timer
	st.timer.Init((*streamTimer)(st))
	return st
}

func (w *Worker) put(st *serverStream) {
	st.Stream.Reset()
	st.conn, st.cfg = nil, nil
	st.bodyWaiter, st.writeWaiter = nil, nil
	st.bodySince, st.writeSince, st.bodyBegan, st.sendBegan = 0, 0, 0, 0
	st.early = outcome{}
	st.headSent, st.continued, st.connect, st.extended, st.tunneling = false, false, false, false, false
	st.begun, st.handled, st.inlined, st.handedOver, st.logged, st.fed = false, false, false, false, false, false
	if len(w.streams) < keepStreams {
		w.streams = append(w.streams, st)
		st.Loop.Disarm(&st.timer)
	} else {
		st.Loop.Drop(&st.timer)
	}
}

// begin ties a stream to its connection.
func (st *serverStream) begin(c *serverConn, id uint32) {
	srv := c.srv
	now := srv.loop.Now()
	st.conn, st.cfg = c, srv.config
	c.live++
	srv.ids++
	st.ID = srv.ids
	st.Remote, st.Local = c.remote, c.local
	st.Client = c.remote.Addr()
	st.active = now
	st.length = -1
	st.Record.Start = srv.loop.Wall()
	st.Record.Begin, st.Record.HeadDone = now, now
	st.TLS, st.Request.Scheme = c.tls, "http"
	if c.tls != nil {
		st.Request.Scheme = "https"
	}
	if c.Early() {
		st.Early = (*earlyStream)(st)
	}
	st.flow.open(&c.conn, st, id)
}

// refuse ends a stream whose request is malformed.
func (st *serverStream) refuse(m *malformed) *ConnError {
	c := st.conn
	e := &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestHead, Flag: stream.DownstreamProtocolError, Status: m.status, Cause: m}
	if m.status != 0 {
		st.early, st.handled = outcome{nil, e}, true
		c.begun = append(c.begun, st)
		return c.brokeOff() // to read it was more work than to send it
	}
	st.Record.Err = e
	st.flow.reset(CodeProtocol)
	st.over(nil)
	return c.brokeOff()
}

// abandon ends a stream whose connection is beyond repair, without a word.
func (st *serverStream) abandon() {
	st.Record.Err = &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestHead, Flag: stream.DownstreamProtocolError, Cause: errHeaderBlock}
	st.over(nil)
}

var errHeaderBlock = errors.New("malformed header block")

// prepare makes a request ready for its handler.
func (st *serverStream) prepare() {
	r := &st.Request
	if !st.connect {
		if r.Length != 0 || !st.flow.gotEnd {
			r.Body = (*requestBody)(st)
		}
		if st.flow.gotEnd || st.flow.held > 0 {
			r.ExpectContinue = false // there is nothing to wait for, or it came unasked
		}
		if r.Length == 0 && r.Body != nil {
			r.Length = -1 // content-length: 0, and the end is yet to come
		}
	}
	st.Informational = st
	if st.cfg.StreamIdle > 0 {
		st.Loop.Arm(&st.timer, st.cfg.StreamIdle)
	}
}

// arrived is told of content, or of its end.
func (st *serverStream) arrived() {
	f := &st.flow
	st.active = st.Loop.Now()
	if st.length >= 0 && (f.total > st.length || f.gotEnd && f.total < st.length) {
		st.length = -1
		st.fault(CodeProtocol)
		return
	}
	switch c := st.conn; {
	case st.bodyWaiter == nil || st.fed:
	case c.reading:
		st.fed = true
		c.fed = append(c.fed, st)
	default:
		st.bodyWaiter.Wake()
	}
}

// mayWrite is told that content may be sent.
func (st *serverStream) mayWrite() {
	if st.writeWaiter != nil {
		st.writeSince = st.Loop.Now()
		st.active = st.writeSince
		st.writeWaiter.Wake()
	}
}

// peerReset is told that the client gave the stream up.
func (st *serverStream) peerReset(code ErrCode) {
	st.count(code, true)
	st.giveUp(&stream.Error{Side: stream.Downstream, Phase: st.phase(), Flag: stream.DownstreamConnectionEnd, Cause: fmt.Errorf("%w: %s", errClientReset, code)})
}

// fault is told of the client's mistake.
func (st *serverStream) fault(code ErrCode) {
	st.count(code, false)
	st.flow.spoilt = true
	st.flow.reset(code)
	st.giveUp(&stream.Error{Side: stream.Downstream, Phase: st.phase(), Flag: stream.DownstreamProtocolError, Cause: fmt.Errorf("%w: %s", errClientFault, code)})
}

func (st *serverStream) count(code ErrCode, received bool) {
	if stats := st.cfg.Stats; stats != nil {
		stats.HTTP2.Reset(uint32(code), received)
	}
}

func (st *serverStream) giveUp(e *stream.Error) {
	st.Abort(e)
	st.wakeWaiters()
}

func (st *serverStream) wakeWaiters() {
	if st.bodyWaiter != nil {
		st.bodyWaiter.Wake()
	}
	if st.writeWaiter != nil {
		st.writeWaiter.Wake()
	}
}

var (
	errClientReset = errors.New("the client reset the stream")
	errClientFault = errors.New("the client broke the protocol on this stream")
)

func (st *serverStream) cutShort() error {
	if e := st.Aborted(); e != nil {
		return e
	}
	return &stream.Error{Side: stream.Downstream, Phase: st.phase(), Flag: stream.DownstreamConnectionEnd, Cause: errClientGone}
}

func (st *serverStream) phase() stream.Phase {
	switch {
	case st.tunneling:
		return stream.PhaseTunnel
	case st.headSent:
		return stream.PhaseResponseBody
	case !st.flow.gotEnd:
		return stream.PhaseRequestBody
	}
	return stream.PhaseResponseHead
}

// start serves the stream.
func (st *serverStream) start() {
	if !st.handled {
		st.prepare()
	}
	in := st.cfg.Inline
	if in == nil || st.handled || st.Aborted() != nil {
		st.handOver()
		return
	}
	st.begun, st.Parked = true, st
	st.advance(in.Begin)
}

// advance calls a part of the stream's Inline and does what its outcome asks
// for.
func (st *serverStream) advance(h stream.Handler) {
	st.inlined = true
	resp, err := st.call(h)
	st.inlined = false
	switch {
	case err == stream.ErrParked:
		if st.Aborted() != nil {
			st.handOver()
		}
	case err == stream.ErrCoroutine:
		st.handOver()
	case !st.atOnce(resp):
		st.early, st.handled = outcome{resp, err}, true
		st.handOver()
	default:
		st.conclude(st.answer(nil, resp, err))
	}
}

// inlineBody bounds the body that is sent without a coroutine.
const inlineBody = 16 << 10

// atOnce reports whether resp, or a local reply when it is nil, can be sent as
// a whole without waiting.
func (st *serverStream) atOnce(resp *stream.Response) bool {
	n := 1 << 10
	if resp != nil {
		if resp.Upgraded != nil {
			return false
		}
		n = 0
		if resp.Body != nil {
			p, last := resp.Body.Buffered()
			if !last || len(p) > inlineBody {
				return false
			}
			n = len(p)
		}
	}
	return st.flow.free(n)
}

// handOver lets a coroutine go on with the stream in this turn.
func (st *serverStream) handOver() {
	st.handedOver = true
	st.Loop.GoSoon(st)
}

// Wake goes on with a parked stream: its answer may be there, or it was
// aborted.
func (st *serverStream) Wake() {
	if st.inlined || st.handedOver {
		return
	}
	if st.Aborted() != nil {
		st.handOver()
		return
	}
	defer st.conn.guard()
	st.advance(st.cfg.Inline.Poll)
}

// Run serves the stream on a coroutine.
func (st *serverStream) Run(co *worker.Coroutine) {
	c := st.conn
	defer c.guard()
	st.Co = co
	var resp *stream.Response
	var err error
	switch in := st.cfg.Inline; {
	case st.handled:
		resp, err = st.early.resp, st.early.err
		st.early = outcome{}
	case !st.begun && st.Aborted() != nil:
		err = st.Aborted()
	case in == nil:
		resp, err = st.call(st.cfg.Handle)
	case st.begun:
		resp, err = st.call(in.Resume)
	default:
		if resp, err = st.call(in.Begin); err == stream.ErrCoroutine {
			resp, err = st.call(in.Resume)
		}
	}
	st.conclude(st.answer(co, resp, err))
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

// conclude ends the stream. What the client still has to send is not wanted any
// more.
func (st *serverStream) conclude(resp *stream.Response) {
	f := &st.flow
	if !f.isReset && f.conn.failed == nil {
		switch {
		case !f.sentEnd:
			code := CodeInternal
			if e := st.Record.Err; e != nil && e.Side == stream.Downstream {
				code = CodeCancel // it takes no bytes, or too slowly
			}
			st.count(code, false)
			f.reset(code)
		case !f.gotEnd:
			f.reset(CodeNo) // the response is whole (RFC 9113 section 8.1)
		}
	}
	st.over(resp)
}

// over ends a stream that nothing more is done with.
func (st *serverStream) over(resp *stream.Response) {
	defer st.finish(resp)
	if end := st.End; end != nil {
		st.End = nil
		end.EndStream(&st.Stream)
	}
}

// finish is the rest of over, and is run also when what was told of the end panics.
func (st *serverStream) finish(resp *stream.Response) {
	defer st.free()
	st.Record.RequestBytes = st.flow.total
	st.Record.End = st.Loop.Now()
	if !st.logged {
		st.logged = true
		st.cfg.Finish(&st.Stream, resp)
	}
}

// free gives the stream back.
func (st *serverStream) free() {
	c := st.conn
	st.flow.close()
	c.worker.put(st)
	c.streamDone()
}

// requestBody is a serverStream as the Body of its request.
type requestBody serverStream

// Next returns the next piece of the body.
func (b *requestBody) Next(co *worker.Coroutine) ([]byte, error) {
	st := (*serverStream)(b)
	if st.bodyBegan == 0 {
		st.bodyBegan = st.Loop.Now()
		if st.Request.ExpectContinue && !st.continued && st.flow.held == 0 && !st.flow.gotEnd {
			var none stream.Header
			st.Inform(100, &none)
		}
	}
	return st.flow.pull(co)
}

// Buffered returns what is at hand of the body.
func (b *requestBody) Buffered() ([]byte, bool) {
	p, last := b.flow.atHand()
	return p, last && !b.flow.hasTrail
}

// Stop ends the pulling.
func (b *requestBody) Stop() { b.flow.stop() }

// Trailer is the trailer section, nil when there was none.
func (b *requestBody) Trailer() *stream.Header {
	if b.flow.hasTrail {
		return &b.flow.trailer
	}
	return nil
}

// waitContent waits until arrived was called.
func (st *serverStream) waitContent(co *worker.Coroutine) error {
	st.bodyWaiter = co
	if !st.tunneling { // what goes through a tunnel may come at any time
		st.bodySince = st.Loop.Now()
		st.armBody()
	}
	err := st.Wait(co)
	st.bodyWaiter, st.bodySince = nil, 0
	return err
}

// waitWrite waits until mayWrite was called.
func (st *serverStream) waitWrite(co *worker.Coroutine) error {
	if st.writeSince == 0 {
		st.writeSince = st.Loop.Now()
	}
	st.writeWaiter = co
	st.armWrite()
	err := st.Wait(co)
	st.writeWaiter = nil
	return err
}

func (st *serverStream) bodyError(status int, flag stream.Flag, cause error) *stream.Error {
	return &stream.Error{Side: stream.Downstream, Phase: stream.PhaseRequestBody, Flag: flag, Status: status, Sent: true, Cause: cause}
}
