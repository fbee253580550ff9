package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/router"
	"longmen/gateway/snapshot"
	"longmen/gateway/stream"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// chronicle keeps what is logged.
type chronicle struct {
	testing.TB
	mu    sync.Mutex
	lines []string
}

func (c *chronicle) Enabled(context.Context, slog.Level) bool { return true }
func (c *chronicle) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *chronicle) WithGroup(string) slog.Handler            { return c }

func (c *chronicle) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	c.mu.Lock()
	c.lines = append(c.lines, line)
	c.mu.Unlock()
	return nil
}

// find returns what follows prefix in the last line that begins with it.
func (c *chronicle) find(prefix string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := len(c.lines) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(c.lines[i], prefix); ok {
			return rest
		}
	}
	return ""
}

// house is a running gateway.
type house struct {
	testing.TB
	*Supervisor
	log    *chronicle
	cancel context.CancelFunc
	ended  chan error // what Run returned
	before usage
}

// usage is what a process has open.
type usage struct{ goroutines, files int }

func now(t testing.TB) usage {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	// fasthttp has a goroutine for the whole process, and one of each server
	// that ends up to ten seconds later.
	stacks := string(buf[:runtime.Stack(buf, true)])
	own := strings.Count(stacks, "fasthttp.updateServerDate.func1(") + strings.Count(stacks, "fasthttp.(*workerPool).Start.func2(")
	return usage{runtime.NumGoroutine() - own, len(list)}
}

// returned waits until no more is open than before.
func (u usage) returned(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		n := now(t)
		if n.goroutines <= u.goroutines && n.files <= u.files {
			return
		}
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("open: %+v, before: %+v\n%s", n, u, buf[:runtime.Stack(buf, true)])
		}
	}
}

// newHouse starts a gateway. At the test's end it is stopped, and nothing may
// be left of it.
func newHouse(t testing.TB, o Options) *house {
	t.Helper()
	if c, err := net.Listen("tcp", "127.0.0.1:0"); err == nil { // the runtime's own descriptors are there
		c.Close()
	}
	h := &house{TB: t, log: &chronicle{TB: t}, ended: make(chan error, 1), before: now(t)}
	processors := runtime.GOMAXPROCS(0)
	if o.Workers == 0 {
		o.Workers = 2
	}
	if o.AdminBind == "" {
		o.AdminBind = "off"
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = patience
	}
	o.Log = slog.New(h.log)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	h.Supervisor = s
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go func() { h.ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		h.stopped()
		for _, w := range s.workers {
			if n := w.loop.Stats().Panics.Load(); n > 0 {
				t.Errorf("worker %d: %d panics", w.loop.ID, n)
			}
		}
		if n := s.global.Open(); n != 0 {
			t.Errorf("%d connections count as open", n)
		}
		runtime.GOMAXPROCS(processors)
		h.before.returned(t)
		if t.Failed() {
			t.Log(strings.Join(h.log.lines, "\n"))
		}
	})
	return h
}

// stopped stops the gateway and returns what Run returned.
func (h *house) stopped() error {
	h.Helper()
	h.cancel()
	return h.run()
}

// run waits for Run's end.
func (h *house) run() error {
	h.Helper()
	select {
	case err := <-h.ended:
		h.ended <- err
		return err
	case <-time.After(2 * patience):
		buf := make([]byte, 1<<20)
		h.Fatalf("Run does not return\n%s", buf[:runtime.Stack(buf, true)])
		return nil
	}
}

// applied applies a snapshot that must be well.
func (h *house) applied(s *snapshot.Snapshot) {
	h.Helper()
	if err := h.Apply(s); err != nil {
		h.Fatal(err)
	}
}

// address is where a listener with port 0 listens.
func (h *house) address(name string) string {
	h.Helper()
	at := h.log.find("the kernel chose a port listener=" + name + " address=")
	if at == "" {
		h.Fatalf("listener %s has no port", name)
	}
	return at
}

// freePort is an address on which nobody listens.
func freePort(t testing.TB) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// listens makes a listener: to kernel-chosen ports, unless at says otherwise.
func listens(t testing.TB, name, answer string, at ...netip.AddrPort) *snapshot.Listener {
	t.Helper()
	if len(at) == 0 {
		at = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	}
	return &snapshot.Listener{
		Name: name, Origin: "test", Binds: at, Socket: snapshot.Socket{Backlog: 128, NoDelay: true},
		HTTP: snapshot.HTTP{
			MaxHead: 60 << 10, MaxHeaders: 100, MaxLine: 8 << 10, HeaderTimeout: patience, BodyTimeout: patience,
			WriteTimeout: patience, IdleTimeout: time.Minute, StreamIdle: time.Minute, RateGrace: patience,
			UseRemote: true, ServerName: "longmen",
		},
		Routes: table(t, &router.Route{Name: "answer", Respond: &router.Respond{Status: 200, Body: []byte(answer)}}),
	}
}

func table(t testing.TB, routes ...*router.Route) *router.Table {
	t.Helper()
	table, problems := router.New([]*router.VirtualHost{{Name: "all", Domains: []string{"*"}, Routes: routes}})
	if table == nil {
		t.Fatal(problems)
	}
	return table
}

// forwards makes a listener that sends everything to the cluster in slot 0.
func forwards(t testing.TB, name, to string) *snapshot.Listener {
	l := listens(t, name, "")
	l.Routes = table(t, &router.Route{Name: "all", Forward: &router.Forward{
		Clusters: []router.WeightedCluster{{Cluster: router.ClusterRef{Name: to}, Weight: 1}}, TotalWeight: 1}})
	return l
}

// snap makes a snapshot.
func snap(version string, listeners ...*snapshot.Listener) *snapshot.Snapshot {
	return &snapshot.Snapshot{Version: version, Listeners: listeners, ClusterSlots: map[string]int{}}
}

// having adds clusters in the order of their slots.
func having(s *snapshot.Snapshot, clusters ...*cluster.Cluster) *snapshot.Snapshot {
	s.Clusters = clusters
	for i, c := range clusters {
		if c != nil {
			s.ClusterSlots[c.Config().Name] = i
		}
	}
	return s
}

func clusterOf(name string, at ...net.Addr) *cluster.Config {
	c := &cluster.Config{
		Name: name, Choices: 2, ConnectTimeout: patience, Pool: cluster.Pool{Idle: 64, IdleTimeout: time.Minute},
		Limits: cluster.Limits{Connections: 1000, Pending: 1000, Requests: 1000, Retries: 1000},
	}
	for _, a := range at {
		port := a.(*net.TCPAddr).AddrPort()
		c.Endpoints = append(c.Endpoints, cluster.EndpointConfig{Host: port.Addr().String(), Port: port.Port(), Weight: 1})
	}
	return c
}

// logsTo lets a listener log to a file, and returns a function that reads it.
func logsTo(t testing.TB, l *snapshot.Listener) func() string {
	t.Helper()
	format, err := stream.ParseFormat("%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS%")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "access.log")
	l.HTTP.AccessLog = []snapshot.AccessLog{{Path: path, Format: format}}
	return func() string {
		text, _ := os.ReadFile(path)
		return string(text)
	}
}

// client is a connection to the gateway.
type client struct {
	testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, at string) *client {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return dialled(t, c)
}

func dialled(t testing.TB, c net.Conn) *client {
	c.SetDeadline(time.Now().Add(2 * patience))
	return &client{t, c, bufio.NewReader(c)}
}

func (c *client) ask(path string) {
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path)
}

// answer reads a response.
func (c *client) answer() (*http.Response, string) {
	c.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.Fatalf("response: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp, "CUT " + string(body)
	}
	return resp, string(body)
}

// accepting reports whether a worker still accepts.
func (h *house) accepting() (yes bool) {
	for _, w := range h.workers {
		w.loop.Do(func() {
			for _, p := range w.ports {
				yes = yes || len(p.acceptors) > 0
			}
		})
	}
	return yes
}

// refused dials and waits for the connection's reset.
func refused(t testing.TB, at string) {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err == nil {
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

// get asks and reads the answer's body.
func (c *client) get(path string) string {
	c.Helper()
	c.ask(path)
	_, body := c.answer()
	return body
}

// closed waits for the connection's end.
func (c *client) closed() {
	c.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		c.Errorf("%q, %v; want the end", rest, err)
	}
}

// gated is an origin that says in asked that a request came, and answers it
// when go is sent or closed.
type gated struct {
	net.Listener
	asked chan string
	more  chan bool
	all   sync.WaitGroup
	mu    sync.Mutex
	conns []net.Conn
}

func newGated(t testing.TB) *gated {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &gated{Listener: ln, asked: make(chan string, 10000), more: make(chan bool)}
	o.all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			o.mu.Lock()
			o.conns = append(o.conns, c)
			o.mu.Unlock()
			o.all.Go(func() { o.serve(c) })
		}
	})
	t.Cleanup(o.end)
	return o
}

func (o *gated) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		o.asked <- request.URL.Path
		<-o.more
		io.WriteString(c, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone")
	}
}

// end ends the origin.
func (o *gated) end() {
	o.Close()
	o.mu.Lock()
	for _, c := range o.conns {
		c.Close()
	}
	o.mu.Unlock()
	select {
	case <-o.more:
	default:
		close(o.more)
	}
	o.all.Wait()
}

func (c *chronicle) logger() *slog.Logger { return slog.New(c) }
