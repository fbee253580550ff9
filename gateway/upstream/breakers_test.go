package upstream

import (
	"net/netip"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream/origintest"
)

func high(u *use) { u.pick = &Pick{High: true} }

// Each priority has limits of its own, and takes nothing of the other's.
func TestLimitsOfPriorities(t *testing.T) {
	o := newOrigin(t, "")
	config := clusterOf(o.At)
	config.Limits.Connections, config.HighLimits = 1, wide
	config.HighLimits.Connections, config.Limits.Pending, config.HighLimits.Pending = 1, 1, 1
	p := newPlace(t, cluster.New(config))
	first, important := p.acquire(), p.begin(high).wait()
	if important.err != nil {
		t.Fatal(important.err)
	}
	second, urgent := p.begin(nil), p.begin(high)
	p.waits(2)
	p.begin(nil).refused(stream.UpstreamOverflow)
	p.begin(high).refused(stream.UpstreamOverflow)
	for _, high := range []bool{false, true} {
		if s := p.shared[0].Breakers(high).States(); s.Connections.Remaining() != 0 || s.Pending.Remaining() != 0 || s.Connections.InUse != 1 {
			t.Errorf("%v: %+v", high, s)
		}
	}
	first.served()
	important.served()
	for _, u := range []*use{second, urgent} {
		if u.wait().err != nil {
			t.Fatal(u.err)
		}
		u.served()
	}
}

// An idle connection is closed for another one only where that helps.
func TestIdleConnectionsOfTheOtherPriorityStay(t *testing.T) {
	o, other := newOrigin(t, ""), newOrigin(t, "")
	config := clusterOf(o.At, other.At)
	config.Limits.Connections, config.HighLimits = 1, wide
	p := newPlace(t, cluster.New(config))
	to := func(at netip.AddrPort, high bool) func(*use) {
		return func(u *use) { u.pick = &Pick{Override: at, High: high}; u.fresh = true }
	}
	idle := p.begin(to(o.At, true)).wait()
	idle.served()
	held := p.begin(to(o.At, false)).wait()
	waiting := p.begin(to(other.At, false))
	p.waits(1)
	if n := p.idle(0); n != 1 {
		t.Errorf("%d idle connections", n)
	}
	held.served()
	waiting.wait().served()
}

// A request does not wait for a connection longer than it may.
func TestPendingTimeout(t *testing.T) {
	o := newOrigin(t, "")
	config := clusterOf(o.At)
	config.Limits.Connections, config.Limits.PendingTimeout = 1, 20*time.Millisecond
	p := newPlace(t, cluster.New(config))
	first := p.acquire()
	if e := p.begin(nil).refused(stream.UpstreamOverflow); e.Status != 503 {
		t.Errorf("%+v", e)
	}
	if n := p.up.Cluster(0).Stats.Overflows[metrics.LimitPending].Load(); n != 1 {
		t.Errorf("%d overflows", n)
	}
	first.served()
	p.acquire().served()
}

// An endpoint gets no more requests at once than it may have, over all workers; the others wait.
func TestLimitOfRequestsOfEndpoints(t *testing.T) {
	a, b := newOrigin(t, ""), newOrigin(t, "")
	config := clusterOf(a.At, b.At)
	config.EndpointLimits.Requests = 1
	shared := cluster.New(config)
	p, q := newPlace(t, shared), newPlace(t, shared)
	first, second := p.acquire(), q.acquire()
	if first.conn.Endpoint() == second.conn.Endpoint() {
		t.Fatal("two requests at one endpoint")
	}
	third := q.begin(nil)
	q.waits(1)
	first.served() // the other worker learns of it
	if third.wait(); third.err != nil || third.conn.Endpoint().Address() == second.conn.Endpoint().Address() {
		t.Fatalf("%v", third.err)
	}
	fourth := q.begin(nil)
	q.waits(1)
	second.served()
	if fourth.wait(); fourth.err != nil || !fourth.conn.Pooled() {
		t.Fatalf("%v", fourth.err)
	}
	fourth.served()
	third.served()
	p.loop.Do(p.up.Close)
	q.loop.Do(q.up.Close)
}

// The same with streams of one connection of HTTP/2.
func TestLimitOfStreamsOfEndpoints(t *testing.T) {
	o := origintest.NewHTTP2(t, nil)
	config := clusterOf2(o.At)
	config.EndpointLimits.Requests = 2
	p := newPlace(t, cluster.New(config))
	first, second := p.acquire(), p.acquire()
	third := p.begin(nil)
	p.waits(1)
	if n := p.shared[0].Hosts().Endpoints[0].Active.Load(); n != 2 {
		t.Errorf("%d active", n)
	}
	first.release()
	if third.wait().err != nil {
		t.Fatal(third.err)
	}
	second.release()
	third.release()
}

// Connections of an endpoint are limited; an idle one to it that does not do makes room.
func TestLimitOfConnectionsOfEndpoints(t *testing.T) {
	o := newOrigin(t, "")
	config := clusterOf(o.At)
	config.EndpointLimits.Connections = 1
	p := newPlace(t, cluster.New(config))
	first := p.acquire()
	second := p.begin(nil)
	p.waits(1)
	first.served()
	if second.wait(); second.err != nil || !second.conn.Pooled() {
		t.Fatalf("%v", second.err)
	}
	second.served()
	fresh := p.begin(func(u *use) { u.fresh = true }).wait()
	if fresh.err != nil || fresh.conn.Pooled() {
		t.Fatalf("%v", fresh.err)
	}
	fresh.served()
	p.loop.Do(p.up.Close)
	if n := p.shared[0].Hosts().Endpoints[0].Connections.Load(); n != 0 {
		t.Errorf("%d connections counted after the end", n)
	}
}

// Requests go where their connections were going; what is not used any more is forgotten.
func TestOriginalDestination(t *testing.T) {
	a, b := newOrigin(t, ""), newOrigin(t, "")
	config := clusterOf()
	config.Discovery = cluster.OriginalDst
	config.OriginalDestination.Most = 2
	p := newPlace(t, cluster.New(config))
	to := func(at netip.AddrPort) func(*use) { return func(u *use) { u.pick = &Pick{Destination: at} } }
	for _, at := range []netip.AddrPort{a.At, b.At, a.At} {
		u := p.begin(to(at)).wait()
		if u.err != nil || u.conn.Endpoint().Address() != at {
			t.Fatalf("%v: %v", at, u.err)
		}
		u.served()
	}
	if a.Accepted.Load() != 1 || b.Accepted.Load() != 1 {
		t.Errorf("%d and %d connections", a.Accepted.Load(), b.Accepted.Load())
	}
	p.begin(to(netip.MustParseAddrPort("127.0.0.9:9"))).refused(stream.NoHealthyUpstream) // a third
	p.begin(nil).refused(stream.NoHealthyUpstream)

	config = clusterOf()
	config.Discovery, config.OriginalDestination.Header = cluster.OriginalDst, "x-envoy-original-dst-host"
	p = newPlace(t, cluster.New(config))
	with := func(value string) func(*use) {
		return func(u *use) {
			u.pick = &Pick{Destination: b.At}
			u.Request.Header.AddString("x-envoy-original-dst-host", value)
		}
	}
	u := p.begin(with(a.At.String())).wait()
	if u.err != nil || u.conn.Endpoint().Address() != a.At {
		t.Fatal(u.err)
	}
	u.served()
	for _, bad := range []string{"", "nonsense", "127.0.0.1", "127.0.0.1:0", "web:80"} {
		p.begin(with(bad)).refused(stream.NoHealthyUpstream)
	}
}

// What becomes free for a stream of another worker is told to that, which need not look by itself.
func TestFreedForAnotherWorker(t *testing.T) {
	for _, limit := range []func(*cluster.Config){
		func(c *cluster.Config) { c.EndpointLimits.Requests = 1 },
		func(c *cluster.Config) { c.EndpointLimits.Connections = 1 },
		func(c *cluster.Config) { c.Limits.Connections = 1 },
	} {
		o := newOrigin(t, "")
		config := clusterOf(o.At)
		limit(config)
		shared := cluster.New(config)
		p, q := newPlace(t, shared), newPlace(t, shared)
		p.loop.Do(func() {
			p.up.Freed = func(c *cluster.Cluster) { q.loop.Post(func() { q.up.Look(c) }) }
		})
		first := p.acquire()
		second := q.begin(nil)
		q.waits(1)
		q.loop.Do(func() { q.loop.Drop(&q.up.Cluster(0).poll) })
		first.release() // its connection is closed, as it was not used
		second.wait().served()
		q.loop.Do(q.up.Close)
	}
}
