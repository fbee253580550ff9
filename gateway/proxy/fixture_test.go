package proxy

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/filter"
	"longmen/gateway/listener"
	"longmen/gateway/protocol/http1"
	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/upstream"
	"longmen/gateway/upstream/origintest"
	"longmen/gateway/worker"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// stage is an edge of one worker between real sockets. At the test's end it
// looks whether anything is still held.
type stage struct {
	testing.TB
	loop    *worker.Loop
	up      *upstream.Worker
	proxy   *Proxy
	server  *http1.Server
	address string
	shared  []*cluster.Cluster
	metrics *metrics.Worker
	records chan record
	open    atomic.Int32 // client connections
	panics  uint64       // those that the test makes
}

// record is what was logged of a stream.
type record struct {
	stream.Record
	Status int
	Client netip.Addr
}

// settings are what a stage is made of.
type settings struct {
	http     snapshot.HTTP
	routes   []*router.Route
	clusters []*cluster.Config
	config   func(*http1.Config)
	chain    filter.Chain // of every route
}

// wide are limits that are never reached, so that what is used of them is counted.
var wide = cluster.Limits{Connections: 1000, Pending: 1000, Requests: 1000, Retries: 1000}

// clusterOf makes the configuration of a cluster with these endpoints.
func clusterOf(name string, at ...netip.AddrPort) *cluster.Config {
	c := &cluster.Config{
		Name: name, Choices: 2, ConnectTimeout: patience, Limits: wide,
		Pool: cluster.Pool{Idle: 8, IdleTimeout: time.Minute},
	}
	for _, a := range at {
		c.Endpoints = append(c.Endpoints, cluster.EndpointConfig{Host: a.Addr().String(), Port: a.Port(), Weight: 1})
	}
	return c
}

// to makes a route that sends everything under prefix to the first cluster.
func to(prefix string, edit func(*router.Forward)) *router.Route {
	f := &router.Forward{Clusters: []router.WeightedCluster{{Cluster: router.ClusterRef{Name: "c"}, Weight: 1}}, TotalWeight: 1}
	if edit != nil {
		edit(f)
	}
	return &router.Route{Name: "to " + prefix, Match: router.Match{RawPrefix: prefix}, Forward: f}
}

// chains are the filters of the routes, by their index.
func (set settings) chains() []filter.Chain {
	if set.chain == nil {
		return nil
	}
	var all []filter.Chain
	for i, route := range set.routes {
		route.Index = i
		all = append(all, set.chain)
	}
	return all
}

func newStage(t testing.TB, set settings) *stage {
	t.Helper()
	l, err := worker.New(worker.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{TB: t, loop: l, metrics: metrics.NewRegistry().NewWorker(l.Stats()), records: make(chan record, 4096)}
	s.up = upstream.NewWorker(l, s.metrics, &http1.Limits{Line: 8 << 10, Head: 64 << 10, Fields: 256}, 1)
	s.proxy = New(l, s.up, [32]byte{1})
	slots := map[string]int{}
	for i, c := range set.clusters {
		slots[c.Name] = i
		s.shared = append(s.shared, cluster.New(c))
	}
	s.up.Adopt(s.shared)
	table, problems := router.New([]*router.VirtualHost{{Name: "all", Domains: []string{"*"}, Routes: set.routes}})
	if table == nil {
		t.Fatal(problems)
	}
	edge := NewEdge(s.proxy, &snapshot.Snapshot{Clusters: s.shared, ClusterSlots: slots},
		&snapshot.Listener{Name: "test", HTTP: set.http, Routes: table, Chains: set.chains(), Unrouted: set.chain})
	config := &http1.Config{
		Limits:        http1.Limits{Line: 8 << 10, Head: 60 << 10, Fields: 100},
		HeaderTimeout: patience, BodyTimeout: patience, WriteTimeout: patience, IdleTimeout: time.Minute,
		Inline: edge.Inline(),
		Reply:  edge.Reply,
		Finish: func(st *stream.Stream, resp *stream.Response) {
			r := record{Record: st.Record, Client: st.Client}
			if resp != nil {
				r.Status = resp.Status
			}
			s.records <- r
		},
	}
	if set.config != nil {
		set.config(config)
	}
	s.server = http1.NewServer(l, &http1.Streams{}, config, s)
	fd, err := listener.Listen(netip.MustParseAddrPort("127.0.0.1:0"), &snapshot.Socket{Backlog: 128, NoDelay: true})
	if err != nil {
		t.Fatal(err)
	}
	at, err := listener.LocalAddr(fd)
	if err != nil {
		t.Fatal(err)
	}
	s.address = at.String()
	var gate listener.Gate
	acceptor, err := listener.Accept(l, fd, &listener.Limits{Own: &gate, Global: &gate, Load: &listener.Load{}}, s, s.metrics.Listener("test"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Do(acceptor.Close)
		s.settle()
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return s
}

// Serve counts connections on their way to the server.
func (s *stage) Serve(fd int, remote, local netip.AddrPort) error {
	s.open.Add(1)
	return s.server.Serve(fd, remote, local)
}

// ConnectionClosed is told of by the server.
func (s *stage) ConnectionClosed(netip.AddrPort) { s.open.Add(-1) }

// stats are the worker's figures of cluster i.
func (s *stage) stats(i int) *metrics.ClusterStats {
	return s.metrics.Cluster(s.shared[i].Config().Name)
}

// until runs cond on the loop until it holds.
func (s *stage) until(what string, cond func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		ok := false
		s.loop.Do(func() { ok = cond() })
		if ok {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("it never happened: %s", what)
		}
	}
}

// record waits for the next finished stream.
func (s *stage) record() record {
	s.Helper()
	select {
	case r := <-s.records:
		return r
	case <-time.After(patience):
		s.Fatal("no stream has ended")
		return record{}
	}
}

// quiet waits until no stream is under way, and looks whether one holds something.
func (s *stage) quiet() {
	s.Helper()
	for i, c := range s.shared {
		stats := s.stats(i)
		s.until("all requests have ended", func() bool {
			_, pending, requests, retries := c.InUse()
			return stats.RequestsActive.Load() == 0 && stats.RequestsPending.Load() == 0 && pending+requests+retries == 0 &&
				stats.ConnectionsActive.Load() == stats.ConnectionsIdle.Load()
		})
	}
	s.loop.Do(func() {
		seen := map[*exchange]bool{}
		for _, x := range s.proxy.free {
			if seen[x] {
				s.Error("an exchange was given back twice")
			}
			seen[x] = true
			if x.s != nil || x.conn != nil || x.record.Body != nil || cap(x.copied) > keepCopy || x.upload.running || x.deadline.Armed() || x.pause.Armed() || x.idle.Armed() {
				s.Errorf("an exchange holds on to something: %+v", x)
			}
		}
	})
}

// settle looks whether everything is given back.
func (s *stage) settle() {
	s.Helper()
	s.quiet()
	s.loop.Do(s.server.Close)
	s.until("client connections are closed", func() bool { return s.server.Connections() == 0 })
	s.loop.Do(s.up.Close)
	for i, c := range s.shared {
		connections, pending, requests, retries := c.InUse()
		if connections+pending+requests+retries != 0 || s.stats(i).ConnectionsActive.Load() != 0 || s.stats(i).ConnectionsIdle.Load() != 0 {
			s.Errorf("cluster %d: in use after the end: %d connections (%d open, %d idle), %d pending, %d requests, %d retries", i,
				connections, s.stats(i).ConnectionsActive.Load(), s.stats(i).ConnectionsIdle.Load(), pending, requests, retries)
		}
		for _, e := range c.Hosts().Endpoints {
			if n := e.Active.Load(); n != 0 {
				s.Errorf("cluster %d: %v: %d active after the end", i, e.Address(), n)
			}
		}
	}
	s.until("buffers are given back", func() bool { n, _ := s.loop.Buffers.Lent(); return n == 0 })
	if n := s.open.Load(); n != 0 {
		s.Errorf("%d client connections", n)
	}
	if n := s.loop.Stats().Panics.Load(); n != s.panics {
		s.Errorf("%d panics on the loop, want %d", n, s.panics)
	}
}

// peer is the test's end of a connection.
type peer struct {
	testing.TB
	*net.TCPConn
	r *bufio.Reader
}

func newPeer(t testing.TB, c net.Conn) *peer {
	c.SetDeadline(time.Now().Add(2 * patience))
	return &peer{t, c.(*net.TCPConn), bufio.NewReader(c)}
}

// dial opens a client's connection.
func (s *stage) dial() *peer {
	s.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	return newPeer(s.TB, c)
}

// send writes.
func (p *peer) send(format string, args ...any) {
	fmt.Fprintf(p.TCPConn, format, args...) // a failure shows in what is read
}

// head reads up to an empty line.
func (p *peer) head() string {
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String()
		}
		if line == "\r\n" {
			return b.String()
		}
	}
}

// ask reads a request, with its body; nil when the connection has ended.
func (p *peer) ask() (*http.Request, string) {
	r, err := http.ReadRequest(p.r)
	if err != nil {
		return nil, ""
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return r, "CUT " + string(body)
	}
	return r, string(body)
}

// answer reads a response, with its body.
func (p *peer) answer(method string) (*http.Response, string) {
	p.Helper()
	resp, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.Fatalf("response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp, "CUT " + string(body)
	}
	return resp, string(body)
}

// ended waits for the connection's end.
func (p *peer) ended() { io.Copy(io.Discard, p.r) }

// reset ends the connection by a reset.
func (p *peer) reset() {
	p.SetLinger(0)
	p.Close()
}

// ok answers 200 with a body, and the connection stays.
func (p *peer) ok(body string) {
	p.send("HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
}

// get makes a request on a connection of its own and returns the answer.
func (s *stage) get(path string, fields ...string) (*http.Response, string) {
	s.Helper()
	p := s.dial()
	defer p.Close()
	p.send("GET %s HTTP/1.1\r\nHost: test\r\n%s\r\n", path, lines(fields))
	return p.answer("GET")
}

func lines(fields []string) string {
	if len(fields) == 0 {
		return ""
	}
	return strings.Join(fields, "\r\n") + "\r\n"
}

// newOrigin serves every connection by serve, which gets its number from 1.
func newOrigin(t testing.TB, serve func(p *peer, n int)) *origintest.Origin {
	t.Helper()
	return origintest.New(t, func(c net.Conn, n int) { serve(newPeer(t, c), n) })
}
