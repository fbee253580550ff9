package upstream

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream/origintest"
	"longmen/gateway/worker"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// place is one worker's side of some clusters.
type place struct {
	testing.TB
	loop   *worker.Loop
	up     *Worker
	shared []*cluster.Cluster
}

// wide are limits that are never reached, so that what is used of them is counted.
var wide = cluster.Limits{Connections: 1000, Pending: 1000, Requests: 1000, Retries: 1000}

func clusterOf(at ...netip.AddrPort) *cluster.Config {
	c := &cluster.Config{Name: "c", Choices: 2, ConnectTimeout: patience, Limits: wide, Pool: cluster.Pool{Idle: 8, IdleTimeout: time.Minute}}
	for _, a := range at {
		c.Endpoints = append(c.Endpoints, cluster.EndpointConfig{Host: a.Addr().String(), Port: a.Port(), Weight: 1})
	}
	return c
}

// newPlace starts a worker with these clusters. At the test's end nothing may
// be in use.
func newPlace(t testing.TB, shared ...*cluster.Cluster) *place {
	t.Helper()
	l, err := worker.New(worker.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{TB: t, loop: l, shared: shared}
	p.up = NewWorker(l, metrics.NewRegistry().NewWorker(l.Stats()), &http1.Limits{Line: 8 << 10, Head: 64 << 10, Fields: 256}, 1)
	p.up.Adopt(shared)
	var all []*Cluster
	all = append(all, p.up.clusters...)
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Do(p.up.Close)
		for _, c := range all {
			s := c.Stats
			if s.ConnectionsActive.Load() != 0 || s.ConnectionsIdle.Load() != 0 || s.RequestsActive.Load() != 0 || s.RequestsPending.Load() != 0 {
				t.Errorf("after the end: %d connections, %d idle, %d requests, %d pending",
					s.ConnectionsActive.Load(), s.ConnectionsIdle.Load(), s.RequestsActive.Load(), s.RequestsPending.Load())
			}
			if s.HTTP2.ConnectionsActive.Load() != 0 || s.HTTP2.StreamsActive.Load() != 0 {
				t.Errorf("after the end: %d connections of HTTP/2, %d streams", s.HTTP2.ConnectionsActive.Load(), s.HTTP2.StreamsActive.Load())
			}
		}
		for _, c := range shared {
			if connections, pending, _, _ := c.InUse(); connections+pending != 0 {
				t.Errorf("%d connections and %d waits in use after the end", connections, pending)
			}
			for _, e := range c.Hosts().Endpoints {
				if n := e.Active.Load(); n != 0 {
					t.Errorf("%v: %d active", e, n)
				}
			}
		}
		if n := len(p.up.accounts); n != 0 {
			t.Errorf("%d addresses have an account after the end", n)
		}
		p.until("buffers are given back", func() bool { n, _ := l.Buffers.Lent(); return n == 0 })
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
		if n := l.Stats().Panics.Load(); n != 0 {
			t.Errorf("%d panics on the loop", n)
		}
	})
	return p
}

// until runs cond on the loop until it holds.
func (p *place) until(what string, cond func() bool) {
	p.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		ok := false
		p.loop.Do(func() { ok = cond() })
		if ok {
			return
		}
		if time.Now().After(end) {
			p.Fatalf("it never happened: %s", what)
		}
	}
}

// passes waits until the loop's clock has moved by d.
func (p *place) passes(d time.Duration) {
	p.Helper()
	var begin int64
	p.until("time passes", func() bool {
		if begin == 0 {
			begin = p.loop.Now()
		}
		return p.loop.Now()-begin > int64(d)
	})
}

// idle is how many connections to cluster i are kept.
func (p *place) idle(i int) (n int64) {
	p.loop.Do(func() { n = p.up.Cluster(i).Stats.ConnectionsIdle.Load() })
	return n
}

// a use is one stream that acquires a connection.
type use struct {
	place *place
	stream.Stream
	tried  []*cluster.Endpoint
	fresh  bool
	up     bool // it wants an upgrade
	choice Choice
	pick   *Pick
	conn   *Conn
	err    error
	then   func(u *use)
	got    chan bool // closed when Acquire has returned
}

// Run acquires.
func (u *use) Run(co *worker.Coroutine) {
	u.Co = co
	u.conn, u.err = u.place.up.Cluster(0).Acquire(&u.Stream, co, &u.tried, Want{Pick: u.pick, Fresh: u.fresh, Upgrade: u.up, Choice: u.choice})
	if u.then != nil && u.err == nil {
		u.then(u)
	}
	close(u.got)
}

// begin starts a stream that acquires a connection.
func (p *place) begin(edit func(*use)) *use {
	u := p.prepared(edit)
	p.loop.Do(func() { p.loop.Go(u) })
	return u
}

// prepared is a stream that has not begun.
func (p *place) prepared(edit func(*use)) *use {
	u := &use{place: p, got: make(chan bool)}
	u.Loop = p.loop
	u.Request.Method, u.Request.Scheme, u.Request.Minor = []byte("GET"), "http", 1
	if edit != nil {
		edit(u)
	}
	return u
}

// wait waits until Acquire has returned.
func (u *use) wait() *use {
	u.place.Helper()
	select {
	case <-u.got:
	case <-time.After(patience):
		u.place.Fatal("Acquire does not return")
	}
	return u
}

// acquire gets a connection, which must work.
func (p *place) acquire() *use {
	p.Helper()
	u := p.begin(nil).wait()
	if u.err != nil {
		p.Fatal(u.err)
	}
	return u
}

// asker makes a request on a connection that was acquired.
type asker struct {
	u    *use
	done chan error
}

// Run asks.
func (a *asker) Run(co *worker.Coroutine) {
	a.u.Co = co
	a.done <- a.u.ask(co)
}

// ask makes a request and reads all of its response.
func (u *use) ask(co *worker.Coroutine) error {
	u.conn.Send(&stream.Outgoing{Path: []byte("/"), Authority: []byte("x")}, nil, true)
	if err := u.conn.ReadHead(co, &u.Response, false); err != nil {
		return err
	}
	for u.Response.Body != nil {
		if _, err := u.Response.Body.Next(co); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// served makes a request on the connection and gives it back.
func (u *use) served() {
	u.place.Helper()
	a := &asker{u, make(chan error, 1)}
	u.place.loop.Do(func() { u.place.loop.Go(a) })
	select {
	case err := <-a.done:
		if err != nil {
			u.place.Error(err)
		}
	case <-time.After(patience):
		u.place.Fatal("no answer")
	}
	u.release()
}

func (u *use) release() { u.place.loop.Do(u.conn.Release) }

// origin is an endpoint that answers everything, until a test says otherwise.
type origin struct {
	*origintest.Origin
	ended chan bool // one for each connection that has ended
	extra string    // fields of responses
}

func newOrigin(t testing.TB, extra string) *origin {
	t.Helper()
	o := &origin{ended: make(chan bool, 1000), extra: extra}
	o.Origin = origintest.New(t, o.serve)
	return o
}

func (o *origin) serve(c net.Conn, _ int) {
	defer func() { c.Close(); o.ended <- true }()
	r := bufio.NewReader(c)
	for {
		if _, err := http.ReadRequest(r); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\n"+o.extra+"content-length: 5\r\n\r\nhello")
	}
}
