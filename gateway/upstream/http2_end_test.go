package upstream

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"longmen/gateway/cluster"
	"longmen/gateway/upstream/origintest"
	"longmen/tls/client"
)

const nameOfRequest = client.NameRequest

// The bounds of the pool.
func TestSharedConnectionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*cluster.Pool)
		use  func(p *place, o *origintest.HTTP2)
	}{
		"idle": {func(c *cluster.Pool) { c.IdleTimeout = 20 * time.Millisecond }, func(p *place, o *origintest.HTTP2) {
			p.acquire().served()
		}},
		"none are kept": {func(c *cluster.Pool) { c.Idle = 0 }, func(p *place, o *origintest.HTTP2) {
			p.acquire().served()
		}},
		"requests": {func(c *cluster.Pool) { c.MaxRequests = 3 }, func(p *place, o *origintest.HTTP2) {
			uses := p.many(3)
			for _, u := range uses {
				u.wait()
			}
			other := p.acquire()
			if other.conn.h2 == uses[0].conn.h2 {
				p.Error("a fourth request")
			}
			served(uses...)
			arrived(p, "the connection does not end", o.Ended)
			other.served()
			o.CloseConnections()
		}},
		"requests, taken over": {func(c *cluster.Pool) { c.MaxRequests = 10 }, func(p *place, o *origintest.HTTP2) {
			for range 9 {
				p.acquire().served()
			}
			worn := p.sharedConn(0)
			last := p.acquire() // another one is made meanwhile
			if last.conn.h2 != worn {
				p.Error("it is not used to its end")
			}
			p.until("the other one takes over", func() bool {
				open := p.up.Cluster(0).pools[0].open
				return len(open) == 1 && open[0] != worn
			})
			last.served()
		}},
		"age": {func(c *cluster.Pool) { c.MaxAge = 50 * time.Millisecond }, func(p *place, o *origintest.HTTP2) {
			long := p.acquire()
			p.passes(60 * time.Millisecond)
			meanwhile := p.acquire() // does not wait for the one that takes over
			if meanwhile.conn.h2 != long.conn.h2 {
				p.Error("it waited")
			}
			p.until("the other one takes over", func() bool {
				open := p.up.Cluster(0).pools[0].open
				return long.conn.h2.state == retired && (len(open) == 0 || open[0] != long.conn.h2)
			})
			served(long, meanwhile)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := origintest.NewHTTP2(t, nil)
			config := clusterOf2(o.At)
			c.edit(&config.Pool)
			p := newPlace(t, cluster.New(config))
			c.use(p, o)
			arrived(t, "the connection does not end", o.Ended)
		})
	}
}

// Connections made with other settings end after their streams.
func TestSharedAndSettingsChange(t *testing.T) {
	for name, edit := range map[string]func(*cluster.Config){
		"TLS":      func(c *cluster.Config) { c.TLS = trusting("h2") },
		"HTTP/2":   func(c *cluster.Config) { c.HTTP2.MaxStreams = 50 },
		"protocol": func(c *cluster.Config) { c.Protocol, c.TLS = cluster.AutoProtocol, trusting("http/1.1", "h2") },
	} {
		t.Run(name, func(t *testing.T) {
			o := origintest.NewHTTP2(t, func(o *origintest.HTTP2) { o.TLS = origintest.SelfSigned(t, "h2") })
			config := overTLS(o, "h2")
			p := newPlace(t, cluster.New(config))
			busy := p.acquire()
			same := *config
			p.next(&same)
			if p.sharedConn(0) != busy.conn.h2 {
				t.Error("the connection is dropped although nothing changed")
			}
			other := *config
			edit(&other)
			p.next(&other)
			next := p.acquire()
			if next.conn.h2 == busy.conn.h2 || next.conn.h2 == nil {
				t.Error("a stream began with settings of before")
			}
			busy.served()
			arrived(t, "no GOAWAY", o.Goodbyes)
			arrived(t, "the connection does not end", o.Ended)
			next.served()
		})
	}
}

// Settings that change while a connection is dialed: streams get one with those
// of now.
func TestSettingsChangeWhileDialing(t *testing.T) {
	o := origintest.NewHTTP2(t, nil)
	p := newPlace(t, cluster.New(clusterOf2(o.At)))
	uses := []*use{p.prepared(nil), p.prepared(nil)}
	next := clusterOf2(o.At)
	next.HTTP2.MaxStreams = 7
	shared := cluster.New(next)
	shared.Inherit(p.shared[0])
	p.shared = append(p.shared, shared)
	t.Cleanup(shared.Close)
	p.loop.Do(func() {
		for _, u := range uses {
			p.loop.Go(u)
		}
		p.up.Adopt([]*cluster.Cluster{shared})
	})
	for _, u := range uses {
		if u.wait().err != nil {
			t.Fatal(u.err)
		}
	}
	if m := uses[0].conn.h2; m.settings.MaxStreams != 7 || uses[1].conn.h2 != m {
		t.Errorf("%+v", m.settings)
	}
	served(uses...)
}

// The cluster, or the endpoint, is gone.
func TestSharedAndRemoved(t *testing.T) {
	a, b := origintest.NewHTTP2(t, nil), origintest.NewHTTP2(t, nil)
	p := newPlace(t, cluster.New(clusterOf2(a.At, b.At)))
	idle, busy := p.acquire(), p.acquire() // round robin
	ofIdle, ofBusy := a, b
	if idle.conn.Endpoint().Address() == b.At {
		ofIdle, ofBusy = b, a
	}
	idle.served()
	p.next(clusterOf2(origintest.ClosedPort(t)))
	arrived(t, "the idle connection does not end", ofIdle.Ended)
	busy.served()
	arrived(t, "no GOAWAY", ofBusy.Goodbyes)
	arrived(t, "the connection does not end", ofBusy.Ended)
}

func TestRemovedWhileManyWait(t *testing.T) {
	p := newPlace(t, cluster.New(clusterOf2(origintest.DeafPort(t))))
	uses := p.many(5)
	p.until("it is dialed", func() bool { return len(p.up.Cluster(0).pools[0].dialing) == 1 })
	p.loop.Do(func() { p.up.Adopt(nil) })
	for _, u := range uses {
		if u.wait(); !errors.Is(u.err, errRemoved) {
			t.Error(u.err)
		}
	}
}

// An idle connection makes room for one to another endpoint.
func TestIdleSharedMakesRoom(t *testing.T) {
	a, b := origintest.NewHTTP2(t, nil), origintest.NewHTTP2(t, nil)
	config := clusterOf2(a.At, b.At)
	config.Limits.Connections = 1
	p := newPlace(t, cluster.New(config))
	first := p.acquire()
	first.served()
	second := p.acquire() // round robin
	if second.tried[0] == first.tried[0] {
		t.Error("the same endpoint")
	}
	second.served()
}

// Many streams over small limits of every kind, while endpoints refuse and leave
// and settings change: all of them end, and nothing stays in use.
func TestManyStreamsOverHTTP2(t *testing.T) {
	var calls atomic.Int64
	serve := func(o *origintest.HTTP2) {
		o.Settings = []http2.Setting{{ID: http2.SettingMaxConcurrentStreams, Val: 4}}
		o.Do = func(k *origintest.Call) {
			switch n := calls.Add(1); {
			case n%41 == 0:
				k.GoAway(k.ID)
				k.Answer()
			case n%67 == 0:
				k.Conn.Close()
			case n%11 == 0:
				k.Reset(http2.ErrCodeRefusedStream)
			default:
				k.Answer()
			}
		}
	}
	a, b := origintest.NewHTTP2(t, serve), origintest.NewHTTP2(t, serve)
	config := clusterOf2(a.At, b.At, origintest.ClosedPort(t))
	config.HTTP2.MaxStreams, config.HTTP2.MaxConnections = 3, 2
	config.Limits.Connections, config.Pool.MaxRequests = 3, 20
	config.ConnectTimeout = time.Second // of connections whose settings do not come
	p := newPlace(t, cluster.New(config))
	done := make(chan error, 600)
	for i := range 600 {
		p.begin(func(u *use) {
			u.fresh = i%7 == 0
			u.then = func(u *use) {
				done <- u.ask(u.Co)
				u.conn.Release()
			}
		})
		if i%150 == 149 {
			next := *config
			next.HTTP2.MaxStreams = 2 + i%3
			p.next(&next)
		}
	}
	p.until("all are done", func() bool {
		s := p.up.Cluster(0).Stats
		return s.RequestsActive.Load() == 0 && s.RequestsPending.Load() == 0
	})
	well := 0
	for len(done) > 0 {
		if <-done == nil {
			well++
		}
	}
	if well < 250 {
		t.Errorf("%d requests went well", well)
	}
}
