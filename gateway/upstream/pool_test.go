package upstream

import (
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/stream"
	"longmen/gateway/worker"
)

func TestReuseIsLastInFirstOut(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, cluster.New(clusterOf(o.At)))
	a, b, c := p.acquire(), p.acquire(), p.acquire()
	p.until("there are three", func() bool { return o.Accepted.Load() == 3 })
	if a.conn == b.conn || b.conn == c.conn || a.conn.Pooled() {
		t.Error("streams share a connection")
	}
	a.served()
	c.served()
	b.served()
	if n := p.idle(0); n != 3 {
		t.Errorf("%d idle", n)
	}
	for i, want := range []*use{b, c, a} {
		got := p.acquire()
		if got.conn != want.conn || !got.conn.Pooled() {
			t.Errorf("%d: another connection than the one used last", i)
		}
		defer got.served()
	}
	if n := p.idle(0); n != 0 || o.Accepted.Load() != 3 {
		t.Errorf("%d idle, %d connections", n, o.Accepted.Load())
	}
}

func TestFreshIsNew(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, cluster.New(clusterOf(o.At)))
	p.acquire().served()
	u := p.begin(func(u *use) { u.fresh = true }).wait()
	if u.err != nil || u.conn.Pooled() {
		t.Error(u.err)
	}
	u.served()
	if n := o.Accepted.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestBoundsOfThePool(t *testing.T) {
	for name, test := range map[string]struct {
		pool cluster.Pool
		run  func(p *place)
		kept int64
		ends int // connections that the endpoint sees end
	}{
		"idle time": {cluster.Pool{Idle: 8, IdleTimeout: 20 * time.Millisecond}, func(p *place) {
			p.acquire().served()
			p.until("it is closed", func() bool { return p.up.Cluster(0).Stats.ConnectionsActive.Load() == 0 })
		}, 0, 1},
		"idle time starts anew": {cluster.Pool{Idle: 8, IdleTimeout: 50 * time.Millisecond}, func(p *place) {
			p.acquire().served()
			u := p.acquire()
			p.passes(100 * time.Millisecond) // in use it has no such time
			u.served()
		}, 1, 0},
		"number": {cluster.Pool{Idle: 2, IdleTimeout: time.Minute}, func(p *place) {
			a, b, c := p.acquire(), p.acquire(), p.acquire()
			a.served()
			b.served()
			c.served()
		}, 2, 1},
		"none": {cluster.Pool{Idle: 0, IdleTimeout: time.Minute}, func(p *place) { p.acquire().served() }, 0, 1},
		"requests": {cluster.Pool{Idle: 8, IdleTimeout: time.Minute, MaxRequests: 2}, func(p *place) {
			p.acquire().served()
			p.acquire().served()
			p.acquire().served()
		}, 1, 1},
		"age": {cluster.Pool{Idle: 8, IdleTimeout: time.Minute, MaxAge: 30 * time.Millisecond}, func(p *place) {
			u := p.acquire()
			p.passes(40 * time.Millisecond)
			u.served()
		}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, "")
			config := clusterOf(o.At)
			config.Pool = test.pool
			p := newPlace(t, cluster.New(config))
			test.run(p)
			if n := p.idle(0); n != test.kept {
				t.Errorf("%d kept, want %d", n, test.kept)
			}
			for range test.ends {
				<-o.ended
			}
			if len(o.ended) > 0 {
				t.Errorf("%d more connections have ended", len(o.ended))
			}
		})
	}
}

// A connection whose state is not known is not kept.
func TestWhatIsNotKept(t *testing.T) {
	for name, test := range map[string]struct {
		extra string
		use   func(u *use)
	}{
		"the endpoint says close": {"connection: close\r\n", func(u *use) { u.served() }},
		"nothing was sent":        {"", func(u *use) { u.release() }},
		"the body was not read": {"", func(u *use) {
			u.place.loop.Do(func() { u.place.loop.Go(&halfAsker{asker{u, make(chan error, 1)}}) })
			u.place.until("it is given back", func() bool { return u.place.up.Cluster(0).Stats.ConnectionsActive.Load() == 0 })
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t, test.extra)
			p := newPlace(t, cluster.New(clusterOf(o.At)))
			test.use(p.acquire())
			if n := p.idle(0); n != 0 {
				t.Errorf("%d kept", n)
			}
			<-o.ended
		})
	}
}

// halfAsker reads no body.
type halfAsker struct{ asker }

// Run is told of by the loop.
func (a *halfAsker) Run(co *worker.Coroutine) {
	a.u.Co = co
	a.u.conn.Send(&stream.Outgoing{Path: []byte("/"), Authority: []byte("x")}, nil, true)
	if err := a.u.conn.ReadHead(co, &a.u.Response, false); err != nil {
		a.u.place.Error(err)
	}
	a.u.conn.Release()
}

// An idle connection that the endpoint closes, or that says something unasked,
// is discarded at once.
func TestIdleConnectionsThatEnd(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, cluster.New(clusterOf(o.At)))
	a, b := p.acquire(), p.acquire()
	a.served()
	b.served()
	o.Connection(1).Write([]byte("HTTP/1.1 408 Timeout\r\n\r\n"))
	p.until("the talking one is discarded", func() bool { return p.up.Cluster(0).Stats.ConnectionsIdle.Load() == 1 })
	o.CloseConnections()
	p.until("the closed one is discarded", func() bool {
		s := p.up.Cluster(0).Stats
		return s.ConnectionsIdle.Load() == 0 && s.ConnectionsActive.Load() == 0
	})
	p.acquire().served()
	if n := o.Accepted.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// The end of an idle connection lies in the kernel when a stream asks for one,
// in the same turn: the loop has not yet been told.
func TestEndInTheSameTurn(t *testing.T) {
	o := newOrigin(t, "")
	p := newPlace(t, cluster.New(clusterOf(o.At)))
	p.acquire().served()
	u := &use{place: p, got: make(chan bool)}
	u.Loop = p.loop
	u.Request.Method, u.Request.Minor = []byte("GET"), 1
	failed := make(chan error, 1)
	u.then = func(u *use) { failed <- u.ask(u.Co); u.conn.Release() }
	p.loop.Do(func() {
		o.CloseConnections()
		<-o.ended // the end is on its way over the loopback
		p.loop.Go(u)
	})
	<-u.got
	if u.err != nil {
		t.Fatal(u.err)
	}
	// Either it was seen, and the connection is new, or the request fails in
	// a way that tells that it may be sent again.
	if err := <-failed; err != nil && (!u.conn.Pooled() || u.conn.Answered()) {
		t.Errorf("%v", err)
	}
}

func TestActiveIsCountedForLeastRequest(t *testing.T) {
	o := newOrigin(t, "")
	config := clusterOf(o.At)
	config.Balance = cluster.LeastRequest
	c := cluster.New(config)
	p := newPlace(t, c)
	e := c.Hosts().Endpoints[0]
	a, b := p.acquire(), p.acquire()
	if n := e.Active.Load(); n != 2 {
		t.Errorf("%d active", n)
	}
	a.served()
	b.release()
	if n := e.Active.Load(); n != 0 {
		t.Errorf("%d active", n)
	}
}
