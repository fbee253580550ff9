package upstream

import (
	"errors"
	"testing"

	"golang.org/x/net/http2"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/gateway/upstream/origintest"
)

// Streams that come at once wait for one connection, and share it.
func TestOneDialForMany(t *testing.T) {
	o := origintest.NewHTTP2(t, nil)
	p := newPlace(t, cluster.New(clusterOf2(o.At)))
	uses := p.many(100)
	seen := map[*Conn]bool{}
	for _, u := range uses {
		if u.wait().err != nil {
			t.Fatal(u.err)
		}
		if u.conn.h2 != uses[0].conn.h2 || seen[u.conn] {
			t.Fatal("streams do not share a connection, or are one")
		}
		seen[u.conn] = true
	}
	s := p.up.Cluster(0).Stats
	if s.HTTP2.ConnectionsActive.Load() != 1 || s.HTTP2.StreamsActive.Load() != 100 || s.RequestsActive.Load() != 100 {
		t.Errorf("%d connections, %d streams, %d requests", s.HTTP2.ConnectionsActive.Load(), s.HTTP2.StreamsActive.Load(), s.RequestsActive.Load())
	}
	served(uses...)
	if n := o.Accepted.Load(); n != 1 {
		t.Errorf("%d connections were made", n)
	}
	if n := p.idle(0); n != 1 {
		t.Errorf("%d connections are idle", n)
	}
	again := p.acquire()
	if again.conn.h2 != p.sharedConn(0) || !again.conn.Pooled() || !again.conn.Shared() {
		t.Error("not the connection that is there")
	}
	again.served()
}

// What is not expected to fit on one connection gets another.
func TestConnectionsByExpectedRoom(t *testing.T) {
	o := origintest.NewHTTP2(t, nil)
	config := clusterOf2(o.At)
	config.HTTP2.MaxStreams = 10
	p := newPlace(t, cluster.New(config))
	uses := p.many(35)
	on := map[*http2Conn]int{}
	for _, u := range uses {
		if u.wait().err != nil {
			t.Fatal(u.err)
		}
		on[u.conn.h2]++
	}
	if len(on) != 4 {
		t.Errorf("%d connections", len(on))
	}
	for _, n := range on {
		if n > 10 {
			t.Errorf("%d streams on one connection", n)
		}
	}
	served(uses...)
}

// The endpoint's own limit counts, and is remembered.
func TestEndpointsLimitOfStreams(t *testing.T) {
	o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) {
		o.Settings = []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 2}}
	})
	p := newPlace(t, cluster.New(clusterOf2(o.At)))
	p.acquire().served() // now it is known
	uses := p.many(7)
	for _, u := range uses {
		if u.wait().err != nil {
			t.Fatal(u.err)
		}
	}
	p.until("the connections are made", func() bool { return o.Accepted.Load() == 4 })
	served(uses...)
}

// Streams wait where an endpoint has as many connections as it may have, and go
// elsewhere when there is room.
func TestMostConnections(t *testing.T) {
	a, b := origintest.NewHTTP2(t, nil), origintest.NewHTTP2(t, nil)
	config := clusterOf2(a.At)
	config.HTTP2.MaxStreams, config.HTTP2.MaxConnections = 2, 1
	p := newPlace(t, cluster.New(config))
	first, second := p.acquire(), p.acquire()
	third := p.begin(nil)
	p.waits(1)
	first.served()
	if third.wait().err != nil {
		t.Fatal(third.err)
	}
	both := clusterOf2(a.At, b.At)
	both.HTTP2 = config.HTTP2
	p.next(both)
	fourth, fifth := p.acquire(), p.acquire()
	if fourth.conn.Endpoint().Address() != b.At || fifth.conn.Endpoint().Address() != b.At {
		t.Error("an endpoint without room was chosen")
	}
	sixth := p.begin(nil)
	p.waits(1)
	third.served()
	served(second, fourth, fifth, sixth.wait())
	if a.Accepted.Load() != 1 || b.Accepted.Load() != 1 {
		t.Errorf("%d and %d connections", a.Accepted.Load(), b.Accepted.Load())
	}
}

// A connection that cannot be made fails all that wait for it, and is one failure.
func TestDialFailsForMany(t *testing.T) {
	for name, config := range map[string]*cluster.Config{
		"refused":   clusterOf2(origintest.ClosedPort(t)),
		"HTTP/1.1":  overTLS(origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.TLS = origintest.SelfSigned(t, "http/1.1") }), "h2"),
		"no choice": overTLS(origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.TLS = origintest.SelfSigned(t) }), "h2"),
		"too slow":  hasty(clusterOf2(origintest.DeafPort(t))),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, cluster.New(config))
			for _, u := range p.many(50) {
				if e := u.refused(stream.UpstreamConnectFailure); e.Phase != stream.PhaseConnect {
					t.Fatal(e)
				}
				if name == "no choice" && !errors.Is(u.err, errNotHTTP2) {
					t.Fatal(u.err)
				}
				if len(u.tried) != 1 {
					t.Fatal("the endpoint does not count as tried")
				}
			}
			if n := p.up.Cluster(0).Stats.Connections.Load(); n != 1 {
				t.Errorf("%d connections were tried", n)
			}
			if n, _ := p.shared[0].Hosts().Endpoints[0].ConnectFailures(); n != 1 {
				t.Errorf("%d failures", n)
			}
		})
	}
}

// A dial goes on without the stream that began it.
func TestDialOutlivesItsStream(t *testing.T) {
	o := origintest.NewHTTP2(t, nil)
	p := newPlace(t, cluster.New(clusterOf2(o.At)))
	u, other := p.prepared(nil), p.prepared(nil)
	p.loop.Do(func() {
		p.loop.Go(u)
		p.loop.Go(other)
		u.Abort(&stream.Error{Flag: stream.DownstreamConnectionEnd, Cause: errors.New("gone")})
	})
	if u.wait().err == nil {
		t.Error("an aborted stream got a connection")
	}
	other.wait()
	p.loop.Do(func() {
		if m := other.conn.h2; m.served != 1 || m.client.Streams() != 1 {
			t.Errorf("%d streams began, %d are open", m.served, m.client.Streams())
		}
	})
	other.served()
}

// After GOAWAY no stream begins on the connection; the next request gets another
// one, and what is open ends in peace.
func TestGoAway(t *testing.T) {
	o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.Hold = true })
	p := newPlace(t, cluster.New(clusterOf2(o.At)))
	first, late := p.acquire(), p.acquire()
	asked := first.asks()
	call := o.Next(t)
	refused := late.asks()
	o.Next(t)
	call.GoAway(call.ID)
	var e *stream.Error
	if err := refused.end(); !errors.As(err, &e) || e.Sent || !late.conn.Ending() {
		t.Errorf("above the last stream: %v", err)
	}
	late.release()
	if p.sharedConn(0) != nil {
		t.Error("streams may begin on it")
	}
	second := p.acquire()
	if second.conn.h2 == first.conn.h2 {
		t.Error("a stream began on a connection that drains")
	}
	call.Answer()
	if err := asked.end(); err != nil {
		t.Error(err)
	}
	first.release()
	arrived(t, "the connection does not end", o.Ended)
	again := second.asks()
	o.Next(t).Answer()
	if err := again.end(); err != nil {
		t.Error(err)
	}
	second.release()
	if s := p.up.Cluster(0).Stats; s.HTTP2.GoAwaysReceived.Load() != 1 || s.HTTP2.Refused.Load() != 1 {
		t.Errorf("%d GOAWAY, %d refused", s.HTTP2.GoAwaysReceived.Load(), s.HTTP2.Refused.Load())
	}
}

func TestResetStreams(t *testing.T) {
	o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.Hold = true })
	p := newPlace(t, cluster.New(clusterOf2(o.At)))
	for _, c := range []struct {
		code http2.ErrCode
		sent bool
	}{{http2.ErrCodeRefusedStream, false}, {http2.ErrCodeInternal, true}, {http2.ErrCodeCancel, true}} {
		u := p.acquire()
		asked := u.asks()
		o.Next(t).Reset(c.code)
		var e *stream.Error
		if err := asked.end(); !errors.As(err, &e) || e.Sent != c.sent || u.conn.Ending() {
			t.Errorf("%v: %v", c.code, err)
		}
		u.release()
	}
	s := &p.up.Cluster(0).Stats.HTTP2
	if s.ResetsReceived.Load() != 3 || s.Refused.Load() != 1 {
		t.Errorf("%d resets, %d refused", s.ResetsReceived.Load(), s.Refused.Load())
	}
	if n := o.Accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Connections that the endpoint ends at once, or in mid-use, give every stream an
// outcome.
func TestConnectionsThatEnd(t *testing.T) {
	o := origintest.NewHTTP2(t, nil)
	p := newPlace(t, cluster.New(clusterOf2(o.At)))
	for range 30 {
		uses := p.many(3)
		o.CloseConnections()
		for _, u := range uses {
			if u.wait().err == nil {
				u.asks().end() // whatever came of it
				u.release()
			}
		}
	}
}

// Nothing is shared where each connection is for one server name alone.
func TestSharedByName(t *testing.T) {
	o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.TLS = origintest.SelfSigned(t, "h2") })
	config := overTLS(o, "h2")
	config.TLS.Name = nameOfRequest
	p := newPlace(t, cluster.New(config))
	var uses []*use
	for _, host := range []string{"a.test", "b.test", "a.test", "b.test"} {
		uses = append(uses, p.begin(func(u *use) { u.Request.Host = []byte(host) }))
	}
	for _, u := range uses {
		if u.wait().err != nil {
			t.Fatal(u.err)
		}
	}
	if uses[0].conn.h2 == uses[1].conn.h2 || uses[0].conn.h2 != uses[2].conn.h2 || uses[1].conn.h2 != uses[3].conn.h2 {
		t.Error("not one connection for each name")
	}
	served(uses...)
}

// What begins without waiting begins on an open connection.
func TestAcquireIdleShares(t *testing.T) {
	o := origintest.NewHTTP2(t, nil)
	p := newPlace(t, cluster.New(clusterOf2(o.At)))
	var tried []*cluster.Endpoint
	s := new(stream.Stream)
	p.loop.Do(func() {
		if conn, choice := p.up.Cluster(0).AcquireIdle(s, nil, &tried); conn != nil || choice.pool == nil || len(tried) != 0 {
			t.Errorf("%v, %v before there is a connection", conn, choice)
		}
	})
	u := p.acquire()
	p.loop.Do(func() {
		conn, _ := p.up.Cluster(0).AcquireIdle(s, nil, &tried)
		if conn == nil || conn.h2 != u.conn.h2 || len(tried) != 1 {
			t.Fatal("no stream of the connection")
		}
		conn.Release()
	})
	u.served()
}
