package proxy

import (
	"errors"

	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

// leg is one try of a hedged request.
type leg struct {
	hedge  *hedge
	x      *exchange     // the try's own
	stream stream.Stream // likewise
	timer  worker.Timer  // the route's per-try timeout, when that begins another try

	resp     *stream.Response
	err      error
	ended    bool
	won      bool
	late     bool // its time is over, and it goes on
	followed bool // another try was begun for that, or could not be
	unit     bool // it holds one of the cluster's retries
}

// errLate is what outlier detection is told of a try that takes long.
var errLate = &stream.Error{Side: stream.Upstream, Phase: stream.PhaseResponseHead, Flag: stream.UpstreamTimeout, Sent: true, Cause: errors.New("the time of the try is over, and it goes on")}

// errLegPanic stands until the leg has ended otherwise.
var errLegPanic = errors.New("panic in a try of a hedged request")

// keepLegs is how many legs a worker keeps to be used again.
const keepLegs = 256

// leg makes a try of the hedged request, with copies of what it is about.
func (p *Proxy) leg(h *hedge) *leg {
	var l *leg
	if n := len(p.freeLegs); n > 0 {
		l = p.freeLegs[n-1]
		p.freeLegs = p.freeLegs[:n-1]
	} else {
		l = &leg{}
		l.timer.Init(l)
	}
	x, c := h.x, p.get()
	l.hedge, l.x = h, c
	from, s := x.s, &l.stream
	header := s.Request.Header
	s.Request = from.Request
	s.Request.Header = header
	s.Request.Header.CopyFrom(&from.Request.Header)
	s.Loop, s.Remote, s.Local, s.Client, s.TLS, s.ID = from.Loop, from.Remote, from.Local, from.Client, from.TLS, from.ID
	c.s, c.leg = s, l
	c.route, c.target, c.forward, c.cluster, c.breakers, c.out, c.call = x.route, x.target, x.forward, x.cluster, x.breakers, x.out, x.call
	c.copied, c.hasCopy = x.copied, x.hasCopy
	if x.choosy {
		c.choosy, c.affinity.pick = true, x.affinity.pick
	}
	return l
}

// endLeg takes a leg back.
func (p *Proxy) endLeg(l *leg) {
	l.x.copied = nil // it is the hedged request's
	p.put(l.x)
	if len(p.freeLegs) >= keepLegs {
		p.loop.Drop(&l.timer)
		return
	}
	p.loop.Disarm(&l.timer)
	l.stream.Reset()
	l.hedge, l.x, l.resp, l.err = nil, nil, nil, nil
	l.ended, l.won, l.late, l.followed, l.unit = false, false, false, false, false
	p.freeLegs = append(p.freeLegs, l)
}

// Run makes the try.
func (l *leg) Run(co *worker.Coroutine) {
	l.err = errLegPanic
	defer l.end()
	l.stream.Co = co
	if e := l.stream.Aborted(); e != nil {
		l.err = e
		return
	}
	l.avoid()
	l.resp, l.err = l.x.run(co)
}

// end tells the hedged request.
func (l *leg) end() {
	l.ended = true
	l.stream.Loop.Disarm(&l.timer)
	l.hedge.x.s.Co.Wake()
}

// avoid leaves out the endpoints of the other legs, as long as there are others.
func (l *leg) avoid() {
	x := l.x
	x.visit(l.hedge.x.tried)
	for _, o := range l.hedge.legs {
		x.visit(o.x.tried)
	}
	if !x.cluster.HasOther(x.want(), x.tried) {
		x.tried = x.tried[:0]
	}
}

// await lets another try begin when this one has no response after the route's
// per-try timeout.
func (l *leg) await() {
	l.stream.Loop.Arm(&l.timer, l.x.forward.Retry.PerTry)
}

// Expire tells the hedged request that the try takes long.
func (l *leg) Expire(*worker.Timer) {
	l.late = true
	l.x.cluster.Stats.Timeouts[metrics.UpstreamTimeoutTry].Inc()
	l.x.tell(nil, errLate) // or an endpoint that always loses would never be found out
	l.hedge.x.s.Co.Wake()
}

// report adds to the stream's record what the try did.
func (l *leg) report() {
	to, from := &l.hedge.x.s.Record, &l.stream.Record
	to.Tries += from.Tries
	if from.Tries > 0 {
		to.Endpoint, to.UpstreamTLS, to.UpstreamBegin, to.UpstreamHead = from.Endpoint, from.UpstreamTLS, from.UpstreamBegin, from.UpstreamHead
	}
}
