package upstream

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/standby"
	"longmen/gateway/upstream/origintest"
)

// quiet is an origin whose connections stay open and carry nothing.
func quiet(t testing.TB) *origintest.Origin {
	return origintest.New(t, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
}

// sides are the clusters of a standby: here, with these endpoints, and there.
func sides(percent, warm int, every time.Duration, here, there []netip.AddrPort, edit func(*cluster.Config)) []*cluster.Cluster {
	one, two := clusterOf(here...), clusterOf(there...)
	two.Name = "active"
	one.Standby = &standby.Config{State: standby.Standby, Local: percent, Forward: 100 - percent, To: "active", Warm: warm, WarmEvery: every}
	if edit != nil {
		edit(one)
		edit(two)
	}
	return []*cluster.Cluster{cluster.New(one), cluster.New(two)}
}

// Connections are there on both sides although no request came, as many as are asked for, and
// are made again when endpoints close them.
func TestBothSidesAreKeptWarm(t *testing.T) {
	a, b, far := quiet(t), quiet(t), quiet(t)
	p := newPlace(t, sides(0, 2, standby.LeastWarmEvery, []netip.AddrPort{a.At, b.At}, []netip.AddrPort{far.At}, nil)...)
	warm := func() bool {
		return p.up.Cluster(0).Stats.ConnectionsIdle.Load() == 4 && p.up.Cluster(1).Stats.ConnectionsIdle.Load() == 2
	}
	p.until("connections are there", warm)
	p.passes(3 * standby.LeastWarmEvery)
	if n := a.Accepted.Load() + b.Accepted.Load() + far.Accepted.Load(); n != 6 {
		t.Errorf("%d connections were made", n)
	}
	a.CloseConnections()
	p.until("an endpoint's end is noticed", func() bool { return p.up.Cluster(0).Stats.Connections.Load() > 4 })
	p.until("connections are there again", warm)
}

// What is kept warm does not end by being idle; what is above it does.
func TestIdleTimesDoNotEndWhatIsKept(t *testing.T) {
	a, far := quiet(t), quiet(t)
	p := newPlace(t, sides(0, 1, time.Hour, []netip.AddrPort{a.At}, []netip.AddrPort{far.At}, func(c *cluster.Config) { c.Pool.IdleTimeout = 30 * time.Millisecond })...)
	p.until("connections are there", func() bool {
		return p.up.Cluster(0).Stats.ConnectionsIdle.Load() == 1 && p.up.Cluster(1).Stats.ConnectionsIdle.Load() == 1
	})
	u, v := p.acquire(), p.acquire()
	p.loop.Do(func() {
		u.conn.Release()
		v.conn.Release()
	})
	p.passes(100 * time.Millisecond)
	p.until("one is left", func() bool { return p.up.Cluster(0).Stats.ConnectionsActive.Load() <= 1 })
	p.passes(100 * time.Millisecond)
	if n := p.idle(1); n != 1 || far.Accepted.Load() != 1 {
		t.Errorf("%d connections are kept, %d were made", n, far.Accepted.Load())
	}
}

// Limits are kept to, endpoints that refuse are asked again, and with nothing to keep nothing is
// made.
func TestWarmthHasBounds(t *testing.T) {
	a := quiet(t)
	t.Run("limit", func(t *testing.T) {
		p := newPlace(t, sides(0, 5, standby.LeastWarmEvery, []netip.AddrPort{a.At}, nil, func(c *cluster.Config) { c.Limits.Connections = 3 })...)
		p.until("as many as may be", func() bool { return p.up.Cluster(0).Stats.ConnectionsIdle.Load() == 3 })
		p.passes(2 * standby.LeastWarmEvery)
		if n := p.idle(0); n != 3 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("refused", func(t *testing.T) {
		p := newPlace(t, sides(0, 1, standby.LeastWarmEvery, []netip.AddrPort{origintest.ClosedPort(t)}, nil, nil)...)
		p.until("it is tried again", func() bool { return p.up.Cluster(0).Stats.ConnectFailures.Load() >= 2 })
	})
	t.Run("under way at the end", func(t *testing.T) {
		p := newPlace(t, sides(0, 3, standby.LeastWarmEvery, []netip.AddrPort{origintest.DeafPort(t)}, nil, nil)...)
		p.until("it connects", func() bool { return p.up.Cluster(0).Stats.ConnectionsActive.Load() == 3 })
	})
	t.Run("none", func(t *testing.T) {
		before := a.Accepted.Load()
		p := newPlace(t, sides(0, 0, standby.LeastWarmEvery, []netip.AddrPort{a.At}, nil, nil)...)
		p.passes(3 * standby.LeastWarmEvery)
		if a.Accepted.Load() != before {
			t.Error("connections were made")
		}
	})
}

// Over HTTP/2 one connection is kept, and stays.
func TestWarmHTTP2(t *testing.T) {
	o := origintest.NewHTTP2(t, nil)
	p := newPlace(t, sides(0, 1, standby.LeastWarmEvery, []netip.AddrPort{o.At}, nil, func(c *cluster.Config) {
		c.Protocol, c.Pool.IdleTimeout = cluster.HTTP2Only, 30*time.Millisecond
	})...)
	p.until("a connection is there", func() bool { return p.up.Cluster(0).Stats.ConnectionsIdle.Load() == 1 })
	p.passes(3 * standby.LeastWarmEvery)
	if n := p.up.Cluster(0).Stats.Connections.Load(); n != 1 {
		t.Errorf("%d connections were made", n)
	}
}

// Many endpoints are warmed in several looks.
func TestManyAreWarmedBitByBit(t *testing.T) {
	port, all := origintest.ClosedPort(t).Port(), []netip.AddrPort(nil)
	for i := range mostWarmed + 10 {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}), port))
	}
	p := newPlace(t, sides(0, 1, standby.LeastWarmEvery, all, nil, nil)...)
	p.until("the first look", func() bool { return p.up.Cluster(0).Stats.Connections.Load() >= mostWarmed })
	p.until("all were tried", func() bool { return p.up.Cluster(0).Stats.Connections.Load() >= uint64(len(all)) })
}
