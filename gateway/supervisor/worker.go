package supervisor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"

	"longmen/gateway/listener"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/protocol/http2"
	"longmen/gateway/proxy"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/accesslog"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream"
	"longmen/gateway/worker"
)

// edgeWorker is one worker with all that it serves with. Its methods must be
// called on its loop.
type edgeWorker struct {
	loop     *worker.Loop
	metrics  *metrics.Worker
	streams  *http1.Streams
	shared   *http2.Worker
	upstream *upstream.Worker
	proxy    *proxy.Proxy
	ports    map[string]*port // by listener name
	leaving  []*port          // removed; their connections drain
	logs     map[*accesslog.Writer]*accesslog.Buffer
	uses     []*use             // of the logs
	adopted  *snapshot.Snapshot // nil: none yet
	pressed  pressed            // of an overload
	spared   pressed            // of listeners that are not to notice: never changes
}

// responseLimits bound response heads. They are as wide as what clients may be
// allowed to send.
var responseLimits = http1.Limits{Line: 8 << 10, Head: 64 << 10, Fields: 256}

func newEdgeWorker(l *worker.Loop, m *metrics.Worker, seed [32]byte) *edgeWorker {
	limits := responseLimits
	up := upstream.NewWorker(l, m, &limits, uint64(l.ID)<<48|uint64(seed[0])<<8|uint64(seed[1]))
	w := &edgeWorker{
		loop: l, metrics: m, streams: &http1.Streams{}, shared: &http2.Worker{}, upstream: up,
		proxy: proxy.New(l, up, seed),
		ports: map[string]*port{},
		logs:  map[*accesslog.Writer]*accesslog.Buffer{},
	}
	up.Own = w.listensAt
	return w
}

// listensAt reports whether the gateway itself is at an address. It is asked seldom: a system call
// tells the machine's addresses.
func (w *edgeWorker) listensAt(at netip.AddrPort) bool {
	for _, p := range w.ports {
		for _, a := range p.acceptors {
			own := a.At()
			if own == at || own.Port() == at.Port() && own.Addr().IsUnspecified() && isLocal(at.Addr()) {
				return true
			}
		}
	}
	return false
}

// isLocal reports whether an address is one of the machine's.
func isLocal(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(all, func(own net.Addr) bool {
		prefix, err := netip.ParsePrefix(own.String())
		return err == nil && prefix.Addr().Unmap() == a
	})
}

// adoption is what a worker needs to take a snapshot: the sockets opened for it
// and the logs.
type adoption struct {
	snapshot *snapshot.Snapshot
	sockets  map[string]map[bind]int // by listener: new descriptors
	writers  map[string]*accesslog.Writer
	gates    map[string]*listener.Gate
	global   *listener.Gate
	requests map[string]*listener.Gate    // by listener; those that have a limit
	clients  map[string]*listener.Clients // likewise
	security *listener.Security
	workers  int
}

// adopt makes the snapshot the one that streams begin with from now on.
func (w *edgeWorker) adopt(a *adoption) error {
	var problems []error
	w.upstream.Adopt(a.snapshot.Clusters)
	w.adopted = a.snapshot
	seen := map[string]bool{}
	for _, l := range a.snapshot.Listeners {
		seen[l.Name] = true
		u := &use{outputs: w.outputs(a, l)}
		one, two := w.configs(a, l, u)
		p := w.ports[l.Name]
		if p == nil {
			stats := w.metrics.Listener(l.Name)
			p = &port{name: l.Name, limits: listener.Limits{Own: a.gates[l.Name], Global: a.global}, stats: stats, loop: w.loop, acceptors: map[bind]*listener.Acceptor{}}
			p.http1 = http1.NewServer(w.loop, w.streams, one, p)
			p.http2 = http2.NewServer(w.loop, w.shared, two, p)
			w.ports[l.Name] = p
		} else {
			p.http1.Configure(one)
			p.http2.Configure(two)
		}
		p.press(w.pressedBy(l))
		p.bound(a.clients[l.Name])
		u.port, p.use = p, u
		w.uses = append(w.uses, u)
		w.secure(p, l, a)
		problems = append(problems, p.bindTo(l, a.sockets[l.Name]))
	}
	for name, p := range w.ports {
		if !seen[name] {
			p.leave()
			delete(w.ports, name)
			w.leaving = append(w.leaving, p)
		}
	}
	w.forget()
	w.forgetUses()
	return errors.Join(problems...)
}

// secure makes what the port accepts from now on begin with a TLS handshake, or
// not.
func (w *edgeWorker) secure(p *port, l *snapshot.Listener, a *adoption) {
	p.secure = l.TLS != nil
	if !p.secure {
		return
	}
	if p.tls == nil {
		p.tls = listener.NewTerminator(w.loop, l.TLS, a.security, a.workers, p, p, w.streams, p.stats)
	}
	p.tls.Configure(l.TLS, l.Fingerprints)
}

// bindTo accepts on the listener's addresses: those of before, but for the ones
// that are gone, and the new sockets.
func (p *port) bindTo(l *snapshot.Listener, sockets map[bind]int) error {
	var problems []error
	for b, fd := range sockets {
		acceptor, err := listener.Accept(p.loop, fd, &p.limits, p, p.stats)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if old := p.acceptors[b]; old != nil {
			old.Close()
		}
		p.acceptors[b] = acceptor
	}
	wanted, left := binds(l), false
	for b, acceptor := range p.acceptors {
		if !wanted[b] {
			acceptor.Close()
			delete(p.acceptors, b)
			left = true
		}
	}
	if left {
		p.keepTo(func(local netip.AddrPort) bool { return accepts(wanted, local) })
	}
	return errors.Join(problems...)
}

// accepts reports whether a connection to local may have come through one of
// the binds.
func accepts(binds map[bind]bool, local netip.AddrPort) bool {
	for b := range binds {
		all := b.at.Addr().IsUnspecified() && b.at.Port() == local.Port()
		switch {
		case b.at == local,
			all && b.at.Addr().Is4() && local.Addr().Is4(),
			all && b.at.Addr().Is6() && (local.Addr().Is6() || !b.socket.V6Only):
			return true
		}
	}
	return false
}

// leave stops accepting and lets the connections end after their streams.
func (p *port) leave() {
	for b, acceptor := range p.acceptors {
		acceptor.Close()
		delete(p.acceptors, b)
	}
	p.drain()
}

// forget drops removed listeners whose connections are gone.
func (w *edgeWorker) forget() {
	kept := w.leaving[:0]
	for _, p := range w.leaving {
		if p.connections() > 0 {
			kept = append(kept, p)
		}
	}
	clear(w.leaving[len(kept):])
	w.leaving = kept
}

// inline is the listener's handler, with its streams counted.
func inline(edge *proxy.Edge, stats *metrics.ListenerStats, u *use, d *door) *stream.Inline {
	in := edge.Inline()
	begin, resume := in.Begin, in.Resume
	in.Begin = func(s *stream.Stream) (*stream.Response, error) {
		if resp := d.enter(s); resp != nil {
			return resp, nil
		}
		stats.RequestsActive.Inc()
		u.streams++
		return begin(s)
	}
	in.Resume = func(s *stream.Stream) (*stream.Response, error) {
		return tunnelled(stats)(resume(s))
	}
	return in
}

// tunnelled counts a response that makes its stream a tunnel.
func tunnelled(stats *metrics.ListenerStats) func(*stream.Response, error) (*stream.Response, error) {
	return func(resp *stream.Response, err error) (*stream.Response, error) {
		if err == nil && resp.Upgraded != nil {
			stats.Tunnels.Inc()
			stats.TunnelsActive.Inc()
		}
		return resp, err
	}
}

// count adds a finished stream to the listener's figures.
func count(stats *metrics.ListenerStats, rec *stream.Record, resp *stream.Response) {
	stats.Done(rec)
	if resp != nil && resp.Upgraded != nil {
		stats.TunnelsActive.Dec()
	}
	if rec.Err != nil && rec.Err.Flag == stream.DownstreamProtocolError {
		stats.ProtocolErrors.Inc()
	}
}

// drain stops accepting and ends connections as they become idle.
func (w *edgeWorker) drain() {
	for _, p := range w.ports {
		p.leave()
	}
}

// cut ends every connection at once.
func (w *edgeWorker) cut() {
	for _, p := range w.ports {
		p.leave()
		p.close()
	}
	for _, p := range w.leaving {
		p.close()
	}
}

// end lets go of everything; the loop is stopped next.
func (w *edgeWorker) end() {
	w.cut()
	w.upstream.Close()
}

// settle waits until what was cut off has ended: a crowd of streams takes more than
// one turn of the loop.
func (w *edgeWorker) settle(ctx context.Context) {
	for settled := false; !settled && ctx.Err() == nil; {
		if !w.loop.Do(func() { settled = w.loop.Settled() }) {
			return
		}
	}
}
