package supervisor

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"longmen/gateway/cluster"
	"longmen/gateway/snapshot"
)

func TestListenersComeAndGo(t *testing.T) {
	h := newHouse(t, Options{})
	a, b := listens(t, "a", "a1"), listens(t, "b", "b1")
	h.applied(snap("1", a, b))
	atA, atB := h.address("a"), h.address("b")
	clientA, clientB := dial(t, atA), dial(t, atB)
	if got := clientA.get("/") + clientB.get("/"); got != "a1b1" {
		t.Fatal(got)
	}
	// Another answer on a: its connection stays and gets it. b goes.
	a2 := listens(t, "a", "a2")
	h.applied(snap("2", a2))
	if got := clientA.get("/"); got != "a2" {
		t.Error(got)
	}
	clientB.closed()
	if c, err := net.Dial("tcp", atB); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("b listens: %v %v", c, err)
	}
	// b comes back.
	h.applied(snap("3", a2, b))
	if got := dial(t, h.address("b")).get("/") + clientA.get("/"); got != "b1a2" {
		t.Error(got)
	}
	// One more address for a; then only that one.
	more := freePort(t)
	both := listens(t, "a", "a3", a.Binds[0], more)
	h.applied(snap("4", both, b))
	if got := dial(t, atA).get("/") + dial(t, more.String()).get("/") + clientA.get("/"); got != "a3a3a3" {
		t.Error(got)
	}
	h.applied(snap("5", listens(t, "a", "a4", more), b))
	clientA.closed()
	clientA = dial(t, more.String())
	if got := clientA.get("/"); got != "a4" {
		t.Error(got)
	}
	if c, err := net.Dial("tcp", atA); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the address that went still listens: %v %v", c, err)
	}
	// Socket options change: the socket is opened anew, connections stay.
	other := listens(t, "a", "a5", more)
	other.Socket.Backlog = 64
	h.applied(snap("6", other, b))
	if got := dial(t, more.String()).get("/") + clientA.get("/"); got != "a5a5" {
		t.Error(got)
	}
	h.applied(snap("7"))
	clientA.closed()
}

func TestListenersSwapAddresses(t *testing.T) {
	h := newHouse(t, Options{})
	one, two := freePort(t), freePort(t)
	for i := range 6 {
		a, b := one, two
		if i%2 == 1 {
			a, b = two, one
		}
		h.applied(snap("v", listens(t, "a", "a", a), listens(t, "b", "b", b)))
		for range 4 { // whichever worker gets it
			if got := dial(t, a.String()).get("/") + dial(t, b.String()).get("/"); got != "ab" {
				t.Fatalf("%d: %s", i, got)
			}
		}
	}
}

// An error leaves everything as it was, and nothing behind.
func TestApplyFails(t *testing.T) {
	h := newHouse(t, Options{})
	origin := newGated(t)
	close(origin.more)
	c := cluster.New(clusterOf("c", origin.Addr()))
	l := forwards(t, "a", "c")
	h.applied(having(snap("1", l), c))
	client := dial(t, h.address("a"))
	if got := client.get("/"); got != "done" {
		t.Fatal(got)
	}
	before := now(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	busy := taken.Addr().(*net.TCPAddr).AddrPort()
	noLog := listens(t, "new", "")
	noLog.HTTP.AccessLog = []snapshot.AccessLog{{Path: filepath.Join(t.TempDir(), "no", "such", "folder")}}
	for name, bad := range map[string]*snapshot.Snapshot{
		"address in use":     snap("2", listens(t, "a", ""), listens(t, "fresh", ""), listens(t, "x", "", freePort(t), busy)),
		"no folder for logs": snap("2", listens(t, "fresh", "", freePort(t)), noLog),
	} {
		if err := h.Apply(bad); err == nil || !strings.Contains(err.Error(), "test: listener ") {
			t.Errorf("%s: %v", name, err)
		}
		if h.current.Load().Version != "1" {
			t.Errorf("%s: version %s serves", name, h.current.Load().Version)
		}
		if got := client.get("/"); got != "done" {
			t.Errorf("%s: %s", name, got)
		}
	}
	taken.Close()
	if after := now(t); after.files > before.files {
		t.Errorf("%d files open, %d before", after.files, before.files)
	}
	if connections, _, _, _ := c.InUse(); connections != 1 {
		t.Errorf("%d connections to the endpoint", connections)
	}
	h.applied(snap("3", listens(t, "a", "well")))
	if got := client.get("/"); got != "well" {
		t.Error(got)
	}
}

func TestClustersChange(t *testing.T) {
	h := newHouse(t, Options{})
	origin := newGated(t)
	l := forwards(t, "a", "c")
	first := cluster.New(clusterOf("c", origin.Addr()))
	h.applied(having(snap("1", l), first))
	busy, idle := dial(t, h.address("a")), dial(t, h.address("a"))
	idle.ask("/idle")
	<-origin.asked
	origin.more <- true
	idle.answer()
	busy.ask("/busy")
	<-origin.asked
	// Another version, while a request is under way.
	config := clusterOf("c", origin.Addr())
	config.Hash, config.ConnectTimeout = 2, time.Second
	second := cluster.New(config)
	h.applied(having(snap("2", l), second))
	origin.more <- true
	if _, body := busy.answer(); body != "done" {
		t.Error(body)
	}
	origin.mu.Lock()
	if n := len(origin.conns); n > 2 {
		t.Errorf("%d connections", n)
	}
	origin.mu.Unlock()
	busy.ask("/again")
	<-origin.asked
	// It is removed, while a request is under way.
	h.applied(having(snap("3", l), nil))
	origin.more <- true
	if _, body := busy.answer(); body != "done" {
		t.Error(body)
	}
	idle.ask("/none")
	if resp, _ := idle.answer(); resp.StatusCode != 503 {
		t.Errorf("%d", resp.StatusCode)
	}
	if connections, _, requests, _ := second.InUse(); connections+requests != 0 {
		t.Errorf("%d connections and %d requests in use", connections, requests)
	}
	// And comes back.
	h.applied(having(snap("4", l), cluster.New(clusterOf("c", origin.Addr()))))
	idle.ask("/back")
	<-origin.asked
	origin.more <- true
	if _, body := idle.answer(); body != "done" {
		t.Error(body)
	}
}

// Snapshots are applied while requests are served and the gateway is stopped.
func TestApplyWhileStopping(t *testing.T) {
	for range 20 {
		h := newHouse(t, Options{})
		h.applied(snap("1", listens(t, "a", "a")))
		at := h.address("a")
		var all sync.WaitGroup
		all.Go(func() {
			for {
				l := listens(t, "b", "b")
				if err := h.Apply(snap("2", listens(t, "a", "a"), l)); err != nil {
					return // it has stopped
				}
				h.Apply(snap("3", listens(t, "a", "a")))
			}
		})
		dial(t, at).get("/")
		h.stopped()
		all.Wait()
		if err := h.Apply(snap("4")); err == nil {
			t.Error("a stopped gateway takes a snapshot")
		}
	}
}

func TestNewFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	h := newHouse(t, Options{}) // for its log
	h.stopped()
	h.before.returned(t)
	before := now(t)
	s, err := New(Options{Workers: 3, AdminBind: taken.Addr().String(), Watchdog: time.Second, Log: h.log.logger()})
	if err == nil || s != nil {
		t.Fatalf("%v %v", s, err)
	}
	before.returned(t)
}

// The limits of connections follow the snapshot.
func TestConnectionLimits(t *testing.T) {
	h := newHouse(t, Options{MaxConnections: 3})
	l := listens(t, "a", "a")
	l.HTTP.MaxConnections = 2
	h.applied(snap("1", l))
	at := h.address("a")
	one, two := dial(t, at), dial(t, at)
	one.get("/")
	two.get("/")
	refused(t, at)
	h.applied(snap("2", listens(t, "a", "a")))
	three := dial(t, at)
	three.get("/")
	refused(t, at) // the process's limit
	three.Close()
	for h.global.Open() != 2 {
		time.Sleep(time.Millisecond)
	}
	dial(t, at).get("/")
}

// Workers share a cluster's limit of connections; one that keeps a connection
// idle gives it up for another one's stream.
func TestLimitOverWorkers(t *testing.T) {
	h := newHouse(t, Options{Workers: 3})
	origin := newGated(t)
	close(origin.more)
	config := clusterOf("c", origin.Addr())
	config.Limits.Connections = 1
	h.applied(having(snap("1", forwards(t, "a", "c")), cluster.New(config)))
	for range 30 { // whichever worker gets it
		if got := dial(t, h.address("a")).get("/"); got != "done" {
			t.Fatal(got)
		}
	}
}

func TestLogs(t *testing.T) {
	h := newHouse(t, Options{})
	l := listens(t, "a", "a")
	read := logsTo(t, l)
	h.applied(snap("1", l))
	c := dial(t, h.address("a"))
	c.get("/first")
	path := l.HTTP.AccessLog[0].Path
	for !strings.Contains(read(), "/first 200 -\n") {
		time.Sleep(time.Millisecond)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := h.ReopenLogs(); err != nil {
		t.Fatal(err)
	}
	c.get("/second")
	h.stopped() // writes what waits
	if got := read(); got != "/second 200 -\n" {
		t.Errorf("%q", got)
	}
}
