package listener

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/snapshot"
	"longmen/gateway/telemetry/metrics"
	"longmen/gateway/worker"
)

const patience = 10 * time.Second

// sockets is a Server that keeps what it is given.
type sockets struct {
	fds           []int
	remote, local []netip.AddrPort
	fail          error
}

// Serve keeps the socket.
func (s *sockets) Serve(fd int, remote, local netip.AddrPort) error {
	if s.fail != nil {
		return s.fail
	}
	s.fds, s.remote, s.local = append(s.fds, fd), append(s.remote, remote), append(s.local, local)
	return nil
}

// porch is an acceptor on a loop of its own.
type porch struct {
	testing.TB
	loop        *worker.Loop
	acceptor    *Acceptor
	own, global Gate
	load        Load
	limits      Limits
	server      sockets
	stats       *metrics.ListenerStats
	at          netip.AddrPort
	log         bytes.Buffer // the loop writes it
}

func newPorch(t testing.TB, bind string, o snapshot.Socket) *porch {
	t.Helper()
	p := &porch{TB: t}
	p.limits = Limits{Own: &p.own, Global: &p.global, Load: &p.load}
	if o.Backlog == 0 {
		o.Backlog = 1024
	}
	fd, err := Listen(netip.MustParseAddrPort(bind), &o)
	if err != nil {
		t.Fatal(err)
	}
	if p.at, err = LocalAddr(fd); err != nil {
		t.Fatal(err)
	}
	p.loop, err = worker.New(worker.Options{Log: slog.New(slog.NewTextHandler(&p.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	p.stats = metrics.NewRegistry().NewWorker(p.loop.Stats()).Listener("test")
	if p.acceptor, err = Accept(p.loop, fd, &p.limits, &p.server, p.stats); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.loop.Run() }()
	t.Cleanup(func() {
		p.loop.Do(p.acceptor.Close)
		p.loop.Do(p.acceptor.Close) // twice is well
		p.loop.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		p.loop.Close()
		for _, fd := range p.server.fds {
			unix.Close(fd)
		}
	})
	return p
}

func (p *porch) until(what string, cond func() bool) {
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

func (p *porch) dial() net.Conn {
	p.Helper()
	c, err := net.Dial("tcp", p.at.String())
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// refused dials and waits for the connection's reset.
func (p *porch) refused() {
	p.Helper()
	c, err := net.Dial("tcp", p.at.String())
	if err == nil {
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		p.Errorf("%v, want a reset", err)
	}
}

func TestAddresses(t *testing.T) {
	for bind, dial := range map[string]string{"127.0.0.1:0": "127.0.0.1", "0.0.0.0:0": "127.0.0.1", "[::1]:0": "::1", "[::]:0": "::1"} {
		p := newPorch(t, bind, snapshot.Socket{})
		p.at = netip.AddrPortFrom(netip.MustParseAddr(dial), p.at.Port())
		c := p.dial()
		p.until("it is accepted", func() bool { return len(p.server.fds) == 1 })
		if got := p.server.remote[0].String(); got != c.LocalAddr().String() {
			t.Errorf("%s: remote %s, want %s", bind, got, c.LocalAddr())
		}
		if got := p.server.local[0].String(); got != c.RemoteAddr().String() {
			t.Errorf("%s: local %s, want %s", bind, got, c.RemoteAddr())
		}
	}
}

// "::" takes IPv4 too unless V6Only says no; IPv4 addresses are shown as such.
func TestDualStack(t *testing.T) {
	p := newPorch(t, "[::]:0", snapshot.Socket{})
	p.at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p.at.Port())
	c := p.dial()
	p.until("it is accepted", func() bool { return len(p.server.fds) == 1 })
	if p.server.remote[0].String() != c.LocalAddr().String() || p.server.local[0].String() != c.RemoteAddr().String() {
		t.Errorf("remote %v, local %v", p.server.remote[0], p.server.local[0])
	}
	q := newPorch(t, "[::]:0", snapshot.Socket{V6Only: true})
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", q.at.Port())); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v %v", c, err)
	}
}

func TestSocketOptions(t *testing.T) {
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{
		Backlog: 7, FastOpen: 5, FreeBind: true, NoDelay: true,
		KeepaliveIdle: 90 * time.Second, KeepaliveInterval: 1500 * time.Millisecond, KeepaliveProbes: 3})
	p.dial()
	p.until("it is accepted", func() bool { return len(p.server.fds) == 1 })
	check := func(fd int, name string, level, option, want int) {
		t.Helper()
		if got, err := unix.GetsockoptInt(fd, level, option); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, want)
		}
	}
	accepted, listens := p.server.fds[0], p.acceptor.fd
	check(accepted, "TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	check(accepted, "SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	check(accepted, "TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 90)
	check(accepted, "TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 2)
	check(accepted, "TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3)
	check(listens, "TCP_FASTOPEN", unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 5)
	check(listens, "IP_FREEBIND", unix.IPPROTO_IP, unix.IP_FREEBIND, 1)
	check(listens, "SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	for _, fd := range []int{accepted, listens} {
		status, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if status&unix.O_NONBLOCK == 0 || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("fd %d: status %x, flags %x", fd, status, flags)
		}
	}

	plain := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	plain.dial()
	plain.until("it is accepted", func() bool { return len(plain.server.fds) == 1 })
	check(plain.server.fds[0], "TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 0)
	check(plain.server.fds[0], "SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
}

// IP_TRANSPARENT needs a privilege: it is set, or listening fails.
func TestTransparent(t *testing.T) {
	for bind, option := range map[string][2]int{"127.0.0.1:0": {unix.IPPROTO_IP, unix.IP_TRANSPARENT}, "[::1]:0": {unix.IPPROTO_IPV6, unix.IPV6_TRANSPARENT}} {
		fd, err := Listen(netip.MustParseAddrPort(bind), &snapshot.Socket{Backlog: 1, Transparent: true})
		if err != nil {
			if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "TRANSPARENT") {
				t.Error(err)
			}
			continue
		}
		if on, err := unix.GetsockoptInt(fd, option[0], option[1]); err != nil || on != 1 {
			t.Errorf("%s: %d %v", bind, on, err)
		}
		unix.Close(fd)
	}
}

func openFiles(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestListenFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0") // without SO_REUSEPORT
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	before := openFiles(t)
	for bind, want := range map[string]syscall.Errno{taken.Addr().String(): unix.EADDRINUSE, "192.0.2.1:80": unix.EADDRNOTAVAIL} {
		fd, err := Listen(netip.MustParseAddrPort(bind), &snapshot.Socket{Backlog: 1})
		if !errors.Is(err, want) || fd != -1 || !strings.Contains(err.Error(), bind) {
			t.Errorf("%s: %d, %v", bind, fd, err)
		}
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d files open, %d before", n, before)
	}
	if _, err := LocalAddr(-1); err == nil {
		t.Error("no error of a bad descriptor")
	}
}

// What cannot be accepted from is closed.
func TestAcceptFails(t *testing.T) {
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	file, err := os.Open("/proc/self/status") // epoll takes no such file
	if err != nil {
		t.Fatal(err)
	}
	fd, _ := unix.Dup(int(file.Fd()))
	file.Close()
	p.loop.Do(func() {
		if _, err = Accept(p.loop, fd, &p.limits, &p.server, p.stats); err == nil {
			t.Error("no error")
		}
	})
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the descriptor is still open: %v", err)
	}
}

func TestLimitsRefuse(t *testing.T) {
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	p.own.SetLimits(2, 0)
	p.dial()
	p.dial()
	p.refused()
	p.own.SetLimits(0, 0)
	p.global.SetLimits(3, 0)
	p.dial()
	p.refused()
	p.global.SetLimits(0, 0)
	p.own.SetLimits(0, 1)
	p.dial()
	p.refused()
	p.until("four are accepted", func() bool { return len(p.server.fds) == 4 })
	if p.own.Open() != 4 || p.global.Open() != 4 || p.stats.Connections.Load() != 4 || p.stats.ConnectionsActive.Load() != 4 {
		t.Errorf("%d and %d open, %d counted, %d active", p.own.Open(), p.global.Open(), p.stats.Connections.Load(), p.stats.ConnectionsActive.Load())
	}
	for _, why := range []metrics.Refusal{metrics.RefusedListenerLimit, metrics.RefusedGlobalLimit, metrics.RefusedRate} {
		if n := p.stats.Refused[why].Load(); n != 1 {
			t.Errorf("%v: %d refused", why, n)
		}
	}
}

func TestOneClientsConnectionsAreRefused(t *testing.T) {
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	p.loop.Do(func() { p.limits.Clients = NewClients(2) })
	p.dial()
	p.dial()
	p.refused()
	p.loop.Do(func() {
		if p.own.Open() != 2 || p.global.Open() != 2 || p.stats.Refused[metrics.RefusedClientLimit].Load() != 1 {
			t.Errorf("%d and %d open", p.own.Open(), p.global.Open())
		}
		p.server.fail = errors.New("no room")
		p.limits.Clients.SetLimit(3)
	})
	p.dial()
	p.until("it is forgotten", func() bool { return p.own.Open() == 2 })
	p.loop.Do(func() { p.server.fail = nil })
	p.dial() // who could not be served left the limit, too
	p.until("it is accepted", func() bool { return len(p.server.fds) == 3 })
}

func TestOverloadRefusesConnections(t *testing.T) {
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	p.loop.Do(func() { p.load.Refuse = 1 << 32 })
	for range 20 {
		p.refused()
	}
	p.loop.Do(func() { p.load.Refuse = 0 })
	p.dial()
	p.until("it is accepted", func() bool { return len(p.server.fds) == 1 })
	if n := p.stats.Refused[metrics.RefusedOverload].Load(); n != 20 || p.own.Open() != 1 || p.global.Open() != 1 {
		t.Errorf("%d refused, %d and %d open", n, p.own.Open(), p.global.Open())
	}
	// In between it is as likely as asked for.
	half, refused := Load{Refuse: 1 << 31}, 0
	for range 10_000 {
		if half.refuses() {
			refused++
		}
	}
	if refused < 4700 || refused > 5300 { // 6 standard deviations
		t.Errorf("%d of 10000 refused", refused)
	}
}

// Connections wait in the backlog while accepting is paused, and are served then.
func TestOverloadPausesAccepting(t *testing.T) {
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	p.loop.Do(func() { p.load.Pause = true })
	for range 5 {
		p.dial()
	}
	p.until("it has seen them", func() bool { return p.loop.Stats().Events.Load() > 0 || p.acceptor.pause.Armed() })
	p.loop.Do(func() {
		if n := len(p.server.fds); n != 0 {
			t.Errorf("%d accepted", n)
		}
		p.load.Pause = false
	})
	p.until("they are accepted", func() bool { return len(p.server.fds) == 5 })
}

// A connection that the server cannot take leaves nothing behind.
func TestServeFails(t *testing.T) {
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	p.loop.Do(func() { p.server.fail = errors.New("no room") })
	c := p.dial()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	p.until("it is forgotten", func() bool { return p.own.Open() == 0 && p.global.Open() == 0 })
	if p.stats.ConnectionsActive.Load() != 0 {
		t.Error("it counts as active")
	}
}

// More connections come at once than are taken in one turn: none is forgotten,
// although the kernel tells of them only once.
func TestMoreThanABatch(t *testing.T) {
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	const n = 3*acceptBatch + 5
	p.loop.Do(func() { // the loop is held up meanwhile
		var all sync.WaitGroup
		for range n {
			all.Go(func() { p.dial() })
		}
		all.Wait()
	})
	p.until("all are accepted", func() bool { return len(p.server.fds) == n })
}

// What waits in the backlog is taken before the socket is closed.
func TestCloseTakesTheBacklog(t *testing.T) {
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	const n = acceptBatch + 20
	p.loop.Do(func() {
		for range n {
			p.dial()
		}
		p.acceptor.Close()
		if len(p.server.fds) != n {
			t.Errorf("%d of %d taken", len(p.server.fds), n)
		}
	})
	if c, err := net.Dial("tcp", p.at.String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close: %v %v", c, err)
	}
}

// Without file descriptors connections wait in the backlog, and are taken when
// there are some again. The limit of the process is lowered, so another
// process does this.
func TestOutOfFiles(t *testing.T) {
	const name = "LONGMEN_TEST_OUT_OF_FILES"
	if os.Getenv(name) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, "-test.run=^TestOutOfFiles$", "-test.count=1")
		cmd.Env = append(os.Environ(), name+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	p := newPorch(t, "127.0.0.1:0", snapshot.Socket{})
	var clients []int // made before descriptors run out
	for range 3 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, fd)
	}
	highest, err := unix.Dup(0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(highest)
	var before unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &before)
	lower := before
	lower.Cur = uint64(highest) // the next descriptor is one too many
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	for _, fd := range clients {
		if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(p.at.Port())}); err != nil {
			t.Fatal(err)
		}
	}
	refused := &p.stats.Refused[metrics.RefusedNoFiles]
	p.until("accepting fails, rests and fails again", func() bool { return refused.Load() >= 5 })
	warnings := 0
	p.loop.Do(func() { warnings = strings.Count(p.log.String(), "accepting rests") })
	if warnings != 1 || len(p.server.fds) != 0 {
		t.Errorf("%d warnings, %d accepted", warnings, len(p.server.fds))
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	p.until("those that waited are served", func() bool { return len(p.server.fds) == len(clients) })
}
