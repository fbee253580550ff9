package connection

import (
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"longmen/gateway/worker"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// startLoop runs a loop until the test ends, and then looks whether a buffer
// is still lent.
func startLoop(t testing.TB) *worker.Loop {
	t.Helper()
	l, err := worker.New(worker.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run() }()
	t.Cleanup(func() {
		l.Do(func() {
			if n, size := l.Buffers.Lent(); n != 0 || size != 0 {
				t.Errorf("%d buffers of %d bytes are still lent", n, size)
			}
		})
		if n := l.Stats().Panics.Load(); n != 0 {
			t.Errorf("%d panics on the loop", n)
		}
		l.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return l
}

// recorder is an owner that notes what it is told.
type recorder struct {
	Conn
	told []worker.Events
	on   func(worker.Events)
}

func (r *recorder) ConnReady(ev worker.Events) {
	r.told = append(r.told, ev)
	if r.on != nil {
		r.on(ev)
	}
}

// closedReports calls on whenever the owner hears of a closed connection.
func (r *recorder) closedReports(on func()) {
	r.on = func(worker.Events) {
		if !r.IsOpen() {
			on()
		}
	}
}

// socketpair opens a recorder on one end and returns the other, non-blocking.
func socketpair(t testing.TB, l *worker.Loop) (*recorder, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, l, fds[0])
	return r, fds[1]
}

func open(t testing.TB, l *worker.Loop, fd int) *recorder {
	t.Helper()
	r := &recorder{}
	l.Do(func() {
		if err := r.Open(l, fd, r); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { l.Do(r.Close) })
	return r
}

// tcp opens a recorder on one end of a TCP connection and returns the other.
func tcp(t testing.TB, l *worker.Loop) (*recorder, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	fd := tcpSocket(t)
	if err := unix.Connect(fd, loopback(listener.Addr())); err != unix.EINPROGRESS && err != nil {
		t.Fatal(err)
	}
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	peer.SetDeadline(time.Now().Add(patience))
	return open(t, l, fd), peer.(*net.TCPConn)
}

func tcpSocket(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Small buffers, so that backpressure comes soon.
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 16<<10)
	return fd
}

func loopback(a net.Addr) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: a.(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
}

// until runs cond on the loop until it holds.
func until(t testing.TB, l *worker.Loop, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		ok := false
		l.Do(func() { ok = cond() })
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it never happened: %s", what)
		}
	}
}

// text is n bytes of a pattern that does not repeat soon, from offset at.
func text(at, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		k := uint32(at+i) * 2654435761
		p[i] = byte(k >> 24)
	}
	return p
}
