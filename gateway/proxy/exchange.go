package proxy

import (
	"errors"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream"
	"longmen/gateway/worker"
)

// exchange is one stream's way through a cluster: its tries, and what it holds
// while the response goes back.
type exchange struct {
	proxy   *Proxy
	s       *stream.Stream
	forward *router.Forward
	cluster *upstream.Cluster
	// breakers are what the stream counts against.
	breakers *cluster.Breakers
	conn     *upstream.Conn
	out      stream.Outgoing
	route    *router.Route
	target   *router.WeightedCluster // nil when the request named the cluster
	onward   onward
	affinity affinity // what is asked of the endpoint, if choosy

	progress progress
	early    error           // of polled
	choice   upstream.Choice // of the first try, made before it had a coroutine

	tried    []*cluster.Endpoint
	retries  int    // tries after the first that count against the route's attempts
	resends  int    // and those that do not, of what was not processed
	fresh    bool   // the next try shall use a new connection
	copied   []byte // the request body, when it may be sent again
	hasCopy  bool
	spent    bool        // a part of the request body is gone: no other try can send it
	retrying bool        // holds a unit of the cluster's retries
	leg      *leg        // of one try of a hedged request; nil: it is a stream's own
	racing   bool        // a hedged request is under way
	choosy   bool        // affinity asks for something
	answered bool        // the response head was given to the downstream
	body     stream.Body // of the response, as the endpoint sends it
	record   recorder
	call     callTime

	upload   upload
	deadline worker.Timer // the route's timeout, or the client's
	pause    worker.Timer // before a retry, or for 100 Continue
	idle     worker.Timer // the route's time for a try of which nothing comes
	paused   bool
	informer stream.Informer
	goOn     bool // the request body may be sent
}

var (
	errNoClusterNamed = errors.New("no such cluster")
	errRequests       = errors.New("the cluster's limit of requests is reached")
	errRouteTimeout   = errors.New("no complete response within the route's timeout")
)

// maxReplay bounds the request bodies that are kept for another try, in bytes.
const maxReplay = 64 << 10

// keepCopy is what an exchange that serves another stream keeps of that, in bytes.
const keepCopy = 16 << 10

func (x *exchange) reset() {
	x.s, x.forward, x.cluster, x.breakers, x.conn, x.informer, x.leg = nil, nil, nil, nil, nil, nil, nil
	x.route, x.target, x.early, x.body = nil, nil, nil, nil
	x.record, x.call = recorder{}, callTime{}
	x.progress, x.choice = notBegun, upstream.Choice{}
	x.out = stream.Outgoing{}
	clear(x.tried)
	x.tried = x.tried[:0]
	x.onward.reset()
	x.forget()
	x.retries, x.resends = 0, 0
	if x.choosy {
		x.affinity.reset()
	}
	x.racing, x.choosy = false, false
	x.fresh, x.hasCopy, x.spent, x.retrying, x.answered, x.paused, x.goOn = false, false, false, false, false, false, false
}

// prepare makes the exchange that will send the stream to the cluster. out is
// how the request goes upstream.
func (p *Proxy) prepare(s *stream.Stream, route *router.Route, target *router.WeightedCluster, c *upstream.Cluster, out stream.Outgoing) (*exchange, error) {
	call, err := timeOfCall(s, route.Forward)
	if err != nil {
		c.Stats.Timeouts[metrics.UpstreamTimeoutCall].Inc()
		return nil, err
	}
	breakers := c.Shared().Breakers(route.Forward.HighPriority)
	if !breakers.TryRequest() {
		c.Stats.Overflows[metrics.LimitRequests].Inc()
		return nil, &stream.Error{Side: stream.Upstream, Phase: stream.PhasePick, Flag: stream.UpstreamOverflow, Status: 503, Cause: errRequests}
	}
	x := p.get()
	x.s, x.route, x.target, x.forward, x.cluster, x.breakers, x.out = s, route, target, route.Forward, c, breakers, out
	if x.call = call; call.until != 0 {
		s.Loop.Arm(&x.deadline, time.Duration(call.until-s.Loop.Now()))
	}
	x.fresh = s.Request.WantsTunnel() // a tunnel does not begin where requests went before
	s.End = x
	if x.informs() {
		x.informer, s.Informational = s.Informational, x
	}
	if d := x.forward.IdleTimeout; d > 0 {
		s.SetIdle(d)
	}
	if s.Request.Body == nil {
		x.requestDone()
	}
	return x, nil
}

// finish waits for the answer, on a coroutine.
func (x *exchange) finish(co *worker.Coroutine) (*stream.Response, error) {
	s := x.s
	if x.conn != nil {
		x.conn.WakeOn(nil)
	}
	resp, err := x.tries(co)
	if err != nil {
		s.End = nil
		x.count(stream.AsError(err))
		x.EndStream(s)
		return nil, err
	}
	x.answer(resp)
	if resp.Upgraded != nil {
		s.Loop.Disarm(&x.deadline) // a tunnel's time is bounded by its idleness
	}
	return resp, nil
}

// tries makes the tries that the request may have, one after the other or side by
// side.
func (x *exchange) tries(co *worker.Coroutine) (*stream.Response, error) {
	if x.hedges() {
		return x.race(co)
	}
	return x.run(co)
}

// run tries endpoints until one answers or no other try is allowed.
func (x *exchange) run(co *worker.Coroutine) (*stream.Response, error) {
	for {
		resp, err := x.try(co)
		err = x.overdue(err)
		x.tell(resp, err)
		again := x.s.Aborted() == nil && (x.elsewhere(co, resp, err, false) || x.again(co, resp, err) || x.elsewhere(co, resp, err, true))
		if e := x.s.Aborted(); e != nil {
			return nil, e
		}
		if !again {
			return resp, err
		}
	}
}

// try gives the request to one endpoint and waits for the response's head.
func (x *exchange) try(co *worker.Coroutine) (*stream.Response, error) {
	s, resp := x.s, &x.s.Response
	begun := x.progress
	x.progress = notBegun
	switch begun {
	case polled:
		if x.early != nil {
			return nil, x.early
		}
		return resp, nil
	case notBegun:
		before, choice := len(x.tried), x.choice
		x.choice = upstream.Choice{}
		conn, err := x.cluster.Acquire(s, co, &x.tried, upstream.Want{Pick: x.want(), Fresh: x.fresh, Upgrade: x.out.Upgrade != nil, Choice: choice})
		if len(x.tried) > before {
			s.Record.Endpoint, s.Record.UpstreamTLS = x.tried[len(x.tried)-1].Address(), nil
			s.Record.Tries++
		}
		if err != nil {
			return nil, err
		}
		x.conn, s.Record.UpstreamTLS = conn, conn.Agreed()
		s.Record.UpstreamBegin, s.Record.UpstreamHead = s.Loop.Now(), 0
		if s.Request.WantsTunnel() {
			resp := s.Respond(200, "", nil)
			resp.Upgraded = conn.Tunnel()
			return resp, nil
		}
		if err := x.sendRequest(co); err != nil {
			return nil, err
		}
		if !x.upload.running {
			x.awaitHead()
		}
	}
	err := x.conn.ReadHead(co, resp, x.out.Upgrade != nil)
	x.headCame()
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// sendRequest sends the head, and with it the body if all of it is at hand; a
// longer body is carried by a coroutine of its own.
func (x *exchange) sendRequest(co *worker.Coroutine) error {
	r := &x.s.Request
	body := r.Body
	x.tellTime()
	switch {
	case body == nil:
		x.conn.Send(&x.out, nil, true)
		return nil
	case x.hasCopy:
		if r.Length < 0 {
			r.Length = int64(len(x.copied))
		}
		x.conn.Send(&x.out, x.copied, true)
		return nil
	}
	x.spent = true
	piece, whole := atHand(body)
	if !whole || x.out.Expect && len(piece) == 0 {
		x.conn.Send(&x.out, nil, false)
		if x.record.Body == nil && x.forward.Retry != nil && x.mayReplay() {
			x.record = recorder{Body: body, x: x}
			r.Body = &x.record
		}
		x.upload.start(co)
		return nil
	}
	if len(piece) <= maxReplay && x.mayReplay() {
		x.copied, x.hasCopy, x.spent = append(x.copied[:0], piece...), true, false
	}
	x.out.Expect = false // the body is here
	if r.Length < 0 {
		r.Length = int64(len(piece)) // now it is known, and HTTP/1 says it
	}
	x.conn.Send(&x.out, piece, true)
	// The piece is consumed, and the body's end seen, without waiting.
	for range 2 {
		if _, err := body.Next(co); err != nil {
			break
		}
	}
	x.requestDone()
	return nil
}

// atHand returns what can be had of a body without waiting, and whether that is
// all of it: no trailer section follows.
func atHand(body stream.Body) (piece []byte, whole bool) {
	piece, last := body.Buffered()
	return piece, last && body.Trailer() == nil
}

// mayReplay reports whether the request could be sent again after it was sent
// once.
func (x *exchange) mayReplay() bool {
	retry := x.forward.Retry
	switch {
	case x.conn.Shared() || x.onward.why != upstream.SentNot:
		return true // the endpoint, or another gateway, may say that it did not process it
	case retry == nil:
		return x.idempotent() && x.conn.Pooled()
	}
	return x.idempotent() || retry.Unsafe || retry.On&router.OnGRPC != 0 && x.s.Request.GRPC()
}

// drop gives up the try under way.
func (x *exchange) drop(co *worker.Coroutine, status int) {
	x.upload.end(co)
	if x.conn == nil {
		return
	}
	stats := x.cluster.Stats
	stats.Requests.Count(status)
	stats.Duration.Observe(x.s.Loop.Now() - x.s.Record.UpstreamBegin)
	x.s.Loop.Disarm(&x.idle)
	x.conn.Release()
	x.conn = nil
}

// EndStream gives back what the exchange holds.
func (x *exchange) EndStream(s *stream.Stream) {
	status := 0
	if x.answered {
		status = s.Response.Status
	}
	if x.body != nil {
		if trailer := x.body.Trailer(); trailer != nil {
			s.Trailer.CopyFrom(trailer)
		}
	}
	x.count(s.Record.Err)
	x.tellEnd(s.Record.Err)
	x.drop(s.Co, status)
	if x.record.Body != nil {
		s.Request.Body = x.record.Body
	}
	x.giveRetry()
	x.breakers.ReleaseRequest()
	x.proxy.put(x)
}

// count notes in the cluster's figures how the stream failed.
func (x *exchange) count(e *stream.Error) {
	if e == nil || e.Side == stream.Downstream {
		return
	}
	switch stats := x.cluster.Stats; e.Flag {
	case stream.UpstreamProtocolError:
		stats.ProtocolErrors.Inc()
	case stream.UpstreamConnectionEnd, stream.UpstreamRemoteReset:
		stats.Resets.Inc()
	case stream.StreamIdleTimeout:
		stats.Timeouts[metrics.UpstreamTimeoutIdle].Inc()
	}
}
