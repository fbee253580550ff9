package proxy

import (
	"bytes"
	"net/netip"

	"longmen/gateway/cluster/balance"
	"longmen/gateway/router"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream"
	"longmen/gateway/worker"
)

// onward notes where the request was sent by its route's cluster: there, or by
// standby or failover to another one.
type onward struct {
	routed *upstream.Cluster   // the route's
	tried  []*upstream.Cluster // where it could not be served
	why    upstream.Sent
	signed bool // it carries our token
}

func (o *onward) reset() {
	clear(o.tried)
	*o = onward{tried: o.tried[:0]}
}

// clientOf tells the request's client from others, where its cluster does.
func clientOf(s *stream.Stream, f *router.Forward, routed *upstream.Cluster, session netip.AddrPort) upstream.Client {
	client := upstream.Client{Session: session}
	if f.Hash == nil || !routed.Config().Balance.Hashes() {
		return client
	}
	for i := range f.Hash {
		p := &f.Hash[i]
		if value := p.Value(s); value != nil && (len(value) > 0 || p.Kind != router.HashCookie) {
			client.Hash, client.HasHash = balance.Combine(client.Hash, balance.Hash(value)), true
		}
		if client.HasHash && p.Terminal {
			break
		}
	}
	return client
}

// elsewhere gives a request that nobody at its cluster has seen to the next of those
// that the route's cluster forwards or fails over to, and reports whether there is
// one. It is no retry by the route's policy: what has a place to go to and was not begun
// anywhere does not fail. A limit that is reached is no reason: it is there to refuse. Before the policy had its say (last is false) it goes only when
// everyone at the cluster was tried.
func (x *exchange) elsewhere(co *worker.Coroutine, resp *stream.Response, err error, last bool) bool {
	if x.leg != nil || !x.onward.routed.GoesOn() || x.spent || x.bound() {
		return false
	}
	var e *stream.Error
	status := 0
	switch {
	case err != nil:
		e = stream.AsError(err)
		if e.Sent || e.Side == stream.Downstream || e.Flag == stream.UpstreamOverflow || !last && e.Phase != stream.PhasePick && x.cluster.HasOther(x.want(), x.tried) {
			return false
		}
	case resp == nil || !x.refusedRound(resp):
		return false
	default:
		status = resp.Status
	}
	o := &x.onward
	o.tried = append(o.tried, x.cluster)
	for {
		to, why := o.routed.Other(x.s, o.tried)
		if to == nil {
			return false
		}
		if !x.move(co, to, e, status) {
			o.tried = append(o.tried, to)
			continue
		}
		o.why = why
		o.routed.Stats.Onward[metrics.OnwardRetry].Inc()
		x.s.Record.Cluster = to.Config().Name
		if to.Token() && !o.signed {
			x.proxy.sign(x.s, why)
			o.signed = true
		}
		return true
	}
}

// move makes the exchange another cluster's. A unit of that one's limit of requests takes
// the place of the one that it has.
func (x *exchange) move(co *worker.Coroutine, to *upstream.Cluster, e *stream.Error, status int) bool {
	breakers := to.Shared().Breakers(x.forward.HighPriority)
	if !breakers.TryRequest() {
		to.Stats.Overflows[metrics.LimitRequests].Inc()
		return false
	}
	x.count(e)
	x.drop(co, status)
	x.giveRetry()
	x.breakers.ReleaseRequest()
	x.cluster, x.breakers, x.tried, x.choice = to, breakers, x.tried[:0], upstream.Choice{}
	return true
}

// refusedRound tells whether another gateway refused the request because it came
// round: it did nothing with it.
func (x *exchange) refusedRound(resp *stream.Response) bool {
	return x.onward.why != upstream.SentNot && bytes.Contains(resp.Header.Get("proxy-status"), []byte(loopDetected))
}
