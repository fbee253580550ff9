package supervisor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"longmen/gateway/connection"
	"longmen/gateway/listener"
	"longmen/gateway/overload"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/protocol/http2"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
)

// pressed is what a worker does while the gateway is overloaded. It belongs to the
// worker's loop; the zero value is no overload.
type pressed struct {
	accepting listener.Load
	hurry     connection.Hurry
	refuse    uint64 // of 1<<32 requests, so many are refused
	// refusal is why, and retryAfter what they are told; made once for all of them.
	refusal    *stream.Error
	retryAfter []byte
}

// press acts on a state.
func (w *edgeWorker) press(state *overload.State, config *overload.Config) {
	p := &w.pressed
	p.accepting.Pause = state.Actions[overload.PauseAccepting].Level == 1
	p.accepting.Refuse = state.Actions[overload.RefuseConnections].Chance()
	why := state.Actions[overload.RefuseRequests]
	p.refuse, p.refusal, p.retryAfter = why.Chance(), nil, nil
	if p.refuse != 0 {
		p.refusal = refusal(fmt.Errorf("overload: %s", why))
		p.retryAfter = seconds(config.RetryAfter)
	}
	if hurry := hurryOf(state, config); hurry != p.hurry {
		p.hurry = hurry
		for _, port := range w.ports {
			port.hurry()
		}
		for _, port := range w.leaving {
			port.hurry()
		}
	}
	freeing := state.Actions[overload.Release]
	frugal := freeing.Level > 0 && freeing.Why == overload.Memory
	w.shared.Frugal(frugal)
	w.upstream.Frugal(frugal)
	if state.ReleaseNow {
		w.release()
	}
}

// refusal is the error of requests that are refused.
func refusal(cause error) *stream.Error {
	return &stream.Error{Side: stream.Local, Phase: stream.PhaseRequestHead, Flag: stream.Overloaded, Status: 503, Cause: cause}
}

// seconds is a Retry-After field's value (RFC 9110 section 10.2.3), nil for none.
func seconds(d time.Duration) []byte {
	if d <= 0 {
		return nil
	}
	return strconv.AppendInt(nil, int64((d+time.Second-1)/time.Second), 10)
}

// release gives back what is kept for later.
func (w *edgeWorker) release() {
	w.loop.Buffers.Release()
	w.streams.Release()
	w.shared.Release()
	for _, p := range w.ports {
		p.http1.Release()
	}
	w.upstream.Release()
}

// door is what requests of a listener pass before anything is done for them.
type door struct {
	pressed  *pressed
	requests *listener.Gate // those at once, over all workers; nil: no limit
	stats    *metrics.ListenerStats
	full     *stream.Error // of requests beyond the limit
	reply    func(s *stream.Stream, e *stream.Error) *stream.Response
}

var errRequestsAtOnce = errors.New("the listener has as many requests at once as it may have")

// enter lets a request in, or gives what it is answered instead. What it lets in has
// to leave.
func (d *door) enter(s *stream.Stream) *stream.Response {
	if d.pressed.refuse != 0 && uint64(rand.Uint32()) < d.pressed.refuse {
		d.stats.RequestsShed[metrics.ShedOverload].Inc()
		return d.refuse(s, d.pressed.refusal)
	}
	if d.requests != nil && !d.requests.Enter() {
		d.stats.RequestsShed[metrics.ShedLimit].Inc()
		return d.refuse(s, d.full)
	}
	return nil
}

// leave ends what enter let in.
func (d *door) leave() {
	if d.requests != nil {
		d.requests.Leave()
	}
}

func (d *door) refuse(s *stream.Stream, e *stream.Error) *stream.Response {
	s.Record.Err = e
	resp := d.reply(s, e)
	if d.pressed.retryAfter != nil {
		resp.Header.Add("retry-after", d.pressed.retryAfter)
	}
	return resp
}

// pressedBy is what a listener notices of an overload: nothing, if it says so.
func (w *edgeWorker) pressedBy(l *snapshot.Listener) *pressed {
	if l.BypassOverload {
		return &w.spared
	}
	return &w.pressed
}

// press sets what the port heeds of an overload.
func (p *port) press(by *pressed) {
	p.pressed, p.limits.Load = by, &by.accepting
	p.hurry()
}

// hurry lets connections end as the overload asks for.
func (p *port) hurry() {
	p.http1.Hurry(p.pressed.hurry)
	p.http2.Hurry(p.pressed.hurry)
}

// bound sets what counts each client's connections; nil: nothing does. Those that
// are there already count.
func (p *port) bound(by *listener.Clients) {
	if by != p.limits.Clients && by != nil {
		p.http1.Each(func(c http1.Connection) { by.Count(c.Remote.Addr()) })
		p.http2.Each(func(c http2.Connection) { by.Count(c.Remote.Addr()) })
		if p.tls != nil {
			p.tls.Each(func(remote netip.AddrPort) { by.Count(remote.Addr()) })
		}
	}
	p.limits.Clients = by
}
