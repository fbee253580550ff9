package upstream

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream/origintest"
)

// refused is the stream.Error that an Acquire must have ended in.
func (u *use) refused(flag stream.Flag) *stream.Error {
	u.place.Helper()
	u.wait()
	var e *stream.Error
	if !errors.As(u.err, &e) || e.Flag != flag || e.Side != stream.Upstream || e.Sent {
		u.place.Fatalf("%+v, want flag %v", u.err, flag)
	}
	return e
}

func limited(t testing.TB, connections, pending int, at ...netip.AddrPort) *cluster.Cluster {
	config := clusterOf(at...)
	config.Limits.Connections, config.Limits.Pending = connections, pending
	return cluster.New(config)
}

func (p *place) waits(n int64) {
	p.Helper()
	p.until("streams wait", func() bool { return p.up.Cluster(0).Stats.RequestsPending.Load() == n })
}

func TestLimitOfConnections(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, limited(t, 1, 2, o.At))
	first := p.acquire()
	second := p.begin(nil)
	third := p.begin(nil)
	p.waits(2)
	e := p.begin(nil).refused(stream.UpstreamOverflow)
	if e.Status != 503 || e.Phase != stream.PhasePick {
		t.Errorf("%+v", e)
	}
	if n := p.up.Cluster(0).Stats.Overflows[metrics.LimitPending].Load(); n != 1 {
		t.Errorf("%d overflows", n)
	}
	first.served()
	second.wait()
	if second.err != nil || second.conn != first.conn {
		t.Fatalf("%v: not the connection that became free", second.err)
	}
	second.release() // unused: it is closed, and its unit is free
	third.wait()
	if third.err != nil || third.conn == first.conn {
		t.Fatal(third.err)
	}
	third.served()
	if connections, pending, _, _ := p.shared[0].InUse(); connections != 1 || pending != 0 {
		t.Errorf("%d connections and %d waits in use", connections, pending)
	}
}

func TestWaitingIsAborted(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, limited(t, 1, 5, o.At))
	first := p.acquire()
	second, third := p.begin(nil), p.begin(nil)
	p.waits(2)
	gone := &stream.Error{Side: stream.Downstream, Flag: stream.DownstreamConnectionEnd}
	p.loop.Do(func() { second.Abort(gone) })
	if second.wait().err != gone {
		t.Errorf("%v", second.err)
	}
	// The wake-up of the one that went must not be lost for the other.
	first.served()
	if third.wait().err != nil {
		t.Fatal(third.err)
	}
	third.served()
}

// Whoever waits and goes in the very turn in which a connection becomes free
// does not take the wake-up along.
func TestWakeUpOfOneThatGoes(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, limited(t, 1, 5, o.At))
	first := p.acquire()
	second, third := p.begin(nil), p.begin(nil)
	p.waits(2)
	p.loop.Do(func() {
		second.Abort(&stream.Error{Side: stream.Downstream})
		first.conn.Release()
	})
	second.wait()
	if third.wait().err != nil {
		t.Fatal(third.err)
	}
	third.served()
}

// The limit is reached by idle connections to another endpoint, or by ones
// that are not wanted: one makes room.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	a, b := newOrigin(t, ""), newOrigin(t, "")
	p := newPlace(t, limited(t, 1, 5, a.At, b.At))
	u := p.acquire()
	first := u.conn.Endpoint()
	u.served()
	other := p.begin(func(u *use) { u.tried = []*cluster.Endpoint{first} }).wait()
	if other.err != nil || other.conn.Endpoint() == first {
		t.Fatal(other.err)
	}
	other.served()
	fresh := p.begin(func(u *use) { u.fresh = true }).wait()
	if fresh.err != nil || fresh.conn.Pooled() {
		t.Fatal(fresh.err)
	}
	fresh.served()
	if n := p.idle(0); n != 1 {
		t.Errorf("%d idle", n)
	}
}

// Another worker frees what this one waits for, by closing or by sparing.
func TestLimitOverWorkers(t *testing.T) {
	o := newOrigin(t, "")
	shared := limited(t, 1, 5, o.At)
	p, q := newPlace(t, shared), newPlace(t, shared)
	for _, connect := range []bool{false, true} {
		u := p.acquire()
		if connect {
			q.loop.Do(func() { q.up.Starved = func(c *cluster.Cluster) { p.loop.Post(func() { p.up.Spare(c) }) } })
		}
		v := q.begin(nil)
		q.waits(1)
		if connect {
			u.served() // it stays, idle
		} else {
			u.release() // it is closed
		}
		if v.wait().err != nil {
			t.Fatal(v.err)
		}
		v.release()
	}
}

func TestNoEndpoint(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, cluster.New(clusterOf()))
	p.begin(nil).refused(stream.NoHealthyUpstream)
	q := newPlace(t, cluster.New(clusterOf(o.At)))
	e := q.shared[0].Hosts().Endpoints
	if q.up.Cluster(0).HasOther(nil, e) || !q.up.Cluster(0).HasOther(nil, nil) {
		t.Error("HasOther")
	}
	q.begin(func(u *use) { u.tried = e }).refused(stream.UpstreamRetryLimit)
}

func TestConnectFailures(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		p := newPlace(t, cluster.New(clusterOf(origintest.ClosedPort(t))))
		u := p.begin(nil)
		if e := u.refused(stream.UpstreamConnectFailure); e.Phase != stream.PhaseConnect || !errors.Is(e, unix.ECONNREFUSED) || e.Status != 503 {
			t.Errorf("%+v", e)
		}
		if len(u.tried) != 1 {
			t.Error("the endpoint is not among those tried")
		}
		stats := p.up.Cluster(0).Stats
		if stats.ConnectFailures.Load() != 1 || stats.Connections.Load() != 1 || stats.ConnectTimeouts.Load() != 0 {
			t.Errorf("%d failures of %d connections", stats.ConnectFailures.Load(), stats.Connections.Load())
		}
		if n, last := p.shared[0].Hosts().Endpoints[0].ConnectFailures(); n != 1 || last.IsZero() {
			t.Errorf("%d failures at %v", n, last)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		config := clusterOf(origintest.DeafPort(t))
		config.ConnectTimeout = 30 * time.Millisecond
		p := newPlace(t, cluster.New(config))
		if e := p.begin(nil).refused(stream.UpstreamConnectFailure); e.Phase != stream.PhaseConnect || e.Status != 504 {
			t.Errorf("%+v", e)
		}
		stats := p.up.Cluster(0).Stats
		if stats.ConnectTimeouts.Load() != 1 {
			t.Errorf("%d timeouts", stats.ConnectTimeouts.Load())
		}
		if n, _ := p.shared[0].Hosts().Endpoints[0].ConnectFailures(); n != 1 {
			t.Errorf("%d failures", n)
		}
	})
	t.Run("aborted", func(t *testing.T) {
		p := newPlace(t, cluster.New(clusterOf(origintest.DeafPort(t))))
		u := p.begin(nil)
		p.until("it connects", func() bool { return p.up.Cluster(0).Stats.ConnectionsActive.Load() == 1 })
		gone := &stream.Error{Side: stream.Downstream, Phase: stream.PhaseResponseHead, Flag: stream.DownstreamConnectionEnd}
		p.loop.Do(func() { u.Abort(gone) })
		if u.wait().err != gone {
			t.Errorf("%v", u.err)
		}
		if n, _ := p.shared[0].Hosts().Endpoints[0].ConnectFailures(); n != 0 {
			t.Error("the endpoint is blamed for a client that went")
		}
	})
	t.Run("no such source address", func(t *testing.T) {
		config := clusterOf(origintest.ClosedPort(t))
		config.TCP.Source = netip.MustParseAddr("192.0.2.1") // nobody's (RFC 5737)
		p := newPlace(t, cluster.New(config))
		if e := p.begin(nil).refused(stream.UpstreamConnectFailure); e.Phase != stream.PhaseConnect {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the socket fails at once", func(t *testing.T) {
		p := newPlace(t, cluster.New(clusterOf(netip.MustParseAddrPort("255.255.255.255:9"))))
		p.begin(nil).refused(stream.UpstreamConnectFailure)
	})
}

func TestSocketOptions(t *testing.T) {
	o := newOrigin(t, "")
	config := clusterOf(o.At)
	config.TCP = cluster.TCP{KeepaliveIdle: 90 * time.Second, KeepaliveInterval: 1500 * time.Millisecond, KeepaliveProbes: 4, Source: netip.MustParseAddr("127.0.0.9")}
	p := newPlace(t, cluster.New(config))
	u := p.acquire()
	fd := u.conn.h1.client.FD()
	for name, want := range map[int]int{unix.TCP_NODELAY: 1, unix.TCP_KEEPIDLE: 90, unix.TCP_KEEPINTVL: 2, unix.TCP_KEEPCNT: 4} {
		if got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, name); err != nil || got != want {
			t.Errorf("option %d: %d, %v; want %d", name, got, err, want)
		}
	}
	if on, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE); on != 1 {
		t.Error("no SO_KEEPALIVE")
	}
	if sa, err := unix.Getsockname(fd); err != nil || sa.(*unix.SockaddrInet4).Addr != [4]byte{127, 0, 0, 9} {
		t.Errorf("%v %v", sa, err)
	}
	u.served()
}

// next makes another version of the place's cluster and adopts it.
func (p *place) next(config *cluster.Config) *cluster.Cluster {
	c := cluster.New(config)
	c.Inherit(p.shared[0])
	p.shared = append([]*cluster.Cluster{c}, p.shared...)
	p.loop.Do(func() { p.up.Adopt([]*cluster.Cluster{c}) })
	p.Cleanup(c.Close)
	return c
}

func TestClusterIsReplaced(t *testing.T) {
	a, b := newOrigin(t, ""), newOrigin(t, "")
	p := newPlace(t, cluster.New(clusterOf(a.At, b.At)))
	idleA, idleB := p.acquire(), p.acquire() // round robin
	busy1, busy2 := p.acquire(), p.acquire()
	if idleA.conn.Endpoint() == idleB.conn.Endpoint() || busy1.conn.Endpoint() == busy2.conn.Endpoint() {
		t.Fatal("one endpoint gets both")
	}
	idleA.served()
	idleB.served()
	before := p.shared[0]
	next := p.next(clusterOf(b.At)) // a is gone
	if n := p.idle(0); n != 1 {
		t.Errorf("%d idle, want b's", n)
	}
	if connections, _, _, _ := next.InUse(); connections != 3 {
		t.Errorf("%d connections count in the new version", connections)
	}
	for _, u := range []*use{busy1, busy2} { // streams end as if nothing had happened
		gone := u.conn.Endpoint().Gone()
		u.served()
		if gone == u.conn.h1.client.IsOpen() {
			t.Error("kept: ", !gone)
		}
	}
	if n := p.idle(0); n != 2 {
		t.Errorf("%d idle, want b's", n)
	}
	for range 3 {
		if u := p.acquire(); u.conn.Endpoint() != next.Hosts().Endpoints[0] {
			t.Error("not b's connection")
		} else {
			defer u.served()
		}
	}
	if c, _, _, _ := before.InUse(); c != 3 {
		t.Errorf("%d connections in use", c)
	}
}

// A limit that appears while connections are open does not count them down.
func TestLimitsChange(t *testing.T) {
	o := newOrigin(t, "")
	config := clusterOf(o.At)
	config.Limits = cluster.Limits{}
	p := newPlace(t, cluster.New(config))
	old := p.acquire()
	p.next(clusterOf(o.At))
	young := p.acquire()
	old.served()
	young.served()
	if connections, _, _, _ := p.shared[0].InUse(); connections != 1 {
		t.Errorf("%d connections in use", connections)
	}
}

// A stream waits for a connection while its cluster gets a higher limit, or none.
func TestWaitingOverAChange(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, limited(t, 1, 5, o.At))
	first := p.acquire()
	second := p.begin(nil)
	p.waits(1)
	p.next(clusterOf(o.At))
	if second.wait().err != nil {
		t.Fatal(second.err)
	}
	first.served()
	second.served()
}

func TestClusterIsRemoved(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, limited(t, 2, 5, o.At))
	c := p.up.Cluster(0)
	kept, busy, waiting := p.acquire(), p.acquire(), p.begin(nil)
	p.waits(1)
	p.loop.Do(func() { p.up.Adopt([]*cluster.Cluster{nil}) })
	waiting.refused(stream.NoCluster)
	kept.served()
	busy.served()
	if kept.conn.h1.client.IsOpen() || busy.conn.h1.client.IsOpen() || c.Stats.ConnectionsActive.Load() != 0 {
		t.Error("a connection of a removed cluster is kept")
	}
	if p.up.Cluster(0) != nil || p.up.Cluster(-1) != nil || p.up.Cluster(9) != nil {
		t.Error("there is a cluster")
	}
	// It comes back.
	p.loop.Do(func() { p.up.Adopt(p.shared) })
	p.acquire().served()
	p.loop.Do(func() { p.up.Adopt(nil) })
}

// A removed cluster whose stream is still connecting.
func TestRemovedWhileConnecting(t *testing.T) {
	config := clusterOf(origintest.DeafPort(t))
	config.ConnectTimeout = 50 * time.Millisecond
	p := newPlace(t, cluster.New(config))
	c := p.up.Cluster(0)
	u := p.begin(nil)
	p.until("it connects", func() bool { return c.Stats.ConnectionsActive.Load() == 1 })
	p.loop.Do(func() { p.up.Adopt(nil) })
	u.refused(stream.UpstreamConnectFailure)
	if c.Stats.ConnectionsActive.Load() != 0 {
		t.Error("a connection is left")
	}
}

// An endpoint goes without a new configuration (DNS): Changed closes what is idle.
func TestChanged(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, cluster.New(clusterOf(o.At)))
	p.acquire().served()
	p.shared[0].Close() // marks its endpoints as gone, and publishes nothing
	p.loop.Do(func() { p.up.Changed(p.shared[0]) })
	u := p.acquire()
	u.served()
	if u.conn.h1.client.IsOpen() {
		t.Error("a connection to an endpoint that is gone is kept")
	}
}

// Many streams over a small limit, while endpoints fail and versions change:
// whatever happens, all of them end and nothing stays in use.
func TestManyStreams(t *testing.T) {
	a, b, closing := newOrigin(t, ""), newOrigin(t, ""), newOrigin(t, "connection: close\r\n")
	p := newPlace(t, limited(t, 3, 1000, a.At, b.At, closing.At, origintest.ClosedPort(t)))
	done := make(chan error, 300)
	for i := range 300 {
		p.begin(func(u *use) {
			u.fresh = i%7 == 0
			u.then = func(u *use) {
				done <- u.ask(u.Co)
				u.conn.Release()
			}
		})
		if i == 100 {
			config := clusterOf(a.At, closing.At, origintest.ClosedPort(t))
			config.Limits.Connections, config.Limits.Pending = 3, 1000
			p.next(config)
		}
	}
	p.until("all are done", func() bool {
		s := p.up.Cluster(0).Stats
		return s.RequestsActive.Load() == 0 && s.RequestsPending.Load() == 0
	})
	if n := len(done); n < 100 {
		t.Errorf("%d requests were made", n)
	}
}

// answered makes a request on the connection and keeps it.
func (u *use) answered() {
	u.place.Helper()
	a := &asker{u, make(chan error, 1)}
	u.place.loop.Do(func() { u.place.loop.Go(a) })
	select {
	case err := <-a.done:
		if err != nil {
			u.place.Fatal(err)
		}
	case <-time.After(patience):
		u.place.Fatal("no answer")
	}
}

// Connections that become free in one turn go to as many streams that wait, in
// their order, and never to one that comes later.
func TestWhoWaitsComesFirst(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, limited(t, 2, 5, o.At))
	a, b := p.acquire(), p.acquire()
	a.answered()
	b.answered()
	first, second := p.begin(nil), p.begin(nil)
	p.waits(2)
	late := &use{place: p, got: make(chan bool)}
	late.Loop = p.loop
	late.Request.Method, late.Request.Minor = []byte("GET"), 1
	p.loop.Do(func() {
		a.conn.Release()
		b.conn.Release()
		if conn, choice := p.up.Cluster(0).AcquireIdle(&late.Stream, nil, &late.tried); conn != nil || choice != (Choice{}) {
			t.Error("one that waits for nothing took the connection of those that wait")
		}
		p.loop.Go(late)
	})
	var pending int64
	p.loop.Do(func() { pending = p.up.Cluster(0).Stats.RequestsPending.Load() })
	if pending != 1 {
		t.Errorf("%d streams wait after two connections became free for three", pending)
	}
	for _, u := range []*use{first, second} {
		if u.wait().err != nil || !u.conn.Pooled() {
			t.Fatalf("%v, pooled %v", u.err, u.err == nil && u.conn.Pooled())
		}
	}
	first.served()
	if late.wait().err != nil {
		t.Fatal(late.err)
	}
	late.served()
	second.served()
}
